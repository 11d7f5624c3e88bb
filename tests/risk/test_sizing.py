"""Fixed fractional risk, every cap, and what must hold for any size."""

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.quotes import Instrument, Quote
from domain.vocabulary import Side
from risk import sizing
from risk.caps import equity_caps, market_caps

D = Decimal


def held(make, **changes):
    return {"exposures": (make.exposure(**changes),)}


def test_quantity_loses_the_risk_fraction_at_the_stop(case):
    size = case.size()

    # 10,000 * 0.005 / (1.1000 - 1.0950)
    assert (D(10000), D(11000), D(50), D(220), "USD") == (
        size.quantity,
        size.notional,
        size.risk,
        size.margin,
        size.currency,
    )


def test_home_rate_converts_the_stop_distance(case, make):
    size = case.but(state={"quote": replace(make.quote, home_rate=D("0.5"))}).size()

    assert (D(20000), D(50)) == (size.quantity, size.risk)


@pytest.mark.parametrize(
    ("limits", "exposure", "quantity"),
    [
        ({"max_market_notional": D(1100)}, None, 1000),
        ({}, {"market": "EUR_USD", "notional": D(23900)}, 1000),
        ({}, {"group": "EUR", "notional": D(38900)}, 1000),
        ({}, {"group": "EUR", "risk": D(95)}, 1000),
        ({}, {"risk": D(9995)}, 1000),
        ({}, {"notional": D(48900)}, 1000),
        ({"cash_reserve": D("0.9978")}, None, 1000),
        ({"max_leverage": D("0.11")}, None, 1000),
        ({}, {"notional": D("48900.001")}, 999),
        ({}, {"notional": D(60000)}, 0),
    ],
)
def test_size_is_cut_to_the_room_a_cap_leaves(case, make, limits, exposure, quantity):
    state = held(make, **exposure) if exposure else {}

    assert quantity == case.but(limits=limits, state=state).size().quantity


def test_caps_add_up_every_position_that_belongs_to_them(case, make):
    amounts = [("EUR_USD", "EUR", 1), ("EUR_USD", "EUR", 2), ("EUR_JPY", "EUR", 4), ("USD_JPY", "JPY", 8)]
    held = [
        make.exposure(market=market, group=group, notional=D(n), risk=D(n) * 10, margin=D(n) * 100)
        for market, group, n in amounts
    ]
    full = case.but(state={"exposures": tuple(held)})

    assert [used for *_, used, _ in market_caps(*parts(full))] == [3, 7]
    assert [used for *_, used, _ in equity_caps(*parts(full))] == [150, 70, 15, 1500]
    assert [limit for *_, limit in equity_caps(*parts(full))] == [10000, 100, 50000, 5000]


@pytest.mark.parametrize(
    ("state", "candidate", "reason"),
    [
        ({"quote": None}, {}, "no quote of EUR_USD"),
        ({"instrument": None}, {}, "instrument unknown"),
        ({"home_rate": None}, {}, "no home rate"),
        ({"home_rate": D(0)}, {}, "no home rate"),
        ({"home_rate": D(-1)}, {}, "no home rate"),
        ({}, {"stop_loss": D("1.1")}, "stop not beyond the entry"),
        ({}, {"stop_loss": D("1.105")}, "stop not beyond the entry"),
        ({"bid": D("1.0948"), "ask": D("1.0949")}, {}, "stop not beyond the entry"),
        ({"bid": D("1.0949"), "ask": D("1.0950")}, {}, "stop not beyond the entry"),
    ],
)
def test_size_is_zero_when_anything_is_unknown_and_the_verdict_says_what(case, make, state, candidate, reason):
    quoted = {key: state[key] for key in state if key not in ("quote", "instrument")}
    state = state if not quoted else {"quote": replace(make.quote, **quoted)}
    spoilt = case.but(state=state, candidate=candidate)
    outcome = spoilt.decide()

    assert 0 == outcome.size.quantity == outcome.size.notional == sizing.smallest(*parts(spoilt)).quantity
    assert ("RISK_SIZE", reason) == (outcome.code, outcome.verdicts[5].note)
    assert sizing.per_unit(spoilt.candidate, spoilt.state) is None


@pytest.mark.parametrize("equity", [D(0), D(-1)])
def test_no_equity_no_size(case, equity):
    outcome = case.but(state={"equity": equity, "day_start_equity": equity}).decide()

    assert (outcome.size.quantity, outcome.code) == (0, "RISK_BANKROLL")


def test_market_that_ran_towards_the_stop_does_not_make_the_size_larger(case, make):
    near = replace(make.quote, bid=D("1.0959"), ask=D("1.0960"))

    assert D(10000) == case.but(state={"quote": near}).size().quantity


def test_market_that_ran_away_from_the_stop_makes_the_size_smaller(case, make):
    away = replace(make.quote, bid=D("1.1049"), ask=D("1.1050"))

    assert D(5000) == case.but(state={"quote": away}).size().quantity


@pytest.mark.parametrize(
    ("step", "minimum", "maximum", "quantity"),
    [(1000, 1000, 10**6, 10000), (3000, 1000, 10**6, 9000), (1, 10001, 10**6, 0), (1, 1, 400, 400), (7, 1, 400, 399)],
)
def test_quantity_keeps_step_minimum_and_maximum(case, make, step, minimum, maximum, quantity):
    rules = replace(make.instrument, quantity_step=D(step), quantity_min=D(minimum), quantity_max=D(maximum))

    assert quantity == case.but(state={"instrument": rules}).size().quantity


@pytest.mark.parametrize(
    ("margin", "reserve", "quantity"),
    [("0", "0.5", 10000), ("5000", "0.5", 10000), ("0", "1", 10000), ("5001", "0.5", 0)],
)
def test_instrument_without_margin_is_stopped_only_by_a_reserve_already_broken(case, make, margin, reserve, quantity):
    state = {"instrument": replace(make.instrument, margin_rate=D(0)), **held(make, margin=D(margin))}

    assert quantity == case.but(state=state, limits={"cash_reserve": D(reserve)}).size().quantity


@pytest.mark.parametrize(("minimum", "step", "least"), [("1", "1", "1"), ("10", "3", "12"), ("0", "0.01", "0.01")])
def test_smallest_trade_is_the_minimum_on_the_step(make, minimum, step, least):
    rules = replace(make.instrument, quantity_min=D(minimum), quantity_step=D(step))

    assert D(least) == sizing.least(rules)


def parts(case):
    return case.candidate, case.state, case.limits


def decimals(low, high, places):
    return st.decimals(D(low), D(high), places=places, allow_nan=False, allow_infinity=False)


@st.composite
def surfaces(draw):
    """A surface with any equity, positions, price and instrument; values as changes of the sound case."""
    price = draw(decimals("0.01", "300", 5))
    side = draw(st.sampled_from(Side))
    distance = price * draw(decimals("0.0001", "0.5", 4))
    stop = price - distance * side.sign
    target = price + distance * side.sign
    rate = draw(st.none() | decimals("0.0001", "2", 9) | st.just(1 / D(150)))
    step = draw(st.sampled_from([D(1), D("0.01"), D(1000), D(3)]))
    money = decimals(0, 60000, 2)
    held = st.builds(
        SimpleNamespace,
        market=st.sampled_from(["EUR_USD", "USD_JPY"]),
        group=st.sampled_from(["EUR", "JPY"]),
        notional=money,
        risk=decimals(0, 200, 2),
        margin=decimals(0, 3000, 2),
    )
    return SimpleNamespace(
        price=price,
        rate=rate,
        candidate={"side": side, "stop_loss": stop, "take_profit": target, "decision_price": price},
        instrument={"quantity_step": step, "quantity_min": step * draw(st.integers(0, 5))},
        equity=draw(decimals(-1000, 200000, 2)),
        held=draw(st.lists(held, max_size=4)),
    )


def place(case, make, drawn, equity):
    quote = Quote(**{**fields(make.quote), "bid": drawn.price, "ask": drawn.price, "home_rate": drawn.rate})
    instrument = Instrument(**{**fields(make.instrument), **drawn.instrument})
    exposures = tuple(make.exposure(**vars(one)) for one in drawn.held)
    state = {"quote": quote, "instrument": instrument, "exposures": exposures, "equity": equity}
    return case.but(candidate={**drawn.candidate, "quote": quote}, state=state)


def fields(value):
    return {name: getattr(value, name) for name in value.__slots__}


@given(drawn=surfaces())
@settings(max_examples=300, deadline=None)
def test_size_never_breaks_a_cap_and_is_never_negative(case, make, drawn):
    placed = place(case, make, drawn, drawn.equity)
    size = placed.size()
    rules = placed.state.instrument

    assert size.quantity >= 0
    if size.quantity:
        assert size.quantity >= rules.quantity_min
        assert size.quantity % rules.quantity_step == 0
        assert size.risk <= drawn.equity * placed.limits.risk_fraction
        for _, _, measure, used, limit in market_caps(*parts(placed)) + equity_caps(*parts(placed)):
            assert used + getattr(size, measure) <= limit


@given(drawn=surfaces())
@settings(max_examples=200, deadline=None)
def test_halving_equity_never_increases_the_size(case, make, drawn):
    whole = place(case, make, drawn, drawn.equity).size()
    half = place(case, make, drawn, drawn.equity / 2).size()

    assert half.quantity <= whole.quantity


@given(ours=surfaces(), theirs=surfaces())
@settings(max_examples=100, deadline=None)
def test_what_happens_on_one_surface_cannot_alter_the_size_on_another(case, make, ours, theirs):
    mine = place(case, make, ours, ours.equity)
    alone = mine.decide()
    place(case, make, theirs, theirs.equity).decide()

    assert alone == mine.decide()
