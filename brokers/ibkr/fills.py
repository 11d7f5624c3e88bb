"""Executions handed out as fills: each once, in order, after a cursor that outlives a restart.

TWS tells the executions since midnight only, the portal those of seven days: an older cursor yields what is told.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from brokers.ibkr import references
from brokers.ibkr.executions import Execution, ExecutionBook, identity
from brokers.ibkr.trades import Entered, Entries
from brokers.port import Fill
from domain.clock import Clock, iso, parse_iso
from domain.errors import Refuse
from domain.vocabulary import ExitReason, Leg

# How much later than its own time an execution may be told: what is older is taken as handed out.
LATE = timedelta(hours=1)
_EXECUTION_ID = re.compile(r"[0-9A-Za-z]+(\.[0-9A-Za-z]+)+")
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A time, before which everything was handed out, and the execution ids handed out since."""

    low: datetime
    ids: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        low, *ids = text.split("~")
        return cls(parse_iso(low), frozenset(ids))

    def __str__(self) -> str:
        return "~".join((iso(self.low), *sorted(self.ids)))

    def handed(self, execution: Execution) -> str | None:
        """Return the id under which an execution, in whatever revision, was handed out; None when it was not."""
        if execution.at < self.low:
            return execution.exec_id
        return next((one for one in self.ids if identity(one) == execution.identity), None)


class FillReader:
    """Turns the executions of a book into fills.

    An execution waits ``commission_wait_s`` real seconds for its fee. ``reason`` tells why a protective order fills:
    client order id -> reason.
    """

    def __init__(
        self,
        book: ExecutionBook,
        entries: Entries,
        clock: Clock,
        *,
        commission_wait_s: float,
        reason: Callable[[str], ExitReason] = lambda reference: ExitReason.STOP_LOSS,
    ) -> None:
        self._book = book
        self._entries = entries
        self._clock = clock
        self._wait_ns = int(commission_wait_s * 1e9)
        self._reason = reason

    def now(self) -> str:
        """Return the cursor after everything known."""
        return str(self._advance(Cursor(self._clock.now() - LATE, frozenset()), self._book.all()))

    def since(self, text: str) -> tuple[Sequence[Fill], str]:
        """Return the fills after a cursor, or after one execution named by its id, and the next cursor."""
        cursor = self._cursor(text)
        fills: list[Fill] = []
        done: list[Execution] = []
        waiting: list[datetime] = []
        for one in self._book.all():
            handed = cursor.handed(one)
            if handed == one.exec_id:
                continue
            if handed is None and not self._is_ready(one):
                waiting.append(one.at)
                continue
            fills += self._corrected(handed, one) if handed else self._first(one)
            done.append(one)
        return fills, str(self._advance(cursor, done, waiting)) if done else text

    def fill(self, one: Execution) -> Fill:
        """Return an execution as a fill: an exit when it reduces a trade of ours, else an entry."""
        closed = self._entries.closed_by(one)
        leg = references.leg_of(one.reference)
        closes = closed is not None or leg in (Leg.STOP, Leg.EXIT)
        opened_by = closed.trade_id if closed else references.entry_of(one.reference or "")
        return Fill(
            transaction_id=one.identity,
            trade_id=opened_by or one.market,
            client_order_id=one.reference,
            opened_by=opened_by,
            market=one.market,
            side=one.side,
            quantity=one.quantity,
            price=one.price,
            realised=_realised(one, closed),
            fee=one.fee or _ZERO,
            currency=one.currency,
            closes=closes,
            reason=self._why(one, leg) if closes else None,
            happened_at=one.at,
            revision=one.version,
        )

    def _why(self, one: Execution, leg: Leg | None) -> ExitReason | None:
        if leg is Leg.STOP and one.reference is not None:
            return self._reason(one.reference)
        return None if leg is Leg.EXIT else ExitReason.BROKER

    def _first(self, one: Execution) -> list[Fill]:
        return [] if one.is_bust else [self.fill(one)]

    def _corrected(self, handed: str, one: Execution) -> list[Fill]:
        """Return what makes up for a correction of something handed out.

        An exit is handed out again, as it is now; of an entry, what it lost is an exit and what it gained an entry.
        Of a revision that is no longer known nothing can be said; ``open_trades`` shows the position all the same.
        """
        before = self._book.revised(handed)
        if before is None or before.is_bust:
            return self._first(one)
        old, new = self.fill(before), self.fill(one)
        if old.closes:
            return [new]
        kept = min(before.quantity, one.quantity)
        found: list[Fill] = []
        if before.quantity > kept:
            found.append(
                replace(
                    old,
                    transaction_id=f"{one.exec_id}-reversed",
                    side=old.side.opposite,
                    quantity=before.quantity - kept,
                    fee=_ZERO,
                    closes=True,
                    reason=ExitReason.BROKER,
                )
            )
        if one.quantity > kept:
            found.append(replace(new, transaction_id=one.exec_id, quantity=one.quantity - kept, fee=_ZERO))
        return found

    def wait_s(self, executions: Sequence[Execution]) -> float:
        """Return how long these may still wait for the fees that are missing: 0 once all can be told."""
        now_ns = self._clock.monotonic_ns()
        ends = [self._book.heard_ns(one.exec_id) + self._wait_ns for one in executions if not _has_fee(one)]
        return max([end - now_ns for end in ends], default=0) / 1e9

    def _is_ready(self, one: Execution) -> bool:
        return self.wait_s([one]) <= 0

    def _cursor(self, text: str) -> Cursor:
        """Read a cursor; an execution's id stands for everything up to it, and for midnight when it is forgotten."""
        try:
            return Cursor.parse(text)
        except ValueError:
            pass
        if not _EXECUTION_ID.fullmatch(text):
            raise Refuse("a cursor or an execution id", repr(text), "start from account().cursor")
        known = self._book.all()
        upto = next((number for number, one in enumerate(known) if text in (one.identity, one.exec_id)), None)
        if upto is None:
            return Cursor(datetime(1970, 1, 1, tzinfo=UTC), frozenset())
        before = known[: upto + 1]
        return Cursor(before[0].at, frozenset(one.exec_id for one in before))

    def _advance(self, cursor: Cursor, done: Sequence[Execution], waiting: Sequence[datetime] = ()) -> Cursor:
        """Add what was handed out, and let go of what is so old that nothing can come before it any more.

        What waits for its fee comes yet, however old it is: after an outage the executions of hours are told at once.
        """
        latest = max((one.at for one in done), default=cursor.low)
        low = max(cursor.low, min([latest - LATE, *waiting]))
        known = {one.exec_id: one.at for one in self._book.all()}
        renewed = {one.identity for one in done}
        kept = {one for one in cursor.ids if identity(one) not in renewed and known.get(one, latest) >= low}
        return Cursor(low, frozenset(kept | {one.exec_id for one in done if one.at >= low}))


def _has_fee(one: Execution) -> bool:
    return one.fee is not None or one.is_bust


def _realised(one: Execution, closed: Entered | None) -> Decimal:
    """Return the price difference to the entry it is linked with, times the quantity; the fee is told apart."""
    if closed is None:
        return _ZERO
    return (one.price - closed.price) * one.quantity * closed.side.sign
