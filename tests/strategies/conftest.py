"""Bars for the strategy tests: recorded ones, and a way to make them."""

import csv
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from domain.quotes import Bar, Instrument, Ohlc, Quote

START = datetime.fromisoformat("2014-05-02T06:00:00+00:00")
TICK = Decimal("0.00001")


@pytest.fixture(scope="session")
def eur_usd() -> Instrument:
    return Instrument(
        name="EUR_USD",
        base="EUR",
        quote_currency="USD",
        tick=TICK,
        pip=Decimal("0.0001"),
        quantity_step=Decimal(1),
        quantity_min=Decimal(1),
        quantity_max=Decimal(10_000_000),
        margin_rate=Decimal("0.02"),
    )


@pytest.fixture(scope="session")
def recorded() -> list[Bar]:
    """Return eight hours of EUR/USD around the US jobs report of 2 May 2014, in one-minute bars."""
    with (Path(__file__).parent / "data" / "eur_usd_1m.csv").open(newline="") as file:
        return [_bar(row) for row in csv.DictReader(file)]


@pytest.fixture(scope="session")
def walk_bars() -> Callable[[Sequence[tuple[int, int, int]], int], list[Bar]]:
    """Return a maker of one-minute bars from (move, reach above, reach below) in ticks, and the spread in ticks."""
    return _walk_bars


@pytest.fixture(scope="session")
def closing_quote() -> Callable[..., Quote]:
    """Return a maker of the quote with which a bar closed, widened by some ticks."""

    def quote(bar: Bar, wider: int = 0) -> Quote:
        ask = bar.ask.close + wider * TICK
        return Quote(market=bar.market, bid=bar.bid.close, ask=ask, at=bar.end, received_at=bar.end, tradeable=True)

    return quote


def _bar(row: dict[str, str]) -> Bar:
    fields = ("open", "high", "low", "close")
    return Bar(
        market="EUR_USD",
        start=datetime.fromisoformat(row["start"]),
        period_s=60,
        bid=Ohlc(**{field: Decimal(row[f"bid_{field}"]) for field in fields}),
        ask=Ohlc(**{field: Decimal(row[f"ask_{field}"]) for field in fields}),
        volume=1,
    )


def _walk_bars(moves: Sequence[tuple[int, int, int]], spread: int) -> list[Bar]:
    close, bars = 138_000, []
    for number, (move, above, below) in enumerate(moves):
        opening, close = close, max(close + move, 20_000)
        ticks = (opening, max(opening, close) + above, min(opening, close) - below, close)
        bars.append(
            Bar(
                market="EUR_USD",
                start=START + timedelta(minutes=number),
                period_s=60,
                bid=_ohlc(ticks, 0),
                ask=_ohlc(ticks, spread),
                volume=1,
            )
        )
    return bars


def _ohlc(ticks: tuple[int, int, int, int], spread: int) -> Ohlc:
    opening, high, low, close = ((tick + spread) * TICK for tick in ticks)
    return Ohlc(open=opening, high=high, low=low, close=close)


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).parents[2]
