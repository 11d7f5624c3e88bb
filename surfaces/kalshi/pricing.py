"""The price of a belief: blended with the market's, charged with spread and fee, and given a side."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from domain.candidate import Candidate, Estimate
from domain.contract import Contract, SettlementRule
from domain.event_settings import EventSettings
from domain.ids import new_id
from domain.outcome import Outcome
from domain.quotes import Instrument, Quote
from domain.vocabulary import Side, Surface
from strategies.event.fees import fee_per_contract
from surfaces.kalshi.belief import Belief
from surfaces.kalshi.learning import Learner

PAYOUT, NOTHING = Decimal(1), Decimal(0)
CENT = Decimal("0.01")
BP = Decimal(10_000)
HOUR = Decimal(3600)
# The venue takes more; nobody should put more into one contract in one order.
MOST_CONTRACTS = Decimal(25_000)
# The fee is rounded up to a cent an order: an order of ten bears a tenth of a cent of it each, a smaller one more.
FEE_LOT = Decimal(10)
MICRO = Decimal("0.000001")
# What a venue read is a number or a name.
LONGEST_WORD = 200
# side -> (stop, target): a contract bought can fall to nothing, one sold can rise to its payout; no order rests there.
BOUNDS: Mapping[Side, tuple[Decimal, Decimal]] = {Side.BUY: (NOTHING, PAYOUT), Side.SELL: (PAYOUT, NOTHING)}


class Pricing:
    """Judges beliefs about contracts at their quotes."""

    def __init__(self, surface: Surface, settings: EventSettings, learner: Learner) -> None:
        self._surface = surface
        self._settings = settings
        self._learner = learner

    def judge(self, contract: Contract, quote: Quote, belief: Belief, now: datetime) -> tuple[Side, Estimate]:
        """Return the side with the better edge, and the estimate for it."""
        blended = self._learner.blend(belief, quote, self._settings.market_weight, now)
        # Nobody sells where nobody bids, nor buys at the whole payout: such a side has no price to judge.
        priced = [side for side in Side if NOTHING < quote.entry_price(side) < PAYOUT] or [Side.BUY]
        edges = {side: _edge(contract, quote, side, blended.probability) for side in priced}
        side = max(edges, key=lambda side: edges[side])
        gross = (blended.probability - quote.mid) * side.sign
        estimate = Estimate(
            probability=blended.probability,
            gross_edge_bp=_bp(gross),
            cost_bp=_bp(gross - edges[side]),
            edge_bp=_bp(edges[side]),
            confidence=blended.confidence,
            eta_hours=_hours(contract, now),
            disagreement=blended.disagreement,
            votes=blended.votes,
            cost_usd=belief.cost_usd,
            missing=belief.missing,
            method=belief.method,
            model_probability=blended.model,
            market_probability=quote.mid,
            facts=(*belief.facts, *blended.facts),
        )
        return side, estimate


def _edge(contract: Contract, quote: Quote, side: Side, probability: Decimal) -> Decimal:
    """Return what one contract is expected to earn, held to its end, after the spread and the fee of taking it."""
    price = quote.entry_price(side)
    fee = fee_per_contract(price, FEE_LOT, fee_type=contract.fee_type, fee_multiplier=contract.fee_multiplier)
    return (probability - price) * side.sign - fee


def _bp(amount: Decimal) -> Decimal:
    return (amount / PAYOUT * BP).quantize(CENT)


def _hours(contract: Contract, now: datetime) -> Decimal:
    ends = max(contract.expected_expiration_at or contract.close_at, now)
    return (Decimal(str((ends - now).total_seconds())) / HOUR).quantize(MICRO)


def instrument_of(contract: Contract) -> Instrument:
    """Return a contract as something that is traded in whole pieces and paid for in full."""
    return Instrument(
        name=contract.ticker,
        base=contract.ticker,
        quote_currency="USD",
        tick=contract.tick,
        pip=CENT,
        quantity_step=Decimal(1),
        quantity_min=Decimal(1),
        quantity_max=MOST_CONTRACTS,
        margin_rate=PAYOUT,
        payout=PAYOUT,
    )


def candidate_of(
    contract: Contract,
    side: Side,
    quote: Quote,
    surface: Surface,
    now: datetime,
    *,
    rule: SettlementRule | None = None,
    method: str = "",
    unread: str = "",
) -> Candidate:
    """Return a contract and a side as a candidate.

    Its thesis is the side's alone: whatever the reason, a second position in a contract is the same bet once more.
    """
    stop, target = BOUNDS[side]
    return Candidate(
        id=new_id("cnd", now),
        surface=surface,
        market=contract.ticker,
        group=contract.event,
        category=contract.category,
        strategy="event",
        sub_strategy=f"event.{method or (rule.kind if rule else 'unread')}",
        side=side,
        thesis="settlement",
        quote=quote,
        decision_price=quote.entry_price(side),
        stop_loss=stop,
        take_profit=target,
        trailing_distance=None,
        atr=NOTHING,
        found_at=now,
        closes_at=contract.close_at,
        rule=rule,
        unread=unread,
    )


def outcome_of(contract: Contract) -> Outcome:
    """Return how a contract ended.

    Raises:
        ValueError: it has not.
    """
    if contract.value is None:
        raise ValueError(f"{contract.ticker} has paid nothing yet ({contract.status})")
    return Outcome(
        market=contract.ticker,
        value=contract.value,
        result=contract.result,
        read_as=contract.expiration_value[:LONGEST_WORD],
        closed_at=contract.close_at,
    )
