"""Levels that the market crossed so long ago that the broker should have acted."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import NamedTuple

from brokers.port import BrokerTrade, MarketData
from domain.corporate import Split
from domain.ledger.position import Position
from domain.quotes import Bar
from domain.vocabulary import ExitReason, Surface
from strategies.exits import ExitPlan, ExitState, on_bar, plan_of, start

# How long the broker may take to act on a crossed level before we do it: two closed one-minute bars.
GRACE = timedelta(seconds=120)
PERIOD_S = 60
# So many bars a venue gives at once: there may be more.
MOST = 5_000


class Crossed(NamedTuple):
    """A level that was met: why it ends the position, the price, and by when the market had met it."""

    reason: ExitReason
    price: Decimal
    at: datetime


@dataclass(slots=True)
class _Watched:
    """One position followed along the bars.

    ``since`` is where its next ones begin, ``asked`` up to when they were asked for, ``crossed`` the level met.
    """

    plan: ExitPlan
    state: ExitState
    since: datetime
    asked: datetime | None = None
    crossed: Crossed | None = None


class Watch:
    """Follows every position along closed bars, each bar once: a venue counts how often it is asked for old ones.

    So a position's bars are asked for once a minute, when another may have closed, however often it is looked at.

    Args:
        acts_in: tells of a bar whether the broker's stops act while it lasts.
    """

    def __init__(self, data: MarketData, acts_in: Callable[[Bar], bool]) -> None:
        self._data = data
        self._acts_in = acts_in
        self._watched: dict[str, _Watched] = {}

    def keep_only(self, signal_ids: Collection[str]) -> None:
        """Let go of positions that are over."""
        if len(self._watched) > len(signal_ids):
            self._watched = {key: one for key, one in self._watched.items() if key in signal_ids}

    def overdue(
        self, position: Position, trade: BrokerTrade, splits: Sequence[Split], now: datetime, known_at: datetime
    ) -> ExitReason | None:
        """Return the level that was crossed, None when none was or nothing can be said.

        Args:
            known_at: when the surface learned of the position, which may be long after it was opened: it has
                as long to protect it as the broker has to act.
        """
        candidate = position.decision.candidate
        # The levels of an event contract are the bounds of its price: no order rests there, and none is needed.
        if candidate.is_event or now - max(position.opened_at, known_at) < GRACE:
            return None
        # Shares that the journals don't know of were split: until they do, the levels are of another price.
        if candidate.surface is Surface.STK and trade.quantity != position.quantity:
            return None
        crossed = self.crossed(position, splits, now)
        return None if crossed is None else crossed.reason

    def crossed(self, position: Position, splits: Sequence[Split], now: datetime) -> Crossed | None:
        """Return the first level that was met since the position was opened, None when none was."""
        watched = self._of(position, splits)
        if watched.crossed is None:
            self._follow(watched, position.market, now - GRACE)
        return watched.crossed

    def _of(self, position: Position, splits: Sequence[Split]) -> _Watched:
        """Return how far a position was followed; from the start again when its levels are others now."""
        plan = _plan(position)
        known = self._watched.get(position.signal_id)
        if known is not None and known.plan == plan:
            return known
        since = max([position.opened_at, *(split.effective_at for split in splits)])
        state = start(plan, position.side, position.entry_price, position.quantity, since)
        self._watched[position.signal_id] = _Watched(plan, state, since)
        return self._watched[position.signal_id]

    def _follow(self, watched: _Watched, market: str, until: datetime) -> None:
        last = datetime.fromtimestamp(ceil(until.timestamp() / PERIOD_S) * PERIOD_S, UTC)
        if watched.asked == last:
            return
        bars = self._data.bars(market, PERIOD_S, start=watched.since, end=last)
        watched.asked = None if len(bars) >= MOST else last
        for bar in bars:
            if bar.start < watched.since:
                continue  # it shows prices of before the position, or was followed already
            watched.since = bar.end
            if self._acts_in(bar) and watched.crossed is None:
                watched.state, exits = on_bar(watched.plan, watched.state, bar)
                watched.crossed = Crossed(exits[0].reason, exits[0].price, bar.end) if exits else None


def _plan(position: Position) -> ExitPlan:
    """Return a position's levels.

    A trailing distance is the broker's to measure, on ticks that bars don't show; a percentage is wide enough.
    """
    plan = plan_of(position.decision.candidate)
    is_distance = plan.trailing is not None and plan.trailing.distance is not None
    return replace(plan, trailing=None) if is_distance else plan
