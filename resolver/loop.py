"""The resolver's loop: read executions, settle what they ended, tend what is still open."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from brokers.port import BrokerTrade, Executor, Fill, MarketData
from domain.errors import Ask, Refuse, Retry
from domain.ids import signal_of_order
from domain.ledger.position import Position
from domain.quotes import Bar
from domain.surface_settings import SurfaceSettings
from domain.vocabulary import Surface
from journal.beat import Heartbeat
from resolver.books import ResolverBooks
from resolver.exits import ExitDesk
from resolver.lost import Lost
from resolver.settle import close_late, finish, is_buying, last_reason, settle

log = structlog.get_logger()
FAILED_PAUSE_S = 1.0


class Loop:
    """One resolver's life: ``run`` until ``stop`` is set; tests call ``on_tick``.

    Args:
        advance: called first in each turn; a dry run moves its executor along closed bars here.
        tend_s: seconds on the process's clock between two looks at the broker's open trades.
        acts_in: tells of a bar whether the broker's stops act while it lasts.
    """

    def __init__(
        self,
        *,
        books: ResolverBooks,
        executor: Executor,
        data: MarketData,
        settings: SurfaceSettings,
        heartbeat: Heartbeat,
        stop: threading.Event,
        advance: Callable[[], None] = lambda: None,
        tend_s: float = 60.0,
        acts_in: Callable[[Bar], bool] = lambda bar: True,
    ) -> None:
        self._books = books
        self._executor = executor
        self._data = data
        self._settings = settings
        self._heartbeat = heartbeat
        self._stop = stop
        self._advance = advance
        self._tend_every = timedelta(seconds=tend_s)
        self._tended_at: datetime | None = None
        self._exits = ExitDesk(books, executor, data, settings, acts_in)
        self._lost = Lost(books, data, self._exits)
        self._cursor: str | None = None
        self._waiting: list[Fill] = []
        self._trouble = ""
        self._untended = ""

    def run(self) -> None:
        """Turn until told to stop, and give everything back."""
        period = self._books.clock.real_seconds(self._settings.loop_s)
        try:
            while not self._stop.is_set():
                began = time.monotonic()
                pause_s = period if self.on_tick() else max(period, FAILED_PAUSE_S)
                self._stop.wait(max(0.01, pause_s - (time.monotonic() - began)))
        finally:
            self._executor.close()
            self._data.close()
        # Only an end on purpose says so: after a crash the launcher must see one.
        self._heartbeat.stopped()
        log.info("stopped")

    def on_tick(self) -> bool:
        """Turn once; return False when the broker did not answer, which costs this turn and never the process."""
        self._books.follow()
        self._beat()
        try:
            self._advance()
            self._read_fills()
            self._settle_waiting()
            self._finish_closed()
            self._tend_in_time()
        except (Retry, Ask, Refuse) as error:
            # A refusal (a locked account) ends no position: what rests at the broker goes on, and so do we.
            log.warning("turn_failed", error=str(error))
            self._trouble = str(error)
            return False
        self._trouble = ""
        return True

    def _beat(self) -> None:
        """Say how the last turn went: the file is written once a second, and whoever reads it wants the reason too."""
        self._heartbeat.beat(
            phase="degraded" if self._trouble or self._untended else "ready",
            trouble=self._trouble or self._untended,
            open=len(self._books.fold.positions()),
            waiting=len(self._waiting),
        )

    def _read_fills(self) -> None:
        if self._cursor is None:
            self._cursor = self._first_cursor()
        fills, self._cursor = self._executor.fills_since(self._cursor)
        self._waiting.extend(fill for fill in fills if self._is_ours(fill))

    def _first_cursor(self) -> str:
        """Start from the oldest entry still open, so that what ended while nobody looked is found."""
        positions = self._books.fold.positions()
        if positions:
            return min(positions, key=lambda position: position.opened_at).entries[0].transaction_id
        return self._executor.account().cursor

    def _is_ours(self, fill: Fill) -> bool:
        parsed = signal_of_order(fill.opened_by or "")
        return fill.closes and parsed is not None and parsed[0] is self._books.surface

    def _settle_waiting(self) -> None:
        """Settle each fill whose position is known; one that came before its entry was read waits for it."""
        # Nothing is let go of before all are done: a journal without room must not cost a fill.
        self._waiting = [fill for fill in self._waiting if not self._is_settled(fill)]

    def _is_settled(self, fill: Fill) -> bool:
        parsed = signal_of_order(fill.opened_by or "")
        if parsed is None or parsed[1] in self._books.fold.resolutions:
            if fill.revision > 0:
                # What a trade came to was published and is not rewritten; but a person should know.
                log.warning("corrected_after_the_end", order=fill.opened_by, fill=fill.transaction_id)
            elif parsed is not None and self._is_unwritten(parsed[1], fill):
                log.warning("sold_after_the_end", order=fill.client_order_id, quantity=str(fill.quantity))
            return True
        position = self._books.fold.position(parsed[1])
        if position is None:
            return False
        known = position.exit(fill.transaction_id)
        if known is None or known.revision < fill.revision:
            self._settle(position, fill)
        return True

    def _is_unwritten(self, signal_id: str, fill: Fill) -> bool:
        """Tell of a fill of a signal that is resolved whether its trade came to an end without it."""
        known = (event.transaction_id for event in self._books.fold.exit_events(signal_id))
        return self._books.surface is Surface.STK and fill.transaction_id not in known

    def _settle(self, position: Position, fill: Fill) -> None:
        self._books.write(settle(self._books, self._data, position, fill))
        result = self._books.fold.resolutions.get(position.signal_id)
        if result is not None:
            log.info("resolved", signal=result.signal_id, reason=result.reason, realised=str(result.realised))

    def _finish_closed(self) -> None:
        """Resolve what is closed in the journals and was never resolved, whoever wrote its exit.

        Close what was published in the very moment in which it ended: no subscriber is left alone with it.
        """
        currency = self._books.fold.bankroll.currency
        for position in self._books.fold.unresolved():
            if is_buying(self._books, position.signal_id):
                continue
            log.warning("resolving_late", signal=position.signal_id)
            reason = last_reason(self._books, position.signal_id)
            self._books.write(finish(self._books, self._data, position, reason, currency))
        for resolution in self._books.fold.unclosed():
            log.warning("closing_late", signal=resolution.signal_id)
            self._books.write(close_late(self._books, resolution))

    def _tend_in_time(self) -> None:
        """Tend when it is time to, and at once when the clock was set back."""
        now = self._books.clock.now()
        if self._tended_at is None or abs(now - self._tended_at) >= self._tend_every:
            self._tended_at = now
            self._tend()

    def _tend(self) -> None:
        trades = self._executor.open_trades()
        by_signal = {parsed[1]: one for one in trades if (parsed := signal_of_order(one.client_order_id or ""))}
        self._lost.look(by_signal, {trade.market for trade in trades})
        self._untended = ""
        for position in self._books.fold.positions():
            try:
                self._tend_one(position, by_signal.get(position.signal_id))
            except (Retry, Ask, Refuse) as error:
                # One position that can't be tended now must not keep the others from it.
                log.error("not_tended", signal=position.signal_id, error=str(error))
                self._untended = str(error)

    def _tend_one(self, position: Position, trade: BrokerTrade | None) -> None:
        if trade is not None:
            self._exits.tend(position, trade)
        else:
            self._find_exit(position)
            self._untended = self._lost.settle(position, self._waiting) or self._untended

    def _find_exit(self, position: Position) -> None:
        """Read again from the entry on: the broker no longer holds this trade, so its exit must be there."""
        fills, _ = self._executor.fills_since(position.entries[0].transaction_id)
        known = {fill.transaction_id for fill in self._waiting}
        self._waiting.extend(f for f in fills if self._is_ours(f) and f.transaction_id not in known)
