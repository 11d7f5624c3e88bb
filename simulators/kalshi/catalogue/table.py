"""The listing table: what the venue lists at one moment, for people who look."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from simulators.kalshi.catalogue import catalogue
from simulators.kalshi.listing import Listing
from simulators.oanda.clock import ClockError, parse_clock

_INSTANT = timedelta(microseconds=1)
_TIMES = ("open_time", "close_time", "determined_at", "settled_at")


def main(arguments: list[str] | None = None) -> int:
    """Print the contracts listed at the clock's time; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m simulators.kalshi.catalogue",
        description="Print the contracts the simulated Kalshi lists at the time the clock shows.",
    )
    parser.add_argument("--clock", help="'real' or 'sim:<ISO start>@<speed>[,anchor=<unix seconds>]', else TBOT_CLOCK")
    parser.add_argument("--json", action="store_true", help="one JSON list with every field instead of the table")
    parsed = parser.parse_args(arguments)
    try:
        clock = parse_clock(parsed.clock or os.environ.get("TBOT_CLOCK") or "real")
    except ClockError as exc:
        print(f"simulators.kalshi.catalogue: {exc}", file=sys.stderr)
        return 2
    moment = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
    listed = catalogue(moment).listings(moment, moment + _INSTANT)
    print(json.dumps([_fields(one, moment) for one in listed], indent=2) if parsed.json else _table(listed, moment))
    return 0


def _fields(one: Listing, moment: datetime) -> dict[str, object]:
    # the outcome is left out: whoever looks should not know it either
    names = [name for name in Listing.__slots__ if name not in ("fair", "result", "expiration_value", *_TIMES)]
    fields: dict[str, object] = {name: _plain(getattr(one, name)) for name in names}
    return fields | {name: _plain(getattr(one, name)) for name in _TIMES} | {"fair": _worth(one, moment)}


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def _worth(one: Listing, moment: datetime) -> float | None:
    return round(one.fair(moment), 4) if one.open_time <= moment < one.close_time else None


def _table(listed: Sequence[Listing], moment: datetime) -> str:
    rows = [_row(one, moment) for one in listed]
    return "\n".join([f"{len(rows)} contracts at {moment:%Y-%m-%d %H:%M} UTC", _HEAD, *rows])


_HEAD = f"{'ticker':32} {'fair':>5}  {'opens':11}  {'closes':11}  {'settled':11}  title"


def _row(one: Listing, moment: datetime) -> str:
    worth = _worth(one, moment)
    fair = "  -  " if worth is None else f"{worth:5.3f}"
    times = "  ".join(f"{when:%m-%d %H:%M}" for when in (one.open_time, one.close_time, one.settled_at))
    return f"{one.ticker:32} {fair}  {times}  {one.title}"
