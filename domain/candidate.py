"""A possible trade and what is estimated about it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.clock import require_utc
from domain.contract import SettlementRule
from domain.quotes import Quote
from domain.vocabulary import Side, Surface, TimeInForce


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A market and a side worth looking at.

    ``group`` is the event or underlying whose exposure is capped together; ``thesis`` names the reason, so that the
    same bet is not made twice; ``decision_price`` is what the rule saw, against which slippage is measured. An event
    contract carries the reading of its own text, or in ``unread`` why that text was not understood. ``closes_at`` is
    when an event contract's trading ends; of anything else, when a position is to be flat.

    A candidate with a ``trigger`` becomes an order that rests until the market reaches that price, and may then fill at
    ``limit`` or better (at any price when None); ``tif`` is how long it rests. ``take_profit`` is None where only the
    stop ends a trade. ``trailing_percent``, ``trailing_offset`` and ``outside_hours`` are those of
    ``OrderIntent``.
    """

    id: str
    surface: Surface
    market: str
    group: str
    category: str
    strategy: str
    sub_strategy: str
    side: Side
    thesis: str
    quote: Quote
    decision_price: Decimal
    stop_loss: Decimal
    take_profit: Decimal | None
    trailing_distance: Decimal | None
    atr: Decimal
    found_at: datetime
    closes_at: datetime | None = None
    rule: SettlementRule | None = None
    unread: str = ""
    trigger: Decimal | None = None
    limit: Decimal | None = None
    trailing_percent: Decimal | None = None
    trailing_offset: Decimal | None = None
    tif: TimeInForce | None = None
    outside_hours: bool = False

    def __post_init__(self) -> None:
        require_utc(self.found_at, "Candidate.found_at")
        if self.take_profit is not None and (self.take_profit - self.stop_loss) * self.side.sign <= 0:
            raise ValueError(
                f"a {self.side} needs its target beyond its stop, found {self.take_profit}/{self.stop_loss}"
            )

    @property
    def key(self) -> tuple[str, Side, str]:
        """Market, side and thesis: what the dedup gate compares."""
        return self.market, self.side, self.thesis

    @property
    def stop_distance(self) -> Decimal:
        """Return the price distance from the expected entry to the stop; negative if already through it."""
        return (self.entry_at(self.quote) - self.stop_loss) * self.side.sign

    @property
    def is_event(self) -> bool:
        """Tell whether this is an event contract: such a candidate carries its text's reading, or why there is none."""
        return self.rule is not None or bool(self.unread)

    def entry_at(self, quote: Quote) -> Decimal:
        """Return where this would be entered: at what ``quote`` offers, or at a trigger the market has not reached."""
        offered = quote.entry_price(self.side)
        if self.trigger is None:
            return offered
        return max(offered, self.trigger) if self.side is Side.BUY else min(offered, self.trigger)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One model's opinion: a probability in [0, 1], its weight, and what asking it cost.

    ``version`` is the model as its provider named it in the answer, ``prompt`` the version of the question's wording.
    ``attempts`` counts the calls it took; an answer from the cache cost nothing and took none.
    """

    model: str
    probability: Decimal
    weight: Decimal
    cost_usd: Decimal
    provider: str = ""
    version: str = ""
    prompt: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    attempts: int = 1
    is_cached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A model that was asked and gave no opinion, why, and what that cost all the same."""

    model: str
    reason: str
    cost_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What is believed about a candidate.

    Edges are in basis points of the decision price, of an event contract in those of its payout (one cent is 100):
    ``edge_bp`` is net of ``cost_bp`` (spread and fees). ``probability`` and ``confidence`` lie in [0, 1];
    ``probability`` is that of YES for an event contract. ``disagreement`` is the spread between models, the standard
    deviation of their log-odds. ``method`` names how the probability came about,
    ``model_probability`` is what was believed before ``market_probability`` was blended in, and ``facts`` are the
    numbers it was worked out from, name and value.
    """

    probability: Decimal
    gross_edge_bp: Decimal
    cost_bp: Decimal
    edge_bp: Decimal
    confidence: Decimal
    eta_hours: Decimal
    disagreement: Decimal = Decimal(0)
    votes: tuple[Vote, ...] = ()
    cost_usd: Decimal = Decimal(0)
    missing: tuple[Missing, ...] = ()
    method: str = ""
    model_probability: Decimal | None = None
    market_probability: Decimal | None = None
    facts: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        numbers = (self.probability, self.gross_edge_bp, self.cost_bp, self.edge_bp, self.confidence, self.eta_hours)
        if not all(number.is_finite() for number in (*numbers, self.disagreement, self.cost_usd)):
            raise ValueError("every number of an estimate must be finite")
