"""Estimates that take their time, worked out beside the loop so that nothing else waits for them."""

import queue
import threading
from collections.abc import Iterator

import structlog

from domain.errors import Ask, Refuse, Retry
from surfaces.ailments import Ailments
from surfaces.proposal import Finish, Proposal

log = structlog.get_logger()


class Asking:
    """Runs slow predictions in threads and hands their results back to whoever calls ``ready``.

    The threads are daemons: the end of a process must not wait for a vendor, and what it costs is reserved already.

    Args:
        workers: how many predictions run at once; more wait for their turn.
        ailments: is told which category of markets cannot be estimated, and when it can be again.
    """

    def __init__(self, workers: int, ailments: Ailments) -> None:
        self._workers = workers
        self._ailments = ailments
        self._threads: list[threading.Thread] = []
        self._waiting: queue.SimpleQueue[Proposal | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Proposal, Finish | BaseException]] = queue.SimpleQueue()
        self._count = 0

    def __len__(self) -> int:
        """Return how many were asked for and not handed back yet."""
        return self._count

    def ask(self, proposal: Proposal) -> None:
        if len(self._threads) < self._workers:
            thread = threading.Thread(target=self._work, name=f"predict-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._count += 1
        self._waiting.put(proposal)

    def ready(self) -> Iterator[Finish]:
        """Yield what has been worked out since the last call, each once; one that failed is told and let go.

        Raises:
            BaseException: whatever a prediction raised that nobody foresaw.
        """
        while not self._done.empty():
            proposal, result = self._done.get()
            self._count -= 1
            candidate = proposal.candidates[0]
            if not isinstance(result, BaseException):
                self._ailments.well(candidate.category)
                yield result
            elif isinstance(result, Retry | Ask | Refuse):
                log.warning("prediction_failed", market=candidate.market, error=str(result))
                self._ailments.failed(candidate.category, f"no estimate: {result}")
            else:
                raise result

    def close(self) -> None:
        """Begin nothing more; what runs on is let go."""
        while not self._waiting.empty():
            self._waiting.get()
        for _ in self._threads:
            self._waiting.put(None)

    def _work(self) -> None:
        while (proposal := self._waiting.get()) is not None:
            try:
                result: Finish | BaseException = proposal.predict()
            except BaseException as error:  # noqa: BLE001  the loop judges it
                result = error
            self._done.put((proposal, result))
