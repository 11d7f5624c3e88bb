"""The exit engine: what each part of a plan does to a position, in bars, in quotes and by the clock."""

import sys
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from domain.corporate import Split
from domain.quotes import Bar, Ohlc, Quote
from domain.vocabulary import ExitReason, Side
from strategies.exits import (
    Breakeven,
    ExitPlan,
    Target,
    Trailing,
    on_bar,
    on_quote,
    replanned,
    rescaled,
    start,
)

D = Decimal
OPENED = datetime.fromisoformat("2014-05-06T14:00:00+00:00")
STOP, TARGET, TRAILED = ExitReason.STOP_LOSS, ExitReason.TAKE_PROFIT, ExitReason.TRAILING_STOP


def bar(number, opening, high, low, close):
    """Return the bar that begins ``number`` minutes after the opening; bid and ask are one."""
    prices = Ohlc(open=D(opening), high=D(high), low=D(low), close=D(close))
    begin = OPENED + timedelta(minutes=number)
    return Bar(market="X", start=begin, period_s=60, bid=prices, ask=prices, volume=1)


def quote(seconds, price, *, tradeable=True):
    at = OPENED + timedelta(seconds=seconds)
    return Quote(market="X", bid=D(price), ask=D(price), at=at, received_at=at, tradeable=tradeable)


def opened(plan, side=Side.BUY, quantity=100):
    return start(plan, side, D(100), D(quantity), OPENED)


def played(plan, bars, side=Side.BUY, quantity=100):
    """Return the last state and every exit as (reason, price, quantity)."""
    state, exits = opened(plan, side, quantity), []
    for one in bars:
        state, legs = on_bar(plan, state, one)
        exits += [(leg.reason, leg.price, leg.quantity) for leg in legs]
    return state, exits


def test_scaled_targets_take_their_parts_and_the_stop_takes_the_rest():
    plan = ExitPlan(
        stop=D(90), targets=(Target(price=D(105), fraction=D("0.5")), Target(price=D(110), fraction=D("0.3")))
    )
    bars = [bar(0, 100, 106, 99, 104), bar(1, 104, 111, 103, 108), bar(2, 108, 108, 89, 95)]

    state, exits = played(plan, bars)

    assert exits == [(TARGET, 105, 50), (TARGET, 110, 30), (STOP, 90, 20)]
    assert (state.remaining, state.targets_hit) == (0, 2)


def test_one_bar_may_take_several_targets_and_a_gap_takes_them_at_its_open():
    plan = ExitPlan(
        stop=D(90), targets=(Target(price=D(105), fraction=D("0.5")), Target(price=D(110), fraction=D("0.5")))
    )

    _, within = played(plan, [bar(0, 100, 112, 99, 111)])
    _, beyond = played(plan, [bar(0, 107, 112, 106, 111)])

    assert within == [(TARGET, 105, 50), (TARGET, 110, 50)]
    assert beyond == [(TARGET, 107, 50), (TARGET, 110, 50)]


@pytest.mark.parametrize(
    ("quantity", "parts"), [(10, [3, 3, 4]), (1, [1]), (2, [1, 1]), (9, [3, 3, 3]), (100, [33, 33, 34])]
)
def test_parts_are_whole_shares_and_none_is_left(quantity, parts):
    thirds = (D("0.333"), D("0.333"), D("0.334"))
    targets = tuple(Target(price=D(101 + number), fraction=part) for number, part in enumerate(thirds))

    state, exits = played(
        ExitPlan(targets=targets, quantity_step=D(1)), [bar(0, 100, 120, 100, 119)], quantity=quantity
    )

    assert sorted(taken for _, _, taken in exits) == parts
    assert state.remaining == 0


def test_breakeven_moves_the_stop_after_the_bar_that_earned_it():
    plan = ExitPlan(stop=D(95), breakeven=Breakeven(after_risks=D(1), offset=D("0.5")))

    state, exits = played(plan, [bar(0, 100, 105, 96, 104)])
    _, later = played(plan, [bar(0, 100, 105, 96, 104), bar(1, 104, 104, 100, 102)])

    assert exits == []
    assert (state.stop, state.reason, state.breakeven_at) == (D("100.5"), ExitReason.BREAKEVEN, None)
    assert later == [(ExitReason.BREAKEVEN, D("100.5"), 100)]


def test_breakeven_at_a_price_and_the_way_back_within_one_bar():
    plan = ExitPlan(stop=D(95), breakeven=Breakeven(price=D(104)))

    _, exits = played(plan, [bar(0, 100, 105, 97, 99)])

    assert exits == [(ExitReason.BREAKEVEN, 100, 100)]


def test_sold_position_breaks_even_and_trails_downwards():
    plan = ExitPlan(stop=D(105), trailing=Trailing(distance=D(4)), breakeven=Breakeven(after_risks=D("0.6")))

    state, exits = played(plan, [bar(0, 100, 101, 97, 98), bar(1, 97, 98, 95, 96)], Side.SELL)

    assert exits == []
    assert (state.stop, state.reason, state.best) == (99, TRAILED, 95)


@pytest.mark.parametrize(
    ("trailing", "levels"),
    [
        (Trailing(distance=D(5)), [96, 105]),
        (Trailing(percent=D(10)), [D("90.9"), D("99.0")]),
        (Trailing(distance=D(5), after=D(8)), [90, 105]),
        (Trailing(percent=D(10), after=D(1)), [D("90.9"), D("99.0")]),
        (Trailing(percent=D(5), after=D(10)), [90, D("104.5")]),
    ],
)
def test_trailing_stop_follows_the_best_price_once_it_has_begun(trailing, levels):
    plan = ExitPlan(stop=D(90), trailing=trailing)
    bars = [bar(0, 100, 101, 100, 101), bar(1, 108, 110, 108, 110)]

    assert [played(plan, bars[:length])[0].stop for length in (1, 2)] == levels


def test_exit_that_another_order_of_prices_would_have_spared_is_marked():
    plan = ExitPlan(stop=D(95), targets=(Target(price=D(105), fraction=D("0.5")),))

    _, [stopped] = on_bar(plan, opened(plan), bar(0, 100, 106, 94, 100))
    _, [clear] = on_bar(plan, opened(plan), bar(0, 100, 101, 94, 96))

    assert (stopped.reason, stopped.quantity, stopped.pessimistic) == (STOP, 100, True)
    assert (clear.reason, clear.pessimistic) == (STOP, False)


def test_bar_under_way_at_the_opening_may_stop_but_its_best_price_proves_nothing():
    plan = ExitPlan(stop=D(95), targets=(Target(price=D(105)),), trailing=Trailing(distance=D(8)))
    early = replace(bar(0, 90, 107, 96, 104), start=OPENED - timedelta(seconds=30))
    deep = replace(bar(0, 90, 107, 94, 104), start=OPENED - timedelta(seconds=30))
    over = replace(bar(0, 90, 107, 94, 104), start=OPENED - timedelta(seconds=60))

    state, exits = played(plan, [early])
    _, [stopped] = on_bar(plan, opened(plan), deep)

    assert (exits, state.best, state.stop) == ([], 104, 96)
    assert (stopped.reason, stopped.price, stopped.pessimistic) == (STOP, 95, True)
    assert on_bar(plan, opened(plan), over) == (opened(plan), ())


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (ExitPlan(time_limit=timedelta(seconds=90)), (ExitReason.TIME, 102)),
        (ExitPlan(time_limit=timedelta(seconds=60)), (ExitReason.TIME, 101)),
        (ExitPlan(flat_at=OPENED + timedelta(seconds=120)), (ExitReason.SESSION_END, 102)),
        (
            ExitPlan(flat_at=OPENED + timedelta(seconds=61), time_limit=timedelta(seconds=300)),
            (ExitReason.SESSION_END, 102),
        ),
        (ExitPlan(flat_at=OPENED - timedelta(hours=1)), (ExitReason.SESSION_END, 100)),
        (ExitPlan(time_limit=timedelta(seconds=90), stop=D("99.5")), (STOP, D("99.5"))),
    ],
)
def test_clock_ends_what_no_level_ended_before(plan, expected):
    _, [(reason, price, quantity)] = played(plan, [bar(0, 100, 102, 99, 101), bar(1, 101, 103, 100, 102)])

    assert (reason, price, quantity) == (*expected, 100)


def test_quote_ends_a_position_at_what_it_offers():
    plan = ExitPlan(stop=D(95), targets=(Target(price=D(105), fraction=D("0.5")),))
    state, [half] = on_quote(plan, opened(plan), quote(1, "105.4"), OPENED + timedelta(seconds=1))
    state, [rest] = on_quote(plan, state, quote(2, "94.2"), OPENED + timedelta(seconds=2))

    assert half == (TARGET, D("105.4"), 50, False)
    assert rest == (STOP, D("94.2"), 50, False)
    assert on_quote(plan, state, quote(3, "90"), OPENED + timedelta(seconds=3)) == (state, ())


@pytest.mark.parametrize(
    "unusable", [quote(1, "90"), quote(11, "90", tradeable=False), None], ids=["too old", "halted", "none at all"]
)
def test_price_that_nobody_vouches_for_decides_nothing(unusable):
    plan = ExitPlan(stop=D(95), max_age=timedelta(seconds=5))

    assert on_quote(plan, opened(plan), unusable, OPENED + timedelta(seconds=12)) == (opened(plan), ())


def test_price_of_just_the_age_allowed_still_decides():
    plan = ExitPlan(stop=D(95), max_age=timedelta(seconds=5))
    _, legs = on_quote(plan, opened(plan), quote(1, "90"), OPENED + timedelta(seconds=6))

    assert [leg.reason for leg in legs] == [STOP]


def test_clock_needs_no_price_and_names_the_last_one_known():
    plan = ExitPlan(stop=D(95), max_age=timedelta(seconds=5), flat_at=OPENED + timedelta(seconds=60))
    state, _ = on_quote(plan, opened(plan), quote(10, "103"), OPENED + timedelta(seconds=10))
    _, [leg] = on_quote(plan, state, None, OPENED + timedelta(seconds=60))

    assert leg == (ExitReason.SESSION_END, 103, 100, False)


def test_clock_ends_a_position_that_was_held_long_enough_and_not_before():
    plan = ExitPlan(stop=D(95), time_limit=timedelta(seconds=60))
    state, early = on_quote(plan, opened(plan), quote(59, "103"), OPENED + timedelta(seconds=59))
    _, [leg] = on_quote(plan, state, None, OPENED + timedelta(seconds=60))

    assert (early, leg) == ((), (ExitReason.TIME, 103, 100, False))


@pytest.mark.parametrize(("side", "against", "favour"), [(Side.BUY, 3, 4), (Side.SELL, 4, 3)])
def test_state_knows_how_far_the_price_went_both_ways(side, against, favour):
    plan = ExitPlan()
    state, _ = on_quote(plan, opened(plan, side), quote(1, "104"), OPENED + timedelta(seconds=1))
    state, _ = on_quote(plan, state, quote(2, "97"), OPENED + timedelta(seconds=2))
    state, _ = on_quote(plan, state, quote(3, "101"), OPENED + timedelta(seconds=3))

    assert state.excursions == (against, favour)


@pytest.mark.parametrize(("stale_after_s", "expected"), [(None, []), (30, [ExitReason.STALE])])
def test_silent_feed_ends_a_position_only_when_the_plan_says_so(stale_after_s, expected):
    after = None if stale_after_s is None else timedelta(seconds=stale_after_s)
    plan = ExitPlan(stop=D(95), stale_after=after)
    state, _ = on_quote(plan, opened(plan), quote(10, "103"), OPENED + timedelta(seconds=10))
    _, at_its_limit = on_quote(plan, state, None, OPENED + timedelta(seconds=40))
    _, beyond = on_quote(plan, state, None, OPENED + timedelta(seconds=41))

    assert at_its_limit == ()
    assert [leg.reason for leg in beyond] == expected


def test_bars_catch_up_where_quotes_were_silent_and_old_ones_change_nothing():
    plan = ExitPlan(stop=D(95), trailing=Trailing(distance=D(5)))
    state, _ = on_quote(plan, opened(plan), quote(90, "110"), OPENED + timedelta(seconds=90))

    assert on_bar(plan, state, bar(1, 100, 110, 96, 110)) == (state, ())
    assert on_quote(plan, state, quote(30, "90"), OPENED + timedelta(seconds=91)) == (state, ())
    assert on_bar(plan, state, bar(2, 110, 110, 104, 106))[1][0][:2] == (TRAILED, 105)


def test_new_plan_may_loosen_a_stop_and_only_a_new_plan():
    tight = ExitPlan(stop=D(98))
    loose = ExitPlan(stop=D(90), trailing=Trailing(distance=D(12)))
    state, _ = on_bar(tight, opened(tight), bar(0, 100, 104, 99, 103))

    assert replanned(loose, state).stop == 92
    assert replanned(loose, state, best=D(101)).stop == 90
    passed = ExitPlan(stop=D(90), breakeven=Breakeven(price=D(102)))
    assert (replanned(passed, state).stop, replanned(passed, state).breakeven_at) == (100, None)


def test_new_trailing_stop_may_begin_below_the_entry_and_at_one_price_the_fixed_stop_keeps_its_name():
    plan = ExitPlan(trailing=Trailing(distance=D(5)))
    both = ExitPlan(stop=D(95), trailing=Trailing(distance=D(5)))

    assert replanned(plan, opened(plan), best=D(97)).stop == 92
    assert (opened(both).stop, opened(both).reason) == (95, STOP)


def test_split_scales_plan_and_state_with_every_level():
    plan = ExitPlan(
        stop=D(95),
        trailing=Trailing(distance=D(14), after=D(7)),
        targets=(Target(price=D(140)),),
        breakeven=Breakeven(price=D(119), offset=D(7)),
    )
    split = Split(market="X", signal_id="sig_1", new=7, old=1, effective_at=OPENED)
    state, _ = on_bar(plan, start(plan, Side.BUY, D(105), D(10), OPENED), bar(0, 105, 112, 98, 112))
    after, moved = rescaled(plan, state, split)

    assert (after.stop, after.trailing) == (D(95) / 7, Trailing(distance=D(2), after=D(1)))
    assert (after.targets[0].price, after.breakeven) == (20, Breakeven(price=D(17), offset=D(1)))
    assert (moved.entry, moved.quantity, moved.remaining) == (15, 70, 70)
    assert (moved.best, moved.worst, moved.stop, moved.breakeven_at) == (16, 14, 14, 17)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Trailing(),
        lambda: Trailing(distance=D(1), percent=D(1)),
        lambda: Trailing(distance=D(0)),
        lambda: Trailing(percent=D(100)),
        lambda: Trailing(percent=D(5), after=D(-1)),
        lambda: Target(price=D(1), fraction=D(0)),
        lambda: Target(price=D(1), fraction=D("1.1")),
        lambda: ExitPlan(targets=(Target(price=D(1), fraction=D("0.6")), Target(price=D(2), fraction=D("0.6")))),
        lambda: ExitPlan(quantity_step=D(0)),
        lambda: ExitPlan(flat_at=OPENED.replace(tzinfo=None)),
        lambda: Breakeven(),
        lambda: Breakeven(after_risks=D(0)),
        lambda: opened(ExitPlan(breakeven=Breakeven(after_risks=D(1)))),
        lambda: opened(ExitPlan(stop=D(95), breakeven=Breakeven(price=D(101), offset=D(2)))),
        lambda: opened(ExitPlan(stop=D(95), breakeven=Breakeven(price=D(102), offset=D(2)))),
        lambda: opened(
            ExitPlan(targets=(Target(price=D(110), fraction=D("0.5")), Target(price=D(105), fraction=D("0.5"))))
        ),
        lambda: opened(ExitPlan(), quantity=0),
    ],
)
def test_impossible_plan_is_refused(make):
    with pytest.raises(ValueError, match=r"found|needs"):
        make()


def calls_of(plan, state, one):
    """Return the functions called for one bar."""
    called = []
    sys.setprofile(lambda frame, event, _: called.append(frame.f_code.co_name) if event == "call" else None)
    try:
        on_bar(plan, state, one)
    finally:
        sys.setprofile(None)
    return called


def test_a_bar_costs_the_same_after_a_thousand_of_them():
    plan = ExitPlan(stop=D(1), trailing=Trailing(percent=D(90)), targets=(Target(price=D(5000)),))
    state, _ = played(
        plan, [bar(number, 100 + number, 102 + number, 99 + number, 101 + number) for number in range(1000)]
    )
    late = calls_of(plan, state, bar(1000, 1100, 1102, 1099, 1101))

    assert late == calls_of(plan, opened(plan), bar(0, 100, 102, 99, 101))
    assert 0 < len(late) < 12
