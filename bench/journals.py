"""What an append, a check and a search in a journal cost, each beside a peer measured in the same run.

python -m bench.journals [lines of the searched log, default 200000]
"""

import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median

from filelock import FileLock

from domain.clock import FakeClock, RealClock
from journal import Journal, NewRecord, read, since, verify

START = datetime(2014, 5, 2, tzinfo=UTC)
FIELDS = {"market": "EUR_USD", "side": "buy", "price": Decimal("1.08505"), "quantity": Decimal(1000), "n": 7}
LINE = b"x" * 420 + b"\n"  # as long as a record with these fields
UNSYNCED, SYNCED, GROUP = 20_000, 400, 64


def main(lines: int) -> int:
    """Print the figures; return 1 if the log that was written does not verify."""
    with tempfile.TemporaryDirectory(prefix="bench-journal-", dir=".") as name:
        base = Path(name)
        appends(base)
        groups(base)
        return searches(base, lines)


def appends(base: Path) -> None:
    """One record at a time, without and with syncs."""
    bare = _us(UNSYNCED, _writer(base / "bare", sync=False))
    locked = _us(UNSYNCED // 20, _filelock(base / "filelock"))
    with Journal.open(base / "fx" / "unsynced", clock=RealClock(), durable=False) as journal:
        ours = _us(UNSYNCED, lambda: _append(journal))
    _show("append, no sync", f"{ours:.1f} us", f"{ours / bare:.1f}x a bare write(2) of {bare:.1f} us")
    _show("", "", f"1/{locked / ours:.0f} of filelock and append, {locked:.0f} us")

    raw, full = _writer(base / "raw", sync=True), _sqlite(base / "full.sqlite")
    with Journal.open(base / "fx" / "synced", clock=RealClock()) as journal:
        raw_us, full_us, ours = _interleaved(SYNCED, raw, full, lambda: _append(journal))
    _show("append, durable, p50", f"{ours:.0f} us", f"{ours / raw_us:.2f}x a raw write and fdatasync, {raw_us:.0f} us")
    _show("", "", f"{ours / full_us:.2f}x sqlite WAL synchronous=FULL, {full_us:.0f} us")


def groups(base: Path) -> None:
    """Sixty-four records that share one sync, as a batch and through the queue."""
    raw = _writer(base / "raw", sync=True)
    with Journal.open(base / "fx" / "groups", clock=RealClock()) as journal:
        batch = [NewRecord(kind="signal", surface="fx", mode="paper", id="sig_1", fields=FIELDS)] * GROUP

        def queue() -> None:
            futures = [
                journal.submit("signal", surface="fx", mode="paper", id="sig_1", fields=FIELDS) for _ in range(GROUP)
            ]
            for future in futures:
                future.result()

        raw_us, batch_us, queue_us = _interleaved(100, raw, lambda: journal.append_many(batch), queue)
    for name, us in (("append_many of 64", batch_us), ("64 submits", queue_us)):
        gain = raw_us * GROUP / us
        _show(name, f"{GROUP / us * 1e6:,.0f} records/s", f"{gain:.1f}x the rate of one raw fdatasync a record")


def searches(base: Path, lines: int) -> int:
    """Reading, checking and searching a log of ``lines`` records."""
    log, clock = base / "fx" / "long", FakeClock(START)
    with Journal.open(log, clock=clock, durable=False) as journal:
        for _ in range(lines):
            clock.advance(0.1)
            _append(journal)
    paths = sorted(log.glob("0*.jsonl"))
    parsed = _seconds(lambda: sum(1 for path in paths for line in path.open("rb") if json.loads(line)))
    taken = _seconds(lambda: sum(1 for _ in read(log)))
    checked = _seconds(lambda: verify(log))
    _show("json.loads a line", f"{lines / parsed:,.0f} lines/s", "the peer of the next two")
    _show("read", f"{lines / taken:,.0f} lines/s", f"{parsed / taken:.1f}x json.loads")
    _show("verify", f"{lines / checked:,.0f} lines/s", f"{parsed / checked:.1f}x json.loads")
    moment = list(since(log, START))[lines * 9 // 10].ts
    scanned = _seconds(lambda: next(entry for entry in read(log) if entry.ts >= moment))
    found = median(_seconds(lambda: next(iter(since(log, moment)))) for _ in range(50))
    tenth = _seconds(lambda: sum(1 for _ in since(log, moment)))
    _show("since, first entry", f"{found * 1e3:.2f} ms", f"1/{scanned / found:,.0f} of a scan, {scanned * 1e3:.0f} ms")
    _show("since, last tenth", f"{tenth * 1e3:.0f} ms", f"1/{parsed / tenth:.0f} of json.loads on every line")
    return 0 if verify(log).ok else 1


def _append(journal: Journal) -> None:
    journal.append("signal", surface="fx", mode="paper", id="sig_1", fields=FIELDS)


def _writer(path: Path, *, sync: bool) -> Callable[[], object]:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write() -> None:
        os.write(fd, LINE)
        if sync:
            os.fdatasync(fd)

    return write


def _filelock(path: Path) -> Callable[[], object]:
    lock = FileLock(f"{path}.lock")

    def append() -> None:
        with lock, path.open("ab") as file:
            file.write(LINE)

    return append


def _sqlite(path: Path) -> Callable[[], object]:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE log (line BLOB)")
    return lambda: database.execute("INSERT INTO log VALUES (?)", (LINE,))


def _us(times: int, call: Callable[[], object]) -> float:
    """Return microseconds a call, the median of five runs."""
    return median(_seconds(lambda: [call() for _ in range(times // 5)]) for _ in range(5)) / (times // 5) * 1e6


def _interleaved(times: int, *calls: Callable[[], object]) -> list[float]:
    """Return the median microseconds of each call. They take turns, because a disk's mood changes within seconds."""
    taken = [[_seconds(call) for call in calls] for _ in range(times)]
    return [median(column) * 1e6 for column in zip(*taken, strict=True)]


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _show(what: str, figure: str, beside: str) -> None:
    print(f"{what:22}{figure:>20}  {beside}")


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000))
