"""The state machine of one symbol: what the facts call for, as one table.

This module is the single authority for what the stop-entry strategy does when. It remembers nothing: state and events
are read off the facts each time, so a restart at any point asks for the same actions as carrying on would.

``perceive`` names everything the facts call for; ``TABLE`` says for each state and event what is done and which state
follows once that is done. Pairs that facts cannot show stand in ``IMPOSSIBLE``, with the reason; one of them asked for
all the same is answered by waiting.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from strategies.stop_entry import protection
from strategies.stop_entry.actions import Action, CancelEntry, Freeze, FreezeReason, Wait, WaitReason
from strategies.stop_entry.arming import arm, barred, elapsed, unwanted
from strategies.stop_entry.facts import EntryOrder, Facts, LiveStop, Phase, Session
from strategies.stop_entry.params import StopEntryParams

__all__ = [
    "IMPOSSIBLE",
    "TABLE",
    "EntryOrder",
    "Event",
    "Facts",
    "LiveStop",
    "Phase",
    "Row",
    "Session",
    "State",
    "Step",
    "observe",
    "perceive",
    "step",
    "transition",
]


class State(StrEnum):
    """Where a symbol stands."""

    NO_POSITION = "NO_POSITION"
    ENTRY_PENDING = "ENTRY_PENDING"
    POSITION_OPEN = "POSITION_OPEN"
    COOLDOWN = "COOLDOWN"


class Event(StrEnum):
    """Something the facts call for, or that keeps them quiet."""

    LINK_DOWN = "link_down"
    ACCOUNT_UNREAD = "account_unread"
    FROZEN = "frozen"
    SHORT = "short"
    SPLIT_SUSPECTED = "split_suspected"
    UNEXPLAINED = "unexplained"
    ENTRY_DOUBTFUL = "entry_doubtful"
    ENTRY_LEAVING = "entry_leaving"
    ENTRY_UNWANTED = "entry_unwanted"
    ENTRY_RESTS = "entry_rests"
    ARMING_BARRED = "arming_barred"
    MAY_ARM = "may_arm"
    EXIT_RUNNING = "exit_running"
    DELISTED = "delisted"
    STOP_SUPERFLUOUS = "stop_superfluous"
    STOP_OFF_SCALE = "stop_off_scale"
    EXIT_NEEDED = "exit_needed"
    STOP_MISSING = "stop_missing"
    STOP_REFUSED = "stop_refused"
    STOP_DOUBTFUL = "stop_doubtful"
    STOP_WORKING = "stop_working"
    STOP_MISSIZED = "stop_missized"
    STOP_RESIZING = "stop_resizing"
    FRACTION_WAITS = "fraction_waits"
    SETTLING = "settling"
    PROTECTED = "protected"


Act: TypeAlias = Callable[[Facts, StopEntryParams], tuple[Action, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """``after`` is the state that facts show once the actions are carried out and proven, if nothing else happens."""

    after: State
    act: Act


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one look at the facts comes to; ``after`` is the state once the actions are carried out and proven."""

    state: State
    events: tuple[Event, ...]
    actions: tuple[Action, ...]
    after: State
    reason: str

    @property
    def orders(self) -> tuple[Action, ...]:
        """Return the actions that change something: all but waiting."""
        return tuple(action for action in self.actions if not isinstance(action, Wait))


def observe(facts: Facts) -> State:
    """Return the state that the facts show: shares first, then an entry that may still buy some, then the cooldown."""
    if facts.owned > 0:
        return State.POSITION_OPEN
    if facts.live_entry is not None:
        return State.ENTRY_PENDING
    return State.COOLDOWN if facts.is_cooling else State.NO_POSITION


def perceive(facts: Facts, params: StopEntryParams) -> tuple[Event, ...]:
    """Return every event the facts show, what concerns the account first, then the entry, then the protection."""
    if not facts.link_usable:
        return (Event.LINK_DOWN,)
    if facts.position is None:
        return (Event.ACCOUNT_UNREAD,)
    return (*_of_account(facts), *_of_entry(facts, params), *_of_protection(facts, params))


def step(facts: Facts, params: StopEntryParams) -> Step:
    """Return what the facts call for. The same facts always give the same step."""
    state, events = observe(facts), perceive(facts, params)
    actions: tuple[Action, ...] = ()
    after = state
    for event in events:
        following, wanted = transition(state, event, facts, params)
        actions += tuple(action for action in wanted if action not in actions)
        after = following if following is not state else after
    return Step(state=state, events=events, actions=actions, after=after, reason=", ".join(events))


def transition(state: State, event: Event, facts: Facts, params: StopEntryParams) -> tuple[State, tuple[Action, ...]]:
    """Return the state after ``event`` and what is done about it; every pair has an answer."""
    row = TABLE.get((state, event))
    if row is None:
        return state, (Wait(reason=WaitReason.IMPOSSIBLE),)
    return row.after, row.act(facts, params)


def _of_account(facts: Facts) -> tuple[Event, ...]:
    if facts.frozen:
        return (Event.FROZEN,)
    if not facts.is_comparable or facts.position == facts.held:
        return ()
    if facts.position is not None and facts.position < 0:
        return (Event.SHORT,)
    return (Event.UNEXPLAINED,) if protection.split_of(facts) is None else (Event.SPLIT_SUSPECTED,)


def _of_entry(facts: Facts, params: StopEntryParams) -> tuple[Event, ...]:
    entry = facts.live_entry
    if entry is None:
        if facts.owned > 0:
            return ()
        return (Event.MAY_ARM,) if barred(facts, params) is None else (Event.ARMING_BARRED,)
    if entry.is_doubtful:
        return (Event.ENTRY_DOUBTFUL,)
    asked = entry.cancel_asked_at
    if asked is not None and not elapsed(asked, facts.now, params.retry_s):
        return (Event.ENTRY_LEAVING,)
    return (Event.ENTRY_RESTS,) if unwanted(entry, facts, params) is None else (Event.ENTRY_UNWANTED,)


def _of_protection(facts: Facts, params: StopEntryParams) -> tuple[Event, ...]:
    if facts.exiting:
        # A stop placed in the moment of the exit would sell what is sold already.
        is_flat = facts.held == 0 and facts.position == 0
        has_left = is_flat and bool(protection.superfluous(facts, params))
        return (Event.STOP_SUPERFLUOUS, Event.EXIT_RUNNING) if has_left else (Event.EXIT_RUNNING,)
    if protection.off_scale(facts, params):
        return (Event.STOP_OFF_SCALE,)
    extra = (Event.STOP_SUPERFLUOUS,) if protection.superfluous(facts, params) else ()
    return extra if facts.owned == 0 else (*extra, _of_position(facts, params))


def _of_position(facts: Facts, params: StopEntryParams) -> Event:
    """Return the one thing to say of the protection of an open position."""
    if not facts.listed:
        return Event.DELISTED
    if protection.escalation(facts, params) is not None:
        return Event.EXIT_NEEDED
    if not facts.own_stops:
        return _of_naked(facts, params)
    kept = protection.keeper(facts, params)
    if kept is None:
        return Event.STOP_DOUBTFUL
    if kept.is_working:
        return Event.STOP_WORKING
    if protection.fits(kept, facts):
        return Event.PROTECTED
    return Event.STOP_RESIZING if protection.is_resizing(kept, facts, params) else Event.STOP_MISSIZED


def _of_naked(facts: Facts, params: StopEntryParams) -> Event:
    if protection.bounds(facts).high == 0:
        return Event.FRACTION_WAITS
    if protection.bounds(facts).low == 0:
        return Event.SETTLING
    refused = facts.stop_refused_at
    is_fresh = refused is not None and not elapsed(refused, facts.now, params.retry_s)
    return Event.STOP_REFUSED if is_fresh else Event.STOP_MISSING


def _wait(reason: WaitReason) -> Act:
    return lambda facts, params: (Wait(reason=reason),)


def _bar(facts: Facts, params: StopEntryParams) -> tuple[Action, ...]:
    return (Wait(reason=barred(facts, params) or WaitReason.IMPOSSIBLE),)


def _arm(facts: Facts, params: StopEntryParams) -> tuple[Action, ...]:
    entry = arm(facts, params)
    return (Wait(reason=WaitReason.NO_PRICE),) if entry is None else (entry,)


def _take_back(facts: Facts, params: StopEntryParams) -> tuple[Action, ...]:
    entry = facts.live_entry
    reason = None if entry is None else unwanted(entry, facts, params)
    if entry is None or reason is None:
        return (Wait(reason=WaitReason.IMPOSSIBLE),)
    return (CancelEntry(order_id=entry.order_id, reason=reason),)


def _freeze_split(facts: Facts, params: StopEntryParams) -> tuple[Action, ...]:
    return (Freeze(reason=FreezeReason.SPLIT, ratio=protection.split_of(facts)),)


def _freeze_short(facts: Facts, params: StopEntryParams) -> tuple[Action, ...]:
    return (Freeze(reason=FreezeReason.SHORT, ratio=None),)


def _place(facts: Facts, params: StopEntryParams) -> tuple[Action, ...]:
    return (protection.place(facts, params),)


def _resize(facts: Facts, params: StopEntryParams) -> tuple[Action, ...]:
    change = protection.resize(facts, params)
    return () if change is None else (change,)


def _escalate(facts: Facts, params: StopEntryParams) -> tuple[Action, ...]:
    need = protection.escalation(facts, params)
    return () if need is None else (need,)


_NONE, _PENDING, _OPEN, _COOL = State.NO_POSITION, State.ENTRY_PENDING, State.POSITION_OPEN, State.COOLDOWN


def _stay(act: Act, *states: State) -> Mapping[State, Row]:
    return {state: Row(after=state, act=act) for state in states or tuple(State)}


# Event -> state -> what is done and what follows. States left out stand in IMPOSSIBLE below.
_ROWS: Mapping[Event, Mapping[State, Row]] = {
    Event.LINK_DOWN: _stay(_wait(WaitReason.LINK)),
    Event.ACCOUNT_UNREAD: _stay(_wait(WaitReason.ACCOUNT)),
    Event.FROZEN: _stay(_wait(WaitReason.FROZEN)),
    Event.SHORT: _stay(_freeze_short, _NONE, _COOL),
    Event.SPLIT_SUSPECTED: _stay(_freeze_split, _OPEN),
    Event.UNEXPLAINED: _stay(_wait(WaitReason.UNEXPLAINED), _NONE, _COOL, _OPEN),
    Event.ENTRY_DOUBTFUL: _stay(_wait(WaitReason.ENTRY_DOUBTFUL), _PENDING, _OPEN),
    Event.ENTRY_LEAVING: _stay(_wait(WaitReason.CANCELLING), _PENDING, _OPEN),
    Event.ENTRY_UNWANTED: {
        _PENDING: Row(after=_NONE, act=_take_back),
        _OPEN: Row(after=_OPEN, act=_take_back),
    },
    Event.ENTRY_RESTS: _stay(_wait(WaitReason.ENTRY_RESTS), _PENDING, _OPEN),
    Event.ARMING_BARRED: _stay(_bar, _NONE, _COOL),
    Event.MAY_ARM: {_NONE: Row(after=_PENDING, act=_arm)},
    Event.EXIT_RUNNING: _stay(_wait(WaitReason.EXITING)),
    Event.DELISTED: _stay(_wait(WaitReason.DELISTED), _OPEN),
    Event.STOP_SUPERFLUOUS: _stay(lambda facts, params: protection.superfluous(facts, params)),
    Event.STOP_OFF_SCALE: _stay(lambda facts, params: protection.off_scale(facts, params), _OPEN),
    Event.EXIT_NEEDED: {_OPEN: Row(after=_COOL, act=_escalate)},
    Event.STOP_MISSING: _stay(_place, _OPEN),
    Event.STOP_REFUSED: _stay(_wait(WaitReason.STOP_REFUSED), _OPEN),
    Event.STOP_DOUBTFUL: _stay(_wait(WaitReason.STOP_DOUBTFUL), _OPEN),
    Event.STOP_WORKING: {_OPEN: Row(after=_COOL, act=_wait(WaitReason.STOP_WORKING))},
    Event.STOP_MISSIZED: _stay(_resize, _OPEN),
    Event.STOP_RESIZING: _stay(_wait(WaitReason.RESIZING), _OPEN),
    Event.FRACTION_WAITS: _stay(_wait(WaitReason.FRACTION), _OPEN),
    Event.SETTLING: _stay(_wait(WaitReason.SETTLING), _OPEN),
    Event.PROTECTED: _stay(_wait(WaitReason.PROTECTED), _OPEN),
}

_NO_SHARES = "nothing is held, so there is nothing to protect"
_NO_ENTRY = "no entry is live, or the state would be ENTRY_PENDING"
# Event -> state -> why facts never show it there.
_NEVER: Mapping[Event, Mapping[State, str]] = {
    Event.SHORT: {
        _PENDING: "positions are not compared while an entry is live",
        _OPEN: "a short position is none of ours, so nothing is held",
    },
    Event.SPLIT_SUSPECTED: dict.fromkeys((_NONE, _PENDING, _COOL), "both counts are above nothing"),
    Event.UNEXPLAINED: {_PENDING: "positions are not compared while an entry is live"},
    **dict.fromkeys(
        (Event.ENTRY_DOUBTFUL, Event.ENTRY_LEAVING, Event.ENTRY_UNWANTED, Event.ENTRY_RESTS),
        dict.fromkeys((_NONE, _COOL), _NO_ENTRY),
    ),
    Event.ARMING_BARRED: {_PENDING: "an entry is live", _OPEN: "shares are held"},
    Event.MAY_ARM: {_PENDING: "an entry is live", _OPEN: "shares are held", _COOL: "a cooldown bars arming"},
    **dict.fromkeys(
        (
            Event.STOP_OFF_SCALE,
            Event.DELISTED,
            Event.EXIT_NEEDED,
            Event.STOP_MISSING,
            Event.STOP_REFUSED,
            Event.STOP_DOUBTFUL,
            Event.STOP_WORKING,
            Event.STOP_MISSIZED,
            Event.STOP_RESIZING,
            Event.FRACTION_WAITS,
            Event.SETTLING,
            Event.PROTECTED,
        ),
        dict.fromkeys((_NONE, _PENDING, _COOL), _NO_SHARES),
    ),
}

TABLE: Mapping[tuple[State, Event], Row] = {
    (state, event): row for event, rows in _ROWS.items() for state, row in rows.items()
}
IMPOSSIBLE: Mapping[tuple[State, Event], str] = {
    (state, event): why for event, reasons in _NEVER.items() for state, why in reasons.items()
}
