"""Facts to be spoilt one value at a time, and a tiny pure broker with one symbol to carry the machine's actions out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.quotes import Quote
from domain.vocabulary import OrderState
from strategies.stop_entry.actions import (
    Action,
    ArmEntry,
    CancelEntry,
    CancelStop,
    Escalate,
    Freeze,
    PlaceStop,
    ResizeStop,
    Wait,
    WaitReason,
)
from strategies.stop_entry.facts import EntryOrder, Facts, LiveStop, Phase, Session
from strategies.stop_entry.machine import Step, step
from strategies.stop_entry.params import StopEntryParams

D = Decimal
TICK = D("0.01")
NOW = datetime(2014, 5, 6, 15, 0, tzinfo=UTC)
CLOSE = datetime(2014, 5, 6, 20, 0, tzinfo=UTC)
DAY = Session(name="2014-05-06", phase=Phase.REGULAR, ends_at=CLOSE)
PARAMS = StopEntryParams()
SIZE = D(10)
NOTHING, HUNDRED = D(0), D(100)


def quote(last: Decimal | None, now: datetime = NOW, **changes: Any) -> Quote:
    price = last if last is not None and last.is_finite() and last > TICK else D(100)
    values = {"market": "TSLA", "bid": price - TICK, "ask": price + TICK, "at": now, "received_at": now}
    return Quote(**{**values, "tradeable": True, "last": last, **changes})


def facts(**changes: Any) -> Facts:
    """Return the facts of a quiet symbol at 100 dollars in the middle of a session, changed."""
    last = changes.pop("last", D(100))
    now = changes.get("now", NOW)
    values: dict[str, Any] = {"symbol": "TSLA", "now": now, "tick": TICK, "session": DAY, "position": D(0)}
    return Facts(**{**values, "quote": quote(last, now), "reference": D(100), **changes})


def entry(**changes: Any) -> EntryOrder:
    values = {
        "order_id": "entry-1",
        "state": OrderState.ACCEPTED,
        "session": DAY.name,
        "trigger": D(105),
        "quantity": SIZE,
        "armed_at": NOW,
        "changed_at": NOW,
    }
    return EntryOrder(**{**values, **changes})


def stop(**changes: Any) -> LiveStop:
    values: dict[str, Any] = {"order_id": "stop-1", "quantity": SIZE, "percent": D(10), "level": D(90)}
    return LiveStop(**{**values, **changes})


def held(quantity: Decimal | int = SIZE, **changes: Any) -> Facts:
    """Return the facts of a position that one stop protects, changed."""
    values: dict[str, Any] = {"held": D(quantity), "position": D(quantity), "stops": (stop(quantity=D(quantity)),)}
    filled = entry(state=OrderState.FILLED, filled=D(quantity), quantity=D(quantity))
    return facts(**{**values, "entry": filled, **changes})


def asked(given: Facts, params: StopEntryParams = PARAMS) -> tuple[Action, ...]:
    """Return what the machine asks for beside waiting."""
    return step(given, params).orders


COOLING: Mapping[str, Any] = {"cooldown_until": NOW + timedelta(minutes=5)}
PENDING: Mapping[str, Any] = {"entry": entry(), "stops": (stop(attached=True, level=None),)}
PARTLY: Mapping[str, Any] = {
    "entry": entry(state=OrderState.PARTIAL, filled=D(4)),
    "held": D(4),
    "position": D(4),
    "stops": (stop(attached=True),),
}
ASKED_NOW = NOW - timedelta(seconds=1)


def waits(given: Facts) -> set[WaitReason]:
    return {action.reason for action in step(given, PARAMS).actions if isinstance(action, Wait)}


@dataclass(frozen=True)
class _Executed:
    """What was known of executions when they stopped coming, and the stops that have sold out since."""

    held: Decimal
    entry: EntryOrder | None
    executed_at: datetime | None
    sold_out: tuple[LiveStop, ...] = ()


@dataclass
class ModelBroker:
    """One symbol, one account. ``is_mute`` leaves every request without an answer until ``answer`` is called.

    ``events`` counts what has happened, so that a test can tell that it happened at all.
    """

    params: StopEntryParams = PARAMS
    now: datetime = NOW
    last: Decimal = HUNDRED
    session: Session = DAY
    link_usable: bool = True
    may_open: bool = True
    is_mute: bool = False
    frozen: bool = False
    entry: EntryOrder | None = None
    stops: dict[str, LiveStop] = field(default_factory=dict)
    held: Decimal = NOTHING
    position: Decimal = NOTHING
    cooldown_until: datetime | None = None
    executed_at: datetime | None = None
    exiting: bool = False
    reference: Decimal = HUNDRED
    refuses_stops: bool = False
    stop_refusals: int = 0
    stop_refused_at: datetime | None = None
    events: dict[str, int] = field(default_factory=dict)
    _number: int = 0
    _reported: Decimal | None = None
    _executed: "_Executed | None" = None

    def facts(self) -> Facts:
        """Return what a process that has just started would read."""
        late = self._executed
        executed_at = self.executed_at if late is None else late.executed_at
        settled = executed_at is None or self.now - executed_at >= timedelta(seconds=self.params.settle_s)
        return facts(
            last=self.last,
            now=self.now,
            session=self.session,
            link_usable=self.link_usable,
            may_open=self.may_open,
            entry=self._known_entry(),
            held=self.held if late is None else late.held,
            position=self.position if self._reported is None else self._reported,
            settled=settled,
            stops=(*self.stops.values(), *(() if late is None else late.sold_out)),
            cooldown_until=self.cooldown_until if late is None or late.held == 0 else None,
            stop_refusals=self.stop_refusals,
            stop_refused_at=self.stop_refused_at,
            exiting=self.exiting,
            frozen=self.frozen,
            reference=self.reference,
        )

    def obey(self) -> Step:
        """Let the machine look once and carry out what it asks for."""
        seen = step(self.facts(), self.params)
        for action in seen.orders:
            self.carry_out(action)
        return seen

    def carry_out(self, action: Action) -> None:
        self.count(type(action).__name__)
        match action:
            case ArmEntry():
                self._arm(action)
            case CancelEntry():
                self._cancel_entry(action)
            case PlaceStop():
                self._add_stop(action.quantity, action.percent, attached=False)
            case ResizeStop() if self.is_mute:
                resized = {"resizing_to": action.quantity, "resize_asked_at": self.now}
                self._change(action.order_id, **resized)
            case ResizeStop():
                self._change(action.order_id, quantity=action.quantity, resizing_to=None)
            case CancelStop() if self.is_mute:
                self._change(action.order_id, cancel_asked_at=self.now)
            case CancelStop():
                del self.stops[action.order_id]
            case Escalate():
                self.exiting = True
                if not self.is_mute:
                    self._leave()
            case Freeze():
                self.frozen = True

    def answer(self) -> None:
        """Answer everything that was asked meanwhile."""
        self.is_mute = False
        if self.entry is not None and self.entry.is_live:
            state = OrderState.PARTIAL if self.entry.filled else OrderState.ACCEPTED
            self.entry = replace(self.entry, state=state)
            if self.entry.cancel_asked_at is not None:
                self._end_entry()
        for stop_id, one in list(self.stops.items()):
            quantity = one.quantity if one.resizing_to is None else one.resizing_to
            self.stops[stop_id] = replace(one, state=OrderState.ACCEPTED, quantity=quantity, resizing_to=None)
            if one.cancel_asked_at is not None:
                del self.stops[stop_id]
        if self.exiting:
            self._leave()

    def move(self, last: Decimal, *, available: Decimal = SIZE) -> None:
        """Let the market trade at ``last``: entries fill as far as shares are on offer, stops trail and sell."""
        self.last = last
        live = self.entry
        if live is not None and live.is_live and last >= live.trigger and live.state is not OrderState.INTENDED:
            self._fill(live, min(available, live.quantity - live.filled))
        for stop_id, one in list(self.stops.items()):
            percent = one.percent or D(10)
            level = max(one.level or D(0), last * (1 - percent / 100)) if self.position > 0 else one.level
            self.stops[stop_id] = replace(one, level=level)
            if self.position > 0 and level is not None and last <= level:
                self._sell(stop_id, min(one.quantity, self.position))

    def duplicate(self) -> None:
        """Let a second stop appear, as after a reconnect that lost the first from sight."""
        if self.held > 0:
            self._add_stop(self.position, D(10), attached=False)

    def lose_stop(self) -> None:
        """Let the broker cancel a stop by itself."""
        if self.stops:
            self.stops.popitem()

    def positions_lag(self) -> None:
        """Report the position as it is now, whatever executes from here on."""
        if self.facts().settled and self._executed is None:
            self._reported = self.position

    def executions_lag(self) -> None:
        """Send no execution from here on: only orders and positions are seen to change."""
        if self._reported is None and self.facts().settled:
            self._executed = _Executed(self.held, self.entry, self.executed_at)

    @property
    def is_lagging(self) -> bool:
        return self._reported is not None or self._executed is not None

    def catch_up(self) -> None:
        self._reported, self._executed = None, None

    def _known_entry(self) -> EntryOrder | None:
        """Return the entry as far as executions tell: done by its status, it may still be filled."""
        late, one = self._executed, self.entry
        if late is None or one is None:
            return one
        filled = D(0) if late.entry is None or late.entry.order_id != one.order_id else late.entry.filled
        if one.filled == filled:
            return one
        is_done = one.state in (OrderState.FILLED, OrderState.CANCELLED)
        state = OrderState.CANCELLED if is_done else one.state
        return replace(one, filled=filled, state=state, provisional=is_done)

    def split(self, ratio: int) -> None:
        """Multiply the shares; stops stay where they were, on the old scale. Only while nothing else happens."""
        busy = self.entry is not None and self.entry.is_live
        if self.position > 0 and not busy and not self.frozen and self.facts().settled:
            self.position *= ratio
            self.last /= ratio
            self.reference /= ratio
            self.count("split")

    def explain(self) -> None:
        """Let a person confirm the split: our journals count in new shares from now on."""
        if self.frozen:
            self.held, self.frozen = self.position, False

    def wait(self, seconds: float) -> None:
        """Let time pass; nothing lags for longer than an execution takes to settle."""
        self.now += timedelta(seconds=seconds)
        if seconds >= self.params.settle_s:
            self.catch_up()

    def next_session(self) -> None:
        """Let the night pass; orders for the day end with it."""
        if self.entry is not None and self.entry.is_live:
            self._end_entry()
        self.catch_up()
        self.now = (self.now + timedelta(days=1)).replace(hour=14, minute=0)
        name, ends = self.now.date().isoformat(), self.now.replace(hour=20, minute=0)
        self.session = Session(name=name, phase=Phase.REGULAR, ends_at=ends)
        self.reference = self.last

    def count(self, event: str) -> None:
        self.events[event] = self.events.get(event, 0) + 1

    def _arm(self, action: ArmEntry) -> None:
        assert self.entry is None or not self.entry.is_live, "a second entry was armed"
        assert self.held == 0, "an entry was armed on top of a position"
        assert not self.stops, "an entry was armed while a stop still rests"
        self._number += 1
        state = OrderState.UNKNOWN if self.is_mute else OrderState.ACCEPTED
        self.entry = EntryOrder(
            order_id=f"entry-{self._number}",
            state=state,
            session=action.session,
            trigger=action.trigger,
            quantity=SIZE,
            armed_at=self.now,
            changed_at=self.now,
        )
        self._add_stop(SIZE, action.trail_percent, attached=True)

    def _add_stop(self, quantity: Decimal, percent: Decimal, *, attached: bool) -> None:
        assert quantity > 0, "a stop for nothing was placed"
        self._number += 1
        if self.refuses_stops and not attached:
            self.stop_refusals, self.stop_refused_at = self.stop_refusals + 1, self.now
            self.count("refused stop")
            return
        self.stop_refusals = 0
        state = OrderState.UNKNOWN if self.is_mute else OrderState.ACCEPTED
        level = None if attached else self.last * (1 - percent / 100)
        name = f"stop-{self._number:04}"
        self.stops[name] = LiveStop(
            order_id=name, quantity=quantity, state=state, percent=percent, level=level, attached=attached
        )

    def _cancel_entry(self, action: CancelEntry) -> None:
        assert self.entry is not None
        assert self.entry.order_id == action.order_id
        self.entry = replace(self.entry, cancel_asked_at=self.now)
        if not self.is_mute:
            self._end_entry()

    def _end_entry(self) -> None:
        """Cancel the entry; its child goes with it, but one that is active stays as large as it was sent."""
        assert self.entry is not None
        self.entry = replace(self.entry, state=OrderState.CANCELLED, changed_at=self.now)
        if self.entry.filled == 0:
            self.stops = {key: one for key, one in self.stops.items() if not one.attached}

    def _fill(self, live: EntryOrder, quantity: Decimal) -> None:
        filled = live.filled + quantity
        state = OrderState.FILLED if filled == live.quantity else OrderState.PARTIAL
        self.entry = replace(live, filled=filled, state=state, changed_at=self.now)
        self.held += quantity
        self.position += quantity
        self.executed_at = self.now
        self.count("partial fill" if state is OrderState.PARTIAL else "fill")

    def _sell(self, stop_id: str, quantity: Decimal) -> None:
        one = self.stops[stop_id]
        assert quantity <= self.position, "more was sold than was there"
        self._gone(quantity)
        self.count("stop-out")
        if one.quantity == quantity:
            del self.stops[stop_id]
            if self._executed is not None:
                gone = replace(one, state=OrderState.UNKNOWN)
                self._executed = replace(self._executed, sold_out=(*self._executed.sold_out, gone))
        else:
            self.stops[stop_id] = replace(one, quantity=one.quantity - quantity)

    def _leave(self) -> None:
        """Sell everything at market; the exit takes the stops of its group back."""
        self._gone(self.position)
        self.stops, self.exiting = {}, False

    def _gone(self, quantity: Decimal) -> None:
        self.position -= quantity
        self.held = max(self.held - quantity, D(0)) if not self.frozen else self.held
        self.executed_at = self.now
        if self.position == 0:
            self.held = D(0)
            self.cooldown_until = self.now + timedelta(minutes=float(self.params.cooldown_min))

    def _change(self, stop_id: str, **changes: Any) -> None:
        self.stops[stop_id] = replace(self.stops[stop_id], **changes)
