"""The process log: one JSON line an event on stderr, for people and `jq`; the journals stay the record."""

import logging
import sys

import structlog

from domain.clock import Clock, iso


def configure(program: str, clock: Clock) -> None:
    """Send every structlog and standard-library message of this process to stderr as JSON.

    ``ts`` is the fleet's clock, which in a demo is not the machine's.
    """

    def stamp(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {"ts": iso(clock.now()), "program": program, **event}

    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.format_exc_info,
            stamp,
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, force=True)
