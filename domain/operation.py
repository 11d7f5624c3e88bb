"""A surface's operating state, trading day, cooldowns and suspensions: the events that a restart must not forget."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from domain.vocabulary import Cause, State

# state -> how tight it is; of several causes the tightest state rules.
TIGHTNESS: Mapping[State, int] = {State.RUN: 0, State.REDUCE: 1, State.HALT: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """``cause`` wants the surface in ``state`` because of ``reason``; RUN takes back what it wanted before.

    ``flatten`` asks the resolver to close every open position. ``request`` is the number of the operator's action that
    asked for it.
    """

    state: State
    reason: str
    cause: Cause = Cause.OPERATOR
    flatten: bool = False
    request: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorAction:
    """A person's order to one surface, as written in ``logs/operator/actions``."""

    state: State
    reason: str
    flatten: bool = False


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


def effective(wishes: Iterable[StateChange]) -> StateChange:
    """Return the tightest of what the causes want; RUN when none of them wants anything else."""
    return max(wishes, key=lambda wish: (TIGHTNESS[wish.state], wish.flatten), default=START)


START = StateChange(state=State.RUN, reason="start")
