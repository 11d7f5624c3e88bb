"""Nanoseconds per bar of the exit engine, beside two loops that know one trailing stop and one target only.

    python bench/exits.py [bars]

The loops are what one writes for a first backtest: no parts, no gaps, no breakeven, no clock; one over floats in
tuples, one over the very bars of Decimals that the engine is given. All run in turns; the best of the rounds counts.
"""

import platform
import random
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from domain.quotes import Bar, Ohlc
from domain.vocabulary import Side
from strategies.exits import Breakeven, ExitPlan, Target, Trailing, on_bar, start

Run = Callable[[], None]
D = Decimal
ROUNDS = 7
OPENED = datetime(2014, 5, 6, 13, 30, tzinfo=UTC)
# Far enough away that a position lives through all of the walk.
STOP, TARGET = D(10), D(1000)
PLANS: dict[str, ExitPlan] = {
    "stop": ExitPlan(stop=STOP),
    "stop and target": ExitPlan(stop=STOP, targets=(Target(price=TARGET),)),
    "and a time limit": ExitPlan(stop=STOP, targets=(Target(price=TARGET),), time_limit=timedelta(days=3650)),
    "trailing by distance": ExitPlan(stop=STOP, trailing=Trailing(distance=D(80))),
    "trailing by percent": ExitPlan(stop=STOP, trailing=Trailing(percent=D(80))),
    "all of it": ExitPlan(
        stop=STOP,
        trailing=Trailing(percent=D(80)),
        targets=(Target(price=TARGET, fraction=D("0.5")),),
        breakeven=Breakeven(price=TARGET),
        flat_at=OPENED + timedelta(days=3650),
    ),
}


def walk(bars: int) -> list[Bar]:
    """Return a seeded random walk around 100 in cents."""
    generator, close, made = random.Random(7), 10_000, []
    for number in range(bars):
        opening = close
        close = max(5_000, min(20_000, close + generator.randint(-8, 8)))
        cents = (opening, max(opening, close) + generator.randint(0, 5), min(opening, close) - generator.randint(0, 5))
        o, high, low, c = (D(value) / 100 for value in (*cents, close))
        prices = Ohlc(open=o, high=high, low=low, close=c)
        begin = OPENED + timedelta(minutes=number)
        made.append(Bar(market="X", start=begin, period_s=60, bid=prices, ask=prices, volume=1))
    return made


def engine(plan: ExitPlan, bars: Sequence[Bar]) -> Run:
    def run() -> None:
        state = start(plan, Side.BUY, bars[0].bid.open, D(100), OPENED)
        for bar in bars:
            state, exits = on_bar(plan, state, bar)
            assert not exits

    return run


def floats(bars: Sequence[Bar]) -> Run:
    rows = [(float(bar.bid.high), float(bar.bid.low)) for bar in bars]

    def run() -> None:
        stop, target, best, trail = float(STOP), float(TARGET), rows[0][0], 80.0
        for high, low in rows:
            if low <= stop or high >= target:
                raise AssertionError("the walk must not end the position")
            if high > best:
                best = high
                stop = max(stop, best - trail)

    return run


def decimals(bars: Sequence[Bar]) -> Run:
    def run() -> None:
        stop, target, best, trail = STOP, TARGET, bars[0].bid.high, D(80)
        for bar in bars:
            prices = bar.bid
            if prices.low <= stop or prices.high >= target:
                raise AssertionError("the walk must not end the position")
            if prices.high > best:
                best = prices.high
                stop = max(stop, best - trail)

    return run


def in_turns(runs: dict[str, Run], bars: int) -> dict[str, float]:
    """Return name -> nanoseconds per bar: the best of some rounds, in each of which every one runs once."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(ROUNDS):
        for name, run in runs.items():
            started = time.perf_counter_ns()
            run()
            best[name] = min(best[name], (time.perf_counter_ns() - started) / bars)
    return best


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    bars = walk(count)
    peers = {"loop over floats": floats(bars), "loop over the bars": decimals(bars)}
    taken = in_turns(peers | {name: engine(plan, bars) for name, plan in PLANS.items()}, count)
    print(f"ns per bar, best of {ROUNDS} rounds of {count} bars; Python {platform.python_version()}")
    print(f"{'':<22} {'ns':>6} {'/ floats':>9} {'/ bars':>8}")
    for name, ns in taken.items():
        ratios = [ns / taken[peer] for peer in peers]
        print(f"{name:<22} {ns:>6.0f} {ratios[0]:>8.1f}x {ratios[1]:>7.1f}x")


if __name__ == "__main__":
    main()
