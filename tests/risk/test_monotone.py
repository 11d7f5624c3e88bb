"""Tightening any limit never admits more, whatever the surface is going through."""

from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.candidate import Vote
from domain.vocabulary import Side, State
from risk import breaker
from risk.breaker import Breaker, StopOut
from risk.limits import Limits

D = Decimal
NAMES = ("majors", "breakout", "breakout.h1")
ENTRIES = ("EUR_USD", "EUR_USD:buy", "EUR_USD:sell", "GBP_USD")


def numbers(*values):
    return st.sampled_from([D(value) for value in values])


def subsets(items):
    return st.sets(st.sampled_from(sorted(items))).map(lambda chosen: tuple(sorted(chosen)))


# field -> (which way is tighter, values worth trying). A limit without a line here fails the test below.
LIMITS = {
    "bankroll": ("less", numbers(400, 1000, 5000, 10000)),
    "risk_fraction": ("less", numbers("0.0000001", "0.001", "0.005", "0.02", "0.1")),
    "max_positions": ("less", st.integers(0, 5)),
    "one_per_market": ("more", st.booleans()),
    "max_market_notional": ("less", numbers(0, 1, 5000, 25000)),
    "max_group_notional": ("less", numbers(0, 1, 5000, 40000)),
    "max_concentration": ("less", numbers("0.001", "0.01", "0.2")),
    "daily_loss": ("less", numbers(20, 100, 150, 400)),
    "max_leverage": ("less", numbers("0.00001", "0.5", 1, 5)),
    "max_notional": ("less", st.none() | numbers(0, 1, 500, 20000)),
    "market_budget": ("less", st.none() | numbers(1, 500, 5000)),
    "market_budgets": ("less", st.sampled_from([("EUR_USD:1",), ("EUR_USD:500",), ("EUR_USD:50000",)])),
    "cash_reserve": ("more", numbers(0, "0.5", "0.99", 1)),
    "max_day_trades": ("less", st.none() | st.integers(0, 4)),
    "dedup_window_s": ("more", st.integers(0, 2000)),
    "cooldown_s": ("more", st.integers(0, 4000)),
    "storm_stop_outs": ("less", st.integers(1, 5)),
    "storm_window_s": ("more", st.integers(0, 4000)),
    "max_quote_age_s": ("less", numbers("0.5", 1, 5, 12)),
    "max_spread_bp": ("less", numbers(0, "0.5", 1, 5)),
    "max_slippage_bp": ("less", numbers(0, "0.5", 1, 5)),
    "min_edge_bp": ("more", numbers(0, 2, 5, 9)),
    "disagreement_premium": ("more", numbers(0, 20, 100)),
    "min_confidence": ("more", numbers(0, "0.5", "0.7", 1)),
    "min_quorum": ("more", st.integers(0, 4)),
    "max_disagreement": ("less", numbers(0, "0.1", "0.3", 1)),
    "cost_day_usd": ("less", numbers(0, "0.5", 1, 2)),
    "cost_month_usd": ("less", numbers(0, 5, 20)),
    "fleet_cost_day_usd": ("less", numbers(0, "0.5", 1, 2)),
    "fleet_cost_month_usd": ("less", numbers(0, 5, 20)),
    "sides": ("fewer", subsets(Side)),
    "blocked": ("more of", subsets(ENTRIES)),
    "suspended": ("more of", subsets(NAMES)),
}
NEITHER = {"currency"}  # a name, not a number: nothing compares with it


def test_every_limit_has_a_direction():
    assert {field.name for field in fields(Limits)} == set(LIMITS) | NEITHER


def _amount(value):
    """Return what a limit allows; of budgets the first one's amount."""
    return D(value[0].partition(":")[2]) if isinstance(value, tuple) else value or 0


def ordered(direction, one, two):
    """Return the tighter and the looser of two values."""
    if direction == "fewer":
        return tuple(item for item in one if item in two), one
    if direction == "more of":
        return tuple(sorted({*one, *two})), one
    low, high = sorted((one, two), key=lambda value: (value is None, _amount(value)))
    return (low, high) if direction == "less" else (high, low)


def rarely(*values):
    """Mostly the first value, so that many scenes are admitted, with the others thrown in."""
    return st.sampled_from([values[0]] * 9 + list(values[1:]))


POSITIONS = st.fixed_dictionaries(
    {
        "market": rarely("USD_JPY", "EUR_USD"),
        "group": rarely("JPY", "EUR"),
        "thesis": st.sampled_from(["range", "trend"]),
        "side": st.sampled_from(Side),
        "notional": numbers(1, 900, 20000),
        "risk": numbers(1, 40, 300),
        "margin": numbers(1, 90, 2000),
        "status": rarely("open", "pending", "unknown"),
    }
)
SCENES = st.builds(
    SimpleNamespace,
    realised=numbers(0, 50, -60, -120),
    marked=numbers(0, 30, -35),
    positions=st.lists(POSITIONS, max_size=3),
    stop_outs=st.just([]) | st.lists(st.tuples(rarely("USD_JPY", "EUR_USD"), st.integers(0, 4000)), max_size=3),
    recent_s=st.none() | st.integers(0, 2000),
    moved=rarely("0", "0.0001", "0.0004", "-0.001"),
    half_spread=rarely("0.00005", "0.0002"),
    age_s=rarely(1, 6, 11),
    home_rate=rarely("1", "0.5", None),
    estimate=st.fixed_dictionaries(
        {
            "edge_bp": rarely(D(8), D(4), D(1)),
            "confidence": rarely(D("0.9"), D("0.6"), D("0.5")),
            "disagreement": rarely(D("0.05"), D("0.1"), D("0.3")),
            "votes": st.integers(0, 3).map(
                lambda n: tuple(Vote(model=str(i), probability=D(1), weight=D(1), cost_usd=D(0)) for i in range(n))
            ),
        }
    ),
    state=st.fixed_dictionaries(
        {
            "state": rarely(*State),
            "stop_files": rarely((), ("logs/STOP",)),
            "market_open": rarely(True, False),
            "spent_day_usd": numbers(0, "0.7"),
            "spent_month_usd": numbers(0, 6),
            "fleet_day_usd": numbers(0, "0.7"),
            "fleet_month_usd": numbers(0, 6),
            "next_usd": rarely(D(0), D("0.6")),
            "day_trades": st.integers(0, 3),
        }
    ),
)


def play(case, make, scene, limits):
    """Build the state as a surface would, breaker and cooldowns included, then decide."""
    limits = replace(case.limits, **limits)
    start = limits.bankroll
    equity = start + scene.realised + scene.marked
    stops = [
        StopOut(market=market, sub_strategy="breakout.h1", at=make.now - timedelta(seconds=age))
        for market, age in scene.stop_outs
    ]
    day = breaker.trip(Breaker(day=make.now.date(), start_equity=start), equity, limits)
    middle = D("1.09995") + D(scene.moved)
    seen = make.now - timedelta(seconds=scene.age_s)
    quote = replace(
        make.quote,
        bid=middle - D(scene.half_spread),
        ask=middle + D(scene.half_spread),
        at=seen,
        received_at=seen,
        home_rate=None if scene.home_rate is None else D(scene.home_rate),
    )
    made = {} if scene.recent_s is None else {case.candidate.key: make.now - timedelta(seconds=scene.recent_s)}
    state = replace(
        case.state,
        **scene.state,
        equity=equity,
        day_start_equity=start,
        breaker_tripped=day.tripped,
        exposures=tuple(make.exposure(**position) for position in scene.positions),
        cooldowns={
            stop.market: breaker.cooldown_until(stop.at, limits) for stop in sorted(stops, key=lambda stop: stop.at)
        },
        suspended=breaker.storms(stops, limits),
        recent=made,
        quote=quote,
    )
    estimate = replace(case.estimate, **scene.estimate)
    return replace(case, state=state, limits=limits, estimate=estimate)


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_tighter_limit_never_admits_more_nor_trades_larger(case, make, name):
    direction, values = LIMITS[name]

    @given(scene=SCENES, one=values, two=values)
    @settings(max_examples=100, deadline=None, database=None)
    def holds(scene, one, two):
        tight, loose = ordered(direction, one, two)
        less = play(case, make, scene, {name: tight, **room_for(name)}).decide()
        more = play(case, make, scene, {name: loose, **room_for(name)}).decide()
        for tighter, looser in zip(less.verdicts, more.verdicts, strict=True):
            assert looser.passed or not tighter.passed, tighter.gate
        assert more.admitted or not less.admitted
        assert less.size.quantity <= more.size.quantity

    holds()


def room_for(name):
    """Keep the two limits that are checked against each other apart while one of them varies."""
    return {"bankroll": {"daily_loss": D(150)}, "daily_loss": {"bankroll": D(10000)}}.get(name, {})


TIGHTEST = {
    "bankroll": (D("20.5"), {"daily_loss": D("20.5")}),
    "storm_window_s": (4000, {"storm_stop_outs": 2}),
    "storm_stop_outs": (1, {"cooldown_s": 0}),
    "cooldown_s": (4000, {"storm_stop_outs": 9}),
    "daily_loss": (D(20), {}),
    "disagreement_premium": (D(100), {}),
    "dedup_window_s": (2000, {}),
    "max_day_trades": (0, {}),
    "risk_fraction": (D("0.0000001"), {}),
    "max_concentration": (D("0.0000001"), {}),
    "max_leverage": (D("0.00001"), {}),
    "max_quote_age_s": (D("0.5"), {}),
    "max_notional": (D(0), {}),
    "market_budget": (D(1), {}),
    "market_budgets": (("EUR_USD:1",), {}),
    "cash_reserve": (D(1), {}),
    "min_edge_bp": (D(9), {}),
    "min_confidence": (D(1), {}),
    "min_quorum": (4, {}),
    "sides": ((), {}),
    "blocked": (("EUR_USD",), {}),
    "suspended": (("majors",), {}),
    "one_per_market": (True, {}),
}
OTHER_BET = {"market": "EUR_USD", "thesis": "other", "notional": D(1), "risk": D("0.01"), "margin": D("0.01")}


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_every_limit_can_refuse_on_its_own(case, make, name):
    scene = SimpleNamespace(
        realised=D(-10), marked=D(-10), positions=[OTHER_BET], recent_s=1000,
        stop_outs=[("EUR_USD", 2000), ("EUR_USD", 3000)],
        moved="0.00001", half_spread="0.00005", age_s=1, home_rate="1",
        estimate={"edge_bp": D(4), "disagreement": D("0.05")},
        state={name: D("0.1") for name in ("spent_day_usd", "spent_month_usd", "fleet_day_usd", "fleet_month_usd")},
    )  # fmt: skip
    tightest, others = TIGHTEST.get(name, (0, {}))
    loose = {"bankroll": D(10000), "storm_window_s": 500}.get(name, getattr(case.limits, name))

    assert play(case, make, scene, {**others, name: loose}).decide().admitted
    assert not play(case, make, scene, {**others, name: tightest}).decide().admitted


@given(scene=SCENES)
@settings(max_examples=100, deadline=None)
def test_same_input_gives_the_same_verdicts_and_is_left_as_it_was(case, make, scene):
    played = play(case, make, scene, {})
    before = repr(played)

    assert played.decide() == play(case, make, scene, {}).decide()
    assert before == repr(played)


@given(scene=SCENES)
@settings(max_examples=100, deadline=None)
def test_ten_verdicts_in_order_and_the_first_refusal_names_the_outcome(case, make, scene):
    outcome = play(case, make, scene, {}).decide()
    refusals = [verdict for verdict in outcome.verdicts if verdict.passed is False]

    assert len(outcome.verdicts) == 10
    assert outcome.admitted == (not refusals)
    assert outcome.code == (refusals[0].code if refusals else None)
