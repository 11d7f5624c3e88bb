"""Executions as IBKR tells them, kept in a book: each once, whatever order they come in, corrections included."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from threading import RLock

from domain.vocabulary import Side

_CORRECTABLE = re.compile(r"(?P<identity>.+)\.(?P<revision>\d{2})")


def identity(exec_id: str) -> str:
    """Return what an execution and its corrections share: ``…01.01`` and ``…01.02`` are one execution."""
    found = _CORRECTABLE.fullmatch(exec_id)
    return found["identity"] if found else exec_id


def revision(exec_id: str) -> int:
    found = _CORRECTABLE.fullmatch(exec_id)
    return int(found["revision"]) if found else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One execution, in its latest revision. ``reference`` is our client order id, None when somebody else traded.

    ``broker_order_id`` is IBKR's permanent id of the order. One that was busted has a quantity of zero. ``fee`` is None
    until IBKR has told it, and ``has_own_fee`` False as long as it is that of what this revision corrects.
    """

    exec_id: str
    reference: str | None
    broker_order_id: str
    account: str
    market: str
    side: Side
    quantity: Decimal
    price: Decimal
    at: datetime
    fee: Decimal | None = None
    has_own_fee: bool = False
    currency: str = "USD"

    @property
    def identity(self) -> str:
        return identity(self.exec_id)

    @property
    def revision(self) -> int:
        return revision(self.exec_id)

    @property
    def version(self) -> int:
        """Return a number that grows with every correction, and once more when its fee is known.

        0 is the first revision with its fee, and -1 the same without: IBKR counts revisions from 1.
        """
        return 2 * max(self.revision - 1, 0) - (0 if self.has_own_fee or self.is_bust else 1)

    @property
    def is_bust(self) -> bool:
        return self.quantity == 0


class ExecutionBook:
    """Every execution heard of, by identity.

    Charges may come before their execution, and a correction may come before what it corrects. May be used from any
    thread: the portal's stream tells executions in one of its own.
    """

    def __init__(self) -> None:
        self._revisions: dict[str, dict[int, Execution]] = {}
        self._fees: dict[str, tuple[Decimal, str]] = {}
        self._heard_ns: dict[str, int] = {}
        self._sorted: list[Execution] | None = None
        self._by_reference: dict[str, list[Execution]] = {}
        self._lock = RLock()

    def add(self, execution: Execution, heard_ns: int = 0) -> bool:
        """Take an execution in; tell whether it was news. ``heard_ns`` is our monotonic time."""
        with self._lock:
            known = self._revisions.setdefault(execution.identity, {})
            self._heard_ns.setdefault(execution.exec_id, heard_ns)
            if execution.revision in known:
                return False
            known[execution.revision] = execution
            self._sorted = None
            return True

    def charge(self, exec_id: str, fee: Decimal, currency: str) -> bool:
        """Take in what an execution cost; tell whether it was news."""
        with self._lock:
            is_news = self._fees.get(exec_id) != (fee, currency)
            self._fees[exec_id] = fee, currency
            if is_news:
                self._sorted = None
            return is_news

    def get(self, identity_: str) -> Execution | None:
        """Return an execution in its latest revision, with its fee where it is known."""
        with self._lock:
            known = self._revisions.get(identity_)
            return self._priced(known[max(known)]) if known else None

    def revised(self, exec_id: str) -> Execution | None:
        """Return an execution in the very revision that ``exec_id`` names."""
        with self._lock:
            found = self._revisions.get(identity(exec_id), {}).get(revision(exec_id))
            return self._priced(found) if found else None

    def all(self) -> list[Execution]:
        """Return every execution in its latest revision, oldest first; busted ones too."""
        with self._lock:
            if self._sorted is None:
                latest = [self._priced(known[max(known)]) for known in self._revisions.values()]
                self._sorted = sorted(latest, key=lambda one: (one.at, one.exec_id))
                self._by_reference = {}
                for one in self._sorted:
                    self._by_reference.setdefault(one.reference or "", []).append(one)
            return list(self._sorted)

    def of_order(self, reference: str) -> list[Execution]:
        """Return the executions of one order by our id, oldest first, without busted ones."""
        with self._lock:
            self.all()
            return [one for one in self._by_reference.get(reference, ()) if not one.is_bust]

    def ever_filled(self, reference: str) -> Decimal:
        """Return how much of an order filled, corrections that took something back left out."""
        with self._lock:
            found = [known.values() for known in self._revisions.values()]
            mine = [rows for rows in found if any(one.reference == reference for one in rows)]
            return sum((max(one.quantity for one in rows) for rows in mine), Decimal(0))

    def heard_ns(self, exec_id: str) -> int:
        """Return when this revision was first heard of, on our monotonic clock."""
        with self._lock:
            return self._heard_ns.get(exec_id, 0)

    def forget_before(self, moment: datetime) -> None:
        """Drop what happened before ``moment``."""
        with self._lock:
            old = [key for key, known in self._revisions.items() if known[max(known)].at < moment.astimezone(UTC)]
            self._sorted = None
            for key in old:
                for number in self._revisions.pop(key):
                    self._heard_ns.pop(f"{key}.{number:02d}", None)
                    self._fees.pop(f"{key}.{number:02d}", None)

    def _priced(self, execution: Execution) -> Execution:
        """Add the fee: its own, or while a correction has none that of what it corrects."""
        for number in sorted(self._revisions[execution.identity], reverse=True):
            charge = self._fees.get(self._revisions[execution.identity][number].exec_id)
            if charge is not None:
                is_own = number == execution.revision
                return replace(execution, fee=charge[0], currency=charge[1], has_own_fee=is_own)
        return execution
