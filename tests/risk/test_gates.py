"""Every code at its limit and one step beyond."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.candidate import Vote
from domain.vocabulary import Code, Gate, Side, State

D = Decimal


def spoil(gate, code, at, beyond, value, limit, unit):
    """One row: a change that is still admitted, one that is refused, and the numbers of the refusal."""
    return pytest.param(gate, code, at, beyond, D(value), D(limit), unit, id=f"{code}-{value}-{unit}")


def seconds_ago(make, seconds):
    return make.now - timedelta(seconds=seconds)


def quote(**changes):
    return lambda make: {"state": {"quote": replace(make.quote, **changes)}}


def aged(seconds, field):
    return lambda make: {"state": {"quote": replace(make.quote, **{field: seconds_ago(make, seconds)})}}


def held(*many, **also):
    """Exposures in the state, each given by its changes, with changes of other parts beside them."""
    return lambda make: {"state": {"exposures": tuple(make.exposure(**one) for one in many)}, **also}


def given(**changes):
    return lambda make: changes


SAME = {"market": "EUR_USD", "group": "EUR", "side": Side.BUY, "thesis": "range"}
VOTES = tuple(Vote(model=name, probability=D("0.6"), weight=D(1), cost_usd=D(0)) for name in "abc")
ABSTAINED = (*VOTES[:2], replace(VOTES[2], weight=D(0)))
KEY = ("EUR_USD", Side.BUY, "range")

ROWS = [
    spoil(
        Gate.STOP_FILE, Code.STOPPED, given(), given(state={"stop_files": ("logs/STOP",)}), 1, 0, "reasons"
    ),
    spoil(
        Gate.STOP_FILE, Code.STOPPED, given(),
        given(state={"stop_files": ("logs/STOP unreadable",), "state": State.REDUCE}), 2, 0, "reasons",
    ),
    spoil(
        Gate.DEDUP, Code.DUPLICATE, held({**SAME, "thesis": "trend", "notional": D(1)}),
        held({**SAME, "status": "pending", "notional": D(1)}), 1, 0, "positions",
    ),
    spoil(
        Gate.DEDUP, Code.DUPLICATE, held({"market": "EUR_USD", "notional": D(1), "status": "open"}),
        held({"market": "EUR_USD", "status": "unknown"}, {**SAME, "risk": D(1)}), 2, 0, "positions",
    ),
    spoil(
        Gate.DEDUP, Code.DUPLICATE, lambda make: {"state": {"recent": {KEY: seconds_ago(make, 900)}}},
        lambda make: {"state": {"recent": {KEY: seconds_ago(make, 899.999999)}}},
        "899.999999", 900, "s",
    ),
    spoil(
        Gate.DEDUP, Code.COOLDOWN, lambda make: {"state": {"cooldowns": {"EUR_USD": make.now}}},
        lambda make: {"state": {"cooldowns": {"EUR_USD": seconds_ago(make, -1)}}}, 1, 0, "s",
    ),
    spoil(
        Gate.MARKET_CAP, Code.MARKET_CAP, held({"market": "EUR_USD", "notional": D("24998.9")}),
        held({"market": "EUR_USD", "notional": D(24999)}), "25000.1", 25000, "USD",
    ),
    spoil(
        Gate.MARKET_CAP, Code.MARKET_CAP, held({"group": "EUR", "notional": D("39998.9")}),
        held({"group": "EUR", "notional": D(39999)}), "40000.1", 40000, "USD",
    ),
    spoil(
        Gate.DIRECTION, Code.DIRECTION, given(limits={"sides": (Side.BUY,), "blocked": ("EUR_USD:sell", "EUR")}),
        given(limits={"sides": (Side.SELL,), "blocked": ("EUR_USD", "EUR_USD:buy")}), 3, 0, "blocks",
    ),
    spoil(
        Gate.DIRECTION, Code.MARKET_CLOSED, given(), given(state={"market_open": False}), 1, 0, "closures"
    ),
    spoil(Gate.DIRECTION, Code.MARKET_CLOSED, quote(), quote(tradeable=False), 1, 0, "closures"),
    spoil(
        Gate.DIRECTION, Code.RULE_UNPARSED, given(), given(candidate={"unread": "no station"}), 1, 0, "rules unread"
    ),
    spoil(
        Gate.CATEGORY, Code.SUSPENDED, given(limits={"suspended": ("minors", "breakout.h4")}),
        given(limits={"suspended": ("majors", "breakout")}, state={"suspended": {"breakout.h1": "storm"}}),
        3, 0, "suspensions",
    ),
    spoil(
        Gate.RISK, Code.RISK_SIZE, given(limits={"risk_fraction": D("0.0000005")}),
        given(limits={"risk_fraction": D("0.00000049")}), 0, 1, "units",
    ),
    spoil(
        Gate.RISK, Code.RISK_BANKROLL, held({"risk": D("9999.995")}), held({"risk": D("9999.996")}),
        "10000.001", 10000, "USD",
    ),
    spoil(
        Gate.RISK, Code.RISK_POSITIONS, held(*[{}] * 3), held(*[{}] * 4), 5, 4, "positions"
    ),
    spoil(
        Gate.RISK, Code.RISK_DAILY_LOSS, given(state={"day_start_equity": D("10149.99")}),
        given(state={"day_start_equity": D(10150)}), 150, 150, "USD",
    ),
    spoil(
        Gate.RISK, Code.RISK_DAILY_LOSS, given(), given(state={"breaker_tripped": True}), 1, 0, "trips"
    ),
    spoil(
        Gate.RISK, Code.RISK_CONCENTRATION, held({"group": "EUR", "risk": D("99.995")}),
        held({"group": "EUR", "risk": D("99.996")}), "100.001", 100, "USD",
    ),
    spoil(
        Gate.RISK, Code.RISK_LEVERAGE, held({"notional": D("49998.9")}), held({"notional": D(49999)}),
        "50000.1", 50000, "USD",
    ),
    spoil(
        Gate.RISK, Code.RISK_EXPOSURE, given(limits={"max_notional": D("1.1")}),
        given(limits={"max_notional": D("1.09")}), "1.1", "1.09", "USD",
    ),
    spoil(
        Gate.RISK, Code.RISK_CASH, held({"margin": D("4999.978")}), held({"margin": D("4999.979")}),
        "5000.001", 5000, "USD",
    ),
    spoil(
        Gate.RISK, Code.RISK_DAY_TRADE, given(limits={"max_day_trades": 3}, state={"day_trades": 2}),
        given(limits={"max_day_trades": 3}, state={"day_trades": 3}), 4, 3, "trades",
    ),
    spoil(
        Gate.SLIPPAGE, Code.STALE, aged(10, "received_at"), aged(11, "received_at"), 11, 10, "s"
    ),
    spoil(Gate.SLIPPAGE, Code.STALE, aged(10, "at"), aged(10.000001, "at"), "10.000001", 10, "s"),
    spoil(Gate.SLIPPAGE, Code.STALE, aged(-10, "at"), aged(-12, "at"), 12, 10, "s"),
    spoil(Gate.SLIPPAGE, Code.STALE, aged(-10, "received_at"), aged(-12, "received_at"), 12, 10, "s"),
    spoil(Gate.SLIPPAGE, Code.STALE, given(), given(state={"quote": None}), 0, 1, "quotes"),
    spoil(Gate.SLIPPAGE, Code.STALE, quote(), quote(market="GBP_USD"), 0, 1, "quotes"),
    spoil(
        Gate.SLIPPAGE, Code.SLIPPAGE, quote(bid=D("1.099835"), ask=D("1.100165")),
        quote(bid=D("1.09978"), ask=D("1.10022")), 4, 3, "bp",
    ),
    spoil(
        Gate.SLIPPAGE, Code.SLIPPAGE, quote(bid=D("1.1001"), ask=D("1.10022")),
        quote(bid=D("1.1002"), ask=D("1.10033")), 3, 2, "bp",
    ),
    spoil(
        Gate.SLIPPAGE, Code.SLIPPAGE, quote(), given(candidate={"decision_price": D(0)}), 0, 0, "price"
    ),
    spoil(
        Gate.EDGE, Code.EDGE, given(estimate={"edge_bp": D(2)}), given(estimate={"edge_bp": D("1.99")}),
        "1.99", 2, "bp",
    ),
    spoil(
        Gate.EDGE, Code.EDGE, given(estimate={"edge_bp": D(4), "disagreement": D("0.1")}),
        given(estimate={"edge_bp": D(4), "disagreement": D("0.11")}), 4, "4.2", "bp",
    ),
    spoil(
        Gate.CONFIDENCE, Code.CONFIDENCE, given(estimate={"confidence": D("0.55")}),
        given(estimate={"confidence": D("0.54")}), "0.54", "0.55", "confidence",
    ),
    spoil(
        Gate.CONFIDENCE, Code.CONFIDENCE, given(estimate={"votes": VOTES}, limits={"min_quorum": 3}),
        given(estimate={"votes": ABSTAINED}, limits={"min_quorum": 3}), 2, 3, "votes",
    ),
    spoil(
        Gate.CONFIDENCE, Code.CONFIDENCE, given(estimate={"disagreement": D("0.25"), "edge_bp": D(9)}),
        given(estimate={"disagreement": D("0.26"), "edge_bp": D(9)}), "0.26", "0.25", "disagreement",
    ),
    spoil(
        Gate.COST, Code.COST, given(state={"spent_day_usd": D("0.99")}), given(state={"spent_day_usd": D(1)}),
        1, 1, "USD",
    ),
    spoil(
        Gate.COST, Code.COST, given(state={"spent_month_usd": D("19.99")}),
        given(state={"spent_month_usd": D(20)}), 20, 20, "USD",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("gate", "code", "at", "beyond", "value", "limit", "unit"), ROWS)
def test_gate_admits_at_its_limit_and_refuses_one_step_beyond(
    case, make, gate, code, at, beyond, value, limit, unit
):  # fmt: skip
    admitted = case.but(**at(make)).ask(gate)
    refused = case.but(**beyond(make)).ask(gate)

    assert (admitted.passed, admitted.code) == (True, None)
    assert (gate, False, code, value, limit, unit) == (
        refused.gate, refused.passed, refused.code, refused.value, refused.limit, refused.unit,
    )  # fmt: skip


@pytest.mark.parametrize(("gate", "code", "at", "beyond", "value", "limit", "unit"), ROWS)
def test_chain_refuses_with_the_code_of_the_gate(case, make, gate, code, at, beyond, value, limit, unit):
    outcome = case.but(**beyond(make)).decide()

    assert not outcome.admitted
    # Without a quote nothing can be sized, and the risk gate is asked before the slippage gate.
    assert outcome.code == (Code.RISK_SIZE if unit == "quotes" else code)


def test_rows_reach_every_code():
    assert set(Code) == {row.values[1] for row in ROWS}


@pytest.mark.parametrize("status", ["open", "pending", "unknown"])
def test_same_bet_is_refused_whatever_the_state_of_the_first(case, make, status):
    outcome = case.but(state={"exposures": (make.exposure(**SAME, status=status),)}).decide()

    assert outcome.code == Code.DUPLICATE


def test_unknown_order_blocks_its_market_for_both_sides(case, make):
    unknown = make.exposure(market="EUR_USD", side=Side.SELL, thesis="another", status="unknown")

    assert case.but(state={"exposures": (unknown,)}).decide().code == Code.DUPLICATE


def test_only_an_adverse_move_is_slippage(case, make):
    better = replace(make.quote, bid=D("1.0969"), ask=D("1.0970"))

    assert case.but(state={"quote": better}).ask(Gate.SLIPPAGE).passed


def test_surface_that_buys_no_estimates_needs_no_budget(case):
    assert case.but(limits={"cost_day_usd": D(0), "cost_month_usd": D(0)}).decide().admitted


def test_passing_gate_reports_its_tightest_check(case, make):
    near = {"quote": replace(make.quote, at=seconds_ago(make, 9), received_at=seconds_ago(make, 1))}
    verdict = case.but(state=near).ask(Gate.SLIPPAGE)

    assert (True, D(9), D(10), "s") == (verdict.passed, verdict.value, verdict.limit, verdict.unit)


@pytest.mark.parametrize("field", ["edge_bp", "confidence", "disagreement"])
def test_number_that_compares_with_nothing_never_reaches_a_gate(case, field):
    with pytest.raises(ValueError, match="finite"):
        case.but(estimate={field: D("NaN")})
