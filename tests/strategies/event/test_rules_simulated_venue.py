"""Everything the simulated venue lists is read, and read as it is settled; what is cut off is not."""

import json
import subprocess
import sys
from collections import Counter
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from domain.contract import Contract, ContractStatus, RuleKind, SettlementRule, Unread
from strategies.event.rules import read_rule

SOURCES = {"KXHI": ("National Weather Service",), "KXBT": ("CF Benchmarks",), "KXFB": ("ForecastBench",)}


def contract(fields: dict[str, Any]) -> Contract:
    def strike(name: str) -> Decimal | None:
        return None if fields[name] is None else Decimal(str(fields[name]))

    def moment(name: str) -> datetime:
        return datetime.fromisoformat(fields[name])

    return Contract(
        ticker=fields["ticker"], event=fields["event_ticker"], series=fields["series_ticker"], category="",
        title=fields["title"], event_title=fields["event_title"], yes_sub_title=fields["yes_sub_title"],
        no_sub_title=fields["no_sub_title"], rules_primary=fields["rules_primary"],
        rules_secondary=fields["rules_secondary"], strike_type=fields["strike_type"],
        floor_strike=strike("floor_strike"), cap_strike=strike("cap_strike"), open_at=moment("open_time"),
        close_at=moment("close_time"), expected_expiration_at=moment("expected_expiration_time"),
        latest_expiration_at=moment("latest_expiration_time"), status=ContractStatus.ACTIVE, result="", value=None,
        expiration_value="", can_close_early=fields["can_close_early"], tick=Decimal("0.01"), fee_type="quadratic",
        fee_multiplier=Decimal(1), settlement_sources=SOURCES[fields["series_ticker"][:4]],
    )  # fmt: skip


@pytest.fixture(scope="module")
def contracts(request: pytest.FixtureRequest) -> list[Contract]:
    command = [sys.executable, "-m", "simulators.kalshi.catalogue", "--json", "--clock", "sim:2014-05-06T16:00:00Z@1"]
    done = subprocess.run(
        command, capture_output=True, check=True, timeout=60, cwd=Path(request.config.rootpath), encoding="utf-8"
    )
    return [contract(fields) for fields in json.loads(done.stdout)]


def test_every_high_and_every_price_is_read_and_so_is_nearly_every_question(contracts: list[Contract]) -> None:
    read = Counter((one.series[:4], type(read_rule(one)).__name__) for one in contracts)

    assert read["KXHI", "SettlementRule"] >= 6
    assert read["KXBT", "SettlementRule"] >= 7
    assert read["KXFB", "SettlementRule"] >= 20
    assert read["KXHI", "Unread"] == read["KXBT", "Unread"] == 0
    assert read["KXFB", "Unread"] < read["KXFB", "SettlementRule"] / 10


def test_a_question_that_may_be_cut_off_is_not_read(contracts: list[Contract]) -> None:
    unread = [rule.reason for one in contracts if isinstance(rule := read_rule(one), Unread)]

    assert all("may be cut off" in reason for reason in unread)


def test_the_brackets_of_each_day_take_every_whole_degree_once(contracts: list[Contract]) -> None:
    days: dict[str, list[SettlementRule]] = {}
    for one in contracts:
        rule = read_rule(one)
        if isinstance(rule, SettlementRule) and rule.kind is RuleKind.DAILY_HIGH:
            days.setdefault(one.event, []).append(rule)

    assert days
    for rules in days.values():
        assert len(rules) == 6
        assert all(sum(rule.decides(Decimal(degrees)) for rule in rules) == 1 for degrees in range(-30, 121))
