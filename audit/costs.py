"""What estimates cost: a fold over the ``costs`` logs, in which a call is reserved before it is made, settled after."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from domain.vocabulary import Kind

Record = Mapping[str, Any]
UNSETTLED = "unsettled"
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What paid estimates have cost, in USD: reserved ones in full, settled ones as billed; by UTC day and month."""

    day: Decimal = _ZERO
    month: Decimal = _ZERO
    fleet_day: Decimal = _ZERO
    fleet_month: Decimal = _ZERO


NOTHING_SPENT = Spent()


@dataclass(slots=True)
class Call:
    """One call of a model: reserved, and settled once it was answered. Money in USD."""

    reservation: str
    at: datetime
    provider: str
    model: str
    reserved: Decimal
    settled: Decimal | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    outcome: str = UNSETTLED
    mode: str = ""

    @property
    def cost(self) -> Decimal:
        """Return what counts as spent: a call nobody settled may have cost all that was reserved for it."""
        return self.reserved if self.settled is None else self.settled


class CostFold:
    """Everything one surface spent, by UTC day of the reservation; ``latest`` is the last such day."""

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self.latest = date.min
        self._by_day: dict[date, Decimal] = defaultdict(Decimal)

    def apply(self, record: Record) -> None:
        """Take in one record; other kinds are passed over."""
        if record["kind"] == Kind.COST_RESERVED:
            self._reserved(record)
        elif record["kind"] == Kind.COST_SETTLED:
            self._settled(record)

    def day(self, day: date) -> Decimal:
        """Return what was spent on one day."""
        return self._by_day.get(day, _ZERO)

    def month(self, day: date) -> Decimal:
        """Return what was spent in the month of ``day``, up to its end."""
        wanted = (day.year, day.month)
        return sum((cost for at, cost in self._by_day.items() if (at.year, at.month) == wanted), _ZERO)

    def _reserved(self, record: Record) -> None:
        call = Call(
            reservation=record["id"],
            at=datetime.fromisoformat(record["ts"]),
            provider=record["provider"],
            model=record["model"],
            reserved=Decimal(record["amount"]),
            mode=record["mode"],
        )
        self.calls[call.reservation] = call
        self.latest = max(self.latest, call.at.date())
        self._by_day[call.at.date()] += call.reserved

    def _settled(self, record: Record) -> None:
        call = self.calls.get(record["reservation"])
        if call is None or call.settled is not None:
            return
        call.settled = Decimal(record["amount"])
        call.tokens_in, call.tokens_out = record["tokens_in"], record["tokens_out"]
        call.outcome = record["outcome"]
        self._by_day[call.at.date()] += call.settled - call.reserved
