"""A surface's operating state, trading day, cooldowns and suspensions: the events that a restart must not forget."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from domain.vocabulary import State

# state -> how tight it is; an automatic rule may only tighten, a person or a new trading day may loosen.
TIGHTNESS: Mapping[State, int] = {State.RUN: 0, State.REDUCE: 1, State.HALT: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """The surface went to ``state`` because of ``reason``.

    ``trading_day`` is set when the state ends with that day (a daily-loss breaker). ``flatten`` asks the resolver to
    close every open position.
    """

    state: State
    reason: str
    trading_day: date | None = None
    flatten: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DayStart:
    """Equity, realised and marked, in home currency when a trading day was first seen."""

    trading_day: date
    equity: Decimal
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooldown:
    """No new entry in ``market`` before ``until``, because of how ``signal_id`` ended."""

    market: str
    until: datetime
    reason: str
    signal_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """A category, strategy or sub-strategy is not traded before ``until`` (None: until a person lifts it)."""

    name: str
    reason: str
    until: datetime | None


def tighter(first: State, second: State) -> State:
    """Return the tighter of two states."""
    return max(first, second, key=lambda state: TIGHTNESS[state])
