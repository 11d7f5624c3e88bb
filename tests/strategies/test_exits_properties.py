"""What holds for every exit plan on every market: hypothesis looks for a counter-example."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from domain.corporate import Split
from domain.quotes import Bar, Ohlc
from domain.vocabulary import ExitReason, Side
from strategies.exits import Breakeven, ExitPlan, Target, Trailing, on_bar, rescaled, start

D = Decimal
ENTRY, QUANTITY = D(1000), D(60)
OPENED = datetime.fromisoformat("2014-05-06T14:00:00+00:00")
SIDES = st.sampled_from(list(Side))
# (gap from the close before, move, reach above, reach below), in price
STEPS = st.tuples(st.integers(-15, 15), st.integers(-40, 40), st.integers(0, 25), st.integers(0, 25))
WALKS = st.lists(STEPS, min_size=1, max_size=25)
WHOLE = st.integers(1, 100).map(D)


def bars_of(steps, *, has_gaps=True):
    close, bars = 1000, []
    for number, (gap, move, above, below) in enumerate(steps):
        opening = close + (gap if has_gaps else 0)
        close = opening + move
        top, bottom = max(opening, close) + above, min(opening, close) - below
        bars.append(bar(number, opening, top, bottom, close))
    return bars


def bar(number, opening, high, low, close, minutes=1):
    prices = Ohlc(open=D(opening), high=D(high), low=D(low), close=D(close))
    begin = OPENED + timedelta(minutes=number)
    return Bar(market="X", start=begin, period_s=60 * minutes, bid=prices, ask=prices, volume=1)


def together(bars):
    """Return one bar of all of them."""
    highs, lows = [one.bid.high for one in bars], [one.bid.low for one in bars]
    return bar(0, bars[0].bid.open, max(highs), min(lows), bars[-1].bid.close, minutes=len(bars))


def changed(one, price):
    """Return a bar with each price put through ``price``; a falling function swaps high and low."""
    o, h, low, c = (price(value) for value in (one.bid.open, one.bid.high, one.bid.low, one.bid.close))
    prices = Ohlc(open=o, high=max(h, low), low=min(h, low), close=c)
    return replace(one, bid=prices, ask=prices)


@st.composite
def fixed_plans(draw, side):
    """Plans of levels that stay where they are."""
    sign = side.sign
    gains = sorted(draw(st.sets(st.integers(1, 120), max_size=3)))
    fraction = draw(st.sampled_from([D("0.2"), D("0.25"), D("0.3"), D(1) / max(len(gains), 1)]))
    return ExitPlan(
        stop=draw(st.none() | WHOLE.map(lambda away: ENTRY - away * sign)),
        targets=tuple(Target(price=ENTRY + gain * sign, fraction=min(fraction, D("0.33"))) for gain in gains),
        quantity_step=draw(st.sampled_from([None, D(1), D("0.1")])),
    )


@st.composite
def plans(draw, side):
    plan = draw(fixed_plans(side))
    trailing = draw(
        st.none()
        | st.builds(Trailing, distance=WHOLE, after=st.integers(0, 50).map(D))
        | st.builds(
            Trailing, percent=st.integers(1, 100).map(lambda tenths: D(tenths) / 10), after=st.integers(0, 5).map(D)
        )
    )
    breakeven = draw(
        st.none() | st.integers(5, 60).map(lambda gain: Breakeven(price=ENTRY + gain * side.sign, offset=D(2)))
    )
    limit = draw(st.none() | st.integers(0, 1500).map(lambda seconds: timedelta(seconds=seconds)))
    return replace(plan, trailing=trailing, breakeven=breakeven, time_limit=limit)


@st.composite
def cases(draw, make=plans):
    side = draw(SIDES)
    return draw(make(side)), side, draw(WALKS)


def states_of(plan, side, bars, quantity=QUANTITY, entry=ENTRY):
    """Return every state from the opening on, and every exit."""
    states, exits = [start(plan, side, entry, quantity, OPENED)], []
    for one in bars:
        state, legs = on_bar(plan, states[-1], one)
        states.append(state)
        exits += legs
    return states, exits


def told(exits):
    return [(leg.reason, leg.price, leg.quantity) for leg in exits]


@given(cases())
def test_the_stop_never_loosens(case):
    plan, side, steps = case
    states, _ = states_of(plan, side, bars_of(steps))

    for before, after in pairwise(state.stop for state in states):
        assert before is None or (after - before) * side.sign >= 0


@given(cases())
def test_quantities_are_conserved_and_never_negative(case):
    plan, side, steps = case
    states, exits = states_of(plan, side, bars_of(steps))

    assert all(leg.quantity > 0 for leg in exits)
    assert all(before.remaining >= after.remaining >= 0 for before, after in pairwise(states))
    assert sum(leg.quantity for leg in exits) + states[-1].remaining == QUANTITY


@given(cases())
def test_an_exit_is_a_price_of_its_bar(case):
    plan, side, steps = case
    state = start(plan, side, ENTRY, QUANTITY, OPENED)

    for one in bars_of(steps):
        state, legs = on_bar(plan, state, one)
        assert all(one.bid.low <= leg.price <= one.bid.high for leg in legs)


@given(cases())
def test_a_bar_that_touches_the_stop_it_began_with_takes_no_target_beyond_its_open(case):
    plan, side, steps = case
    state = start(plan, side, ENTRY, QUANTITY, OPENED)

    for one in bars_of(steps):
        worst = one.bid.low if side is Side.BUY else one.bid.high
        is_touched = state.remaining and state.stop is not None and (worst - state.stop) * side.sign <= 0
        state, legs = on_bar(plan, state, one)
        if is_touched and ExitReason.TIME not in [leg.reason for leg in legs]:
            assert state.remaining == 0
            assert all(leg.price == one.bid.open for leg in legs if leg.reason is ExitReason.TAKE_PROFIT)


def worth(side, bars, exits, state):
    """Return what a position made, what is left of it valued at the last close."""
    left = (bars[-1].bid.close - ENTRY) * state.remaining
    return (left + sum((leg.price - ENTRY) * leg.quantity for leg in exits)) * side.sign


@given(cases(fixed_plans))
def test_with_fixed_levels_a_coarse_bar_is_never_better_than_its_parts(case):
    plan, side, steps = case
    bars = bars_of(steps, has_gaps=False)
    fine, fine_exits = states_of(plan, side, bars)
    coarse, coarse_exits = states_of(plan, side, [together(bars)])

    assert worth(side, bars, coarse_exits, coarse[-1]) <= worth(side, bars, fine_exits, fine[-1])


@given(cases())
def test_a_coarse_bar_never_ends_what_its_parts_leave_open(case):
    plan, side, steps = case
    bars = bars_of(steps, has_gaps=False)
    fine, _ = states_of(plan, side, bars)
    coarse, _ = states_of(plan, side, [together(bars)])

    assert coarse[-1].remaining >= fine[-1].remaining


@given(cases())
def test_selling_is_buying_in_a_mirror(case):
    plan, side, steps = case
    flipped = replace(
        plan,
        stop=None if plan.stop is None else -plan.stop,
        targets=tuple(replace(target, price=-target.price) for target in plan.targets),
        breakeven=plan.breakeven and replace(plan.breakeven, price=-plan.breakeven.price),
    )
    bars = bars_of(steps)
    _, exits = states_of(plan, side, bars)
    _, mirrored = states_of(flipped, side.opposite, [changed(one, lambda price: -price) for one in bars], entry=-ENTRY)

    assert told(exits) == [(reason, -price, quantity) for reason, price, quantity in told(mirrored)]
    assert [leg.pessimistic for leg in exits] == [leg.pessimistic for leg in mirrored]


@given(cases(), st.sampled_from([(2, 1), (4, 1), (10, 1), (1, 5)]))
def test_a_split_changes_nothing_but_the_units(case, ratio):
    plan, side, steps = case
    plan = replace(plan, quantity_step=None)
    split = Split(market="X", signal_id="sig_1", new=ratio[0], old=ratio[1], effective_at=OPENED)
    bars = bars_of(steps)
    _, exits = states_of(plan, side, bars)
    after, state = rescaled(plan, start(plan, side, ENTRY, QUANTITY, OPENED), split)
    scaled = []
    for one in bars:
        state, legs = on_bar(after, state, changed(one, split.price))
        scaled += legs

    assert [(reason, split.price(price), split.quantity(taken)) for reason, price, taken in told(exits)] == told(scaled)


@given(cases())
def test_a_bar_handed_twice_acts_once(case):
    plan, side, steps = case
    state = start(plan, side, ENTRY, QUANTITY, OPENED)

    for one in bars_of(steps):
        state, _ = on_bar(plan, state, one)
        assert on_bar(plan, state, one) == (state, ())


@given(cases())
def test_a_bar_does_what_its_four_prices_would_do_one_by_one(case):
    plan, side, steps = case
    plan = replace(plan, time_limit=None)
    whole = points = start(plan, side, ENTRY, QUANTITY, OPENED)

    for one in bars_of(steps):
        worst, most = (one.bid.low, one.bid.high) if side is Side.BUY else (one.bid.high, one.bid.low)
        whole, legs = on_bar(plan, whole, one)
        singles = []
        for second, price in enumerate((one.bid.open, worst, most, one.bid.close)):
            point = replace(
                changed(one, lambda _, price=price: price), start=one.start + timedelta(seconds=second), period_s=1
            )
            points, more = on_bar(plan, points, point)
            singles += more
        # Only the price differs: a point beyond a level is a gap.
        assert [(leg.reason, leg.quantity) for leg in legs] == [(leg.reason, leg.quantity) for leg in singles]
        assert (whole.stop, whole.reason, whole.targets_hit, whole.remaining) == (
            points.stop, points.reason, points.targets_hit, points.remaining,
        )  # fmt: skip
