"""The life of a simulator's process: a command line that can't be used, a port that is taken, signals that end it."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable

MISUSE = 2
Serve = Callable[[asyncio.Event], Awaitable[None]]


def run(name: str, prepare: Callable[[], tuple[int, Serve]], misuse: tuple[type[Exception], ...]) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    Args:
        name: of the program, before each of its messages.
        prepare: reads the command line and returns the port and what serves until its event is set.
        misuse: what ``prepare`` raises where an option cannot be used.
    """
    try:
        port, serve = prepare()
    except misuse as exc:
        print(f"{name}: {exc}", file=sys.stderr)
        return MISUSE
    try:
        asyncio.run(_until_stopped(serve))
    except OSError as exc:
        print(f"{name}: cannot listen on port {port}: {exc.strerror}", file=sys.stderr)
        return 1
    return 0


async def _until_stopped(serve: Serve) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(stop)
