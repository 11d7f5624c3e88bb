"""Clocks that jump, drift and are put right, in one process and under a real one."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from journal_rig import Zygote, lines_of, until

from domain.clock import FakeClock, iso
from fleet import backoff
from journal import Entry, Journal, read, since, verify

DAY_S = 86_400.0
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
# what happens to the clock -> the steps it makes between two records, in seconds
JUMPS = {
    "a day back": (1, 1, -DAY_S, 1, 1, 1),
    "a day ahead": (1, 1, DAY_S, 1, 1, 1),
    "a day ahead and back": (1, DAY_S, 1, -DAY_S, 1, 1),
    "summer time in a wall clock set by hand": (1, 3600, 1, 1, -3600, 1, 1),
    "a smeared leap second": tuple(1 - 1 / DAY_S for _ in range(60)),
    "steps each ten seconds for five minutes": tuple(
        step for n in range(30) for step in (5, 5, (-1) ** n * (n + 1) * 7)
    ),
}


def check_order(directory: Path) -> list[Entry]:
    """Hold a log to what no clock may change: numbers, order, and what `since` finds."""
    entries = list(read(directory))
    moments = [entry.ts for entry in entries]

    assert verify(directory).problems == []
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert moments == sorted(moments)
    for moment in {*moments, *(m + timedelta(microseconds=1) for m in moments), moments[0] - timedelta(days=2)}:
        assert [e.seq for e in since(directory, moment)] == [e.seq for e in entries if e.ts >= moment]
    return entries


@pytest.mark.proves("J3", "J12", "row 9")
@pytest.mark.parametrize("jumps", JUMPS.values(), ids=JUMPS)
def test_no_jump_changes_numbers_order_or_what_since_finds(directory: Path, clock: FakeClock, jumps) -> None:
    stamps = []
    with Journal.open(directory, clock=clock, segment_bytes=3_000, durable=False) as journal:
        for step in (*jumps, 1):
            stamps.append((clock.now(), journal.append("n", surface="fx", mode="paper", fields={"step": str(step)}).ts))
            clock.advance(step)

    entries = [entry for entry in check_order(directory) if entry.kind == "n"]
    for entry, (wall, written) in zip(entries, stamps, strict=True):
        behind = written - wall
        assert behind >= timedelta()
        assert float(entry.record.get("clock_back_s", 0)) == behind.total_seconds()
    assert any("clock_back_s" in entry.record for entry in entries) == any(step < 0 for step in jumps)


@pytest.fixture
def faked(tmp_path: Path) -> Iterator[tuple[Zygote, Path]]:
    """Processes whose wall clock is that of a file; the monotonic one stays true."""
    offset = tmp_path / "offset"
    offset.write_text("+0\n")
    made = Zygote(
        LD_PRELOAD=str(LIBRARIES[0]), FAKETIME_TIMESTAMP_FILE=str(offset), FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )  # fmt: skip
    yield made, offset
    made.close()


@pytest.mark.proves("J3", "J12", "row 9")
@pytest.mark.skipif(not LIBRARIES, reason="needs libfaketime (Debian package libfaketime)")
@pytest.mark.timeout(1200)
def test_a_running_writer_survives_every_jump_of_the_machines_clock(
    faked, directory: Path, tmp_path: Path, dose
) -> None:
    zygote, offset = faked
    seconds, acks = dose(0, 10), tmp_path / "acks"
    pid = zygote.run("take_turns", directory=directory, acks=acks, segment_bytes=60_000, turn=50)
    for step in ("-1d", "+0", "+1d", "+0", *(f"{sign}{n * 7}" for n in range(1, 16) for sign in "+-"), "+0"):
        size = len(lines_of(acks))
        offset.write_text(f"{step}\n")
        until(lambda size=size: len(lines_of(acks)) > size + 3, f"records under a clock at {step}")
        time.sleep(seconds)
    zygote.kill(pid)
    Journal.open(directory, clock=FakeClock(datetime.now(UTC) + timedelta(days=2)), lock_wait_s=1).close()

    entries = check_order(directory)
    found = [entry.record["n"] for entry in entries if entry.kind == "n"]
    back = [float(entry.record["clock_back_s"]) for entry in entries if "clock_back_s" in entry.record]
    mono = [int(entry.record["mono_ns"]) for entry in entries if entry.kind == "n"]
    ahead = max(entry.ts for entry in entries[:-1]) - datetime.now(UTC)
    print(f"{len(found)} records, {len(back)} with a clock behind the last one, by up to {max(back):.0f} s")
    assert (set(lines_of(acks)) - set(found), len(found)) == (set(), len(set(found)))
    assert DAY_S - 600 < max(back) < 2 * DAY_S + 600, "the fault has to happen to prove anything"
    assert ahead > timedelta(hours=23)
    assert mono == sorted(mono), "durations stay true whatever the wall clock says"


@pytest.mark.proves("row 9")
@pytest.mark.parametrize("jump", [-DAY_S, DAY_S, -3600, 3600, -30, 30])
def test_a_jump_of_the_clock_is_no_crash_loop_and_no_long_wait(jump: float) -> None:
    now, history = 1_000_000.0, backoff.History()
    for start in range(12):  # a crash every ten minutes of true time, and the clock jumps once in between
        history = backoff.after_start(history, now, clean=False)
        now += 600 + (jump if start == 5 else 0)

        assert not backoff.is_looping(history)
        assert backoff.delay_s(history, now) <= backoff.LONGEST_S
    for _ in range(20):  # ends on purpose under a clock that is put right again and again
        now += jump
        history = backoff.after_start(history, now, clean=True)
        assert (backoff.is_looping(history), backoff.delay_s(history, now)) == (False, 0.0)


@pytest.mark.proves("row 9")
def test_a_clock_that_went_back_lets_no_new_record_look_older_than_the_last(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, durable=False) as journal:
        first = journal.append("n", surface="fx", mode="paper", fields={})
        clock.advance(-DAY_S)
        second = journal.append("n", surface="fx", mode="paper", fields={})
    with Journal.open(directory, clock=clock, durable=False) as journal:  # and a restart does not forget it
        third = journal.append("n", surface="fx", mode="paper", fields={})

    assert first.ts == second.ts == third.ts
    assert [entry.record.get("clock_back_s") for entry in read(directory) if entry.kind == "n"] == [
        None, "86400.000000", "86400.000000",
    ]  # fmt: skip
    assert iso(first.ts) > iso(clock.now())
