"""What the publisher signed and this client saw: kept so that a rewritten past can be proven, not only noticed.

One line of `heads.jsonl` for each line of a log that came by, and at most one a minute for each log's head. A signed
line is a signed head: whoever shows another line at the same place has signed two pasts.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tbot_client.book import say

MOST_BYTES = 16 << 20
HEAD_S = 60.0


class Seen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place in a log as it was served; ``is_line`` says that the line itself came by, not only its hash."""

    log: str
    seq: int
    h: str
    sig: str = ""
    at: str = ""
    is_line: bool = False


class Evidence:
    """Appends to the file, newest heads held back for up to a minute; a crash loses those, and nothing else."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._waiting: dict[str, Seen] = {}
        self._written: dict[str, tuple[float, int]] = {}
        self._lines: set[tuple[str, int]] = {(seen.log, seen.seq) for seen in read(path) if seen.is_line}

    def head(self, seen: Seen) -> None:
        """Keep a head, now or when the minute of its log is over."""
        at, seq = self._written.get(seen.log, (-HEAD_S, 0))
        if seen.seq == seq:
            return
        if time.monotonic() - at >= HEAD_S:
            self._write([seen])
        else:
            self._waiting[seen.log] = seen

    def lines(self, seen: list[Seen]) -> None:
        """Keep lines that are new."""
        fresh = [each for each in seen if (each.log, each.seq) not in self._lines]
        self._lines |= {(each.log, each.seq) for each in fresh}
        if fresh:
            self._write(fresh)

    def save(self) -> None:
        """Write what was held back."""
        if self._waiting:
            self._write(list(self._waiting.values()))

    def _write(self, seen: list[Seen]) -> None:
        """Write what can be written: evidence that finds no room must not keep a position from being closed."""
        try:
            self._append(seen)
        except OSError as error:
            say(f"heads.jsonl could not be written ({error}): less to prove a rewritten past with")

    def _append(self, seen: list[Seen]) -> None:
        data = b"".join(msgspec.json.encode(each) + b"\n" for each in seen)
        with self._path.open("ab") as file:
            # After a crash in the middle of a line the next one must not be glued to it.
            if file.tell() and not _ends_whole(self._path):
                file.write(b"\n")
            file.write(data)
            size = file.tell()
        for each in seen:
            if not each.is_line:
                self._written[each.log] = (time.monotonic(), each.seq)
                self._waiting.pop(each.log, None)
        if size > self._most_bytes:
            self._thin()

    def _thin(self) -> None:
        """Keep the newer half whole and of the older half every other entry, so that all times stay covered."""
        seen = list(read(self._path))
        middle = len(seen) // 2
        partial = self._path.with_suffix(".new")
        partial.write_bytes(b"".join(msgspec.json.encode(s) + b"\n" for s in seen[:middle:2] + seen[middle:]))
        partial.replace(self._path)


def read(path: Path) -> Iterator[Seen]:
    """Yield what was kept; a line that a crash cut short is passed over."""
    if not path.exists():
        return
    decode = msgspec.json.Decoder(Seen).decode
    with path.open("rb") as file:
        for line in file:
            try:
                yield decode(line)
            except msgspec.MsgspecError:
                continue


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
