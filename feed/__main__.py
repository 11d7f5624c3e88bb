"""Entry point: ``python -m feed``, configured by the environment alone."""

import os
import sys

from domain.errors import TBotError
from feed import config
from feed.server import run
from feed.service import Service
from journal import beat, process_log


def main() -> int:
    """Run the feed; a setting that is wrong ends in 78, an unsafe start in 70, each with one line that says why."""
    try:
        settings, house, clock = config.load(os.environ)
        process_log.configure("feed", clock)
        service = Service(settings, house, clock)
        service.open()
        return run(service)
    except TBotError as error:
        print(f"feed: {error}", file=sys.stderr)
        beat.note_end(os.environ, "feed", error)
        return error.exit_code


if __name__ == "__main__":
    raise SystemExit(main())
