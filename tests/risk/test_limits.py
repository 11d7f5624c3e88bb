"""Limits read from an env file, values refused, and a page of documentation that keeps up."""

import re
from dataclasses import fields, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from domain.errors import Misconfigured
from domain.settings import keys, load
from domain.vocabulary import Code, Gate, Side
from risk.chain import CHAIN
from risk.event_limits import EventLimits
from risk.limits import Limits
from risk.state import Exposure

D = Decimal
PAGE = (Path(__file__).parents[2] / "docs" / "gates.md").read_text(encoding="utf-8")


def read(**environ):
    return load(Limits, {"RISK_BANKROLL": "10000", **environ}, prefix="RISK_", source="env/fx.env")


def test_limits_are_read_from_their_keys():
    limits = read(RISK_SIDES="buy", RISK_BLOCKED="EUR_USD, USD_JPY:sell", RISK_MAX_DAY_TRADES="3", RISK_DAILY_LOSS="50")

    assert ((Side.BUY,), ("EUR_USD", "USD_JPY:sell"), 3, D(50)) == (
        limits.sides,
        limits.blocked,
        limits.max_day_trades,
        limits.daily_loss,
    )


def test_bankroll_must_be_given():
    with pytest.raises(Misconfigured, match="RISK_BANKROLL"):
        load(Limits, {}, prefix="RISK_", source="env/fx.env")


def test_value_that_does_not_fit_names_the_file():
    with pytest.raises(Misconfigured, match=r"RISK_DAILY_LOSS must not exceed the bankroll.*env/fx\.env"):
        read(RISK_DAILY_LOSS="10001")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("bankroll", D(0), "above 0"),
        ("bankroll", D("NaN"), "finite"),
        ("daily_loss", D(0), "above 0"),
        ("max_leverage", D("Infinity"), "finite"),
        ("max_positions", -1, "at least 0"),
        ("risk_fraction", D("0.5"), "half a percent is 0.005"),
        ("max_concentration", D("1.1"), "must not exceed 1"),
        ("cash_reserve", D("50"), "must not exceed 1"),
        ("min_confidence", D("55"), "must not exceed 1"),
        ("max_disagreement", D("-0.1"), "at least 0"),
        ("storm_stop_outs", 0, "at least 1"),
        ("currency", "usd", "three capitals"),
        ("blocked", ("EUR_USD:short",), "EUR_USD:short"),
        ("blocked", (":buy",), ":buy"),
    ],
)
def test_limit_that_makes_no_sense_is_refused(case, name, value, message):
    with pytest.raises(ValueError, match=message):
        replace(case.limits, **{name: value})


def test_every_limit_is_described():
    assert [field.name for field in fields(Limits)] == re.findall(r"^        (\w+): ", Limits.__doc__, re.MULTILINE)


@pytest.mark.parametrize("changes", [{"notional": D(-1)}, {"risk": D("NaN")}, {"margin": D(-1)}, {"status": "closed"}])
def test_exposure_that_would_make_room_is_refused(make, changes):
    with pytest.raises(ValueError, match=r"exposure in USD_JPY|status must be"):
        make.exposure(**changes)


def test_exposure_has_no_default_status():
    with pytest.raises(TypeError):
        Exposure(market="EUR_USD")


def test_naive_moment_is_refused(case):
    with pytest.raises(ValueError, match=r"RiskState\.now"):
        case.but(state={"now": datetime(2026, 3, 4)})  # noqa: DTZ001 (the point of the test)


def rows(heading):
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_page_names_every_gate_in_order():
    gates = [row[1].strip("`") for row in rows("The ten gates") if row[1]]

    assert [gate.value for gate in Gate] == gates


def test_page_names_every_code_under_its_gate_with_value_limit_and_unit():
    named = set()
    for _, _, code, value, limit, unit, *_ in rows("The ten gates"):
        named.add(code.strip("`"))
        assert value
        assert limit
        assert unit

    assert {code.value for code in Code} == named


def test_page_names_the_unit_of_every_verdict(case):
    told = {row[1].strip("`"): [] for row in rows("The ten gates") if row[1]}
    gate = ""
    for row in rows("The ten gates"):
        gate = row[1].strip("`") or gate
        told[gate].append(row[5])

    for step in CHAIN:
        unit = case.ask(step.gate).unit.replace("USD", "USD" if step.gate is Gate.COST else "home")
        assert unit in told[step.gate]


def test_page_lists_every_key_with_its_default():
    defaults = {row[0].strip("`"): row[1].strip("`") for row in rows("Keys")}
    shown = {key: default or "empty" for key, default in keys(Limits, prefix="RISK_").items()}

    assert {**shown, "RISK_BANKROLL": "required"} == defaults


def test_page_lists_every_default_of_the_event_surfaces_that_differs():
    shown = {row[0].strip("`"): row[1].strip("`") for row in rows("Event contracts")}
    usual, own = keys(Limits, prefix="RISK_"), keys(EventLimits, prefix="RISK_")

    assert {key: value for key, value in own.items() if value != usual[key]} == shown


def test_page_mentions_only_keys_that_exist():
    assert set(re.findall(r"RISK_[A-Z_]+", PAGE)) <= set(keys(Limits, prefix="RISK_")) | set(Code) | {"RISK_"}


def test_derived_numbers_follow_a_changed_limit(case):
    limits = replace(case.limits, cash_reserve=D("0.2"), max_positions=300, min_quorum=2, dedup_window_s=60)

    assert (D("0.8"), 300, 2, 60) == (limits.usable, limits.positions, limits.quorum, limits.dedup_window)


def test_totals_of_the_state_follow_changed_exposures(case, make):
    held = (make.exposure(), make.exposure(notional=D(5), risk=D(3), margin=D(1)))
    state = replace(case.state, exposures=held)

    assert (state.all_notional, state.all_risk, state.all_margin) == (1005, 13, 21)
    assert replace(state, exposures=()).all_notional == 0
