"""The process log: one JSON line an event on stderr, for people and `jq`; the journals stay the record."""

import logging
import sys
import threading
import traceback
from types import TracebackType
from typing import TextIO, cast

import structlog

from domain.clock import Clock, iso
from journal import redact, stderr


def configure(program: str, clock: Clock) -> None:
    """Send every structlog and standard-library message of this process to stderr as JSON, cleaned of secrets.

    ``ts`` is the fleet's clock, which in a demo is not the machine's. Tracebacks that nobody caught are cleaned too.
    """

    def stamp(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {"ts": iso(clock.now()), "program": program, **event}

    stream = stderr.patient()
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.format_exc_info,
            stamp,
            _clean,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", stream)),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=stream, force=True)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_Cleaned(logging.BASIC_FORMAT))
    sys.excepthook = _show
    threading.excepthook = _show_of_thread


def _clean(logger: object, method: str, event: structlog.typing.EventDict) -> str:
    # Cleaned after rendering, because only then is every value a text.
    return redact.line(str(_render(logger, method, event)))


_render = structlog.processors.JSONRenderer(default=str)


class _Cleaned(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact.text(super().format(record))


def _show(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    sys.stderr.write(redact.text("".join(traceback.format_exception(kind, error, at))))


def _show_of_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None and not isinstance(failed.exc_value, SystemExit):
        name = failed.thread.name if failed.thread is not None else "unknown"
        sys.stderr.write(f"Exception in thread {name}:\n")
        _show(failed.exc_type, failed.exc_value, failed.exc_traceback)
