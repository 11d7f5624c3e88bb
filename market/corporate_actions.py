"""Splits and dividends of shares, read from factor files, and prices made comparable across them.

A factor file (one a symbol, the format of QuantConnect's LEAN: ``yyyymmdd,price factor,split factor[,close]``) says of
each span of days what a price of then is worth today: the row with the first date on or after a day is that day's.
Orders, stops and profit are always in raw prices; adjusted ones are for indicators, and the two must never meet.
"""

import csv
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from domain.errors import Misconfigured
from domain.quotes import Bar, Ohlc

NEW_YORK = ZoneInfo("America/New_York")
BUNDLED = Path(__file__).parent / "data" / "factors"
_ONE = Decimal(1)
# Factors are written with four to seven digits, while shares come in small whole numbers for each other (7 for 1, 3 for
# 2): how near a ratio must be to one with so small a denominator to be that one.
_NEAR = ((20, 2e-4), (200, 1e-5))


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorRow:
    """What prices up to and including ``last`` are multiplied by; ``price_factor`` is for dividends."""

    last: date
    price_factor: Decimal
    split_factor: Decimal

    def __post_init__(self) -> None:
        if not (self.price_factor > 0 and self.split_factor > 0):
            raise ValueError(
                f"factors up to {self.last} must be above 0, found {self.price_factor}/{self.split_factor}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitEvent:
    """``shares`` for each one held at the close of ``last``, the day before it took effect: 7 for 1 is 7."""

    last: date
    shares: Fraction


@dataclass(frozen=True, slots=True)
class Factors:
    """The factors of one symbol, oldest first; without rows nothing is ever adjusted."""

    symbol: str
    rows: tuple[FactorRow, ...] = ()

    def __post_init__(self) -> None:
        days = [row.last for row in self.rows]
        if days != sorted(set(days)):
            raise ValueError(f"factors of {self.symbol} must be in order of their days, each once, found {days}")

    def split_factor(self, day: date, as_of: date = date.max) -> Decimal:
        """Return what a price of ``day`` is multiplied by to compare with one of ``as_of``, splits alone."""
        shares = self.split_between(day, as_of)
        return Decimal(shares.denominator) / shares.numerator

    def total_factor(self, day: date, as_of: date = date.max) -> Decimal:
        """Return the same with dividends, as if each had been put into more shares."""
        return self.split_factor(day, as_of) * self._row(day).price_factor / self._row(as_of).price_factor

    def split_between(self, first: date, second: date) -> Fraction:
        """Return how many shares one share held at the close of ``first`` has become at the close of ``second``."""
        return _whole_numbers(self._row(second).split_factor / self._row(first).split_factor)

    def splits(self) -> tuple[SplitEvent, ...]:
        """Return every split in the file, oldest first."""
        found = []
        for row, later in zip(self.rows, self.rows[1:], strict=False):
            shares = _whole_numbers(later.split_factor / row.split_factor)
            if shares != 1:
                found.append(SplitEvent(last=row.last, shares=shares))
        return tuple(found)

    def reference_price(self, price: Decimal, day: date, as_of: date) -> Decimal:
        """Return a raw price of ``day``, such as its close, in the shares of ``as_of``."""
        return price * self.split_factor(day, as_of)

    def _row(self, day: date) -> FactorRow:
        index = bisect_left(self.rows, day, key=lambda row: row.last)
        return self.rows[index] if index < len(self.rows) else _NEUTRAL


_NEUTRAL = FactorRow(last=date.max, price_factor=_ONE, split_factor=_ONE)


def read_factors(path: Path, symbol: str) -> Factors:
    """Read a factor file.

    Raises:
        Misconfigured: a line reads otherwise.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [_row(fields) for fields in csv.reader(file) if fields and not fields[0].startswith("#")]
        return Factors(symbol, tuple(sorted(rows, key=lambda row: row.last)))
    except (ValueError, ArithmeticError, IndexError) as error:
        expected = "lines of yyyymmdd,price factor,split factor[,close]"
        raise Misconfigured(expected, f"{error} in {path}", "correct the factor file") from error


def factors_of(symbol: str, directory: Path = BUNDLED) -> Factors:
    """Return the factors of ``symbol``; without a file it never split, as far as anybody here knows."""
    path = directory / f"{symbol.lower()}.csv"
    return read_factors(path, symbol) if path.is_file() else Factors(symbol)


def adjust(
    bars: Iterable[Bar],
    factors: Factors,
    *,
    as_of: date = date.max,
    with_dividends: bool = False,
    zone: ZoneInfo = NEW_YORK,
) -> list[Bar]:
    """Return bars whose prices compare with those of ``as_of``: volumes shrink as prices grow.

    Args:
        bars: raw; the day of each is that of its start in ``zone``.
        factors: of their symbol.
        as_of: the day whose raw prices they are to be compared with; that of today in a loop, or tomorrow's split
            would be known today.
        with_dividends: adjust for dividends as well.
        zone: where the exchange is.
    """
    return [_adjusted(bar, factors, bar.start.astimezone(zone).date(), as_of, with_dividends) for bar in bars]


def _adjusted(bar: Bar, factors: Factors, day: date, as_of: date, with_dividends: bool) -> Bar:
    split = factors.split_factor(day, as_of)
    factor = factors.total_factor(day, as_of) if with_dividends else split
    if factor == _ONE and split == _ONE:
        return bar
    volume = int((bar.volume / split).to_integral_value())
    return replace(bar, bid=_scaled(bar.bid, factor), ask=_scaled(bar.ask, factor), volume=volume)


def _scaled(prices: Ohlc, factor: Decimal) -> Ohlc:
    return Ohlc(
        open=prices.open * factor, high=prices.high * factor, low=prices.low * factor, close=prices.close * factor
    )


def _row(fields: Sequence[str]) -> FactorRow:
    day = datetime.strptime(fields[0], "%Y%m%d").replace(tzinfo=UTC).date()
    return FactorRow(last=day, price_factor=Decimal(fields[1]), split_factor=Decimal(fields[2]))


@lru_cache(maxsize=1024)
def _whole_numbers(ratio: Decimal) -> Fraction:
    """Return ``ratio`` as shares for shares: 6.99999 is 7, because factors are rounded.

    The simplest fraction near enough is the one; a ratio that is near to none stands as it is.
    """
    exact = Fraction(ratio)
    for most, near in _NEAR:
        for denominator in range(1, most + 1):
            found = exact.limit_denominator(denominator)
            if found and abs(float(exact / found) - 1) < near:
                return found
    return exact
