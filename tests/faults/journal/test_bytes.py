"""A log cut at every byte, and with every byte of a record changed."""

import json
import random
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from domain.clock import FakeClock
from domain.errors import Halt
from journal import Journal, NewRecord, read, verify

SEGMENT_BYTES = 1250
# What says how far the log had come. A power cut may lose it, because it is not synced with the records.
HINTS = ("head.json", "checkpoints.jsonl")

Files = Mapping[str, bytes]


class Crashed:
    """A log of three segments as a killed writer leaves it.

    Attributes:
        current: its files.
        earlier: its hints from one record before the end.
        lines: segment name, offset and bytes of every line.
    """

    def __init__(self, scratch: Path, clock: FakeClock) -> None:
        self.log, self.clock = scratch / "fx" / "signals", clock
        with self._open() as journal:
            for number in (0, 3):
                self._append(journal, number)
                pair = [NewRecord(kind="n", surface="fx", mode="paper", fields={"n": number + k}) for k in (1, 2)]
                journal.append_many(pair)
            self.earlier = {name: self.files()[name] for name in HINTS if name in self.files()}
            self._append(journal, 6)
            self.current = self.files()
        self.segments = {name: data for name, data in self.current.items() if name.startswith("0")}
        self.lines = [
            (name, sum(map(len, lines[:index])), line)
            for name, data in self.segments.items()
            for lines in [data.splitlines(keepends=True)]
            for index, line in enumerate(lines)
        ]

    def _open(self) -> Journal:
        return Journal.open(self.log, clock=self.clock, segment_bytes=SEGMENT_BYTES, durable=False, lock_wait_s=0)

    @staticmethod
    def _append(journal: Journal, number: int) -> None:
        journal.append("n", surface="fx", mode="paper", fields={"n": number})

    def files(self) -> dict[str, bytes]:
        names = (*HINTS, *sorted(path.name for path in self.log.glob("0*")))
        return {name: (self.log / name).read_bytes() for name in names if (self.log / name).exists()}

    def hints(self, which: str) -> Files:
        known = {"none": {}, "earlier": self.earlier, "current": self.current}[which]
        return {name: known[name] for name in HINTS if name in known}

    def place(self, files: Files) -> None:
        """Make the log consist of ``files``."""
        shutil.rmtree(self.log)
        self.log.mkdir()
        for name, data in files.items():
            (self.log / name).write_bytes(data)

    def opened(self) -> bool:
        """Start on it, as the next process would; tell whether it let itself be opened."""
        try:
            self._open().close()
        except Halt:
            return False
        return True

    def cut(self, at: int) -> Files:
        """Return the segments with everything from byte ``at`` of the whole log on removed."""
        kept, left = {}, at
        for name, data in self.segments.items():
            if left > 0 or not kept:
                kept[name] = data[:left]
            left -= len(data)
        return kept

    def whole(self, at: int) -> list[int]:
        """Return the numbers of the records that end before byte ``at``, batches wholly or not at all."""
        found, end = [], 0
        for _, _, line in self.lines:
            end += len(line)
            if end <= at and json.loads(line)["kind"] == "n":
                found.append(json.loads(line)["n"])
        return found[:-1] if len(found) % 3 == 2 else found

    def committed(self, which: str) -> int:
        """Return the byte of the whole log up to which the hints say that it was committed."""
        hints = self.hints(which)
        if "head.json" not in hints:
            return 0
        mark = json.loads(hints["head.json"])
        return sum(len(data) for data in list(self.segments.values())[: mark["segment"] - 1]) + mark["offset"]

    def numbers(self) -> list[int]:
        return [entry.record["n"] for entry in read(self.log) if entry.kind == "n"]

    def moved(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted((self.log / "torn").glob("0*.bin")))


@pytest.fixture
def crashed(scratch: Path, clock: FakeClock) -> Crashed:
    made = Crashed(scratch, clock)
    assert list(made.segments) == ["000001.jsonl", "000002.jsonl", "000003.jsonl"]
    assert sum(map(len, made.segments.values())) > 3_700
    return made


@pytest.mark.proves("J4", "J5", "row 3")
@pytest.mark.parametrize("which", ["none", "earlier", "current"])
@pytest.mark.timeout(1800)
def test_a_cut_at_any_byte_leaves_whole_records_or_is_refused(crashed: Crashed, which: str, dose) -> None:
    size, refused, mended = sum(map(len, crashed.segments.values())), 0, 0
    for at in [*range(0, size, dose(29, 1)), *range(size - 400, size, dose(7, 1))]:
        files = {**crashed.hints(which), **crashed.cut(at)}
        crashed.place(files)
        is_opened = crashed.opened()
        refused, mended = refused + (not is_opened), mended + is_opened

        assert is_opened == (at >= crashed.committed(which)), f"cut at byte {at} of {size}"
        if is_opened:
            kept = crashed.files()
            begun = [name for name in files if name.startswith("0") and kept[name] != files[name]]
            assert len(begun) <= 1, "only the last segment may be touched"
            assert (crashed.numbers(), verify(crashed.log).problems) == (crashed.whole(at), [])
            torn = crashed.moved()
            assert files[max(crashed.cut(at))].endswith(torn), "bytes are moved, never deleted"
            assert all(kept[name].startswith(files[name][: len(files[name]) - len(torn)]) for name in begun)
        else:
            assert crashed.files() == files, "a log that is refused stays as it is"
            assert not verify(crashed.log).ok
    print(f"{which}: {mended} cuts mended, {refused} refused")
    assert (mended > 0) == (which != "current")
    assert (refused > 0) == (which != "none")


@pytest.mark.proves("J4", "J5", "J11", "row 3")
@pytest.mark.parametrize(("target", "which"), [("last", "current"), ("last", "earlier"), ("middle", "current")])
@pytest.mark.timeout(1800)
def test_a_change_of_any_byte_of_a_record_is_found_and_never_mended_if_committed(
    crashed: Crashed, target: str, which: str, dose
) -> None:
    dice, opened = random.Random(3), 0
    name, offset, line = crashed.lines[-1] if target == "last" else crashed.lines[len(crashed.lines) // 2]
    seq = json.loads(line)["seq"]
    for at in range(0, len(line), dose(9, 1)):
        data = bytearray(crashed.segments[name])
        data[offset + at] ^= dice.choice((0x01, 0x02, 0x04, 0x20, 0x80, 0xFF))
        files = {**crashed.current, **crashed.hints(which), name: bytes(data)}
        crashed.place(files)
        report = verify(crashed.log)
        is_opened = crashed.opened()
        opened += is_opened

        if target == "last" and which == "earlier":
            assert is_opened, "it was never said to be committed"
            assert (crashed.numbers(), verify(crashed.log).problems) == ([0, 1, 2, 3, 4, 5], [])
            assert crashed.moved() == bytes(data[offset:])
            continue
        assert seq in {problem.seq for problem in report.problems}, f"byte {at} of seq {seq}"
        assert crashed.files()[name].startswith(bytes(data)), "damage among committed records is never mended"
        assert not (is_opened and target == "last")
    print(f"{target}, {which} hints: {len(range(0, len(line), dose(9, 1)))} changes, {opened} opened")
