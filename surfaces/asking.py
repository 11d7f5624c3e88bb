"""Estimates that take their time, worked out beside the loop so that nothing else waits for them."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import structlog

from domain.errors import Ask, Refuse, Retry
from surfaces.proposal import Finish, Proposal

log = structlog.get_logger()


class Asking:
    """Runs slow predictions in threads and hands their results back to whoever calls ``ready``.

    Args:
        workers: how many predictions run at once; more wait for their turn.
    """

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="predict")
        self._running: dict[Future[Finish], Proposal] = {}

    def __len__(self) -> int:
        return len(self._running)

    def ask(self, proposal: Proposal) -> None:
        self._running[self._pool.submit(proposal.predict)] = proposal

    def ready(self) -> Iterator[Finish]:
        """Yield what has been worked out since the last call, each once; one that failed is told and let go."""
        for future in [future for future in self._running if future.done()]:
            proposal = self._running.pop(future)
            try:
                finish = future.result()
            except (Retry, Ask, Refuse) as error:
                market = proposal.candidates[0].market
                log.warning("prediction_failed", market=market, error=str(error))
                continue
            yield finish

    def close(self) -> None:
        """Begin nothing more; what runs on is let go, its cost stays reserved."""
        self._pool.shutdown(wait=False, cancel_futures=True)
