"""A bound on how long a call may take as a whole, for libraries that only bound the pause between two bytes."""

import threading
from collections.abc import Callable
from typing import TypeVar

from tbot_client.errors import Retry

Result = TypeVar("Result")


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """Return what ``call`` returns, or raise what it raises.

    Raises:
        Retry: it is not done in time. It is left behind in its thread, which must not hold anything others need.
    """
    done: list[Result] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            done.append(call())
        except BaseException as error:  # noqa: BLE001 - handed over to the thread that waits, whatever it is
            failed.append(error)

    thread = threading.Thread(target=work, name="deadline", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise Retry(f"a whole answer within {seconds:.0f} s", "one that was still arriving")
    return done[0]
