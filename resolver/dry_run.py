"""A dry run's account moved along closed bars, in the process that settles it."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from audit.restore import trades_of
from brokers.connect import without_socket
from brokers.port import Executor, MarketData
from domain.vocabulary import Mode
from resolver.books import ResolverBooks

if TYPE_CHECKING:
    from brokers.dry_run.executor import DryRunExecutor

DRY_RUN_PERIOD_S = 5


def advancing(
    mode: Mode, books: ResolverBooks, data: MarketData, executor: Executor, period_s: int = DRY_RUN_PERIOD_S
) -> Callable[[], None]:
    """Return what moves a dry run's account along; a real account needs nothing.

    Args:
        period_s: length of the bars it is moved along; where questions are counted, short ones cost too many.
    """
    if mode is not Mode.DRY_RUN:
        return lambda: None
    return DryRunClock(books, data, without_socket(executor), period_s).advance


class DryRunClock:
    """Hands the closed bars of every open position's life to the executor, each once and in order."""

    def __init__(self, books: ResolverBooks, data: MarketData, executor: "DryRunExecutor", period_s: int) -> None:
        self._books = books
        self._data = data
        self._executor = executor
        self._period_s = period_s
        # signal id -> where its bars go on; a market has no single place, for a trade may join it later
        self._next: dict[str, datetime] = {}

    def advance(self) -> None:
        """Take over positions the surface has opened since, and play their bars up to now."""
        positions = self._books.fold.positions()
        self._executor.restore(trades_of(positions))
        for market in {position.market for position in positions}:
            here = [position for position in positions if position.market == market]
            start = min(self._next.get(position.signal_id, position.opened_at) for position in here)
            for bar in self._data.bars(market, self._period_s, start=start):
                self._executor.on_bar(bar)
                self._next |= {position.signal_id: bar.end for position in here}
