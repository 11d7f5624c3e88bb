"""Writers killed with SIGKILL, again and again, while they take turns on one log and others follow it."""

import os
import random
import time
from pathlib import Path

import pytest
from journal_rig import Zygote, lines_of, until

from domain.clock import RealClock
from journal import Journal, read, verify
from journal.lock import read_owner

WRITERS, TAILERS = 4, 2
SEGMENT_BYTES = 100_000
TURN = 7


class Crowd:
    """Writers with a file of acknowledgements each; a killed one is followed by the next."""

    def __init__(self, zygote: Zygote, directory: Path, acks: Path) -> None:
        self.zygote, self.directory, self.acks = zygote, directory, acks
        acks.mkdir()
        self.names: list[Path] = []
        self.size_before = 0
        self.running = [self._start() for _ in range(WRITERS)]
        self.current = list(self.names)

    def _start(self) -> int:
        name = self.acks / str(len(self.names))
        self.names.append(name)
        name.touch()
        return self.zygote.run(
            "take_turns", directory=self.directory, acks=name, segment_bytes=SEGMENT_BYTES, turn=TURN
        )

    def size(self) -> int:
        """Return how much the writers have acknowledged, as bytes of their files."""
        return self.size_before + sum(name.stat().st_size for name in self.current)

    def replace(self, index: int) -> int:
        code = self.zygote.kill(self.running[index])
        self.size_before += self.current[index].stat().st_size
        self.running[index], self.current[index] = self._start(), self.names[-1]
        return code

    def holder(self) -> int:
        """Return the writer that has the log, as far as one can tell from outside."""
        pid = read_owner(self.directory).get("pid")
        return self.running.index(pid) if pid in self.running else 0

    def end(self) -> None:
        for pid in self.running:
            self.zygote.kill(pid)

    def acknowledged(self) -> list[str]:
        return [number for name in self.names for number in lines_of(name)]


def linger(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


@pytest.mark.proves("J1", "J2", "J3", "J4", "J6", "J9", "row 1")
@pytest.mark.timeout(3600)
def test_killed_writers_lose_nothing_they_acknowledged_and_tailers_see_exactly_what_is_committed(
    zygote: Zygote, directory: Path, tmp_path: Path, dose
) -> None:
    dice, kills = random.Random(20140502), dose(200, 2_000)
    crowd = Crowd(zygote, directory, tmp_path / "acks")
    tailers = [(zygote.run("follow", directory=directory, seen=tmp_path / f"seen-{n}"), n) for n in range(TAILERS)]
    codes = []
    for _ in range(kills):
        before, more = crowd.size(), dice.randrange(1, 120)
        until(lambda before=before, more=more: abs(crowd.size() - before) >= more, "more acknowledged records")
        codes.append(crowd.replace(dice.randrange(WRITERS)))
    crowd.end()
    with Journal.open(directory, clock=RealClock(), segment_bytes=SEGMENT_BYTES) as journal:
        journal.append("end", surface="fx", mode="paper", fields={})
    ends = [zygote.wait(pid) for pid, _ in tailers]

    entries = list(read(directory))
    found = [entry.record["n"] for entry in entries if entry.kind == "n"]
    acknowledged = crowd.acknowledged()
    report = verify(directory)
    recoveries = sum(entry.kind == "recovery" for entry in entries)
    print(f"{kills} kills, {len(acknowledged)} acknowledged of {len(entries)} records, {recoveries} recoveries")
    assert codes == [-9] * kills
    assert set(acknowledged) - set(found) == set()
    assert (len(found), len(acknowledged)) == (len(set(found)), len(set(acknowledged)))
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert report.problems == []
    assert (ends, len(os.listdir(crowd.acks))) == ([0] * TAILERS, WRITERS + kills)
    for _, number in tailers:
        assert lines_of(tmp_path / f"seen-{number}") == [f"{entry.seq} {entry.position.h}" for entry in entries]
