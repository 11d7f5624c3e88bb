"""The journals a surface writes, and the fold of everything it knows.

Whatever is appended is folded from the very bytes that were written, so what the process believes while it runs is
what it will believe after a restart.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

from audit.fold import SurfaceFold
from domain.clock import Clock
from domain.corporate import Split
from domain.decision import Decision
from domain.house import House
from domain.ids import new_id
from domain.operation import Cooldown, OperatorAction, StateChange, Suspension
from domain.order import OrderEvent, OrderIntent
from domain.outcome import Outcome
from domain.performance import DayPerformance
from domain.signal import SignalAmend, SignalOpen
from domain.vocabulary import Cause, Kind, Mode, Surface
from journal import Entry, Journal, NewRecord, Tail, decode, encode_fields, read
from risk.breaker import Breaker

if TYPE_CHECKING:
    from journal.keys import Signer


class Books:
    """Writes ``decisions``, ``orders`` and ``signals`` of one surface and follows its ``resolutions``.

    With a ``signer`` it signs what it writes: every line of ``signals``, the checkpoints of all three. ``also`` is
    handed every record the fold takes in, the old ones first.
    """

    def __init__(
        self,
        house: House,
        surface: Surface,
        mode: Mode,
        clock: Clock,
        fold: SurfaceFold,
        signer: "Signer | None" = None,
        also: Callable[[Mapping[str, Any]], None] = lambda record: None,
    ) -> None:
        self.surface = surface
        self.mode = mode
        self.clock = clock
        self.fold = fold
        self._also = also
        self._journals: dict[str, Journal] = {}
        for stream in ("decisions", "orders", "signals"):
            directory = house.log(surface, stream)
            self._journals[stream] = Journal.open(directory, clock=clock, signer=signer, sign_lines=stream == "signals")
            self._replay(read(directory))
        self._resolutions = Tail(house.log(surface, "resolutions"), None)
        self._actions = Tail(house.log("operator", "actions"), None)
        self._orders: deque[Entry] = deque()
        self.follow()

    def __enter__(self) -> "Books":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for journal in self._journals.values():
            journal.close()
        for tail in (self._resolutions, self._actions):
            tail.close()

    def follow(self) -> Sequence[Entry]:
        """Take in what the resolver wrote since the last call and return it."""
        seen: list[Entry] = []
        while batch := self._resolutions.poll():
            self._replay(batch)
            seen.extend(batch)
        self._obey()
        return seen

    def decided(self, decision: Decision) -> None:
        """Write a decision, refused or admitted, with every verdict."""
        self._append("decisions", Kind.DECISION, decision, decision.id)

    def changed(self, change: StateChange) -> None:
        """Write a change of operating state; unchanged states are not written again."""
        if change != self.fold.wish(change.cause):
            self._append("decisions", Kind.STATE, change)

    def day_changed(self, day: Breaker) -> None:
        """Write the trading day's first equity, and later that its breaker tripped."""
        self._append("decisions", Kind.DAY, {**encode_fields(day), "currency": self.fold.bankroll.currency})

    def cooled(self, cooldown: Cooldown) -> None:
        self._append("decisions", Kind.COOLDOWN, cooldown)

    def suspended(self, suspension: Suspension) -> None:
        self._append("decisions", Kind.SUSPENSION, suspension)

    def reconciled(self, findings: dict[str, Any]) -> None:
        self._append("decisions", Kind.RECONCILIATION, findings)

    def split(self, split: Split) -> None:
        """Write that a position's shares were split; what is held and every level of it count anew from here."""
        self._append("decisions", Kind.CORPORATE_ACTION, split)

    def performed(self, day: DayPerformance) -> None:
        """Write what a trading day that has ended left behind."""
        self._append("decisions", Kind.PERFORMANCE, day)

    def ended(self, outcome: Outcome) -> None:
        """Write how a contract ended that was estimated, so that the estimate can be judged."""
        self._append("decisions", Kind.OUTCOME, outcome)

    def intended(self, intent: OrderIntent) -> None:
        """Make an order intent durable; only after this may the socket be written."""
        self._append("orders", Kind.ORDER_INTENT, intent, intent.client_order_id)

    def happened(self, events: Iterable[OrderEvent]) -> None:
        """Write what happened to orders, all in one durable write."""
        records = [self._record(Kind.ORDER_EVENT, event) for event in events]
        if records:
            for receipt in self._journals["orders"].append_many(records):
                self._fold(receipt.raw)

    def published(self, signal: SignalOpen | SignalAmend) -> None:
        self._append("signals", Kind.SIGNAL, signal, signal.id)

    def new_id(self, prefix: str) -> str:
        return new_id(prefix, self.clock.now())

    def now(self) -> datetime:
        return self.clock.now()

    def _obey(self) -> None:
        """Take over what the operator ordered since the last order this surface wrote down as obeyed."""
        while batch := self._actions.poll():
            self._orders.extend(batch)
        while self._orders:
            entry = self._orders[0]
            obeyed = self.fold.wish(Cause.OPERATOR).request or 0
            is_mine = entry.kind == Kind.OPERATOR_ACTION and entry.record["surface"] == self.surface
            if is_mine and entry.seq > obeyed:
                action = decode(entry.record, OperatorAction)
                self.changed(
                    StateChange(state=action.state, reason=action.reason, flatten=action.flatten, request=entry.seq)
                )
            # Only now: an order that found no room in the journal is obeyed when there is some.
            self._orders.popleft()

    def _append(self, stream: str, kind: Kind, value: Any, record_id: str | None = None) -> None:
        fields = self._fields(value)
        receipt = self._journals[stream].append(kind, surface=self.surface, mode=self.mode, id=record_id, fields=fields)
        self._fold(receipt.raw)

    def _record(self, kind: Kind, value: Any) -> NewRecord:
        return NewRecord(kind=kind, surface=self.surface, mode=self.mode, id=None, fields=self._fields(value))

    def _fields(self, value: Any) -> dict[str, Any]:
        # The envelope carries these three for every record; writing them twice would make two truths.
        fields = encode_fields(value)
        return {key: field for key, field in fields.items() if key not in ("id", "surface", "mode")}

    def _fold(self, raw: bytes) -> None:
        self._take(decode(raw, dict))

    def _replay(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._take(entry.record)

    def _take(self, record: Mapping[str, Any]) -> None:
        self.fold.apply(record)
        self._also(record)
