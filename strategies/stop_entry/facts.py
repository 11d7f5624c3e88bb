"""What is known of one symbol at one moment: all the machine decides on.

Everything here can be read again after a restart, from the journals and from the broker.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum

from domain.clock import require_utc
from domain.order import OPEN_AT_BROKER
from domain.quotes import Quote
from domain.vocabulary import OrderState

_ZERO, _ONE = Decimal(0), Decimal(1)
_DOUBTFUL = frozenset({OrderState.INTENDED, OrderState.SENT, OrderState.UNKNOWN})


class Phase(StrEnum):
    """The part of the trading day."""

    CLOSED = "closed"
    PRE = "pre"
    REGULAR = "regular"
    POST = "post"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """``name`` is the session's date (``2014-05-06``), ``ends_at`` when this phase of it ends (half days earlier)."""

    name: str
    phase: Phase
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryOrder:
    """The newest entry order of a symbol, whatever became of it.

    ``quantity`` is what was asked for, ``filled`` what was bought. ``provisional`` marks a cancel that executions may
    still contradict. ``triggered_at`` is when a stop limit became a limit order, where the broker tells. ``alone`` says
    that the stop which should have gone with it is proven not to be there.
    """

    order_id: str
    state: OrderState
    session: str
    trigger: Decimal
    quantity: Decimal
    armed_at: datetime
    changed_at: datetime
    filled: Decimal = _ZERO
    limit: Decimal | None = None
    provisional: bool = False
    cancel_asked_at: datetime | None = None
    triggered_at: datetime | None = None
    alone: bool = False

    @property
    def is_live(self) -> bool:
        """Tell whether it may still buy something."""
        return self.state is OrderState.INTENDED or self.state in OPEN_AT_BROKER or self.provisional

    @property
    def is_doubtful(self) -> bool:
        return self.state in _DOUBTFUL or self.provisional


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStop:
    """A protective order that may still sell something.

    ``quantity`` is what it has not sold yet, ``level`` where it stands now if the broker tells, ``percent`` its
    trailing distance. ``is_limit`` says that it may remain unfilled once triggered. ``attached`` marks the one that
    was sent with the entry: until that is done, it sells no more than the entry bought. ``ours`` is False for an order
    somebody else placed. ``resizing_to`` is the quantity it was asked to take, at ``resize_asked_at``, and has not
    confirmed; without that moment it is asked again at each look.
    """

    order_id: str
    quantity: Decimal
    state: OrderState = OrderState.ACCEPTED
    percent: Decimal | None = None
    level: Decimal | None = None
    is_limit: bool = False
    attached: bool = False
    ours: bool = True
    provisional: bool = False
    cancel_asked_at: datetime | None = None
    triggered_at: datetime | None = None
    resizing_to: Decimal | None = None
    resize_asked_at: datetime | None = None

    @property
    def is_doubtful(self) -> bool:
        return self.state in _DOUBTFUL or self.provisional

    @property
    def is_working(self) -> bool:
        """Tell whether it has begun to sell: its quantity and the position change under one's eyes."""
        return self.triggered_at is not None or self.state is OrderState.PARTIAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One symbol in one account.

    Attributes:
        tick: the instrument's smallest price step.
        link_usable: orders may be sent now.
        may_open: the surface may open positions; False takes a waiting entry back.
        listed: the broker still knows the symbol as tradeable.
        quote: the latest quote, None where there is no fresh one.
        reference: the last session's close, adjusted for splits; None where it is not known.
        entry: the newest entry order, live or not.
        held: what our own executions add up to.
        position: what the broker reports, None before it was read on this connection.
        settled: no execution since shortly before ``position`` was read (``settle_s``), so that the two should agree.
        stops: every protective order that is not proven to be done. One that we placed and the broker does not list
            stays in here as UNKNOWN until a query by its id answers: it may have sold the position a moment ago.
        cooldown_until: no entry before; from the journal.
        exiting: an exit at market was intended and is not proven to be done.
        frozen: a freeze was written down and not lifted.
        stop_refusals: protective orders refused in a row since one was accepted, ``stop_refused_at`` the last of them.
        rearm_at: no entry is proposed before, because a gate refused one.
    """

    symbol: str
    now: datetime
    tick: Decimal
    session: Session
    link_usable: bool = True
    may_open: bool = True
    listed: bool = True
    quote: Quote | None = None
    reference: Decimal | None = None
    entry: EntryOrder | None = None
    held: Decimal = _ZERO
    position: Decimal | None = None
    settled: bool = True
    stops: tuple[LiveStop, ...] = ()
    cooldown_until: datetime | None = None
    exiting: bool = False
    frozen: bool = False
    stop_refusals: int = 0
    stop_refused_at: datetime | None = None
    rearm_at: datetime | None = None

    def __post_init__(self) -> None:
        require_utc(self.now, "Facts.now")

    @property
    def last(self) -> Decimal | None:
        """Return the price of the last trade; None where it is unknown or nonsense."""
        last = None if self.quote is None else self.quote.last
        return last if last is not None and last.is_finite() and last > 0 else None

    @property
    def is_cooling(self) -> bool:
        return self.cooldown_until is not None and self.now < self.cooldown_until

    @property
    def live_entry(self) -> EntryOrder | None:
        """Return the entry that may still buy something."""
        return self.entry if self.entry is not None and self.entry.is_live else None

    @property
    def own_stops(self) -> tuple[LiveStop, ...]:
        return tuple(stop for stop in self.stops if stop.ours)

    @property
    def is_comparable(self) -> bool:
        """Tell whether broker and journals should agree on the position: nothing of ours is about to change it."""
        moving = any(stop.is_working or stop.is_doubtful for stop in self.own_stops)
        busy = self.live_entry is not None or self.exiting or moving
        return self.settled and not busy and self.position is not None

    @property
    def owned(self) -> Decimal:
        """Return the shares we answer for.

        While they may differ for a moment, executions say more than the position does; once both should agree, the
        broker is right about the quantity. A position that no journal explains is somebody else's.
        """
        if self.position is None or not self.is_comparable or self.held <= 0:
            return max(self.held, _ZERO)
        return max(self.position, _ZERO)

    @property
    def is_foreign(self) -> bool:
        """Tell of a position that no journal explains."""
        return self.is_comparable and self.held <= 0 and bool(self.position)


def whole(quantity: Decimal) -> Decimal:
    """Return the whole shares in ``quantity``: no exchange lets a stop order for a part of one rest."""
    return quantity.quantize(_ONE, ROUND_FLOOR) if quantity > 0 else _ZERO
