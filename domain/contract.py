"""Event contracts: what the venue lists, and what its text was understood to say."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from domain.clock import require_utc


class ContractStatus(StrEnum):
    """Where a contract is in its life, in the venue's own words."""

    INITIALIZED = "initialized"
    ACTIVE = "active"
    INACTIVE = "inactive"
    CLOSED = "closed"
    DETERMINED = "determined"
    DISPUTED = "disputed"
    AMENDED = "amended"
    FINALIZED = "finalized"


class RuleKind(StrEnum):
    """What a contract is about, which says how its probability can be estimated."""

    DAILY_HIGH = "daily_high"
    PRICE_AT = "price_at"
    GAME = "game"
    STATEMENT = "statement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A binary contract as the venue lists it; YES pays 1 USD, NO pays the rest.

    ``strike_type`` is the venue's word (greater, greater_or_equal, less, less_or_equal, between, functional, custom,
    structured); ``result`` is ``yes``, ``no`` or empty while there is none; ``value`` is what YES paid once settled.
    ``fee_type`` and ``fee_multiplier`` belong to the fee formula. Texts are the venue's, and strangers wrote them.
    """

    ticker: str
    event: str
    series: str
    category: str
    title: str
    event_title: str
    yes_sub_title: str
    no_sub_title: str
    rules_primary: str
    rules_secondary: str
    strike_type: str
    floor_strike: Decimal | None
    cap_strike: Decimal | None
    open_at: datetime
    close_at: datetime
    expected_expiration_at: datetime | None
    latest_expiration_at: datetime
    status: ContractStatus
    result: str
    value: Decimal | None
    expiration_value: str
    can_close_early: bool
    tick: Decimal
    fee_type: str
    fee_multiplier: Decimal
    settlement_sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_utc(self.open_at, "Contract.open_at")
        require_utc(self.close_at, "Contract.close_at")

    @property
    def is_over(self) -> bool:
        """Tell whether its result can change no more."""
        return self.status is ContractStatus.FINALIZED

    def is_open(self, now: datetime) -> bool:
        return self.status is ContractStatus.ACTIVE and self.open_at <= now < self.close_at


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementRule:
    """A contract's own text, understood.

    ``low`` and ``high`` bound the values that settle it YES, both inclusive, in ``unit``; None is no bound. For a
    statement both are None. ``begins_at`` and ``ends_at`` bound the time that is observed, the end exclusive; a price
    at one moment has both at that moment. ``resolution`` is the step between two values that can be reported.
    """

    kind: RuleKind
    source: str
    station: str
    location: str
    subject: str
    low: Decimal | None
    high: Decimal | None
    unit: str
    resolution: Decimal | None
    observed_on: date | None
    begins_at: datetime | None
    ends_at: datetime
    rounding: str
    revision: str
    void: str

    def decides(self, value: Decimal) -> bool:
        """Tell whether ``value`` settles the contract YES.

        Raises:
            ValueError: the rule is about no number.
        """
        if self.low is None and self.high is None:
            raise ValueError(f"a rule of kind {self.kind} has no bounds to compare {value} with")
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A contract's text that was not understood, and why: such a contract is not traded."""

    reason: str
