"""What the next start would do to a log after a crash, said beforehand or done now.

The work is `journal.recovery`'s own; nothing is repaired here that a start would not repair, and no byte is deleted.
"""

import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from domain.clock import Clock
from domain.errors import Halt
from journal.findings import Problem
from journal.layout import CHECKPOINTS, LOCK, log_name, segment_name
from journal.lock import LogLocked, WriterLock, read_owner
from journal.mark import head
from journal.recovery import Plan, plan, recover
from journal.syscalls import SYSCALLS
from journal.verify import verify

if TYPE_CHECKING:
    from journal.keys import Keyring

# struct flock on 64-bit Linux, as in journal.lock: asked of the kernel, it comes back naming what is in the way.
_LOCK = struct.Struct("hhqqi4x")


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Bytes that belong to ``torn/``: what a crash left at the end of a file."""

    file: str
    offset: int
    bytes: int
    reason: str

    def __str__(self) -> str:
        return f"{self.bytes} bytes of {self.file} from byte {self.offset} on: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What was found.

    Attributes:
        seq: the last record that stays.
        kept: whole records beyond the commit mark; the crash came between their sync and the mark.
        moves: what is moved to ``torn/``; the next writer names it in a `recovery` record.
    """

    log: str
    seq: int
    kept: int
    moves: tuple[Move, ...]


def inspect(directory: Path, clock: Clock, *, keyring: "Keyring | None" = None) -> Repair:
    """Say what the next start would do to the log, and change nothing.

    Raises:
        LogLocked: a writer has the log.
        Halt: committed records are damaged, and which; nobody repairs that but a person with a copy.
    """
    if _is_held(directory):
        raise LogLocked(directory, read_owner(directory), 0)
    return _inspect(directory, clock, keyring)


def repair(directory: Path, clock: Clock, *, keyring: "Keyring | None" = None) -> Repair:
    """Do to the log what the next start would do, short of writing records; return what was done.

    Raises:
        LogLocked: a writer has the log.
        Halt: as `inspect`; nothing was changed.
    """
    lock = WriterLock(directory)
    lock.acquire(clock, 0)
    try:
        found = _inspect(directory, clock, keyring)
        recover(directory, found.log, clock, SYSCALLS)
        return found
    finally:
        lock.release()


def _inspect(directory: Path, clock: Clock, keyring: "Keyring | None") -> Repair:
    log = log_name(directory)
    found = plan(directory, log, clock, SYSCALLS)
    at = found.tip.position
    # A start reads from the last checkpoint on; here everything before it is read too.
    report = verify(directory, log=log, keyring=keyring, until=at)
    if report.problems:
        raise _damage(directory, report.problems[0], len(report.problems) - 1)
    mark = head(directory)
    return Repair(log=log, seq=at.seq, kept=at.seq - (mark.seq if mark else 0), moves=_moves(directory, found))


def _moves(directory: Path, found: Plan) -> tuple[Move, ...]:
    moves = []
    if found.offset < found.size:
        name, count = segment_name(found.segment), found.size - found.offset
        moves.append(Move(file=name, offset=found.offset, bytes=count, reason=found.reason))
    cut_at = found.checkpoints.cut_at
    if cut_at is not None:
        count = (directory / CHECKPOINTS).stat().st_size - cut_at
        moves.append(Move(file=CHECKPOINTS, offset=cut_at, bytes=count, reason=found.checkpoints.reason))
    return tuple(moves)


def _damage(directory: Path, first: Problem, more: int) -> Halt:
    name = segment_name(first.segment) if first.segment else CHECKPOINTS
    others = f" and {more} more" if more else ""
    return Halt(
        f"{directory} to hold every committed record",
        f"{first}{others}",
        f"restore {name} from a copy; nothing was changed, and audit verify names everything that is wrong",
    )


def _is_held(directory: Path) -> bool:
    """Ask whether somebody has the writer's lock, without taking it."""
    try:
        descriptor = os.open(directory / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        wanted = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        answer = _LOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, wanted))
        return bool(answer[0] != fcntl.F_UNLCK)
    finally:
        os.close(descriptor)
