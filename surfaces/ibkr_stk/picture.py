"""What is known of each symbol at one moment, put together from the journals and from the broker."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from brokers.port import BrokerTrade, RestingExecutor, RestingOrder
from domain.errors import Ask, Retry
from domain.ids import client_order_id, signal_of_order
from domain.ledger.position import Position
from domain.order import TERMINAL, OrderIntent
from domain.quotes import Instrument, Quote
from domain.vocabulary import Leg, Link, OrderState, Side
from market.calendar import Calendar
from risk.gates.category import market_name
from strategies.stop_entry.facts import EntryOrder, Facts, LiveStop, Phase, Session
from surfaces.books import Books
from surfaces.ibkr_stk.ledger import OrderLedger

ATTACHED = 1
NOTHING = Decimal(0)
# What an order can have come to that will neither sell nor has sold anything.
GONE = frozenset({OrderState.CANCELLED, OrderState.REJECTED, OrderState.ABSENT})


@dataclass(slots=True)
class Asked:
    """What was asked of the broker in this life of the process; asking once more after a restart does no harm.

    ``cancels`` is order id -> when its cancel was asked for, ``sizes`` the quantity a stop was asked to take and when,
    ``done`` the protective orders proven to be over, ``triggered`` order id -> when the market was first seen to have
    reached it, ``sold`` what such an order has sold, which the resolver may not have written yet, and ``rearm``
    symbol -> moment before which no entry is proposed.
    """

    cancels: dict[str, datetime] = field(default_factory=dict)
    sizes: dict[str, tuple[Decimal, datetime]] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    triggered: dict[str, datetime] = field(default_factory=dict)
    sold: dict[str, Decimal] = field(default_factory=dict)
    rearm: dict[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The account as one reading of the broker shows it; ``trades`` is None when the broker could not be read."""

    link: tuple[Link, str]
    resting: Sequence[RestingOrder]
    trades: Sequence[BrokerTrade] | None

    @classmethod
    def taken(cls, executor: RestingExecutor) -> "Picture":
        """Read the broker; one that cannot answer gives a picture in which nothing is known."""
        link = executor.link()
        try:
            return cls(link=link, resting=executor.resting(), trades=executor.open_trades())
        except (Retry, Ask):
            return cls(link=link, resting=(), trades=None)

    @property
    def is_known(self) -> bool:
        return self.trades is not None

    def position(self, market: str) -> Decimal | None:
        """Return how many shares the account holds, below 0 if it sold them short; None when it was not read."""
        if self.trades is None:
            return None
        return sum((t.quantity * t.side.sign for t in self.trades if t.market == market), NOTHING)


class Observer:
    """Turns a picture and the journals into the facts of one symbol.

    Args:
        reference: tells of a symbol the last session's close on today's scale.
        settle_s: how long the broker's position may lag behind an execution, on the process's clock.
    """

    def __init__(
        self,
        books: Books,
        executor: RestingExecutor,
        ledger: OrderLedger,
        asked: Asked,
        reference: Callable[[str], Decimal | None],
        *,
        settle_s: float,
    ) -> None:
        self._books = books
        self._executor = executor
        self._ledger = ledger
        self._asked = asked
        self.reference = reference
        self._settle_s = settle_s

    def facts(
        self,
        market: str,
        picture: Picture,
        calendar: Calendar,
        *,
        instrument: Instrument | None,
        quote: Quote | None,
        may_open: bool,
        tick: Decimal,
    ) -> Facts:
        """Return what is known of ``market`` now."""
        now, held, at_broker = self._books.now(), self._held(market), picture.position(market)
        for order in picture.resting:
            # Only an order with a limit may be reached and stay unfilled.
            if order.triggered and order.limit is not None and order.client_order_id is not None:
                self._asked.triggered.setdefault(order.client_order_id, now)
        cooldown = self._books.fold.cooldowns.get(market)
        stops = tuple(self._stops(market, held, picture))
        refused, refused_at = self._refusals(held)
        return Facts(
            symbol=market,
            now=now,
            tick=tick,
            session=_session(calendar, now),
            link_usable=picture.link[0] is Link.UP and picture.is_known,
            may_open=may_open,
            listed=instrument is not None,
            quote=quote,
            reference=self.reference(market),
            entry=self._entry(market, calendar, picture),
            held=sum((self._left(position, at_broker) for position in held), NOTHING),
            position=at_broker,
            settled=self._is_settled(held, now),
            stops=stops,
            cooldown_until=cooldown.until if cooldown else None,
            exiting=self._is_over(market) or any(self._is_exiting(position) for position in held),
            frozen=self._is_frozen(market, now),
            rearm_at=self._asked.rearm.get(market),
            stop_refusals=refused,
            stop_refused_at=refused_at,
        )

    def _held(self, market: str) -> list[Position]:
        return [position for position in self._books.fold.positions() if position.market == market]

    def _left(self, position: Position, at_broker: Decimal | None) -> Decimal:
        """Return what is left of a position, with what was sold of it and the resolver has not written yet."""
        fold, signal_id = self._books.fold, position.signal_id
        exits = [
            client_order_id(self._books.surface, signal_id, Leg.EXIT, number + 1)
            for number in range(fold.attempts(signal_id, Leg.EXIT))
        ]
        if at_broker == 0:
            # A stop left behind by an exit must go at once, and not only when the resolver has read its fees.
            for key in exits:
                self._hear_exit(key)
        sold = sum((self._asked.sold.get(key, NOTHING) for key in (*self.stop_ids(position), *exits)), NOTHING)
        return position.quantity - max(sold - position.quantity_out, NOTHING)

    def _hear_exit(self, order_id: str) -> None:
        """Note what an exit of the resolver's has sold."""
        since = self._books.fold.intended_at.get(order_id)
        if since is None:
            return
        try:
            events = self._executor.find(order_id, since=since)
        except (Retry, Ask):
            return  # asked again in the next turn
        self._asked.sold[order_id] = sum((event.quantity for event in events), NOTHING)

    def _entry(self, market: str, calendar: Calendar, picture: Picture) -> EntryOrder | None:
        fold, order_id = self._books.fold, self._ledger.entries.get(market)
        intent = fold.intents.get(order_id or "")
        if intent is None or order_id is None or intent.trigger is None:
            return None
        events, intended = fold.events.get(order_id, []), fold.intended_at[order_id]
        state = fold.order_state(order_id)
        return EntryOrder(
            order_id=order_id,
            state=state,
            session=calendar.trading_day(intended).isoformat(),
            trigger=intent.trigger,
            quantity=intent.quantity,
            armed_at=intended,
            changed_at=events[-1].happened_at if events else intended,
            filled=sum((event.quantity for event in events), NOTHING),
            limit=intent.price_bound,
            cancel_asked_at=None if state in TERMINAL else self._asked.cancels.get(order_id),
            triggered_at=self._asked.triggered.get(order_id),
            alone=self._is_alone(intent, intended, picture),
        )

    def _is_alone(self, entry: OrderIntent, intended: datetime, picture: Picture) -> bool:
        """Tell of an entry that rests whether the stop sent with it is proven to be gone.

        TWS keeps an entry whose stop never reached it untransmitted for ever, and anybody may cancel a stop.
        """
        stop_id = client_order_id(self._books.surface, entry.signal_id, Leg.STOP, ATTACHED)
        listed = {order.client_order_id for order in picture.resting}
        if entry.client_order_id not in listed or stop_id in listed:
            return False
        try:
            events = self._executor.find(stop_id, since=intended)
        except (Retry, Ask):
            return False  # asked again in the next turn
        return bool(events) and events[-1].state in GONE

    def _stops(self, market: str, held: Iterable[Position], picture: Picture) -> Iterable[LiveStop]:
        """Yield every protective order that is not proven to be over, those of other people too."""
        listed: set[str] = set()
        for order in picture.resting:
            if order.market != market or order.side is not Side.SELL:
                continue
            parsed = signal_of_order(order.client_order_id or "")
            is_ours = parsed is not None and parsed[0] is self._books.surface and parsed[2] is Leg.STOP
            if parsed is not None and not is_ours:
                continue
            if parsed is None and order.trigger is None and _is_loose(order):
                continue
            listed.add(order.client_order_id or order.broker_order_id)
            yield self._live(order, attempt=parsed[3] if parsed else 0, is_ours=is_ours)
        for position in held:
            for order_id in self.stop_ids(position):
                if order_id not in listed and (unlisted := self._unlisted(order_id, position)) is not None:
                    yield unlisted

    def _live(self, order: RestingOrder, *, attempt: int, is_ours: bool) -> LiveStop:
        order_id = order.client_order_id or order.broker_order_id
        wanted, asked_at = self._asked.sizes.get(order_id, (None, None))
        if wanted == order.quantity:
            del self._asked.sizes[order_id]
            wanted = asked_at = None
        return LiveStop(
            order_id=order_id,
            quantity=order.quantity,
            percent=order.trailing_percent,
            level=order.trigger,
            is_limit=order.limit is not None,
            attached=attempt == ATTACHED,
            ours=is_ours,
            cancel_asked_at=self._asked.cancels.get(order_id),
            triggered_at=self._asked.triggered.get(order_id),
            resizing_to=wanted,
            resize_asked_at=asked_at,
        )

    def stop_ids(self, position: Position) -> list[str]:
        """Return the ids of all protective orders that were ever sent for a position."""
        attached = client_order_id(self._books.surface, position.signal_id, Leg.STOP, ATTACHED)
        return [attached, *self._ledger.stops.get(position.signal_id, ())]

    def _unlisted(self, order_id: str, position: Position) -> LiveStop | None:
        """Ask about a protective order that the broker does not list: it may have sold the position a moment ago."""
        if order_id in self._asked.done or self._books.fold.order_state(order_id) in TERMINAL:
            return None
        state = OrderState.UNKNOWN
        try:
            events = self._executor.find(order_id, since=position.opened_at)
            state = events[-1].state if events else OrderState.UNKNOWN
            self._asked.sold[order_id] = sum((event.quantity for event in events), NOTHING)
        except (Retry, Ask):
            pass  # asked again in the next turn
        if state in TERMINAL:
            self._asked.done.add(order_id)
            return None
        return LiveStop(order_id=order_id, quantity=position.quantity, state=OrderState.UNKNOWN)

    def _is_settled(self, held: Iterable[Position], now: datetime) -> bool:
        newest = max((lot.at for position in held for lot in position.entries + position.exits), default=None)
        return newest is None or (now - newest).total_seconds() >= self._settle_s

    def _is_exiting(self, position: Position) -> bool:
        fold = self._books.fold
        exits = [i for i in fold.unfinished(Leg.EXIT) if i.signal_id == position.signal_id]
        return bool(exits) or any(fold.intents[key].sells_at_once for key in self._unfinished_stops(position))

    def _is_over(self, market: str) -> bool:
        """Tell of the newest entry whether all it bought so far is sold: it must not buy on."""
        intent = self._books.fold.intents.get(self._ledger.entries.get(market, ""))
        if intent is None or self._books.fold.order_state(intent.client_order_id) in TERMINAL:
            return False
        position = self._books.fold.position(intent.signal_id)
        return position is not None and position.quantity == 0

    def _unfinished_stops(self, position: Position) -> list[str]:
        fold = self._books.fold
        mine = self._ledger.stops.get(position.signal_id, ())
        return [key for key in mine if key in fold.intents and fold.order_state(key) not in TERMINAL]

    def _is_frozen(self, market: str, now: datetime) -> bool:
        suspension = self._books.fold.suspensions.get(market_name(market))
        return suspension is not None and (suspension.until is None or suspension.until > now)

    def _refusals(self, held: Iterable[Position]) -> tuple[int, datetime | None]:
        """Return how many protective orders were refused in a row, and when the last one was."""
        events = [
            event
            for position in held
            for key in self._ledger.stops.get(position.signal_id, ())
            for event in self._books.fold.events.get(key, ())
        ]
        refused = 0
        for event in events:
            if event.state is OrderState.REJECTED:
                refused += 1
            elif event.state in (OrderState.ACCEPTED, OrderState.FILLED):
                refused = 0
        return refused, events[-1].happened_at if refused else None


def _is_loose(order: RestingOrder) -> bool:
    return order.trailing_percent is None and order.trailing_distance is None


def _session(calendar: Calendar, now: datetime) -> Session:
    session = calendar.session_at(now)
    if session is None:
        return Session(name=calendar.trading_day(now).isoformat(), phase=Phase.CLOSED, ends_at=now)
    phase = Phase(session.phase(now))
    ends = {Phase.PRE: session.open, Phase.REGULAR: session.close, Phase.POST: session.post_close}
    return Session(name=session.day.isoformat(), phase=phase, ends_at=ends[phase])
