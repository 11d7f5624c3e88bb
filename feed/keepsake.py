"""What the feed remembers over a restart, so that it need not read its logs from their beginning.

A shortcut, never the truth: the logs are. It is used only if every log still holds, at the place it names, the record
it names; otherwise everything is read anew.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from feed.rows import KeptRows
from journal import Position, head
from journal.layout import segment_path
from journal.record import MAX_LINE, BadLine, links

VERSION = 2


class KeptLine(msgspec.Struct, frozen=True):
    """A public line as it stands in its log."""

    log: str
    raw: str
    after: Position


class KeptBoard(msgspec.Struct, frozen=True):
    """The signals that are still served or open."""

    rows: KeptRows
    opens: list[KeptLine]
    amends: list[KeptLine]


class KeptLog(msgspec.Struct, frozen=True):
    """How far one log was read, and from where on its lines were in memory."""

    epoch: str
    base: Position
    head: Position
    head_ts: str
    head_sig: str | None


class KeptCell(msgspec.Struct, frozen=True):
    """One sum over reports that are no longer in memory; ``behind`` are the subscribers who made it up."""

    cell: tuple[str, str, str, str]
    count: int
    total: str
    behind: list[str]


class KeptReports(msgspec.Struct, frozen=True):
    """Sums of what was let go, the place from which the rest is read again, and how far the journal went.

    ``told`` are the resolutions, by subscriber and signal, of which was said that they wait too long.
    """

    sums: list[KeptCell]
    after: Position
    head: Position
    is_begun: bool
    told: list[tuple[str, str]]


class Keepsake(msgspec.Struct, frozen=True):
    """All of it."""

    version: int
    retention_days: int
    logs: dict[str, KeptLog]
    board: KeptBoard
    reports: KeptReports


# The shelves of rows follow, so many in a line: making the file never keeps everybody else waiting.
_PART = 64


def load(path: Path, retention_days: int, logs: Mapping[str, Path], callbacks: Path) -> Keepsake | None:
    """Return what was kept, or None when there is nothing, or it is not of these logs as they are now."""
    try:
        kept = _read(path)
    except (OSError, ValueError):
        return None
    # Signals let go under a shorter retention may have to be served under a longer one.
    if kept.version != VERSION or kept.retention_days != retention_days or kept.logs.keys() != logs.keys():
        return None
    is_same = all(_holds(logs[name], one.head) and _begins(logs[name], one.epoch) for name, one in kept.logs.items())
    return kept if is_same and _holds(callbacks, kept.reports.head) else None


def save(path: Path, kept: Keepsake) -> None:
    """Replace the file; raises OSError when the disk does not take it."""
    fresh = path.with_name(f".{path.name}.new")
    path.parent.mkdir(parents=True, exist_ok=True)
    shelves = kept.board.rows.shelves
    with open(fresh, "wb", opener=_private) as file:
        file.write(msgspec.json.encode(_with(kept, [])) + b"\n")
        for begin in range(0, len(shelves), _PART):
            file.write(msgspec.json.encode(shelves[begin : begin + _PART]) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def _read(path: Path) -> Keepsake:
    decode = msgspec.json.Decoder(list[bytes]).decode
    with open(path, "rb") as file:
        kept = msgspec.json.decode(file.readline(), type=Keepsake)
        kept = _with(kept, [shelf for line in file for shelf in decode(line)])
    if not kept.board.rows.is_whole:
        raise ValueError("the file ends too early")
    return kept


def _with(kept: Keepsake, shelves: list[bytes]) -> Keepsake:
    """Return the same with other shelves: in the file they stand behind all else."""
    replace = msgspec.structs.replace
    return replace(kept, board=replace(kept.board, rows=replace(kept.board.rows, shelves=shelves)))


def _holds(directory: Path, at: Position) -> bool:
    """Tell whether the committed log has this record at this place."""
    if at.seq == 0:
        return True
    until = head(directory)
    if until is None or until.seq < at.seq:
        return False
    with contextlib.suppress(OSError, BadLine), open(segment_path(directory, at.segment), "rb") as file:
        begin = max(0, at.offset - MAX_LINE)
        file.seek(begin)
        block = file.read(at.offset - begin)
        return block.endswith(b"\n") and links(block[:-1].rpartition(b"\n")[2])[1] == at.h
    return False


def _begins(directory: Path, epoch: str) -> bool:
    """Tell whether this is the incarnation of the log that begins with the hash ``epoch``."""
    if not epoch.strip("0"):
        return True
    with contextlib.suppress(OSError, BadLine), open(segment_path(directory, 1), "rb") as file:
        return links(file.readline(MAX_LINE).rstrip(b"\n"))[1].startswith(epoch)
    return False


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
