"""What an update costs: counted in operations and in kept numbers, so that no clock is needed."""

import sys
from collections.abc import Callable
from math import sin
from typing import Any

import pytest

from strategies.indicators import (
    Adx,
    Atr,
    Bollinger,
    Donchian,
    EfficiencyRatio,
    Ema,
    Macd,
    RollingStdev,
    Rsi,
    Sma,
    Wilder,
)

MAKERS: dict[str, Callable[[int], Any]] = {
    "sma": Sma,
    "ema": Ema,
    "wilder": Wilder,
    "rsi": Rsi,
    "atr": Atr,
    "donchian": Donchian,
    "adx": Adx,
    "efficiency": EfficiencyRatio,
    "stdev": RollingStdev,
    "bollinger": Bollinger,
    "macd": lambda n: Macd(n, n * 2, n),
}
BARS = 4000


class Counted(float):
    """A float that counts what is done to it and to whatever comes of it."""

    operations = 0


def _counting(name: str) -> Callable[..., Any]:
    plain = getattr(float, name)

    def operation(self: Counted, *others: float) -> Any:
        Counted.operations += 1
        result = plain(self, *others)
        return Counted(result) if type(result) is float else result

    return operation


ARITHMETIC = ("add", "sub", "mul", "truediv", "pow")
for _name in (*ARITHMETIC, *(f"r{name}" for name in ARITHMETIC), "abs", "neg", "lt", "le", "gt", "ge"):
    setattr(Counted, f"__{_name}__", _counting(f"__{_name}__"))


def fields(bar: int) -> dict[str, float]:
    close = 1.38 + 0.01 * sin(bar / 40) + 0.001 * sin(bar * 1.7)
    return {"high": close + 0.0002, "low": close - 0.0002, "close": close}


def operations_per_bar(indicator: Any, warmup: int) -> float:
    for bar in range(warmup + BARS):
        if bar == warmup:
            Counted.operations = 0
        values = fields(bar)
        indicator.update(*(Counted(values[name]) for name in indicator.inputs))
    return Counted.operations / BARS


@pytest.mark.parametrize("name", MAKERS)
def test_a_window_twenty_times_as_long_needs_no_more_operations_a_bar(name: str) -> None:
    make = MAKERS[name]
    short, long = operations_per_bar(make(10), 1000), operations_per_bar(make(200), 1000)

    assert 0 < long <= short * 1.25
    assert long <= 40


def kept(thing: Any) -> int:
    """Return the bytes of an indicator, its parts included."""
    if isinstance(thing, (list, tuple)) or type(thing).__name__ == "deque":
        return sys.getsizeof(thing) + sum(kept(part) for part in thing)
    slots = [slot for cls in type(thing).__mro__ for slot in getattr(cls, "__slots__", ())]
    return sys.getsizeof(thing) + sum(kept(getattr(thing, slot)) for slot in slots)


@pytest.mark.parametrize("name", MAKERS)
def test_memory_stops_growing_once_the_window_is_full(name: str) -> None:
    indicator, sizes = MAKERS[name](20), []
    for bar in range(BARS):
        values = fields(bar)
        indicator.update(*(values[field] for field in indicator.inputs))
        if bar >= 200:
            sizes.append(kept(indicator))

    # A Donchian channel keeps between one bar and the whole window, each in a tuple of two numbers.
    assert max(sizes[2000:]) <= max(sizes[:2000]) * 1.25
    assert max(sizes) < 8000
