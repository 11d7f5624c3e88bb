"""Whether an entry may be armed, and whether one that waits must be taken back."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from domain.vocabulary import OrderState
from strategies.stop_entry.actions import ArmEntry, CancelReason, WaitReason
from strategies.stop_entry.facts import EntryOrder, Facts, Phase
from strategies.stop_entry.levels import levels
from strategies.stop_entry.params import StopEntryParams
from strategies.stop_entry.splits import off_scale

_HUNDRED = Decimal(100)


def barred(facts: Facts, params: StopEntryParams) -> WaitReason | None:
    """Return the first reason not to arm an entry, None when one may be armed. There is no live entry."""
    return next((reason for reason, holds in _BARS if holds(facts, params)), None)


def arm(facts: Facts, params: StopEntryParams) -> ArmEntry | None:
    """Return the entry to arm, None where the price leaves no room for one."""
    last = facts.last
    where = None if last is None else levels(facts.symbol, last, facts.tick, params)
    if where is None:
        return None
    return ArmEntry(
        trigger=where.trigger,
        limit=where.limit,
        trail_percent=where.trail_percent,
        trail_offset=where.trail_offset,
        tif=params.entry_tif,
        outside_hours=params.allow_pre_market or params.allow_after_hours,
        session=facts.session.name,
    )


def unwanted(entry: EntryOrder, facts: Facts, params: StopEntryParams) -> CancelReason | None:
    """Return why a waiting entry must be taken back, None when it may wait on."""
    return next((reason for reason, holds in _FAULTS if holds(entry, facts, params)), None)


def elapsed(since: datetime | None, now: datetime, seconds: float) -> bool:
    """Tell whether ``seconds`` have passed; nothing that never was has passed.

    What lies as far ahead was noted before the clock was set back: nobody waits for it to come round again.
    """
    return since is not None and abs(now - since) >= timedelta(seconds=seconds)


def _recently(since: datetime | None, now: datetime, seconds: float) -> bool:
    return since is not None and not elapsed(since, now, seconds)


def is_open(facts: Facts, params: StopEntryParams) -> bool:
    """Tell whether entries may wait in this part of the day."""
    phase = facts.session.phase
    extended = {Phase.PRE: params.allow_pre_market, Phase.POST: params.allow_after_hours}
    return phase is Phase.REGULAR or extended.get(phase, False)


def is_ending(facts: Facts, params: StopEntryParams) -> bool:
    """Tell whether the last phase in which entries may wait is about to end."""
    last = Phase.POST if params.allow_after_hours else Phase.REGULAR
    left = facts.session.ends_at - facts.now
    return facts.session.phase is last and left <= timedelta(minutes=float(params.cancel_before_close_min))


def _was_refused(facts: Facts, params: StopEntryParams) -> bool:
    entry = facts.entry
    if facts.rearm_at is not None and facts.now < facts.rearm_at:
        return True
    is_refusal = entry is not None and entry.state is OrderState.REJECTED
    return is_refusal and entry is not None and _recently(entry.changed_at, facts.now, params.rearm_s)


def _is_spent(facts: Facts, params: StopEntryParams) -> bool:
    entry = facts.entry
    if params.rearm_next_session or entry is None:
        return False
    return entry.filled == 0 and entry.session != facts.session.name


def _is_crossed(facts: Facts, params: StopEntryParams) -> bool:
    entry = arm(facts, params)
    return entry is not None and facts.quote is not None and facts.quote.ask >= entry.trigger


def _is_off_scale(facts: Facts) -> bool:
    return off_scale(facts.last, facts.reference) is not None


_Bar = Callable[[Facts, StopEntryParams], bool]
# Read top to bottom: what is wrong with the account comes before what is wrong with the hour or the price.
_BARS: tuple[tuple[WaitReason, _Bar], ...] = (
    (WaitReason.FROZEN, lambda facts, params: facts.frozen),
    (WaitReason.SETTLING, lambda facts, params: not facts.settled and facts.position != facts.held),
    (WaitReason.UNEXPLAINED, lambda facts, params: facts.position != facts.held),
    (WaitReason.EXITING, lambda facts, params: facts.exiting),
    (WaitReason.LEFTOVER, lambda facts, params: bool(facts.own_stops)),
    (WaitReason.FOREIGN_ORDER, lambda facts, params: bool(facts.stops)),
    (WaitReason.DELISTED, lambda facts, params: not facts.listed),
    (WaitReason.HALTED, lambda facts, params: not facts.may_open),
    (WaitReason.COOLDOWN, lambda facts, params: facts.is_cooling),
    (WaitReason.HOURS, lambda facts, params: not is_open(facts, params)),
    (WaitReason.CLOSING, lambda facts, params: is_ending(facts, params)),
    (WaitReason.SPENT, _is_spent),
    (WaitReason.REFUSED, _was_refused),
    (WaitReason.OFF_SCALE, lambda facts, params: _is_off_scale(facts)),
    (WaitReason.NO_PRICE, lambda facts, params: arm(facts, params) is None),
    (WaitReason.NO_PRICE, lambda facts, params: facts.quote is None or not facts.quote.tradeable),
    (WaitReason.CROSSED, _is_crossed),
)


def _is_missed(entry: EntryOrder, facts: Facts, params: StopEntryParams) -> bool:
    """Tell of a stop limit that was triggered and left behind: the market ran beyond its bound."""
    return entry.limit is not None and elapsed(entry.triggered_at, facts.now, params.stuck_s)


def _is_too_high(entry: EntryOrder, facts: Facts, params: StopEntryParams) -> bool:
    """Tell of an entry whose market has fallen away from it; one that has begun to fill is never moved."""
    if entry.filled > 0 or entry.triggered_at is not None or facts.last is None:
        return False
    if not elapsed(entry.armed_at, facts.now, params.reprice_min_s):
        return False
    where = levels(facts.symbol, facts.last, facts.tick, params)
    return where is not None and entry.trigger > where.trigger * (1 + params.reprice_pct / _HUNDRED)


_Fault = Callable[[EntryOrder, Facts, StopEntryParams], bool]
_FAULTS: tuple[tuple[CancelReason, _Fault], ...] = (
    (CancelReason.HALTED, lambda entry, facts, params: not facts.may_open or facts.frozen),
    (CancelReason.DELISTED, lambda entry, facts, params: not facts.listed),
    (CancelReason.OUTSIDE_HOURS, lambda entry, facts, params: not is_open(facts, params)),
    (CancelReason.SESSION_ENDING, lambda entry, facts, params: is_ending(facts, params)),
    (CancelReason.EXITING, lambda entry, facts, params: facts.exiting),
    (CancelReason.COOLDOWN, lambda entry, facts, params: facts.is_cooling),
    (CancelReason.OFF_SCALE, lambda entry, facts, params: _is_off_scale(facts)),
    (CancelReason.ALONE, lambda entry, facts, params: entry.alone and entry.filled == 0),
    (CancelReason.MISSED, _is_missed),
    (CancelReason.REPRICE, _is_too_high),
)
