"""Entry point: ``python -m feed``, configured by the environment alone."""

import os
import sys
from contextlib import suppress

from domain.errors import TBotError
from feed import config
from feed.server import run
from feed.service import Service
from journal import beat, failpoints, process_log, redact


def main() -> int:
    """Run the feed; a setting that is wrong ends in 78, an unsafe start in 70, each with one line that says why."""
    environ = dict(os.environ)
    try:
        failpoints.arm({failpoints.KEY: environ.pop(failpoints.KEY, "")})
        settings, house, clock = config.load(environ)
        process_log.configure("feed", clock)
        service = Service(settings, house, clock)
        service.open()
        return run(service)
    except TBotError as error:
        beat.note_end(environ, "feed", error)
        with suppress(OSError):  # the supervisor that read it may be gone
            print(redact.text(f"feed: {error}"), file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    raise SystemExit(main())
