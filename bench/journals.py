"""What an append, a check and a search in a journal cost, each beside a peer or a limit measured in the same run.

python -m bench.journals [--lines 5000000]

Ours and the peer take turns and medians are compared, because a shared machine's mood changes within seconds. Files lie
in a folder that is removed at the end; the full 5,000,000 lines need 3 GB for a while.
"""

import argparse
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from statistics import median, quantiles

import duckdb
import msgspec
from filelock import FileLock

from domain.clock import FakeClock, RealClock, iso
from journal import Journal, NewRecord, scan_since, since, verify

START = datetime(2014, 5, 2, tzinfo=UTC)
STEP = timedelta(seconds=0.1)
FIELDS = {"market": "EUR_USD", "side": "buy", "price": Decimal("1.08505"), "quantity": Decimal(1000), "n": 7}
LINE = b"x" * 428 + b"\n"  # as long as a record with these fields
UNSYNCED, SYNCED, GROUP = 10_000, 400, 64
RUN = 100  # calls too short to take turns one by one: each would find the other's data in the cache
JQ_SHARE = 10
SELECT = 'select(.kind == "signal" and .ts >= $from) | .market + " " + .price'

Call = Callable[[], object]


class Signal(msgspec.Struct, gc=False):
    """The columns of the search, as DuckDB is given them too."""

    kind: str
    market: str = ""
    price: str = "0"


class Table:
    """Rows ``ours | peer or limit | ratio | target``, printed as they come."""

    def __init__(self) -> None:
        self.missed = 0
        print(f"{'':38}{'ours':>16}  {'peer or limit':48}{'ratio':>7}  target")

    def row(self, what: str, ours: str, peer: str, ratio: float, *, most: float = 0, least: float = 0) -> None:
        """Print a row whose ``ratio`` should be at most or at least so much; without a target it only informs."""
        missed = (most and ratio > most) or (least and ratio < least)
        self.missed += bool(missed)
        target = f"<= {most:g}" if most else f">= {least:g}" if least else ""
        print(f"{what:38}{ours:>16}  {peer:48}{ratio:>6.2f}x  {target}{'  MISSED' if missed else ''}", flush=True)


def main(lines: int) -> int:
    """Print the table; return 1 if the log that was written does not verify."""
    with tempfile.TemporaryDirectory(prefix="bench-journal-", dir=".") as name:
        base = Path(name)
        limits(base)
        table = Table()
        appends(table, base)
        groups(table, base)
        is_whole = searches(table, base, lines)
    print(f"{table.missed} of the targets missed" if table.missed else "every target met")
    return 0 if is_whole else 1


def limits(base: Path) -> None:
    """Print what the machine itself can do, in the same run."""
    write = sorted(_each(UNSYNCED, _writer(base / "limit", sync=False)))
    synced = sorted(_each(SYNCED, _writer(base / "limit", sync=True)))
    for name, times in (("write(2)", write), ("write(2) and fdatasync(2)", synced)):
        p50, p99 = median(times) * 1e6, quantiles(times, n=100)[98] * 1e6
        print(f"this machine: {name:28} of {len(LINE)} bytes  p50 {p50:8,.1f} us  p99 {p99:8,.1f} us")
    print()


def appends(table: Table, base: Path) -> None:
    """One record at a time, without and with syncs."""
    with Journal.open(base / "fx" / "unsynced", clock=RealClock(), durable=False) as journal:
        calls = (lambda: _append(journal), _writer(base / "bare", sync=False), _filelock(base / "filelock"))
        runs = _turns(UNSYNCED // RUN, *(_repeated(RUN, call) for call in calls))
        ours, bare, locked = (seconds / RUN for seconds in runs)
    table.row("append, not synced", _us(ours), f"write(2): {_us(bare)}", ours / bare, most=3)
    table.row("", _us(ours), f"filelock and write: {_us(locked)}", ours / locked, most=1)

    with Journal.open(base / "fx" / "synced", clock=RealClock()) as journal:
        ours, raw, full = _turns(
            SYNCED, lambda: _append(journal), _writer(base / "raw", sync=True), _sqlite(base / "full.sqlite")
        )
    table.row("append, durable", _us(ours), f"write and fdatasync: {_us(raw)}", ours / raw, most=1.2)
    table.row("", _us(ours), f"sqlite WAL synchronous=FULL: {_us(full)}", ours / full)


def groups(table: Table, base: Path) -> None:
    """Sixty-four records that share one sync, as a batch and through the queue."""
    raw = _writer(base / "raw64", sync=True, data=LINE * GROUP)
    with Journal.open(base / "fx" / "groups", clock=RealClock()) as journal:
        batch = [NewRecord(kind="signal", surface="fx", mode="paper", id="sig_1", fields=FIELDS)] * GROUP

        def queue() -> None:
            futures = [
                journal.submit("signal", surface="fx", mode="paper", id="sig_1", fields=FIELDS) for _ in range(GROUP)
            ]
            for future in futures:
                future.result()

        raw_s, batch_s, queue_s = _turns(150, raw, lambda: journal.append_many(batch), queue)
    peer = f"one write and fdatasync of the bytes: {_us(raw_s)}"
    table.row(f"append_many of {GROUP}", _us(batch_s), peer, batch_s / raw_s, most=1.43)
    table.row(f"{GROUP} submits", _us(queue_s), peer, queue_s / raw_s, most=1.43)


def searches(table: Table, base: Path, lines: int) -> bool:
    """Check and search a log of ``lines`` records; tell whether it is whole."""
    log, clock = base / "fx" / "long", FakeClock(START)
    with Journal.open(log, clock=clock, durable=False) as journal:
        for _ in range(lines):
            clock.advance(STEP.total_seconds())
            _append(journal)
    paths = sorted(log.glob("0*.jsonl"))
    print(f"\na log of {lines:,} records, {sum(path.stat().st_size for path in paths) / 2**20:,.0f} MiB")
    checks(table, log, paths, lines)
    since_tenth(table, log, paths, lines)
    return verify(log).ok


def checks(table: Table, log: Path, paths: Sequence[Path], lines: int) -> None:
    """Decode and verify, beside the least a check must do. In processor time: neither waits for anything."""
    ours, bare = _turns(3, lambda: verify(log), lambda: _decode_and_hash(paths), clock=time.process_time)
    rate = f"{lines / ours:,.0f}/s"
    table.row("decode and verify, checkpoints too", rate, f"bare sha256 and decode: {lines / bare:,.0f}/s", bare / ours)
    table.row("", rate, "150,000 lines/s", lines / ours / 150_000, least=1)


def since_tenth(table: Table, log: Path, paths: Sequence[Path], lines: int) -> None:
    """The last tenth of a log, summed by market: found by bisection here, by reading everything elsewhere."""
    moment = START + STEP * (lines * 9 // 10)
    ours, peer = _turns(3, lambda: _sum_ours(log, moment), lambda: _sum_duckdb(paths, moment))
    assert _sum_ours(log, moment) == _sum_duckdb(paths, moment), "the two sums differ"
    table.row("--since, last tenth, sums", _ms(ours), f"DuckDB, columns given: {_ms(peer)}", ours / peer, most=0.5)
    found = median(_each(50, lambda: next(iter(since(log, moment)))))
    table.row("--since, first record", _ms(found), f"DuckDB, as above: {_ms(peer)}", found / peer, most=0.01)
    if shutil.which("jq") is None:
        print("jq is not installed: left out")
        return
    part = log.parent / "part.jsonl"
    with part.open("wb") as file:
        _head(paths, lines // JQ_SHARE, file.write)
    filtered = _seconds(lambda: _jq(part, moment)) * JQ_SHARE
    table.row("", _ms(ours), f"jq, on a tenth, times {JQ_SHARE}: {_ms(filtered)}", ours / filtered, most=0.1)


def _decode_and_hash(paths: Sequence[Path]) -> None:
    decode = msgspec.json.decode
    for path in paths:
        with path.open("rb", buffering=1 << 20) as file:
            for line in file:
                decode(line)
                sha256(line[:-73]).hexdigest()


def _sum_ours(log: Path, moment: datetime) -> dict[str, tuple[int, Decimal]]:
    totals: dict[tuple[str, str], int] = {}
    for signal in scan_since(log, moment, Signal):
        if signal.kind == "signal":
            key = (signal.market, signal.price)
            totals[key] = totals.get(key, 0) + 1
    sums: dict[str, tuple[int, Decimal]] = {}
    for (market, price), count in totals.items():
        known = sums.get(market, (0, Decimal(0)))
        sums[market] = (known[0] + count, known[1] + Decimal(price) * count)
    return sums


def _sum_duckdb(paths: Sequence[Path], moment: datetime) -> dict[str, tuple[int, Decimal]]:
    files = ", ".join(f"'{path}'" for path in paths)
    columns = "{ts: 'VARCHAR', kind: 'VARCHAR', market: 'VARCHAR', price: 'DECIMAL(18, 5)'}"
    source = f"read_json([{files}], format = 'newline_delimited', columns = {columns})"
    select = f"SELECT market, count(*), sum(price) FROM {source}"  # noqa: S608 - names of our own files
    rows = duckdb.execute(f"{select} WHERE kind = 'signal' AND ts >= ? GROUP BY market", [iso(moment)]).fetchall()
    return {market: (count, total) for market, count, total in rows}


def _jq(path: Path, moment: datetime) -> None:
    command = ["jq", "-c", "--arg", "from", iso(moment), SELECT, str(path)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def _head(paths: Sequence[Path], lines: int, take: Callable[[bytes], object]) -> None:
    for path in paths:
        with path.open("rb") as file:
            for line in file:
                if lines == 0:
                    return
                lines -= 1
                take(line)


def _append(journal: Journal) -> None:
    journal.append("signal", surface="fx", mode="paper", id="sig_1", fields=FIELDS)


def _writer(path: Path, *, sync: bool, data: bytes = LINE) -> Call:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write() -> None:
        os.write(fd, data)
        if sync:
            os.fdatasync(fd)

    return write


def _filelock(path: Path) -> Call:
    lock = FileLock(f"{path}.lock")

    def append() -> None:
        with lock, path.open("ab") as file:
            file.write(LINE)

    return append


def _sqlite(path: Path) -> Call:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE log (line BLOB)")
    return lambda: database.execute("INSERT INTO log VALUES (?)", (LINE,))


def _turns(times: int, *calls: Call, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Return the median seconds of each call; they take turns."""
    taken = [[_seconds(call, clock) for call in calls] for _ in range(times)]
    return [median(column) for column in zip(*taken, strict=True)]


def _repeated(times: int, call: Call) -> Call:
    return lambda: [call() for _ in range(times)]


def _each(times: int, call: Call) -> list[float]:
    return [_seconds(call) for _ in range(times)]


def _seconds(call: Call, clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    call()
    return clock() - start


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f} us"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f} ms"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.journals", description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000, help="records of the searched log (full: 5000000)")
    raise SystemExit(main(parser.parse_args().lines))
