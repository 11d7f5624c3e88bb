"""The table of answers to callbacks, row by row; the text of it is in docs/feed.md.

Pure: nothing here writes. Two rows are lenient on purpose, because a network reorders facts: a fill is believed
before its ack, and a resolution before its fills.
"""

import dataclasses
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from domain.callback import Callback
from domain.clock import iso
from domain.vocabulary import Mode, Stage, Surface
from feed.lines import Signal
from feed.problems import Problem
from feed.reports import Report
from feed.thread import SKIP, Thread

FILLS_MAX = 1_000
_SKEW_S = 300
_GRACE = timedelta(seconds=600)


class Moment(msgspec.Struct, frozen=True):
    """What lateness is judged by: now, and when the publisher's own trade ended."""

    now: datetime
    ended_at: datetime | None


class Conflict(Problem):
    """A report that contradicts one already stored; it leaves an audit line and changes nothing."""

    def __init__(self, code: str, detail: str, existing: Callback | None, **extra: Any) -> None:
        if existing is not None:
            extra |= {"existing_sha256": existing.body_sha256, "existing_ts": iso(existing.received_at)}
        super().__init__(409, code, detail, **extra)
        self.existing = existing


def draft(
    report: Report, stage: Stage, body_sha256: str, record_id: str, subscriber: str, signal: Signal, when: Moment
) -> Callback:
    """Return the record a report would become, before its place in the thread is known."""
    skew = report.at - when.now
    facts = report.model_dump(exclude={"at", "rev"})
    return Callback(
        id=record_id,
        subscriber=subscriber,
        signal_id=signal.id,
        surface=Surface(signal.surface),
        mode=Mode(signal.mode),
        stage=stage,
        rev=report.rev,
        body_sha256=body_sha256,
        received_at=when.now,
        reported_at=report.at,
        late=_is_late(stage, signal, when),
        skew_s=_seconds(skew) if abs(skew.total_seconds()) > _SKEW_S else None,
        **facts,
    )


def judge(thread: Thread, new: Callback) -> Callback | None:
    """Return the stored report that ``new`` repeats, or None when ``new`` is to be stored.

    Raises:
        Conflict: 409, it contradicts what is stored.
        Problem: 422, its fills exceed the order.
    """
    known = thread.known(new.chain, new.rev)
    if known is not None:
        if known.body_sha256 == new.body_sha256:
            return known
        raise Conflict("conflict", "another body is stored under this key; correct it with the next rev", known)
    expected = thread.next_rev(new.chain)
    if new.rev != expected:
        raise Conflict("rev_gap", "rev must be the last one + 1", thread.latest(new.chain), expected_rev=expected)
    _require_not_final(thread, new)
    if new.stage is Stage.EXECUTED:
        _require_within_order(thread, new)
    return None


def place(thread: Thread, new: Callback) -> Callback:
    """Return ``new`` with what its place in the thread adds to it."""
    if new.stage is Stage.EXECUTED and not thread.is_acked:
        return dataclasses.replace(new, implied=(Stage.ACK,))
    if new.stage is Stage.RESOLVED and not thread.covers(new.quantity):
        return dataclasses.replace(new, parked=True)
    return new


def status(record: Callback) -> int:
    """Return the status with which a report is answered the first time."""
    if record.parked:
        return 202
    return 200 if record.stage is Stage.ACK and record.late else 201


def answer(record: Callback, *, is_duplicate: bool) -> dict[str, Any]:
    """Return the body of an answer: the same for a first report and for its repetition, but for ``duplicate``."""
    body: dict[str, Any] = {
        "id": record.id,
        "signal_id": record.signal_id,
        "stage": record.stage,
        "rev": record.rev,
        "fill_id": record.fill_id,
        "body_sha256": record.body_sha256,
        "received_at": iso(record.received_at),
        "late": record.late,
        "parked": record.parked,
        "implied": record.implied,
        "duplicate": is_duplicate,
    }
    if record.stage is Stage.ACK:
        body["do_not_execute"] = record.late
    return body


def _require_not_final(thread: Thread, new: Callback) -> None:
    is_skip = new.stage is Stage.ACK and new.decision == SKIP
    if is_skip and (thread.fills or thread.resolved):
        raise Conflict("final", "a trade that was executed cannot be skipped", thread.resolved or thread.fills[0])
    if new.rev > 0:  # a correction is how a final report is changed
        return
    if thread.is_skipped:
        raise Conflict("final", "the signal was skipped; correct the ack first", thread.latest((Stage.ACK, "")))
    if thread.is_resolved:
        raise Conflict("final", "the trade is resolved; correct what is stored with the next rev", thread.resolved)


def _require_within_order(thread: Thread, new: Callback) -> None:
    filled = thread.filled(without=new.chain) + (new.quantity or Decimal(0))
    if filled > (new.ordered_quantity or Decimal(0)):
        raise Problem(
            422,
            "overfilled",
            "the fills add up to more than ordered_quantity",
            filled=format(filled, "f"),
            ordered_quantity=format(new.ordered_quantity or Decimal(0), "f"),
        )
    if new.rev == 0 and len(thread.fills) >= FILLS_MAX:
        raise Problem(422, "overfilled", f"a signal may have {FILLS_MAX} fills")


def _is_late(stage: Stage, signal: Signal, when: Moment) -> bool:
    """Opens are late once they have expired; a resolution, once the publisher's is older than opens may get."""
    if stage is not Stage.RESOLVED:
        return signal.is_expired(when.now)
    if when.ended_at is None:
        return False
    lives = signal.expires_at is not None and signal.published_at is not None
    grace = signal.expires_at - signal.published_at if lives else _GRACE  # type: ignore[operator]
    return when.now > when.ended_at + grace


def _seconds(span: timedelta) -> Decimal:
    return (Decimal(span.days * 86_400 + span.seconds) + Decimal(span.microseconds).scaleb(-6)).normalize()
