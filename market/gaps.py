"""Where a stream of market data was silent although its market was open."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.clock import require_utc

# A market, and two moments -> how long it was open between them.
OpenTime = Callable[[str, datetime, datetime], timedelta]

EVERY_MARKET = "*"
_LEARN = 8
_WEIGHT = 1 / 16


class GapReason(StrEnum):
    """Why nothing was recorded: the stream said nothing, the connection was lost, or the process did not run."""

    SILENT = "silent"
    RECONNECT = "reconnect"
    RESTART = "restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Nothing was heard of ``market`` from ``since`` to ``until``; the market ``*`` is all of them."""

    market: str
    since: datetime
    until: datetime
    reason: GapReason

    def __post_init__(self) -> None:
        require_utc(self.since, "Gap.since")
        require_utc(self.until, "Gap.until")
        if self.until < self.since:
            raise ValueError(f"a gap must not end before it begins, found {self.since} to {self.until}")


def always_open(market: str, since: datetime, until: datetime) -> timedelta:
    """Measure the time of a market that never closes."""
    return until - since


class GapWatch:
    """Learns how often each stream speaks, and tells when it was silent for far longer than that.

    Args:
        open_time: how long a market was open between two moments; a night is no gap.
        times: how many usual intervals a silence must last.
        at_least: how long it must last besides.
        heard: market -> when it was last heard of in an earlier life of the process.
    """

    def __init__(
        self,
        open_time: OpenTime = always_open,
        *,
        times: float = 20.0,
        at_least: timedelta = timedelta(seconds=5),
        heard: dict[str, datetime] | None = None,
    ) -> None:
        self._open_time = open_time
        self._times = times
        self._at_least_s = at_least.total_seconds()
        self._before = dict(heard or {})
        self._last: dict[str, datetime] = {}
        self._usual_s: dict[str, float] = {}
        self._count: dict[str, int] = {}

    def hear(self, market: str, at: datetime) -> Gap | None:
        """Note that a stream spoke at ``at``; return the silence before it if that was too long."""
        last, self._last[market] = self._last.get(market), at
        if last is None:
            return self._after_restart(market, at)
        silent_s = (at - last).total_seconds()
        bound_s = self._bound_s(market)
        if bound_s is not None and silent_s > bound_s:
            silent_s = self._open_time(market, last, at).total_seconds()
            if silent_s > bound_s:
                return Gap(market=market, since=last, until=at, reason=GapReason.SILENT)
        self._learn(market, silent_s)
        return None

    def _after_restart(self, market: str, at: datetime) -> Gap | None:
        before = self._before.pop(market, None)
        # A simulated clock that started again is no gap.
        if before is None or at <= before:
            return None
        if self._open_time(market, before, at).total_seconds() <= self._at_least_s:
            return None
        return Gap(market=market, since=before, until=at, reason=GapReason.RESTART)

    def _bound_s(self, market: str) -> float | None:
        """Return how long a silence may last, None until enough was heard to know what is usual."""
        if self._count.get(market, 0) < _LEARN:
            return None
        return max(self._at_least_s, self._times * self._usual_s[market])

    def _learn(self, market: str, silent_s: float) -> None:
        if silent_s <= 0:
            return
        count = self._count[market] = self._count.get(market, 0) + 1
        usual_s = self._usual_s.get(market, silent_s)
        self._usual_s[market] = usual_s + (silent_s - usual_s) * max(_WEIGHT, 1 / count)
