"""The ledger of paid estimates: money is reserved before a call, within the surface's budget and the fleet's."""

import fcntl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any

from audit.costs import CostFold, Spent
from domain.clock import Clock
from domain.house import House
from domain.ids import new_id
from domain.vocabulary import Kind, Mode, Surface
from forecast.budget import BudgetSpent, PaidCall, Usage
from journal import Journal, Tail, decode, read
from risk.limits import Limits

if TYPE_CHECKING:
    from journal.keys import Signer

CURRENCY = "USD"


class CostBook:
    """Writes ``logs/<surface>/costs`` and follows those of the other surfaces; used by several threads at once.

    A reservation is decided and written under a lock all surfaces of the house share, so that together they never
    reserve more than the fleet's budget.
    """

    def __init__(
        self, house: House, surface: Surface, mode: Mode, clock: Clock, limits: Limits, signer: "Signer | None" = None
    ) -> None:
        self._surface = surface
        self._mode = mode
        self._clock = clock
        self._limits = limits
        self._lock = threading.Lock()
        self._shared = house.run / "costs.lock"
        self._fold = CostFold()
        directory = house.log(surface, "costs")
        self._journal = Journal.open(directory, clock=clock, signer=signer)
        for entry in read(directory):
            self._fold.apply(entry.record)
        others = [other for other in Surface if other is not surface]
        self._others = {other: (Tail(house.log(other, "costs"), None), CostFold()) for other in others}

    def __enter__(self) -> "CostBook":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._journal.close()
            for tail, _ in self._others.values():
                tail.close()

    def spent(self) -> Spent:
        """Return what this surface and all of them together have spent this UTC day and month."""
        with self._lock:
            self._follow()
            return self._spent()

    def reserve(self, call: PaidCall) -> str:
        """Set money aside for one call and return the reservation's id; durable before it returns.

        Raises:
            BudgetSpent: it does not fit into a budget; nothing was reserved.
            Retry: the journal has no room, so the call may not be made.
        """
        with self._lock, self._alone():
            self._follow()
            self._require_room(call.worst_usd)
            fields = {
                "provider": call.provider,
                "model": call.model,
                "question": call.question,
                "amount": str(call.worst_usd),
                "currency": CURRENCY,
            }
            reservation = new_id("cst", self._clock.now())
            self._append(Kind.COST_RESERVED, reservation, fields)
            return reservation

    def settle(self, reservation_id: str, usage: Usage, cost_usd: Decimal, outcome: str) -> None:
        """Write what a reserved call really cost and what came of it."""
        call = self._fold.calls[reservation_id]
        fields = {
            "reservation": reservation_id,
            "provider": call.provider,
            "model": call.model,
            "amount": str(cost_usd),
            "currency": CURRENCY,
            "tokens_in": usage.tokens_in,
            "tokens_out": usage.tokens_out,
            "outcome": outcome,
        }
        with self._lock:
            self._append(Kind.COST_SETTLED, None, fields)

    def _require_room(self, worst: Decimal) -> None:
        spent, limits = self._spent(), self._limits
        for what, used, budget in (
            ("day", spent.day, limits.cost_day_usd),
            ("month", spent.month, limits.cost_month_usd),
            ("day of the fleet", spent.fleet_day, limits.fleet_cost_day_usd),
            ("month of the fleet", spent.fleet_month, limits.fleet_cost_month_usd),
        ):
            if used + worst > budget:
                raise BudgetSpent(
                    f"room for {worst} USD in the budget of the {what}, {budget} USD",
                    f"{used} USD spent",
                    "raise the budget, or wait for the next one",
                )

    def _spent(self) -> Spent:
        others = [fold for _, fold in self._others.values()]
        # A journal's time never steps back: after a clock that did, what is reserved counts for the day it is stamped.
        today = max([self._clock.now().date(), self._fold.latest, *(fold.latest for fold in others)])
        day, month = self._fold.day(today), self._fold.month(today)
        return Spent(
            day=day,
            month=month,
            fleet_day=day + sum((fold.day(today) for fold in others), Decimal(0)),
            fleet_month=month + sum((fold.month(today) for fold in others), Decimal(0)),
        )

    def _follow(self) -> None:
        for tail, fold in self._others.values():
            while batch := tail.poll():
                for entry in batch:
                    fold.apply(entry.record)

    def _append(self, kind: Kind, record_id: str | None, fields: Mapping[str, Any]) -> None:
        receipt = self._journal.append(kind, surface=self._surface, mode=self._mode, id=record_id, fields=fields)
        self._fold.apply(decode(receipt.raw, dict))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._shared.parent.mkdir(parents=True, exist_ok=True)
        with self._shared.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # given back when the file is closed, also by a crash
            yield
