"""Finding a moment: the same entries as a scan from the start, without the scan."""

import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.clock import FakeClock
from domain.errors import Halt
from journal import Journal, NewRecord, read, scan, scan_since, since

START = datetime(2014, 5, 2, 12, 31, tzinfo=UTC)
steps = st.lists(st.sampled_from([0.0, 0.0, 0.000001, 1.0, 60.0, -30.0]), max_size=60)


@pytest.mark.proves("J12")
@settings(max_examples=60, deadline=None)
@given(
    steps=steps,
    pads=st.lists(st.integers(0, 9000), min_size=1, max_size=7),
    segment_bytes=st.sampled_from([900, 60_000]),
    wanted=st.lists(st.integers(-70, 4000), max_size=6),
)
def test_since_equals_a_linear_scan(steps: list[float], pads: list[int], segment_bytes: int, wanted: list[int]) -> None:
    base = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    clock = FakeClock(START)
    with Journal.open(base / "fx" / "n", clock=clock, segment_bytes=segment_bytes, durable=False) as journal:
        for number, step in enumerate(steps):
            clock.advance(step)
            pad = "x" * pads[number % len(pads)]
            journal.append("n", surface="fx", mode="paper", fields={"n": number, "pad": pad})
    entries = list(read(base / "fx" / "n"))
    edges = [entry.ts + timedelta(microseconds=delta) for entry in entries[::7] for delta in (-1, 0, 1)]
    for moment in [*edges, *(START + timedelta(seconds=seconds) for seconds in wanted)]:
        expected = [entry.raw for entry in entries if entry.ts >= moment]

        assert [entry.raw for entry in since(base / "fx" / "n", moment)] == expected
        assert [bytes(raw) for raw in scan_since(base / "fx" / "n", moment, msgspec.Raw)] == expected
    shutil.rmtree(base)


def test_since_reads_only_what_it_returns(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, segment_bytes=400_000, durable=False) as journal:
        for number in range(50):
            clock.advance(1)
            fields = {"pad": "x" * 500}
            journal.append_many([NewRecord(kind="n", surface="fx", mode="paper", fields=fields)] * 100)
            if number == 40:
                moment = clock.now()
    for path in sorted(directory.glob("0*.jsonl"))[:-3]:
        data = path.read_bytes()
        path.write_bytes(data[:200] + b"?" * (len(data) - 200))  # only its first line's time is ever looked at

    assert len([entry for entry in since(directory, moment) if entry.kind == "n"]) == 1000


def test_a_naive_moment_is_refused(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock), pytest.raises(ValueError, match="timezone-aware"):
        list(since(directory, datetime(2014, 5, 2)))  # noqa: DTZ001 - a naive time is the point here


def test_since_a_log_that_does_not_exist_is_empty(directory: Path) -> None:
    assert list(since(directory, START)) == []


class Amount(msgspec.Struct):
    kind: str
    n: int = -1


@pytest.fixture
def long(directory: Path, clock: FakeClock) -> Path:
    """A log of a few segments and a few hundred KiB."""
    with Journal.open(directory, clock=clock, segment_bytes=200_000, durable=False) as journal:
        for number in range(1000):
            clock.advance(1)
            journal.append("n", surface="fx", mode="paper", fields={"n": number, "pad": "x" * 300})
    assert len(list(directory.glob("0*.jsonl"))) > 2
    return directory


def test_a_scan_gives_what_reading_gives(long: Path) -> None:
    entries = list(read(long))
    place = entries[700].position

    assert [bytes(raw) for raw in scan(long, msgspec.Raw)] == [entry.raw for entry in entries]
    assert list(scan(long, dict, after=place)) == [entry.record for entry in entries[701:]]
    assert [amount.n for amount in scan(long, Amount) if amount.kind == "n"] == list(range(1000))


@pytest.mark.proves("J9")
def test_a_scan_ends_at_the_commit_mark(long: Path, clock: FakeClock) -> None:
    mark = (long / "head.json").read_bytes()
    with Journal.open(long, clock=clock, durable=False) as journal:
        journal.append("n", surface="fx", mode="paper", fields={"n": 1000})
    (long / "head.json").write_bytes(mark)

    assert max(amount.n for amount in scan(long, Amount)) == 999


def cut_file(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def damage_json(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"n":700', b'"n":7 0'))


def drop_start(path: Path) -> None:
    path.write_bytes(path.read_bytes().partition(b"\n")[2])


@pytest.mark.parametrize("damage", [cut_file, damage_json, drop_start, Path.unlink])
def test_a_scan_of_a_damaged_log_says_so(long: Path, damage: Callable[[Path], None]) -> None:
    damage(next(path for path in sorted(long.glob("0*.jsonl")) if b'"n":700' in path.read_bytes()))

    with pytest.raises(Halt, match="audit verify"):
        list(scan(long, Amount))


def test_a_scan_of_a_log_that_does_not_exist_is_empty(directory: Path) -> None:
    assert list(scan(directory, dict)) == list(scan_since(directory, START, dict)) == []


@pytest.mark.proves("J12")
def test_a_clock_that_jumps_ahead_and_back_hides_nothing_from_since(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, durable=False) as journal:
        for number in range(12):
            clock.advance({4: 86_400, 8: -86_400}.get(number, 1))
            journal.append("n", surface="fx", mode="paper", fields={"n": number})
    true_time = START + timedelta(seconds=6)  # when n = 5 was written, had the clock not jumped
    found = [entry.record for entry in since(directory, true_time) if entry.kind == "n"]

    assert [record["n"] for record in found] == [4, 5, 6, 7, 8, 9, 10, 11]
    assert [record["n"] for record in found if "clock_back_s" in record] == [8, 9, 10, 11]
    assert len({record["ts"] for record in found if record["n"] >= 7}) == 1
