"""A million records: what appends, starts and checks cost when a log is long."""

import statistics
import time
from pathlib import Path

import pytest

from domain.clock import RealClock
from journal import Journal, NewRecord, verify

FIELDS = {
    "market": "EUR_USD", "reference_price": "1.08505", "published_at": "2014-05-02T12:31:00.123456Z",
    "signal_id": "sig_01HQ3V5X7Y9Z1A2B3C4D5E6F7G", "side": "buy", "stop": "1.08005", "target": "1.09005",
}  # fmt: skip
BATCH = 500
START_S = 2.0


def grow(directory: Path, records: int, segment_bytes: int) -> None:
    with Journal.open(directory, clock=RealClock(), segment_bytes=segment_bytes, durable=False) as journal:
        for _ in range(records // BATCH):
            journal.append_many([NewRecord(kind="n", surface="fx", mode="paper", fields=FIELDS)] * BATCH)


def timed(action) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def append_times(directory: Path, segment_bytes: int, count: int) -> list[float]:
    with Journal.open(directory, clock=RealClock(), segment_bytes=segment_bytes) as journal:
        append = lambda: journal.append("n", surface="fx", mode="paper", fields=FIELDS)  # noqa: E731  timed below
        return sorted(timed(append) for _ in range(count))


def soak(directory: Path, records: int, segments: int) -> None:
    segment_bytes = records * 560 // segments
    grew = timed(lambda: grow(directory, records, segment_bytes))
    times = append_times(directory, segment_bytes, min(records // 10, 2_000))
    started = timed(lambda: Journal.open(directory, clock=RealClock(), segment_bytes=segment_bytes).close())
    begun = time.perf_counter()
    report = verify(directory)
    rate = report.records / (time.perf_counter() - begun)
    p99 = statistics.quantiles(times, n=100)[98] if len(times) > 100 else max(times)
    print(f"{report.records} records in {report.segments} segments, {records / grew:,.0f} records/s unsynced;", end=" ")
    print(f"append p50 {times[len(times) // 2] * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms;", end=" ")
    print(f"start {started:.3f} s; full check {rate:,.0f} records/s")

    assert report.problems == []
    assert report.records > records
    assert report.segments >= segments * 0.8
    assert started < START_S, "a start reads from the last checkpoint, however long the log is"


@pytest.mark.proves("row 13")
def test_a_long_log_starts_quickly_and_verifies(scratch: Path) -> None:
    soak(scratch / "fx" / "signals", 20_000, 20)


@pytest.mark.soak
@pytest.mark.proves("row 13")
@pytest.mark.timeout(3600)
def test_a_million_records_in_a_hundred_segments(tmp_path: Path) -> None:
    soak(tmp_path / "fx" / "signals", 1_000_000, 100)
