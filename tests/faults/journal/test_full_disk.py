"""Disks without room: full, limited, read-only, and out of inodes."""

import os
import random
import shutil
import time
from pathlib import Path

import pytest
from journal_rig import Mount, Zygote, lines_of, missing, shell

from domain.clock import RealClock
from domain.errors import Halt, Retry
from journal import Journal, read, verify

needs_mount = pytest.mark.skipif(bool(missing("mount")), reason=missing("mount"))
needs_image = pytest.mark.skipif(bool(missing("mount", "mkfs.ext4")), reason=missing("mount", "mkfs.ext4"))
LATEST_S = 5.0


class Writer:
    """A log with what it acknowledged and refused."""

    def __init__(self, directory: Path, **options: object) -> None:
        self.directory, self.options = directory, {"segment_bytes": 64_000} | options
        self.acknowledged: list[int] = []
        self.refused = 0
        self.journal = self._open()

    def _open(self) -> Journal:
        return Journal.open(self.directory, clock=RealClock(), lock_wait_s=0, **self.options)

    def append(self, number: int, size: int) -> bool:
        """Tell whether the record was taken; a refusal must be the kind that may be repeated."""
        try:
            self.journal.append("n", surface="fx", mode="paper", fields={"n": number, "pad": "x" * size})
        except Retry:
            self.refused += 1
            return False
        self.acknowledged.append(number)
        return True

    def check(self) -> None:
        report = verify(self.directory)
        assert report.problems == []
        assert [entry.record["n"] for entry in read(self.directory) if entry.kind == "n"] == self.acknowledged


def fill(path: Path) -> None:
    """Take all the room there is."""
    with open(path, "wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while file.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue


@pytest.mark.proves("J1", "J2", "J4", "row 5")
@needs_mount
@pytest.mark.parametrize("reserve_bytes", [0, 128 * 1024])
@pytest.mark.timeout(3600)
def test_a_disk_that_fills_and_empties_costs_refusals_and_nothing_else(
    tmp_path: Path, reserve_bytes: int, dose
) -> None:
    dice, cycles, tries, slowest, refusing, rounds = random.Random(5), dose(40, 500), 20, 0.0, 0, []
    with Mount(tmp_path / "small").tmpfs("size=1m,mode=700") as small:
        for cycle in range(cycles):
            if not rounds or os.statvfs(small.at).f_bavail * 4096 < 400_000:
                if rounds:
                    finish(rounds[-1])
                rounds.append(Writer(small.at / f"log{len(rounds)}" / "signals", reserve_bytes=reserve_bytes))
            log, before = rounds[-1], rounds[-1].refused
            fill(small.at / "filler")
            for number in range(tries):
                log.append(cycle * 1000 + number, dice.randrange(0, 9_000))
            refusing += log.refused > before
            log.check()
            os.unlink(small.at / "filler")
            begun = time.monotonic()
            while not log.append(cycle * 1000 + tries, 100):
                assert time.monotonic() - begun < LATEST_S
            slowest = max(slowest, time.monotonic() - begun)
        finish(rounds[-1])

    taken, refused = sum(len(log.acknowledged) for log in rounds), sum(log.refused for log in rounds)
    print(f"{cycles} cycles, {taken} taken, {refused} refused, usable again after at most {slowest:.3f} s")
    assert refusing == cycles
    assert taken >= cycles


def finish(log: Writer) -> None:
    """Close, start once more as after a stop, check, and make room."""
    log.journal.close()
    log._open().close()
    log.check()
    shutil.rmtree(log.directory.parent)


@pytest.mark.proves("J1", "J4", "row 6")
def test_a_file_size_limit_that_comes_and_goes_costs_refusals_and_nothing_else(
    zygote: Zygote, directory: Path, tmp_path: Path, dose
) -> None:
    said = tmp_path / "said"
    pid = zygote.run("limited", directory=directory, said=said, cycles=dose(30, 500))

    assert zygote.wait(pid) == 0
    words = [line.split() for line in lines_of(said)]
    taken = [int(number) for word, number in words if word == "ack"]
    assert sum(word == "refused" for word, _ in words) >= dose(15, 250)
    assert [entry.record["n"] for entry in read(directory) if entry.kind == "n"] == taken
    assert verify(directory).problems == []


@pytest.mark.proves("J1", "J2", "J10", "row 6")
@needs_image
def test_a_disk_that_turns_read_only_halts_the_log_and_keeps_what_was_acknowledged(tmp_path: Path, dose) -> None:
    image = tmp_path / "image"
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    shell("mkfs.ext4", "-q", image)
    for again in range(dose(2, 50)):
        acknowledged = []
        with Mount(tmp_path / "disk").image(image) as disk:
            log = Writer(disk.at / f"log{again}" / "signals", reserve_bytes=0)
            for number in range(20 + again):
                log.append(number, 500)
            shell("mount", "-o", "remount,abort", disk.at)
            with pytest.raises(Halt):
                log.append(-1, 500)
            with pytest.raises(Halt):
                log.append(-2, 500)
            close_halted(log.journal)
            with pytest.raises((Halt, Retry)):
                log._open()
        with Mount(tmp_path / "disk").image(image) as disk:
            log._open().close()
            log.check()
            acknowledged = log.acknowledged

        assert acknowledged == list(range(20 + again))


def close_halted(journal: Journal) -> None:
    try:
        journal.close()
    except Halt:
        return


@pytest.mark.proves("J1", "J4", "row 6")
@needs_mount
@pytest.mark.parametrize("free", [0, 1, 2, 3])
def test_a_disk_without_inodes_refuses_until_there_are_some(tmp_path: Path, free: int, dose) -> None:
    with Mount(tmp_path / "small").tmpfs("size=8m,nr_inodes=200,mode=700") as small:
        log, number = Writer(small.at / "fx" / "signals", segment_bytes=5_000, reserve_bytes=0), 0
        for _ in range(dose(3, 20)):
            spare = take_inodes(small.at, free)
            before = log.refused
            while log.refused == before:
                number += 1
                log.append(number, 700)
                assert number % 1000, "a rotation has to need an inode"
            log.check()
            for path in spare:
                path.unlink()
            number += 1
            assert log.append(number, 700)
            log.check()
            shutil.rmtree(small.at / "spare")
        log.journal.close()
        log._open().close()
        log.check()


def take_inodes(at: Path, free: int) -> list[Path]:
    """Use up all but ``free`` inodes; return the files that hold them."""
    (at / "spare").mkdir()
    taken = []
    while os.statvfs(at).f_ffree > free:
        taken.append(at / "spare" / str(len(taken)))
        taken[-1].touch()
    return taken
