"""Repair: what a start would do, said beforehand without touching anything, and then done."""

from pathlib import Path

import pytest

from domain.clock import FakeClock
from domain.errors import Halt
from journal import Journal, LogLocked, read, verify
from journal.repair import Move, inspect, repair

TORN = b'{"ts":"2014-05-02T12:'


@pytest.fixture
def log(directory: Path, clock: FakeClock) -> Path:
    """Two segments, a checkpoint every five records, and bytes of a record that a crash cut."""
    with Journal.open(
        directory, clock=clock, durable=False, segment_bytes=5000, checkpoint_records=5, reserve_bytes=0
    ) as journal:
        for number in range(16):
            clock.advance(1)
            journal.append("n", surface="fx", mode="paper", fields={"n": number})
    with open(directory / "000002.jsonl", "ab") as file:
        file.write(TORN)
    return directory


def content(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.proves("J5")
def test_a_dry_run_says_what_a_start_would_do_and_changes_nothing(log: Path, clock: FakeClock) -> None:
    before = content(log)
    size = (log / "000002.jsonl").stat().st_size - len(TORN)
    found = inspect(log, clock)

    torn = Move(file="000002.jsonl", offset=size, bytes=len(TORN), reason="the line is cut short")
    assert (found.log, found.kept, found.moves) == ("fx/signals", 0, (torn,))
    assert str(torn) == f"{len(TORN)} bytes of 000002.jsonl from byte {size} on: the line is cut short"
    assert content(log) == before


@pytest.mark.proves("J5")
def test_a_repair_does_what_the_dry_run_said_and_the_next_writer_names_it(log: Path, clock: FakeClock) -> None:
    said = inspect(log, clock)
    done = repair(log, clock)
    moved = [path.read_bytes() for path in log.glob("torn/*.bin")]
    again = inspect(log, clock)
    Journal.open(log, clock=clock, durable=False).close()

    assert (done, moved) == (said, [TORN])
    assert again.moves == ()
    assert [entry.record["bytes"] for entry in read(log) if entry.kind == "recovery"] == [len(TORN)]
    assert verify(log).problems == []


def test_a_repair_leaves_the_log_as_a_start_would(log: Path, clock: FakeClock, tmp_path: Path) -> None:
    twin = tmp_path / "twin" / "fx" / "signals"
    twin.mkdir(parents=True)
    for name, data in content(log).items():
        (twin / name).write_bytes(data)
    repair(log, clock)
    Journal.open(twin, clock=clock, durable=False).close()

    repaired, started = (log / "000002.jsonl").read_bytes(), (twin / "000002.jsonl").read_bytes()
    assert started.startswith(repaired)
    assert started[len(repaired) :].count(b"\n") == started[len(repaired) :].count(b'"kind":"recovery"') == 1


def test_whole_records_beyond_the_mark_are_kept_and_counted(log: Path, clock: FakeClock) -> None:
    mark = (log / "head.json").read_bytes()
    for _ in range(3):
        with Journal.open(log, clock=clock, durable=False) as journal:
            journal.append("n", surface="fx", mode="paper", fields={})
    (log / "head.json").write_bytes(mark)

    assert inspect(log, clock).kept == 4  # the recovery record of the torn bytes and the three


def test_a_cut_checkpoint_is_moved_too(log: Path, clock: FakeClock) -> None:
    with open(log / "checkpoints.jsonl", "ab") as file:
        file.write(b'{"ts"')
    done = repair(log, clock)

    assert [move.file for move in done.moves] == ["000002.jsonl", "checkpoints.jsonl"]
    assert {path.read_bytes() for path in log.glob("torn/*.bin")} == {TORN, b'{"ts"'}


@pytest.mark.proves("J5")
@pytest.mark.parametrize(("name", "line"), [("000001.jsonl", 3), ("000002.jsonl", 0), ("checkpoints.jsonl", 0)])
def test_damage_among_committed_records_is_refused_and_named(log: Path, clock: FakeClock, name: str, line: int) -> None:
    lines = (log / name).read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b'"v":1', b'"v":3')
    (log / name).write_bytes(b"".join(lines))
    before = content(log)

    for attempt in (inspect, repair):
        with pytest.raises(Halt, match=r"seq \d+.*from a copy"):
            attempt(log, clock)
        assert {key: data for key, data in content(log).items() if key != ".lock"} == {
            key: data for key, data in before.items() if key != ".lock"
        }


def test_a_log_that_somebody_writes_is_left_alone(log: Path, clock: FakeClock) -> None:
    with Journal.open(log, clock=clock, durable=False):
        for attempt in (inspect, repair):
            with pytest.raises(LogLocked, match="pid"):
                attempt(log, clock)

    assert inspect(log, clock).moves == ()
