"""An event surface put together from its parts; what differs between the two is where their beliefs come from."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from audit.costs import NOTHING_SPENT, Spent
from audit.fold import SurfaceFold
from brokers.connect import connect_kalshi
from brokers.kalshi.client import KalshiExecutor
from brokers.port import Executor
from domain.clock import Clock
from domain.vocabulary import Mode
from journal import process
from journal.beat import Heartbeat
from journal.keys import Signer
from market.recorder import Compaction, Recorder
from strategies.event.fees import fee_of
from surfaces.books import Books
from surfaces.kalshi.belief import Estimator
from surfaces.kalshi.config import EventConfig
from surfaces.kalshi.desk import EventDesk
from surfaces.kalshi.learning import Learner
from surfaces.loop import Loop
from surfaces.mirror import MirrorExecutor
from surfaces.stop import stop_reasons


def begin(config: EventConfig) -> tuple[Clock, Signer]:
    """Return the clock and the key of a process that may begin; raises Misconfigured."""
    clock = process.begin(config.program, config.house, config.surface, config.settings, config.kalshi.order_host)
    return clock, Signer.load(config.house.keys, config.surface, clock.now())


@contextmanager
def opened(
    config: EventConfig,
    clock: Clock,
    signer: Signer,
    learner: Learner,
    estimators: Sequence[Estimator],
    stop: threading.Event,
    *,
    learn: Callable[[Mapping[str, Any]], None] | None = None,
    spent: Callable[[], Spent] = lambda: NOTHING_SPENT,
) -> Iterator[tuple[Books, Loop]]:
    """Open the journals and connect; the loop has not begun, and whoever runs it gives the connection back.

    Args:
        learn: takes in every record of the surface's journals, the old ones first; by default the learner alone does.
        spent: tells what paid estimates have cost so far.

    Raises:
        Halt: a journal can't be trusted or written any more.
    """
    house, surface, settings, limits = config.house, config.surface, config.settings, config.limits
    fold = SurfaceFold(limits.bankroll, limits.currency, settings.mode)
    files = house.stop_files(surface)
    with Books(house, surface, settings.mode, clock, fold, signer, also=learn or learner.apply) as books:
        data, executor = connect_kalshi(
            settings.mode, config.kalshi, clock, balance=limits.bankroll, currency=limits.currency, fee=fee_of
        )
        compaction = Compaction(keep_days=settings.record_days)
        recorder = Recorder(house.log(surface, "market"), compaction=compaction) if settings.record_quotes else None
        loop = Loop(
            books=books,
            executor=executor if settings.mode is not Mode.DRY_RUN else MirrorExecutor(executor, fold),
            desk=EventDesk(data, surface, settings, estimators, learner, clock, recorder, books.ended),
            limits=limits,
            settings=settings,
            heartbeat=Heartbeat(house.heartbeat(config.program), clock),
            stop_reasons=lambda: stop_reasons(files),
            stop=stop,
            workers=settings.asks_at_once,
            spent=spent,
            cancel_all=_kill_switch(executor),
        )
        yield books, loop


def _kill_switch(executor: Executor) -> Callable[[], None]:
    """Return what takes back all resting orders: nothing rests at an executor without a socket."""
    return executor.cancel_all if isinstance(executor, KalshiExecutor) else lambda: None
