"""What the account did in each market: read from the venue, kept, and completed when something new turns up."""

import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

import structlog

from brokers.kalshi import records
from brokers.kalshi.errors import Rejected
from brokers.kalshi.lots import Ledger, fold, held
from brokers.kalshi.records import FillRow, OrderRow, PositionRow, SettlementRow
from brokers.kalshi.wire import Body, Wire
from domain.errors import Retry

T = TypeVar("T")
log = structlog.get_logger()
_UNREADABLE = (KeyError, ValueError, TypeError, ArithmeticError)
# Where the venue keeps what is older than its cutoff. Source: docs.kalshi.com, "Historical Data".
OLD = "/historical"


class Histories:
    """Orders, executions and settlements by market; nothing that was once read is forgotten.

    ``wire`` is asked for lists alone, and for the time.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._orders: dict[str, OrderRow] = {}
        self._fills: dict[str, dict[str, FillRow]] = {}
        self._ends: dict[str, SettlementRow] = {}
        self._whole: set[str] = set()
        self._deep: set[str] = set()
        self._complete_until = wire.clock.now()
        self._lock = threading.RLock()

    def orders_since(self, moment: datetime) -> Sequence[OrderRow]:
        """Read the orders made at and after ``moment``, whatever became of them."""
        return self._learn(
            self._wire.rows("orders", "/portfolio/orders", "orders", records.order, min_ts=int(moment.timestamp()))
        )

    def order_by(self, client_order_id: str) -> OrderRow | None:
        """Return what is known of an order by our id; the one that filled, should there be two."""
        with self._lock:
            found = [row for row in self._orders.values() if row.client_order_id == client_order_id]
        return max(found, key=lambda row: (row.filled > 0, row.is_resting), default=None)

    def note(self, row: OrderRow) -> None:
        """Take in an order that the venue told of by itself."""
        self._learn([row])

    def fills_since(self, moment: datetime) -> Sequence[FillRow]:
        """Read the account's executions at and after ``moment``, by whichever of its processes.

        What was executed since the last time is taken in for the markets known here, even if it lies before ``moment``:
        a trade that ended elsewhere must not be taken for one that is open.
        """
        now = self._wire.clock.now()
        begin = min(moment, self._complete_until - self._wire.late)
        parse = _or_nothing("an execution", records.fill)
        rows = self._wire.rows("executions", "/portfolio/fills", "fills", parse, min_ts=int(begin.timestamp()))
        found = {row.fill_id: row for row in rows if row is not None}
        with self._lock:
            for row in found.values():
                if row.ticker in self._whole:
                    self._fills[row.ticker][row.fill_id] = row
            self._complete_until = max(self._complete_until, now)
        return [row for row in found.values() if row.at >= moment]

    def catch_up(self) -> None:
        """Take in what was executed since the last time."""
        self.fills_since(self._wire.clock.now())

    def settlements_since(self, moment: datetime) -> Sequence[SettlementRow]:
        """Read the account's settlements at and after ``moment``."""
        parse = _or_nothing("a settlement", records.settlement)
        rows = self._wire.rows(
            "settlements", "/portfolio/settlements", "settlements", parse, min_ts=int(moment.timestamp())
        )
        return list({row.ticker: row for row in rows if row is not None}.values())

    def positions(self) -> Sequence[PositionRow]:
        """Read what the account holds now."""
        rows = self._wire.rows(
            "positions", "/portfolio/positions", "market_positions", records.position, count_filter="position"
        )
        return [row for row in {row.ticker: row for row in rows}.values() if row.quantity]

    def position(self, ticker: str) -> Decimal:
        """Read the net position in one market: YES above zero, NO below."""
        rows = self._wire.rows(
            f"the position in {ticker}", "/portfolio/positions", "market_positions", records.position, ticker=ticker
        )
        return sum((row.quantity for row in rows if row.ticker == ticker), Decimal(0))

    def ledger(
        self,
        ticker: str,
        fills: Iterable[FillRow] = (),
        end: SettlementRow | None = None,
        *,
        fresh: bool = False,
        deep: bool = False,
    ) -> Ledger:
        """Return what became of a market, with ``fills`` and ``end`` that were read elsewhere.

        Args:
            fresh: ask the venue again even if everything given is known.
            deep: ask for what the venue has put away too.

        Raises:
            Retry: the venue does not show the order behind an execution yet.
        """
        with self._lock:
            known = self._fills.setdefault(ticker, {})
            if deep:
                self._deep.add(ticker)
            if fresh or deep or ticker not in self._whole:
                known |= {row.fill_id: row for row in self._read(ticker, "fills", records.fill, deep=deep)}
                self._whole.add(ticker)
            known |= {row.fill_id: row for row in fills}
            if any(row.order_id not in self._orders for row in known.values()):
                self._learn(self._read(ticker, "orders", records.order, deep=deep))
            if end is not None and not self._explains(ticker, end):
                return self.ledger(ticker, end=end, deep=True)
            if end is not None:
                self._ends[ticker] = end
            return self._fold(ticker, known.values(), self._ends.get(ticker))

    def _explains(self, ticker: str, end: SettlementRow) -> bool:
        """Tell whether the executions read so far add up to what was held in the end, or everything was asked for.

        A position held for months was opened by executions that the venue has put away.
        """
        if end.held is None or ticker in self._ends or ticker in self._deep:
            return True
        return held(self._fold(ticker, self._fills[ticker].values(), None).lots.values()) == end.held

    def _fold(self, ticker: str, rows: Iterable[FillRow], end: SettlementRow | None) -> Ledger:
        try:
            return fold(self._orders, rows, end)
        except KeyError as error:
            raise Retry(f"the order behind an execution in {ticker}", "none yet", "ask again", after_s=0.5) from error
        except (ValueError, ArithmeticError) as error:
            raise Retry(f"executions of {ticker} that can be read", str(error), "ask again") from error

    def _read(self, ticker: str, key: str, parse: Callable[[Body], T], *, deep: bool) -> Sequence[T]:
        found = self._wire.rows(f"{key} of {ticker}", f"/portfolio/{key}", key, parse, ticker=ticker)
        if not deep:
            return found
        try:
            return [*found, *self._wire.rows(f"old {key} of {ticker}", f"{OLD}/{key}", key, parse, ticker=ticker)]
        except Rejected:
            return found  # the older wire has no such place

    def _learn(self, rows: Iterable[OrderRow]) -> Sequence[OrderRow]:
        found = {row.order_id: row for row in rows}
        with self._lock:
            self._orders |= found
        return list(found.values())


def _or_nothing(what: str, parse: Callable[[Body], T]) -> Callable[[Body], T | None]:
    """Return a parser that tells of a row it cannot read and leaves it out.

    One odd row must not keep every other position from being settled. Its own market stays as it was: what is held
    there then differs from what executions explain, which is said where it is found.
    """

    def read(data: Body) -> T | None:
        try:
            return parse(data)
        except _UNREADABLE as error:
            log.error("unreadable_row", what=what, ticker=str(data.get("ticker"))[:64], error=str(error)[:200])
            return None

    return read
