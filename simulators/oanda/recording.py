"""Recorded quotes, read from the bundled files."""

import csv
import gzip
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from simulators.oanda.sessions import MINUTE_MS

DATA = Path(__file__).parent / "data"
FILES = {
    "EUR_USD": ("eur_usd_ticks.csv.gz", "eur_usd_m1.csv.gz"),
    "NZD_USD": (None, "nzd_usd_m1.csv.gz"),
}
# a bar becomes four quotes, evenly spaced in its minute
PATH_STEP_MS = 15_000


@dataclass(frozen=True, slots=True)
class Recording:
    """Quotes of one instrument in time order: epoch milliseconds, bid and ask in points."""

    times: "array[int]" = field(default_factory=lambda: array("q"))
    bids: "array[int]" = field(default_factory=lambda: array("i"))
    asks: "array[int]" = field(default_factory=lambda: array("i"))

    def append(self, ms: int, bid: int, ask: int) -> None:
        """Add a quote; it must not be older than the last."""
        self.times.append(ms)
        self.bids.append(bid)
        self.asks.append(ask)


def load_recordings() -> dict[str, Recording]:
    """Return instrument -> its recording: ticks first, then the minute bars that follow them."""
    recordings = {}
    for name, (ticks, bars) in FILES.items():
        recording = Recording()
        if ticks is not None:
            _append_ticks(recording, ticks)
        _append_bars(recording, bars)
        recordings[name] = recording
    return recordings


def _rows(name: str) -> Iterator[list[int]]:
    with gzip.open(DATA / name, "rt", encoding="ascii", newline="") as lines:
        reader = csv.reader(lines)
        next(reader)
        for row in reader:
            yield [int(cell) for cell in row]


def _append_ticks(recording: Recording, name: str) -> None:
    ms = bid = 0
    for ms_delta, bid_delta, spread in _rows(name):
        ms += ms_delta
        bid += bid_delta
        recording.append(ms, bid, bid + spread)


def _append_bars(recording: Recording, name: str) -> None:
    minute = bid_open = 0
    for minute_delta, bid_open_delta, bid_high, bid_low, bid_close, spread, ask_high, ask_low, ask_close in _rows(name):
        minute += minute_delta
        bid_open += bid_open_delta
        bid = (bid_open, bid_open + bid_high, bid_open + bid_low, bid_open + bid_close)
        ask_open = bid_open + spread
        ask = (ask_open, ask_open + ask_high, ask_open + ask_low, ask_open + ask_close)
        for step, (bid_points, ask_points) in enumerate(bar_path(bid, ask)):
            recording.append(minute * MINUTE_MS + step * PATH_STEP_MS, bid_points, ask_points)


def bar_path(bid: tuple[int, int, int, int], ask: tuple[int, int, int, int]) -> list[tuple[int, int]]:
    """Return four (bid, ask) quotes that reproduce a bar: open, the nearer extreme, the other, close.

    Args:
        bid: open, high, low, close in points.
        ask: the same for the ask side.
    """
    up = (bid[1] - bid[0]) + (ask[1] - ask[0])
    down = (bid[0] - bid[2]) + (ask[0] - ask[2])
    extremes = (2, 1) if down <= up else (1, 2)
    return [(bid[i], ask[i]) for i in (0, *extremes, 3)]
