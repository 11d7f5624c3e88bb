"""One signal's life on this machine, from the open received to the outcome reported."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from tbot_client.brokers.port import Levels


class Phase(StrEnum):
    """Received and undecided; ordered with unknown outcome; held. What ended is no longer kept."""

    PENDING = "pending"
    INTENDED = "intended"
    OPEN = "open"


@dataclass(slots=True, kw_only=True)
class Trade:
    """What the journal says about a signal that is not finished.

    ``stop``, ``target``, ``trailing`` (a distance) and ``trailing_percent`` (of the best price) are wanted;
    ``resting`` is what the broker holds, ``refused`` what it would not take. A wanted end is
    ``end_reason``; it stays until the broker's transactions say the position is gone.
    """

    signal_id: str
    surface: str
    market: str
    side: str
    sub_strategy: str
    reference: Decimal
    stop: Decimal
    target: Decimal | None
    trailing: Decimal | None
    confidence: Decimal | None
    edge_bp: Decimal | None
    published_at: datetime
    expires_at: datetime
    expired: bool
    trailing_percent: Decimal | None = None
    amended_ts: str = ""
    dead_man: str = ""
    dead_man_done: str = ""
    phase: Phase = Phase.PENDING
    units: Decimal = Decimal(0)
    trade_id: str = ""
    price: Decimal = Decimal(0)
    filled: Decimal = Decimal(0)
    resting: Levels | None = None
    refused: Levels | None = None
    end_reason: str = ""
    end_price: Decimal | None = None
    closed_units: Decimal = Decimal(0)
    closed_value: Decimal = Decimal(0)
    realised: Decimal = Decimal(0)
    reductions: set[str] = field(default_factory=set)

    @property
    def client_id(self) -> str:
        return client_id(self.signal_id)

    @property
    def levels(self) -> Levels:
        return Levels(
            stop=self.stop, target=self.target, trailing=self.trailing, trailing_percent=self.trailing_percent
        )

    @property
    def is_contract(self) -> bool:
        """Tell whether it is an event contract by its levels: one of them is 0, where nothing else can be traded."""
        return self.target is not None and min(self.stop, self.target) == 0


def client_id(signal_id: str) -> str:
    """Return the id the entry carries at the broker; the same for every attempt, so that asking finds the first."""
    return f"tc-{signal_id.removeprefix('sig_')}-entry-1"


def signal_of(order_id: str) -> str:
    """Return the signal an id of ours belongs to."""
    return f"sig_{order_id.removeprefix('tc-').removesuffix('-entry-1')}"
