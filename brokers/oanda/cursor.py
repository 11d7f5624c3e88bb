"""Executions after a cursor: none missed when transactions appear late, none twice."""

from collections.abc import Sequence

from brokers.oanda.account import AccountReader
from brokers.oanda.book import TradeBook
from brokers.oanda.fills import fills
from brokers.oanda.transactions import TransactionLog
from brokers.oanda.wire import Body, Wire
from brokers.port import Fill
from domain.errors import Refuse, Retry


class FillReader:
    """Walks the transaction ids, which OANDA numbers without gaps.

    A gap therefore means a transaction that is late: reading stops before it and goes on at the next call. Only a gap
    that outlives ``transaction_gap_s`` is stepped over, lest one lost number stop the account's book-keeping for good.
    """

    def __init__(self, wire: Wire, reader: AccountReader, log: TransactionLog, book: TradeBook) -> None:
        self._wire = wire
        self._reader = reader
        self._log = log
        self._book = book
        self._gap: tuple[int, int] | None = None

    def since(self, cursor: str) -> tuple[Sequence[Fill], str]:
        """Return the fills after ``cursor`` and the id of the last transaction read."""
        if not cursor.isdigit():
            raise Refuse("a transaction id as cursor", repr(cursor), "start from account().cursor")
        rows, _ = self._log.since_id(int(cursor))
        ready = self._contiguous(int(cursor), rows)
        currency = self._reader.currency()
        try:
            found = [fill for row in ready for fill in fills(row, self._book, currency)]
        except (KeyError, ValueError, TypeError, ArithmeticError) as error:
            raise Retry("fills that can be read", f"{type(error).__name__} in a transaction", "ask again") from error
        return found, str(ready[-1]["id"]) if ready else cursor

    def _contiguous(self, last: int, rows: Sequence[Body]) -> list[Body]:
        ready: list[Body] = []
        for row in rows:
            if int(row["id"]) != last + 1 and not self._outlived(last + 1):
                break
            last = int(row["id"])
            ready.append(row)
        return ready

    def _outlived(self, missing: int) -> bool:
        """Tell whether this very gap was first met longer ago than a late transaction can take."""
        now_ns = self._wire.clock.monotonic_ns()
        if self._gap is None or self._gap[0] != missing:
            self._gap = (missing, now_ns)
        return (now_ns - self._gap[1]) / 1e9 >= self._wire.config.transaction_gap_s
