"""The thread in which everything of one connection happens, and the way into it from any other."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from domain.errors import Retry, TBotError

T = TypeVar("T")
JOIN_S = 5.0


class Runner:
    """An event loop in a thread of its own; ``call`` hands it a coroutine and waits for the outcome."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def call(self, work: Coroutine[Any, Any, T], timeout_s: float, overdue: type[TBotError] = Retry) -> T:
        """Run ``work`` in the loop; raises ``overdue`` when it takes longer than ``timeout_s`` real seconds."""
        if not self._thread.is_alive():
            work.close()
            raise Retry("an open connection to IBKR", "a closed one", "start the process again")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except TimeoutError as error:
            future.cancel()
            raise overdue("an answer from IBKR", f"none within {timeout_s:g} s", "ask again") from error

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Start ``work`` and do not wait for it."""
        asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """Cancel what runs and end the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=JOIN_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._loop.close()
