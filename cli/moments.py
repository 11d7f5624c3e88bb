"""The moments that people name on a command line, on the clock of the home they work in."""

import os
import sys
from datetime import datetime

SINCE = "30m, 7d, today, 2026-11-01, 2026-11-01T09:30Z, or Unix seconds; default: everything."


def since_moment(since: str) -> datetime | None:
    """Return the moment a person named, None for none, and say on standard error which it is."""
    from audit.period import parse_moment
    from domain.clock import parse_clock

    if not since:
        return None
    moment = parse_moment(since, parse_clock(os.environ.get("TBOT_CLOCK", "real")).now())
    print(f"since {moment.isoformat()}", file=sys.stderr)
    return moment
