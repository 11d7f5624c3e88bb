"""Orders: the intent written before the socket, and the events that followed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.vocabulary import ExitReason, Leg, Mode, OrderState, Side, Surface, TimeInForce

TERMINAL = frozenset({OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED, OrderState.ABSENT})
OPEN_AT_BROKER = frozenset({OrderState.SENT, OrderState.ACCEPTED, OrderState.PARTIAL, OrderState.UNKNOWN})

_AFTER_SENDING = frozenset(
    {
        OrderState.ACCEPTED,
        OrderState.PARTIAL,
        OrderState.FILLED,
        OrderState.CANCELLED,
        OrderState.REJECTED,
        OrderState.UNKNOWN,
        OrderState.ABSENT,
    }
)
# state -> the states that may follow it. CANCELLED may still turn into a fill: brokers report late fills.
TRANSITIONS: Mapping[OrderState, frozenset[OrderState]] = {
    OrderState.INTENDED: _AFTER_SENDING | {OrderState.SENT},
    OrderState.SENT: _AFTER_SENDING,
    OrderState.ACCEPTED: frozenset({OrderState.PARTIAL, OrderState.FILLED, OrderState.CANCELLED, OrderState.UNKNOWN}),
    OrderState.PARTIAL: frozenset({OrderState.PARTIAL, OrderState.FILLED, OrderState.CANCELLED, OrderState.UNKNOWN}),
    OrderState.UNKNOWN: _AFTER_SENDING,
    OrderState.CANCELLED: frozenset({OrderState.PARTIAL, OrderState.FILLED}),
    OrderState.FILLED: frozenset(),
    OrderState.REJECTED: frozenset(),
    OrderState.ABSENT: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIntent:
    """An order that may now be sent: durable in the journal before the socket is written.

    Prices are in the instrument's quote currency, quantities in its units, always positive. ``price_bound`` is the
    worst price an entry may fill at. ``broker_trade_id`` names the trade an exit closes and ``reason`` why.

    An order with a ``trigger`` rests at the broker until the market reaches that price; with a ``price_bound`` it then
    is a limit order at that bound (a stop limit). ``trailing_percent`` is a trailing stop's distance as a percentage of
    the best price (10 is ten percent); with a ``trailing_offset`` it becomes a limit order that far beyond its stop (a
    trailing limit). ``tif`` is how long an order rests, None the broker's usual. An entry's protective order is always
    good till cancelled.
    """

    client_order_id: str
    signal_id: str
    surface: Surface
    mode: Mode
    market: str
    leg: Leg
    attempt: int
    side: Side
    quantity: Decimal
    decision_id: str | None = None
    price_bound: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trailing_distance: Decimal | None = None
    broker_trade_id: str | None = None
    reason: ExitReason | None = None
    trigger: Decimal | None = None
    trailing_percent: Decimal | None = None
    trailing_offset: Decimal | None = None
    tif: TimeInForce | None = None
    outside_hours: bool = False

    @property
    def sells_at_once(self) -> bool:
        """Tell of a protective order that it waits for no price: what it was to protect is sold at the market."""
        levels = (self.trigger, self.trailing_percent, self.trailing_distance)
        return self.leg is Leg.STOP and levels == (None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEvent:
    """Something that happened to an order.

    ``quantity`` and ``price`` describe this fill alone (zero and None when nothing filled). ``realised`` is the profit
    the broker booked for it and ``fee`` what it charged, both in ``currency``. ``happened_at`` is the venue's time,
    ``learned_at`` ours.

    A broker that corrects an execution reports it again with the same ``transaction_id`` and a higher ``revision``,
    which takes the place of the lower; with a ``quantity`` of zero the execution never was (a bust).
    """

    client_order_id: str
    signal_id: str
    leg: Leg
    state: OrderState
    happened_at: datetime
    learned_at: datetime
    quantity: Decimal = Decimal(0)
    price: Decimal | None = None
    realised: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    currency: str = "USD"
    broker_order_id: str | None = None
    broker_trade_id: str | None = None
    transaction_id: str | None = None
    reason: str = ""
    revision: int = 0


def may_follow(before: OrderState, after: OrderState) -> bool:
    """Tell whether an order in state ``before`` may go to ``after``."""
    return after in TRANSITIONS[before]
