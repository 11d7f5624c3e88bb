"""The crossover strategy of one market: closed bars in, bracketed proposals with their estimates out."""

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from domain.candidate import Candidate, Estimate
from domain.clock import require_utc
from domain.quotes import Bar, Instrument, Quote
from domain.vocabulary import Side, Surface
from strategies.bar_reader import BarReader
from strategies.crossover.averages import Averages
from strategies.crossover.bracket import Bracket, bracket, is_live
from strategies.crossover.params import CrossParams
from strategies.exits import ExitPlan, ExitState, Target, Trailing, on_bar, start
from strategies.proposal import Proposal, candidate_id
from strategies.track_record import Prior, Trade, cost, estimate, hours_to, odds_of_bracket, odds_of_trailing

__all__ = ["CrossParams", "CrossoverStrategy"]

CATEGORY = "equity"
NAME = "crossover"
_SUB_STRATEGY = {Side.BUY: "cross_up", Side.SELL: "cross_down"}
_REMEMBERED = 500
_BP = 10_000.0
_HOUR_S = 3600.0


@dataclass(slots=True)
class _Virtual:
    """The position that the rule is in by its own reckoning."""

    plan: ExitPlan
    state: ExitState


class CrossoverStrategy(BarReader):
    """Reads one market's closed bars in order and proposes an entry at market whenever the averages cross.

    It keeps its own position: opened at the close of the bar that crossed, ended by its bracket or by the next
    crossing. What such positions returned is what the estimate is made of. ``desired`` is the side the rule is on now;
    a real position on the other side, or on any side while it is None, has outlived its reason.
    """

    def __init__(self, instrument: Instrument, params: CrossParams, surface: Surface) -> None:
        super().__init__(instrument, params.period_s)
        self.warmup_bars = params.warmup_bars
        self._params = params
        self._surface = surface
        self._averages = Averages(params)
        self._crossed: Side | None = None
        self._open: _Virtual | None = None
        self._done: dict[Side, deque[Trade]] = {side: deque(maxlen=_REMEMBERED) for side in Side}

    @property
    def ready(self) -> bool:
        return self._averages.side is not None

    @property
    def desired(self) -> Side | None:
        """Return the side of the rule's own position, None while it has none."""
        return None if self._open is None else self._open.state.side

    def on_bar(self, bar: Bar) -> None:
        """Take in a closed bar; one that is not later than the last is ignored.

        Raises:
            ValueError: the bar is of another market or period.
        """
        if not self._is_next(bar):
            return
        prices = bar.mid
        bar = replace(bar, bid=prices, ask=prices)
        self._follow(bar)
        self._crossed = self._averages.update(bar)
        if self._crossed is not None:
            self._turn(self._crossed, bar)

    def propose(self, quote: Quote, now: datetime, *, budget: Decimal | None = None) -> list[Proposal]:
        """Return the proposal of the newest bar if the averages crossed in it, priced on ``quote``; each one once.

        Args:
            budget: what the position may cost, from which the commission follows; None counts a single share.

        Raises:
            ValueError: the quote is of another market, or ``now`` is naive.
        """
        self._require_own(quote)
        moment, side, atr = require_utc(now, "now"), self._crossed, self._averages.atr
        self._crossed = None
        if side is None or atr is None:
            return []
        levels = self._bracket(quote.entry_price(side), side, atr)
        if levels is None or not is_live(levels, quote, side):
            return []
        believed = self._estimate(levels, quote, side, atr, budget)
        return [Proposal(candidate=self._candidate(levels, quote, side, atr, moment), estimate=believed)]

    def _follow(self, bar: Bar) -> None:
        """Let a bar end the rule's own position by its bracket."""
        if self._open is None:
            return
        self._open.state, legs = on_bar(self._open.plan, self._open.state, bar)
        if legs:
            self._close(legs[-1].price, bar.end)

    def _turn(self, side: Side, bar: Bar) -> None:
        """End the position of the crossing before at this bar's close, and open one the other way."""
        price, atr = bar.bid.close, self._averages.atr
        if self._open is not None:
            self._close(price, bar.end)
        levels = None if atr is None else self._bracket(price, side, atr)
        if levels is None:
            return
        plan = _plan(levels)
        self._open = _Virtual(plan, start(plan, side, price, Decimal(1), bar.end))

    def _close(self, price: Decimal, at: datetime) -> None:
        assert self._open is not None
        held, self._open = self._open.state, None
        gained = float((price / held.entry - 1) * held.side.sign) * _BP
        hours = (at - held.opened_at).total_seconds() / _HOUR_S
        self._done[held.side].append(Trade(return_bp=gained, hours=hours))

    def _bracket(self, price: Decimal, side: Side, atr: float) -> Bracket | None:
        return bracket(self._instrument, price, side, _decimal(atr), self._params)

    def _estimate(self, levels: Bracket, quote: Quote, side: Side, atr: float, budget: Decimal | None) -> Estimate:
        params = self._params
        costs = cost(levels.entry, quote.spread, budget, params.fees)
        stop_bp = float(levels.risk / levels.entry) * _BP
        cost_bp = float(costs.total_bp)
        odds = odds_of_trailing(stop_bp, cost_bp)
        if levels.take_profit is not None and levels.trailing_distance is None:
            target_bp = float(abs(levels.take_profit - levels.entry) / levels.entry) * _BP
            # Costs bring the stop nearer and put the target farther off.
            odds = odds_of_bracket(max(stop_bp - cost_bp, 0.0), target_bp + cost_bp)
        prior = Prior(
            weight=float(params.prior_weight),
            edge_bp=float(params.prior_edge_bp),
            odds=odds,
            deviation_bp=stop_bp,
            hours=hours_to(float(levels.risk), atr, params.period_s),
        )
        return estimate(tuple(self._done[side]), prior, costs)

    def _candidate(self, levels: Bracket, quote: Quote, side: Side, atr: float, now: datetime) -> Candidate:
        market, thesis = self._instrument.name, f"{NAME}:{'up' if side is Side.BUY else 'down'}"
        return Candidate(
            id=candidate_id(now, self._surface, market, thesis),
            surface=self._surface,
            market=market,
            group=market,
            category=CATEGORY,
            strategy=NAME,
            sub_strategy=_SUB_STRATEGY[side],
            side=side,
            thesis=thesis,
            quote=quote,
            decision_price=levels.entry,
            stop_loss=levels.stop_loss,
            take_profit=levels.take_profit,
            trailing_distance=levels.trailing_distance,
            atr=_decimal(atr),
            found_at=now,
        )


def _plan(levels: Bracket) -> ExitPlan:
    target, distance = levels.take_profit, levels.trailing_distance
    return ExitPlan(
        stop=levels.stop_loss,
        trailing=None if distance is None else Trailing(distance=distance),
        targets=() if target is None else (Target(price=target),),
    )


def _decimal(value: float) -> Decimal:
    return Decimal(str(round(value, 6)))
