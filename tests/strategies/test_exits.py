"""How positions end on closed bars: gaps, both levels in one bar, trailing stops, time, excursions."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.quotes import Bar, Ohlc
from domain.vocabulary import ExitReason, Side
from strategies.exits import Exit, excursions, first_exit, ratchet, settle

START = datetime.fromisoformat("2014-05-02T12:30:00+00:00")
PRICE = Decimal(100)
SPREAD = Decimal(2)


def bar(opening: int, high: int, low: int, close: int, number: int = 0) -> Bar:
    """Return a bar whose bid has these prices; the ask stands SPREAD above it."""
    prices = [Decimal(price) for price in (opening, high, low, close)]
    bid, ask = (
        Ohlc(open=o, high=h, low=low_, close=c) for o, h, low_, c in (prices, [price + SPREAD for price in prices])
    )
    return Bar(market="X", start=START + timedelta(minutes=number), period_s=60, bid=bid, ask=ask, volume=1)


def mirrored(given_bar: Bar) -> Bar:
    """Return the bar that a sold position sees as a bought one sees ``given_bar``: bid and ask reflected at 100."""
    return Bar(
        market="X",
        start=given_bar.start,
        period_s=60,
        bid=_reflected(given_bar.ask),
        ask=_reflected(given_bar.bid),
        volume=1,
    )


def _reflected(prices: Ohlc) -> Ohlc:
    return Ohlc(
        open=2 * PRICE - prices.open,
        high=2 * PRICE - prices.low,
        low=2 * PRICE - prices.high,
        close=2 * PRICE - prices.close,
    )


STOP, TARGET, TRAILED = ExitReason.STOP_LOSS, ExitReason.TAKE_PROFIT, ExitReason.TRAILING_STOP
# What a position bought with its stop at 90 and its target at 110 does in one bar (of bids); a reason and a price.
TABLE = {
    "nothing touched": (bar(100, 109, 91, 105), None),
    "stop touched exactly": (bar(100, 105, 90, 100), Exit(STOP, Decimal(90), False)),
    "stop passed": (bar(100, 105, 85, 100), Exit(STOP, Decimal(90), False)),
    "target touched exactly": (bar(100, 110, 95, 100), Exit(TARGET, Decimal(110), False)),
    "target passed": (bar(100, 115, 95, 112), Exit(TARGET, Decimal(110), False)),
    "both touched is a stop": (bar(100, 112, 88, 100), Exit(STOP, Decimal(90), True)),
    "a gap through the stop slips": (bar(85, 95, 80, 90), Exit(STOP, Decimal(85), False)),
    "a gap through the stop comes before the target": (bar(85, 115, 80, 112), Exit(STOP, Decimal(85), False)),
    "a gap through the target improves": (bar(114, 120, 80, 90), Exit(TARGET, Decimal(114), False)),
}


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("name", TABLE)
def test_a_bar_ends_a_bracket_as_the_table_says(name: str, side: Side) -> None:
    given_bar, expected = TABLE[name]
    if side is Side.SELL:
        given_bar = mirrored(given_bar)
        expected = expected and expected._replace(price=2 * PRICE - expected.price)
    low, high = Decimal(90), Decimal(110)
    stop, target = (low, high) if side is Side.BUY else (high, low)

    assert expected == first_exit(side=side, stop_loss=stop, take_profit=target, bar=given_bar)


# The same position with a trailing stop 6 below its best price.
TRAILING = {
    "the stop of the bar before is tried before this bar's high": (
        (bar(100, 104, 97, 103), 100),
        None,
    ),
    "a best price of earlier bars carries over": ((bar(103, 104, 98, 103), 105), Exit(TRAILED, Decimal(99), False)),
    "falling from this bar's high to its close is seen": (
        (bar(100, 109, 97, 101), 100),
        Exit(TRAILED, Decimal(103), False),
    ),
    "a low that may have come before the high is not an exit": ((bar(100, 109, 97, 108), 100), None),
    "a low at the old level ends it, though the other order would have paid more": (
        (bar(100, 109, 93, 108), 100),
        Exit(TRAILED, Decimal(94), True),
    ),
    "an open above the best lifts the level at once": (
        (bar(108, 109, 100, 109), 100),
        Exit(TRAILED, Decimal(102), True),
    ),
    "a gap below the trailing level slips": ((bar(95, 100, 93, 99), 104), Exit(TRAILED, Decimal(95), False)),
    "below the fixed stop the fixed stop is what counts": ((bar(92, 94, 89, 92), 95), Exit(STOP, Decimal(90), False)),
    "the target is reached before the way back": ((bar(100, 111, 97, 100), 100), Exit(TARGET, Decimal(110), False)),
}


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("name", TRAILING)
def test_a_trailing_stop_ends_as_the_table_says(name: str, side: Side) -> None:
    (given_bar, best), expected = TRAILING[name]
    levels = {"stop_loss": Decimal(90), "take_profit": Decimal(110), "best": Decimal(best)}
    if side is Side.SELL:
        given_bar = mirrored(given_bar)
        levels = {key: 2 * PRICE - value for key, value in levels.items()}
        expected = expected and expected._replace(price=2 * PRICE - expected.price)

    assert expected == first_exit(side=side, bar=given_bar, trailing_distance=Decimal(6), **levels)


def test_without_a_stop_or_a_target_a_bar_ends_nothing() -> None:
    assert first_exit(side=Side.BUY, stop_loss=None, take_profit=None, bar=bar(100, 200, 1, 100)) is None


@pytest.mark.parametrize(
    ("after_s", "expected"),
    [
        (-60, Exit(ExitReason.TIME, Decimal(100), False)),
        (0, Exit(ExitReason.TIME, Decimal(100), False)),
        (30, Exit(ExitReason.TIME, Decimal(103), False)),
        (60, Exit(ExitReason.TIME, Decimal(103), False)),
        (61, None),
    ],
)
def test_time_closes_at_the_first_price_known_when_it_is_up(after_s: int, expected: Exit | None) -> None:
    quiet = bar(100, 104, 98, 103)

    found = first_exit(
        side=Side.BUY,
        stop_loss=Decimal(90),
        take_profit=Decimal(110),
        bar=quiet,
        closes_at=START + timedelta(seconds=after_s),
    )

    assert expected == found


def test_a_level_touched_before_time_is_up_counts_first() -> None:
    found = first_exit(
        side=Side.BUY,
        stop_loss=Decimal(99),
        take_profit=None,
        bar=bar(100, 104, 98, 103),
        closes_at=START + timedelta(seconds=30),
    )

    assert found == Exit(STOP, Decimal(99), False)


def test_settling_carries_the_best_price_from_bar_to_bar() -> None:
    bars = [bar(100, 104, 99, 104, 0), bar(104, 108, 103, 108, 1), bar(107, 108, 101, 105, 2)]

    found = settle(
        bars, side=Side.BUY, stop_loss=Decimal(90), take_profit=Decimal(120), trailing_distance=Decimal(6), best=PRICE
    )

    assert found == (Exit(TRAILED, Decimal(102), False), bars[2])


def test_settling_without_an_exit_says_so() -> None:
    assert settle([bar(100, 101, 99, 100)], side=Side.BUY, stop_loss=Decimal(90), take_profit=Decimal(110)) is None


@pytest.mark.parametrize(
    ("side", "best", "expected"),
    [(Side.BUY, 100, 104), (Side.BUY, 105, 105), (Side.SELL, 102, 100), (Side.SELL, 99, 99), (Side.BUY, None, 104)],
)
def test_the_best_price_is_that_of_the_closing_side(side: Side, best: int | None, expected: int) -> None:
    known = None if best is None else Decimal(best)

    assert Decimal(expected) == ratchet(side, known, bar(100, 104, 98, 103))


def test_excursions_are_measured_on_the_closing_side() -> None:
    bars = [bar(100, 104, 99, 103), bar(103, 103, 95, 96)]

    assert excursions(Side.BUY, Decimal(102), bars) == (Decimal(7), Decimal(2))
    assert excursions(Side.SELL, Decimal(100), bars) == (Decimal(6), Decimal(3))


def test_excursions_are_never_negative() -> None:
    assert excursions(Side.BUY, PRICE, []) == (Decimal(0), Decimal(0))
    assert excursions(Side.BUY, PRICE, [bar(90, 95, 85, 90)]) == (Decimal(15), Decimal(0))


STEPS = st.lists(st.tuples(st.integers(-60, 60), st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=60)


@given(steps=STEPS, side=st.sampled_from(list(Side)), trailing=st.none() | st.integers(20, 200))
def test_an_exit_is_a_price_of_its_bar_and_no_earlier_bar_touches_the_fixed_levels(
    steps: list[tuple[int, int, int]], side: Side, trailing: int | None, walk_bars: Callable[..., list[Bar]]
) -> None:
    bars, tick = walk_bars(steps, 10), Decimal("0.00001")
    entry = bars[0].ask.open if side is Side.BUY else bars[0].bid.open
    stop, target = entry - side.sign * 150 * tick, entry + side.sign * 200 * tick
    distance = None if trailing is None else trailing * tick

    found = settle(bars, side=side, stop_loss=stop, take_profit=target, trailing_distance=distance)

    lived = bars if found is None else bars[: bars.index(found.bar)]
    for past in lived:
        prices = past.bid if side is Side.BUY else past.ask
        worst, most = (prices.low, prices.high) if side is Side.BUY else (prices.high, prices.low)
        assert (worst - stop) * side.sign > 0
        assert (target - most) * side.sign > 0
    if found is not None:
        prices = found.bar.bid if side is Side.BUY else found.bar.ask
        assert prices.low <= found.exit.price <= prices.high


@given(steps=STEPS, side=st.sampled_from(list(Side)))
def test_a_trailing_stop_never_makes_the_worst_case_worse(
    steps: list[tuple[int, int, int]], side: Side, walk_bars: Callable[..., list[Bar]]
) -> None:
    bars, tick = walk_bars(steps, 10), Decimal("0.00001")
    entry = bars[0].ask.open if side is Side.BUY else bars[0].bid.open
    stop = entry - side.sign * 150 * tick
    fixed = settle(bars, side=side, stop_loss=stop, take_profit=None)
    trailed = settle(bars, side=side, stop_loss=stop, take_profit=None, trailing_distance=100 * tick)

    if fixed is not None:
        assert trailed is not None
        assert bars.index(trailed.bar) <= bars.index(fixed.bar)
