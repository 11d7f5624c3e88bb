"""Prices at a moment: index, strike and time are read from the text and must fit the venue's own fields."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from domain.contract import Contract, RuleKind, SettlementRule, Unread
from strategies.event.rules import read_rule

Maker = Callable[..., Contract]


def test_the_hourly_bitcoin_wording_is_read(price_at: Maker) -> None:
    rule = read_rule(price_at())

    assert isinstance(rule, SettlementRule), rule.reason
    assert (rule.kind, rule.station, rule.source) == (RuleKind.PRICE_AT, "BTC-USD", "CF Benchmarks")
    assert (rule.low, rule.high, rule.resolution) == (Decimal("73250.00"), None, Decimal("0.01"))
    assert rule.ends_at == datetime(2026, 8, 13, 21, tzinfo=UTC)
    assert rule.begins_at == datetime(2026, 8, 13, 20, 59, tzinfo=UTC)


def test_a_range_of_prices_is_read_with_both_ends(price_at: Maker) -> None:
    contract = price_at(
        ticker="KXBTC-26AUG1317-B73374.995", event="KXBTC-26AUG1317", series="KXBTC", strike_type="between",
        floor_strike=Decimal(73250), cap_strike=Decimal("73499.99"), yes_sub_title="$73,250 to 73,499.99",
        rules_primary=price_at().rules_primary.replace("above 73249.99", "between 73250 and 73499.99"),
    )  # fmt: skip

    rule = read_rule(contract)

    assert isinstance(rule, SettlementRule), rule.reason
    assert (rule.low, rule.high) == (Decimal(73250), Decimal("73499.99"))


@pytest.mark.parametrize(("zone", "hour"), [("ET", 21), ("EDT", 21), ("EST", 22), ("ET", 22)])
def test_a_zone_that_leaves_summer_time_open_is_settled_by_the_end_of_trading(
    price_at: Maker, zone: str, hour: int
) -> None:
    contract = price_at(
        rules_primary=price_at().rules_primary.replace("EDT", zone), close_at=datetime(2026, 8, 13, hour, tzinfo=UTC)
    )

    rule = read_rule(contract)

    assert isinstance(rule, SettlementRule), rule.reason
    assert rule.ends_at == datetime(2026, 8, 13, hour, tzinfo=UTC)


MUTATIONS = {
    "no source": {"rules_primary": ("CF Benchmarks' ", ""), "rules_secondary": ("CF Benchmarks' corresponding ", "")},
    "two sources": {"rules_primary": ("CF Benchmarks'", "Coinbase")},
    "two times": {"rules_primary": ("before 5 PM", "before 6 PM")},
    "another hour than trading": {"rules_primary": ("5 PM", "4 PM")},
    "a minute later": {"rules_primary": ("5 PM", "5:01 PM")},
    "another date": {"rules_primary": ("Aug 13", "Aug 14")},
    "no date": {"rules_primary": (" on Aug 13, 2026", ""), "title": (" on Aug 13, 2026", "")},
    "another strike": {"rules_primary": ("73249.99", "87249.99")},
    "at least": {"rules_primary": ("above", "at least")},
    "no rounding": {"rules_secondary": (", rounded to the nearest 2 decimal places", "")},
    "coarser rounding than the strike": {"rules_secondary": ("2 decimal places", "0 decimal places")},
    "another coin": {"rules_primary": ("Bitcoin Real-Time Index (BRTI)", "Dogecoin Real-Time Index")},
    "a coin of another series": {"rules_primary": ("Bitcoin Real-Time Index (BRTI)", "Ethereum Real-Time Index")},
    "no void rule": {"rules_secondary": ("If the index is unavailable, the market is void and", "All")},
    "another label": {"yes_sub_title": ("$73,250", "$73,500")},
    "an unknown clause": {"rules_secondary": ("At the last", "Settlement is delayed in a fork. At the last")},
    "a time that is none": {"rules_primary": ("5 PM", "17 PM")},
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_missing_or_contradicting_fact_leaves_a_price_unread(price_at: Maker, name: str) -> None:
    whole = price_at()
    changes = {}
    for field, (found, put) in MUTATIONS[name].items():
        assert found in getattr(whole, field)
        changes[field] = getattr(whole, field).replace(found, put)

    assert isinstance(read_rule(price_at(**changes)), Unread)


def test_a_price_without_any_time_is_unread(price_at: Maker) -> None:
    text = price_at().rules_primary.replace(" at 5 PM EDT", "").replace(" before 5 PM EDT", "")

    read = read_rule(price_at(rules_primary=text))

    assert isinstance(read, Unread)
    assert "time" in read.reason
