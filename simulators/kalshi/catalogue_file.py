"""A catalogue read from a JSON file, for tests that need exact markets.

::

    {"series": [{"ticker": "KXTEST", "title": "Test", "category": "Test", "fee_type": "quadratic"}],
     "markets": [{"ticker": "KXTEST-14MAY06-T1", "open_time": "2014-05-06T07:00:00Z",
                  "close_time": "2014-05-06T20:00:00Z", "result": "yes", "fair": 0.42}]}

A market needs ``ticker``, ``open_time``, ``close_time`` and ``result``. ``fair`` is a number, or a list of
``[time, value]`` pairs that hold from their time on. Everything else has a default.
"""

import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from simulators.kalshi.listing import Listing, Series
from simulators.kalshi.wire import Json, parse_time

_TIMES = (
    "open_time",
    "close_time",
    "expected_expiration_time",
    "latest_expiration_time",
    "determined_at",
    "settled_at",
)
_NEEDED = ("ticker", "open_time", "close_time", "result")
_NOTE = "written by a test; every value is synthetic"


class CatalogueError(ValueError):
    """A catalogue file that cannot be used; the message names the place."""


@dataclass(frozen=True, slots=True)
class FileCatalogue:
    """The markets of one file."""

    families: tuple[Series, ...]
    markets: tuple[Listing, ...]

    def series(self) -> Sequence[Series]:
        """Return every family of events."""
        return self.families

    def listings(self, start: datetime, end: datetime) -> Sequence[Listing]:
        """Return the markets whose life overlaps ``[start, end)``, in the order of their opening."""
        found = [market for market in self.markets if market.open_time < end and market.settled_at >= start]
        return sorted(found, key=lambda market: market.open_time)


def load_catalogue(path: Path) -> FileCatalogue:
    """Read a catalogue file.

    Raises:
        CatalogueError: it cannot be read or used.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise CatalogueError(f"--catalogue: cannot read {path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise CatalogueError(f"--catalogue: expected JSON in {path}; found {exc}") from exc
    if not isinstance(content, dict) or not isinstance(content.get("markets"), list):
        raise CatalogueError(f"--catalogue: expected an object with markets in {path}")
    markets = tuple(_listing(item, f"markets[{i}]") for i, item in enumerate(content["markets"]))
    families = [_series(item, f"series[{i}]") for i, item in enumerate(content.get("series", []))]
    named = {family.ticker for family in families}
    missing = dict.fromkeys(market.series_ticker for market in markets if market.series_ticker not in named)
    return FileCatalogue((*families, *(_series({"ticker": name}, name) for name in missing)), markets)


def _series(item: Json, place: str) -> Series:
    _check(item, place, Series, ("ticker",))
    sources = tuple((name, url) for name, url in item.get("settlement_sources", ()))
    defaults = {"title": item["ticker"], "category": "Test", "frequency": "custom"}
    return Series(**{**defaults, **item, "settlement_sources": sources})


def _listing(item: Json, place: str) -> Listing:
    _check(item, place, Listing, _NEEDED)
    ticker = item["ticker"]
    event = item.get("event_ticker", ticker.rpartition("-")[0] or ticker)
    if item["result"] not in ("yes", "no"):
        raise CatalogueError(f"--catalogue: {place}.result: expected yes or no; found {item['result']!r}")
    times = {name: _time(item[name], f"{place}.{name}") for name in _TIMES if name in item}
    closes = times["close_time"]
    determined = times.setdefault("determined_at", closes + timedelta(minutes=30))
    settled = times.setdefault("settled_at", determined + timedelta(hours=1))
    times.setdefault("expected_expiration_time", determined)
    times.setdefault("latest_expiration_time", settled + timedelta(days=7))
    if not times["open_time"] < closes <= determined <= settled:
        raise CatalogueError(f"--catalogue: {place}: expected open < close <= determined <= settled")
    defaults: dict[str, Any] = {
        "event_ticker": event,
        "series_ticker": event.partition("-")[0],
        "title": ticker,
        "event_title": event,
        "yes_sub_title": "Yes",
        "no_sub_title": "No",
        "rules_primary": f"If {ticker} happens, then the market resolves to Yes.",
        "rules_secondary": "",
        "strike_type": "custom",
        "floor_strike": None,
        "cap_strike": None,
        "expiration_value": item["result"],
        "can_close_early": True,
        "mutually_exclusive": False,
        "note": _NOTE,
    }
    return Listing(**{**defaults, **item, **times, "fair": _fair(item.get("fair", 0.5), f"{place}.fair")})


def _check(item: Any, place: str, kind: type, needed: tuple[str, ...]) -> None:
    if not isinstance(item, dict):
        raise CatalogueError(f"--catalogue: {place}: expected an object; found {item!r}")
    known = {found.name for found in fields(kind)}
    wrong = sorted(set(item) - known) + sorted(set(needed) - set(item))
    if wrong:
        raise CatalogueError(f"--catalogue: {place}: unknown or missing {', '.join(wrong)}")


def _time(value: Any, place: str) -> datetime:
    try:
        return parse_time(value)
    except (TypeError, ValueError) as exc:
        raise CatalogueError(f"--catalogue: {place}: expected a time with an offset; found {value!r}") from exc


def _fair(value: Any, place: str) -> Callable[[datetime], float]:
    if isinstance(value, (int, float)):
        constant = float(value)
        return lambda _: constant
    if not isinstance(value, list) or not value:
        raise CatalogueError(f"--catalogue: {place}: expected a number or [time, number] pairs; found {value!r}")
    moments = [_time(pair[0], place) for pair in value]
    worths = [float(pair[1]) for pair in value]
    # before the first pair its value holds
    return lambda moment: worths[max(bisect_right(moments, moment) - 1, 0)]
