"""What is published to subscribers: open, amend and close.

The journal lines of these values are the feed's items, byte for byte; a new field is added, an old one never changes
its meaning.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.vocabulary import Action, DeadMan, ExitReason, Mode, Side, Surface


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalOpen:
    """An invitation to open the position the publisher itself has just opened.

    ``id`` equals ``signal_id``. ``reference_price`` is the publisher's own fill, ``quantity`` its size in units of the
    instrument. After ``expires_at`` it must not be executed any more. ``dead_man`` is advice for a long silence of the
    feed; a subscriber's own setting goes before it. ``take_profit`` is None where only the stop ends the trade;
    ``trailing_percent`` is the distance of a trailing stop as a percentage of the best price.
    """

    id: str
    signal_id: str
    surface: Surface
    mode: Mode
    market: str
    side: Side
    strategy: str
    sub_strategy: str
    thesis: str
    reference_price: Decimal
    stop_loss: Decimal
    take_profit: Decimal | None
    trailing_distance: Decimal | None
    quantity: Decimal
    quote_currency: str
    edge_bp: Decimal
    confidence: Decimal
    eta_hours: Decimal
    decision_id: str
    opened_at: datetime
    published_at: datetime
    expires_at: datetime
    dead_man: DeadMan = DeadMan.HOLD
    trailing_percent: Decimal | None = None
    action: Action = Action.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalAmend:
    """New protective levels for an open signal."""

    id: str
    signal_id: str
    surface: Surface
    mode: Mode
    market: str
    stop_loss: Decimal
    take_profit: Decimal | None
    trailing_distance: Decimal | None
    reason: str
    published_at: datetime
    action: Action = Action.AMEND


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalClose:
    """The end of a signal: whoever still holds it should close it. A close never expires."""

    id: str
    signal_id: str
    surface: Surface
    mode: Mode
    market: str
    side: Side
    exit_price: Decimal
    reason: ExitReason
    closed_at: datetime
    published_at: datetime
    action: Action = Action.CLOSE
