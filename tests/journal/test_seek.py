"""Finding a moment: the same entries as a scan from the start, without the scan."""

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.clock import FakeClock
from journal import Journal, NewRecord, read, since

START = datetime(2014, 5, 2, 12, 31, tzinfo=UTC)
steps = st.lists(st.sampled_from([0.0, 0.0, 0.000001, 1.0, 60.0, -30.0]), max_size=60)


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
