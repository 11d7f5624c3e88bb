"""The state of one surface as the fold of its own journals.

Surface and resolver run the same fold over the same records, live and after a restart, so both always agree on what
is open, pending, cooling down or suspended. Records of the four logs may arrive in any interleaving that keeps each
log's own order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.corporate import Split, rescale_decision, rescale_lot
from domain.decision import Decision
from domain.ledger.bankroll import Bankroll
from domain.ledger.position import Lot, Position
from domain.operation import START, Cooldown, StateChange, Suspension, effective
from domain.order import TERMINAL, OrderEvent, OrderIntent, may_follow
from domain.performance import DayPerformance
from domain.resolution import Resolution
from domain.signal import SignalClose, SignalOpen
from domain.vocabulary import Action, Cause, Kind, Leg, Mode, OrderState, Side, State
from journal import decode
from risk import breaker
from risk.breaker import Breaker

Record = Mapping[str, Any]
BREAKER = StateChange(state=State.REDUCE, reason="daily loss", cause=Cause.BREAKER)
OF_ONE_MODE = frozenset(
    {Kind.DECISION, Kind.DAY, Kind.RECONCILIATION, Kind.ORDER_INTENT, Kind.ORDER_EVENT, Kind.SIGNAL, Kind.RESOLUTION}
) | {Kind.CORPORATE_ACTION, Kind.PERFORMANCE}


class SurfaceFold:
    """Everything a surface must know about its own past.

    Args:
        initial: the bankroll set aside, in ``currency``.
        mode: trades of other modes are passed over: a practice position is none of a real account, and a dry run's
            profit is nobody's money. Orders to stand still count whatever the mode. None takes in all.
    """

    def __init__(self, initial: Decimal, currency: str, mode: Mode | None = None) -> None:
        self._mode = mode
        self.bankroll = Bankroll(initial, currency)
        self.wishes: dict[Cause, StateChange] = {}
        self.day: Breaker | None = None
        self.told: DayPerformance | None = None  # the last trading day whose end was written
        self.account_id: str | None = None
        self.cooldowns: dict[str, Cooldown] = {}
        self.cooled_signals: set[str] = set()
        self.suspensions: dict[str, Suspension] = {}
        self.recent: dict[tuple[str, Side, str], datetime] = {}
        self.decisions: dict[str, Decision] = {}
        self.intents: dict[str, OrderIntent] = {}
        self.intended_at: dict[str, datetime] = {}
        self.events: dict[str, list[OrderEvent]] = {}
        self._orders_of: dict[str, list[str]] = {}
        self._positions: dict[str, Position | None] = {}
        self._unfinished: dict[str, None] = {}
        self.published: dict[str, SignalOpen] = {}
        self.closed: dict[str, SignalClose] = {}
        self.resolutions: dict[str, Resolution] = {}
        self.provisional: dict[str, tuple[Resolution, ...]] = {}
        self.splits: dict[str, list[Split]] = {}
        self._handlers: dict[str, Callable[[Record], None]] = {
            Kind.DECISION: self._decision,
            Kind.STATE: self._state,
            Kind.DAY: self._day,
            Kind.PERFORMANCE: self._performance,
            Kind.RECONCILIATION: self._reconciliation,
            Kind.COOLDOWN: self._cooldown,
            Kind.SUSPENSION: self._suspension,
            Kind.ORDER_INTENT: self._intent,
            Kind.ORDER_EVENT: self._event,
            Kind.SIGNAL: self._signal,
            Kind.RESOLUTION: self._resolution,
            Kind.CORPORATE_ACTION: self._corporate_action,
        }

    def apply(self, record: Record) -> None:
        """Take in one journal record; kinds that say nothing about state are passed over."""
        handler = self._handlers.get(record["kind"])
        if handler is not None and not self._is_foreign(record):
            handler(record)

    def _is_foreign(self, record: Record) -> bool:
        return self._mode not in (None, record["mode"]) and record["kind"] in OF_ONE_MODE

    @property
    def state(self) -> StateChange:
        """Return the state that rules: the tightest of what operator, breaker and reconciliation want."""
        return effective([*self.wishes.values(), self.wish(Cause.BREAKER)])

    def wish(self, cause: Cause) -> StateChange:
        """Return what one cause wants, RUN when it wants nothing. The breaker wants it for its trading day."""
        if cause is Cause.BREAKER:
            return BREAKER if self.day is not None and self.day.tripped else START
        return self.wishes.get(cause, START)

    def positions(self) -> list[Position]:
        """Return what is open now, oldest first."""
        found = (self.position(signal_id) for signal_id in self.decisions)
        return [position for position in found if position is not None and position.quantity > 0]

    def position(self, signal_id: str) -> Position | None:
        """Return the position a signal opened, with its exits, or None while nothing has filled."""
        if signal_id not in self._positions:
            self._positions[signal_id] = self._position(signal_id)
        return self._positions[signal_id]

    def _position(self, signal_id: str) -> Position | None:
        decision = self.decisions.get(signal_id)
        entries = self._fills(signal_id, Leg.ENTRY)
        if decision is None or not entries:
            return None
        position = Position(
            signal_id=signal_id,
            decision=decision,
            broker_trade_id=next((event.broker_trade_id for event in entries if event.broker_trade_id), None),
            entries=tuple(self._lot(signal_id, event) for event in entries),
        )
        for event in self._fills(signal_id, Leg.EXIT):
            lot = self._lot(signal_id, event)
            # A broker may take back a part of an entry after its sale; a fold that fails on it lets no process begin.
            position = position.with_exit(replace(lot, quantity=min(lot.quantity, position.quantity)))
        return position

    def order_state(self, client_order_id: str) -> OrderState:
        """Return the state of an order; INTENDED when nothing was heard of it after its intent."""
        events = self.events.get(client_order_id)
        return events[-1].state if events else OrderState.INTENDED

    def unfinished(self, leg: Leg) -> list[OrderIntent]:
        """Return the orders of one leg whose last known state is not final, oldest first.

        Entries are the surface's to follow up and exits the resolver's: each order has one process that writes of it.
        """
        return [intent for key in self._unfinished if (intent := self.intents[key]).leg is leg]

    def unresolved(self) -> list[Position]:
        """Return positions that were closed in full but whose resolution was never written."""
        found = (self.position(signal_id) for signal_id in self.decisions)
        return [position for position in found if position is not None and position.quantity == 0]

    def unpublished(self) -> list[Position]:
        """Return open positions whose signal never reached the journal: a crash between fill and publication."""
        return [position for position in self.positions() if position.signal_id not in self.published]

    def unclosed(self) -> list[Resolution]:
        """Return how published signals ended that no close was written for: opened and resolved at the same moment."""
        missing = self.published.keys() & self.resolutions.keys() - self.closed.keys()
        return [self.resolutions[signal_id] for signal_id in sorted(missing)]

    def attempts(self, signal_id: str, leg: Leg) -> int:
        """Return how many orders were intended for this leg."""
        return sum(self.intents[key].leg is leg for key in self._orders_of.get(signal_id, ()) if key in self.intents)

    def exit_events(self, signal_id: str) -> list[OrderEvent]:
        """Return the executions that closed what a signal opened, oldest first."""
        return self._fills(signal_id, Leg.EXIT)

    def _fills(self, signal_id: str, leg: Leg) -> list[OrderEvent]:
        return [
            event
            for key in self._orders_of.get(signal_id, ())
            for event in self.events.get(key, ())
            if event.leg is leg and event.quantity > 0
        ]

    def _lot(self, signal_id: str, event: OrderEvent) -> Lot:
        return rescale_lot(lot_of(event), self.splits.get(signal_id, ()))

    def is_news(self, event: OrderEvent) -> bool:
        """Tell whether an order event says anything that the journal does not: a new execution or another state."""
        known = self.events.get(event.client_order_id, [])
        before = known[-1].state if known else OrderState.INTENDED
        if event.transaction_id is None:
            # A broker that no longer lists an order that filled says that there is none.
            return event.state is not before and before is not OrderState.FILLED
        if all(event.transaction_id != old.transaction_id for old in known) or _revised(known, event) is not None:
            return True
        return before is not event.state and before not in TERMINAL and may_follow(before, event.state)

    def _decision(self, record: Record) -> None:
        if not record["admitted"]:
            return
        decision = decode(record, Decision)
        if decision.signal_id is None:
            raise ValueError(f"admitted decision {decision.id} names no signal")
        if decision.signal_id not in self.resolutions:
            self.decisions[decision.signal_id] = decision
            self._positions.pop(decision.signal_id, None)
        self.recent[decision.candidate.key] = decision.candidate.found_at

    def _state(self, record: Record) -> None:
        change = decode(record, StateChange)
        self.wishes[change.cause] = change

    def _day(self, record: Record) -> None:
        self.day = breaker.fold([decode(record, Breaker)], self.day)

    def _performance(self, record: Record) -> None:
        told = decode(record, DayPerformance)
        if self.told is None or told.day >= self.told.day:
            self.told = told

    def _reconciliation(self, record: Record) -> None:
        self.account_id = record["account_id"]

    def _cooldown(self, record: Record) -> None:
        cooldown = decode(record, Cooldown)
        known = self.cooldowns.get(cooldown.market)
        if known is None or cooldown.until > known.until:
            self.cooldowns[cooldown.market] = cooldown
        self.cooled_signals.add(cooldown.signal_id)

    def _suspension(self, record: Record) -> None:
        suspension = decode(record, Suspension)
        self.suspensions[suspension.name] = suspension

    def _intent(self, record: Record) -> None:
        intent = decode(record, OrderIntent)
        self.intents[intent.client_order_id] = intent
        self._belongs(intent.signal_id, intent.client_order_id)
        self.intended_at[intent.client_order_id] = datetime.fromisoformat(record["ts"])
        self._note_state(intent.client_order_id)

    def _event(self, record: Record) -> None:
        event = decode(record, OrderEvent)
        self._belongs(event.signal_id, event.client_order_id)
        known = self.events.setdefault(event.client_order_id, [])
        # A broker may report the same execution twice (reply and transaction stream): the transaction id decides, and
        # a repeated report never takes an order back, least of all from a final state. A correction takes the place of
        # what it corrects.
        if (corrected := _revised(known, event)) is not None:
            known[corrected] = replace(event, state=known[corrected].state)
        if event.transaction_id is None or all(event.transaction_id != old.transaction_id for old in known):
            known.append(event)
        elif known[-1].state not in TERMINAL and may_follow(known[-1].state, event.state):
            known.append(replace(event, quantity=Decimal(0)))
        self._note_state(event.client_order_id)
        self._positions.pop(event.signal_id, None)

    def _note_state(self, key: str) -> None:
        """Keep the few unfinished orders apart, so that a turn need not walk all orders ever made."""
        if key not in self.intents:
            return
        if self.order_state(key) in TERMINAL:
            self._unfinished.pop(key, None)
        else:
            self._unfinished.setdefault(key)

    def _signal(self, record: Record) -> None:
        if record["action"] == Action.OPEN:
            self.published[record["signal_id"]] = decode(record, SignalOpen)
        elif record["action"] == Action.CLOSE:
            self.closed[record["signal_id"]] = decode(record, SignalClose)

    def _resolution(self, record: Record) -> None:
        resolution = decode(record, Resolution)
        if resolution.provisional:
            # Seen before the venue named its result: the position is still open, and nobody was paid.
            earlier = self.provisional.get(resolution.signal_id, ())
            self.provisional[resolution.signal_id] = (*earlier, resolution)
        elif resolution.signal_id not in self.resolutions:
            self.resolutions[resolution.signal_id] = resolution
            self.bankroll.book(resolution.resolved_at, resolution.realised)
            self.decisions.pop(resolution.signal_id, None)
            self._positions.pop(resolution.signal_id, None)

    def _corporate_action(self, record: Record) -> None:
        split = decode(record, Split)
        self.splits.setdefault(split.signal_id, []).append(split)
        if split.signal_id in self.decisions:
            self.decisions[split.signal_id] = rescale_decision(self.decisions[split.signal_id], split)
        self._positions.pop(split.signal_id, None)

    def _belongs(self, signal_id: str, client_order_id: str) -> None:
        keys = self._orders_of.setdefault(signal_id, [])
        if client_order_id not in keys:
            keys.append(client_order_id)


def _revised(known: Sequence[OrderEvent], event: OrderEvent) -> int | None:
    """Return where the execution stands that ``event`` corrects, None when it corrects none."""
    same = [number for number, old in enumerate(known) if old.transaction_id == event.transaction_id]
    if event.transaction_id is None or any(known[number].revision >= event.revision for number in same):
        return None
    return same[0] if same else None


def lot_of(event: OrderEvent) -> Lot:
    """Return the fill an order event reports.

    Raises:
        ValueError: the event fills something but names no price.
    """
    if event.price is None:
        raise ValueError(f"fill {event.transaction_id} of {event.client_order_id} has no price")
    return Lot(
        transaction_id=event.transaction_id or event.client_order_id,
        quantity=event.quantity,
        price=event.price,
        at=event.happened_at,
        realised=event.realised,
        fee=event.fee,
        revision=event.revision,
    )
