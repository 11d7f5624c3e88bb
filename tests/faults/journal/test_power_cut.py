"""Power cuts: the image under the file system is copied as the disk at that moment, and mounted elsewhere."""

import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from journal_rig import Mount, Zygote, copy_image, lines_of, missing, new_image, state_of, until

from domain.clock import RealClock
from domain.errors import Halt
from journal import Journal, verify

pytestmark = [
    pytest.mark.skipif(bool(missing("mount", "mkfs.ext4")), reason=missing("mount", "mkfs.ext4")),
    pytest.mark.proves("J1", "J2", "J4", "J5", "row 4"),
    pytest.mark.timeout(7200),
]
SMALL, LARGE = 30_000, 1_000_000  # segments that rotate during each cut, and now and then


class Cut:
    """One cut: what was acknowledged before it, and the log as the next start finds it."""

    def __init__(self, zygote: Zygote, home: Path, *, appends: int, is_stopped: bool, durable: bool, size: int) -> None:
        self.disk, copy, acks = new_image(home / "disk.img"), home / "copy.img", home / "acks"
        with Mount(home / "before").image(self.disk) as before:
            pid = zygote.run(
                "take_turns", directory=before.at / "fx/signals", acks=acks,
                segment_bytes=size, turn=50, durable=durable,
            )  # fmt: skip
            until(lambda: len(lines_of(acks)) >= appends, "acknowledged records")
            if is_stopped:
                os.kill(pid, signal.SIGSTOP)
                until(lambda: state_of(pid) == "T", "a stopped writer")
            self.acknowledged = lines_of(acks)
            copy_image(self.disk, copy)
            zygote.kill(pid)
        with Mount(home / "after").image(copy) as after:
            self._start(after.at / "fx/signals", size)
        for path in (self.disk, copy, acks):
            path.unlink()

    def _start(self, directory: Path, size: int) -> None:
        try:
            Journal.open(directory, clock=RealClock(), segment_bytes=size, lock_wait_s=0).close()
            self.is_refused = False
        except Halt:
            self.is_refused = True
        self.found = readable(directory)
        self.problems = [] if self.is_refused else verify(directory).problems
        torn = [path.read_bytes() for path in (directory / "torn").glob("0*.bin")]
        self.is_mended, self.has_holes = bool(torn), any(b"\0" in data for data in torn)

    @property
    def lost(self) -> int:
        return len(set(self.acknowledged) - set(self.found))


def cuts(zygote: Zygote, scratch: Path, count: int, **how: bool | int) -> Iterator[Cut]:
    dice = random.Random(4)
    for _ in range(count):
        yield Cut(zygote, scratch, appends=dice.randrange(20, 300), **how)


def readable(directory: Path) -> list[str]:
    """Return the numbers of all records up to the first damaged line, as a person without our programs would."""
    found = []
    for path in sorted(directory.glob("0*.jsonl")):
        for line in path.read_bytes().splitlines(keepends=True):
            if not line.endswith(b'"}\n') or b"\0" in line:
                return found
            record = json.loads(line)
            found += [record["n"]] if record["kind"] == "n" else []
    return found


def test_a_power_cut_loses_nothing_acknowledged(zygote: Zygote, scratch: Path, dose) -> None:
    acknowledged, mended, count = 0, 0, dose(4, 200)
    for cut in cuts(zygote, scratch, count, size=SMALL, is_stopped=True, durable=True):
        acknowledged, mended = acknowledged + len(cut.acknowledged), mended + cut.is_mended

        assert (cut.is_refused, cut.lost, cut.problems) == (False, 0, [])
        assert cut.found[: len(cut.acknowledged)] == cut.acknowledged
    print(f"{count} cuts, {acknowledged} acknowledged, 0 lost, {mended} tails moved away")
    assert acknowledged >= 20 * count


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_disk_that_also_reorders_blocks_loses_nothing_acknowledged(
    zygote: Zygote, scratch: Path, size: int, dose
) -> None:
    """The image is copied while it is written: what was acknowledged before is whole, what came after is not.

    A disk that obeys its flushes never shows a full segment with blocks missing although its successor, or a checkpoint
    of it, exists. This one does. The log then refuses to open, or `verify` names the hole, and everything that was
    acknowledged before the cut can be read.
    """
    acknowledged, mended, holes, refused, named, count = 0, 0, 0, 0, 0, dose(3, 100)
    for cut in cuts(zygote, scratch, count, size=size, is_stopped=False, durable=True):
        acknowledged, mended = acknowledged + len(cut.acknowledged), mended + cut.is_mended
        holes, refused, named = holes + cut.has_holes, refused + cut.is_refused, named + bool(cut.problems)

        assert cut.lost == 0
        assert cut.found[: len(cut.acknowledged)] == cut.acknowledged
    print(f"{count} cuts, {acknowledged} acknowledged, 0 lost, {mended} tails moved away", end=" ")
    print(f"({holes} with NULs), {refused} refused, {named} named by verify")
    assert acknowledged >= 20 * count


def test_without_syncs_the_same_cuts_lose_what_was_acknowledged(zygote: Zygote, scratch: Path, dose) -> None:
    lost = [cut.lost for cut in cuts(zygote, scratch, dose(2, 25), size=SMALL, is_stopped=True, durable=False)]

    print(f"{len(lost)} cuts without syncs: {sum(lost)} lost")
    assert sum(lost) > 0
