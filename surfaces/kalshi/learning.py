"""What an event surface learns from how its contracts ended, rebuilt from its own journal after every restart.

The last estimate of a contract before its end, at a price, stands for what was known of it. Skill differs between a
thermometer, a price and a panel, so each method has its own calibration and its own weight beside the market.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.candidate import Vote
from domain.quotes import Quote
from domain.vocabulary import Kind
from forecast.blending import MarketWeight, blend, confidence
from forecast.calibration import Platt
from forecast.pooling import pool
from forecast.weights import Weights
from surfaces.kalshi.belief import Belief

Record = Mapping[str, Any]
PLACES = Decimal("0.0001")
# The fact that holds a probability as it was before any correction: corrections are learnt from that.
RAW = "raw_probability"
# Beyond this the middle of a quote is nobody's opinion: an empty book shows 0 and 1, which is no chance of a half.
NO_PRICE = Decimal("0.20")


@dataclass(frozen=True, slots=True, kw_only=True)
class Blend:
    """A belief, corrected by what was learnt, with the market's price in it.

    ``model`` is what was believed before the price was looked at, None when nobody believed anything; ``facts`` say
    how it came about.
    """

    probability: Decimal
    model: Decimal | None
    confidence: Decimal
    disagreement: Decimal
    votes: tuple[Vote, ...]
    facts: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Estimated:
    method: str
    raw: float
    model: float
    market: float | None
    votes: tuple[tuple[str, float], ...]


class Learner:
    """A fold over decisions and outcomes. ``now`` is given to each question, so that none can see the future."""

    def __init__(self) -> None:
        self._estimated: dict[str, _Estimated] = {}
        self._weights = Weights()
        self._latest: datetime | None = None
        self._platt: defaultdict[str, Platt] = defaultdict(Platt)
        self._market: defaultdict[str, MarketWeight] = defaultdict(MarketWeight)

    def apply(self, record: Record) -> None:
        """Take in one journal record; other kinds are passed over."""
        if record["kind"] == Kind.DECISION:
            self._decision(record)
        elif record["kind"] == Kind.OUTCOME:
            self._outcome(record)

    def awaits(self, market: str) -> bool:
        """Tell whether a contract was estimated whose end is not known yet."""
        return market in self._estimated

    @property
    def awaited(self) -> tuple[str, ...]:
        """Return the contracts whose end would teach something."""
        return tuple(self._estimated)

    def blend(self, belief: Belief, quote: Quote, fixed: Decimal | None, now: datetime) -> Blend:
        """Pool the votes of a belief, correct it, and mix it with the market's price.

        Args:
            fixed: the market's weight as it was set by hand, None to use the one that was learnt.
        """
        # A clock that stepped back must not make the past look like the future.
        now = max(now, self._latest) if self._latest is not None else now
        raw, disagreement, votes = self._raw(belief, now)
        if raw is None:
            return Blend(
                probability=_unit(quote.mid),
                model=None,
                confidence=Decimal(0),
                disagreement=Decimal(0),
                votes=(),
                facts=(("market_weight", "1"),),
            )
        model = _chance(self._platt[belief.method].apply(float(raw), now))
        weight = self._market[belief.method].weight(quote.spread, now) if fixed is None else float(fixed)
        mixed = blend(model, quote.mid, weight)
        sure = confidence(disagreement=disagreement, models=len(votes), spread=quote.spread, certainty=belief.certainty)
        return Blend(
            probability=mixed.probability,
            model=model,
            confidence=sure,
            disagreement=disagreement,
            votes=votes,
            facts=((RAW, str(raw)), ("market_weight", str(mixed.market_weight))),
        )

    def _raw(self, belief: Belief, now: datetime) -> tuple[Decimal | None, Decimal, tuple[Vote, ...]]:
        """Return what is believed before any correction, how far the votes lie apart, and the votes with their weights.

        Only here, in the loop: a fold that learns must not be read by another thread.
        """
        if not belief.votes:
            return belief.probability, Decimal(0), ()
        weights = self._weights.weights([vote.model for vote in belief.votes], now)
        pooled = pool(belief.votes, weights)
        votes = tuple(replace(vote, weight=_chance(weights[vote.model])) for vote in belief.votes)
        return _chance(pooled.probability), _chance(pooled.disagreement), votes

    def _decision(self, record: Record) -> None:
        estimate, candidate = record["estimate"], record["candidate"]
        if estimate.get("model_probability") is None or estimate.get("market_probability") is None:
            return
        earlier = self._estimated.get(candidate["market"])
        is_priced = Decimal(candidate["quote"]["ask"]) - Decimal(candidate["quote"]["bid"]) <= NO_PRICE
        if not is_priced and earlier is not None and earlier.market is not None:
            return
        self._estimated[candidate["market"]] = _Estimated(
            method=estimate["method"],
            raw=float(dict(estimate["facts"]).get(RAW, estimate["model_probability"])),
            model=float(estimate["model_probability"]),
            market=float(estimate["market_probability"]) if is_priced else None,
            votes=tuple((vote["model"], float(vote["probability"])) for vote in estimate["votes"]),
        )

    def _outcome(self, record: Record) -> None:
        known = self._estimated.pop(record["market"], None)
        if known is None:
            return
        moment, value = datetime.fromisoformat(record["ts"]), float(record["value"])
        self._latest = moment
        for model, probability in known.votes:
            self._weights.learn(moment, model, probability, value)
        self._platt[known.method].learn(moment, known.raw, value)
        if known.market is not None:
            self._market[known.method].learn(moment, known.model, known.market, value)


def _chance(number: float) -> Decimal:
    return Decimal(str(number)).quantize(PLACES)


def _unit(price: Decimal) -> Decimal:
    return min(max(price, Decimal(0)), Decimal(1)).quantize(PLACES)
