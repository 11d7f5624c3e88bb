"""What the machine asks for: data, carried out by the surface."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import TypeAlias

from domain.vocabulary import TimeInForce


class CancelReason(StrEnum):
    """Why an entry is taken back."""

    HALTED = "halted"
    DELISTED = "delisted"
    SESSION_ENDING = "session_ending"
    OUTSIDE_HOURS = "outside_hours"
    OFF_SCALE = "off_scale"
    COOLDOWN = "cooldown"
    EXITING = "exiting"
    ALONE = "alone"
    MISSED = "missed"
    REPRICE = "reprice"


class StopFault(StrEnum):
    """Why a protective order is taken back."""

    DUPLICATE = "duplicate"
    ORPHAN = "orphan"
    OFF_SCALE = "off_scale"


class ExitNeed(StrEnum):
    """Why a position must be closed at market."""

    STOP_STUCK = "stop_stuck"
    STOP_REFUSED = "stop_refused"
    FRACTION = "fraction"


class FreezeReason(StrEnum):
    """Why nothing new may be bought of a symbol until a person or a corporate action explains it."""

    SPLIT = "split"
    SHORT = "short"


class WaitReason(StrEnum):
    """Why nothing is done."""

    LINK = "the broker cannot be traded with now"
    ACCOUNT = "the position at the broker was not read yet"
    ENTRY_DOUBTFUL = "the entry's outcome is not proven"
    CANCELLING = "the entry is being cancelled"
    ENTRY_RESTS = "the entry rests at the broker"
    PROTECTED = "the stop rests at the broker"
    STOP_DOUBTFUL = "the stop's state is not proven"
    RESIZING = "the stop is taking another quantity"
    STOP_WORKING = "the stop is executing"
    STOP_REFUSED = "the broker refused the stop a moment ago"
    EXITING = "an exit is on its way"
    SETTLING = "the position at the broker lags behind its executions"
    FRACTION = "less than one share is left, sold in regular hours"
    FROZEN = "frozen until explained"
    UNEXPLAINED = "the position at the broker is not the one the journals explain"
    FOREIGN_ORDER = "somebody else's stop rests in this symbol"
    LEFTOVER = "an old stop is not gone yet"
    HALTED = "the surface opens nothing now"
    DELISTED = "the symbol is not listed any more"
    COOLDOWN = "cooling down after a stop-out"
    HOURS = "outside the hours in which entries are armed"
    CLOSING = "the session is about to end"
    NO_PRICE = "no usable price"
    CROSSED = "the offer is beyond where the trigger would lie"
    OFF_SCALE = "the price jumped by what looks like a split"
    REFUSED = "an entry was refused a moment ago"
    SPENT = "an entry of an earlier session did not fill"
    IMPOSSIBLE = "state and event contradict each other"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmEntry:
    """Propose a buy stop to the gates, and place it with its protective order if they admit it.

    ``limit`` makes it a stop limit; ``trail_percent`` and ``trail_offset`` describe the protective order that goes with
    it; ``session`` names the session it is armed in.
    """

    trigger: Decimal
    limit: Decimal | None
    trail_percent: Decimal
    trail_offset: Decimal | None
    tif: TimeInForce
    outside_hours: bool
    session: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelEntry:
    order_id: str
    reason: CancelReason


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceStop:
    """Place a trailing stop; with an ``offset``, one that sells down to that far below its level only."""

    quantity: Decimal
    percent: Decimal
    offset: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeStop:
    """Give a stop another quantity: what is to remain, not counting what it has sold."""

    order_id: str
    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelStop:
    order_id: str
    reason: StopFault


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalate:
    """Close ``quantity`` at market; ``order_id`` names the stop that failed to, if there is one."""

    reason: ExitNeed
    quantity: Decimal
    order_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """Open nothing more in this symbol; ``ratio`` is how many shares one seems to have become."""

    reason: FreezeReason
    ratio: Fraction | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    reason: WaitReason


Action: TypeAlias = ArmEntry | CancelEntry | PlaceStop | ResizeStop | CancelStop | Escalate | Freeze | Wait
