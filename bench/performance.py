"""What the performance report of 100,000 closed trades costs, beside a query of DuckDB over the same files.

python -m bench.performance [--trades 100000]

The report links each trade with its decision and works out some thirty numbers for each market; the query joins the
same files and aggregates what SQL has at hand (sums, counts, means). DuckDB reads JSON with all processors, ours with
one, so processor time is compared beside the time taken. Memory is what a process of its own held at most.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from statistics import median

from audit.performance import as_dict, performance
from audit.trades import trades
from domain.clock import FakeClock
from domain.resolution import Resolution
from domain.vocabulary import ExitReason, Mode, ResolutionSource, Side, Surface
from journal import Journal, NewRecord, encode_fields

START = datetime(2014, 5, 5, 13, 30, tzinfo=UTC)
BATCH, RUNS = 1_000, 5
Call = Callable[[Path], object]
MARKETS = [f"S{number:03d}" for number in range(40)]
QUERY = """
    with ended as (
        select * from read_ndjson('{resolutions}', columns={{kind: 'varchar', signal_id: 'varchar', market: 'varchar',
            side: 'varchar', realised: 'decimal(18, 6)', fees: 'decimal(18, 6)', entry_price: 'double', mae: 'double',
            mfe: 'double', opened_at: 'timestamptz', resolved_at: 'timestamptz', provisional: 'boolean'}})
        where kind = 'resolution' and not provisional
    ), decided as (
        select signal_id, candidate.decision_price::double as price from read_ndjson('{decisions}', columns={{
            kind: 'varchar', signal_id: 'varchar', admitted: 'boolean', candidate: 'struct(decision_price varchar)'}})
        where kind = 'decision' and admitted
    )
    select market, count(*), sum(realised), sum(fees), avg(realised), count(*) filter (realised > 0),
        sum(realised) filter (realised > 0) / -sum(realised) filter (realised < 0), max(realised), min(realised),
        median(epoch(resolved_at) - epoch(opened_at)), avg(mae / entry_price), avg(mfe / entry_price),
        avg((entry_price - price) / price * 10000)
    from ended left join decided using (signal_id) group by market
"""


def main(count: int) -> int:
    """Print the table; return 1 when the two disagree about what was earned."""
    with tempfile.TemporaryDirectory(prefix="bench-performance-", dir=".") as name:
        logs = Path(name) / "logs"
        write(logs, count)
        sizes = [path.stat().st_size for path in logs.glob("stk/*/0*.jsonl")]
        print(f"{count:,} closed trades, {sum(sizes) / 2**20:,.0f} MiB of journals\n")
        print(f"{'':30}{'ours':>12}{'duckdb':>12}{'ratio':>8}")
        ours, theirs = _turns(logs)
        _row("report, time taken", ours[0], theirs[0])
        _row("report, processor time", ours[1], theirs[1])
        alike = _earned(logs) == _queried(logs)
        print(f"{'both found the same':30}{'yes' if alike else 'NO':>12}")
        for what in CALLS:
            print(f"{f'memory of the {what}':30}{_memory(logs, what):>8.0f} MiB")
    return 0 if alike else 1


def write(logs: Path, count: int) -> None:
    """Write a decision and a resolution for each trade, two minutes apart."""
    draw, clock = Random(1), FakeClock(START)
    with (
        Journal.open(logs / "stk" / "decisions", clock=clock, durable=False) as decisions,
        Journal.open(logs / "stk" / "resolutions", clock=clock, durable=False) as resolutions,
    ):
        for first in range(0, count, BATCH):
            numbers = range(first, min(first + BATCH, count))
            decisions.append_many([_decision(number) for number in numbers])
            clock.advance(120.0 * len(numbers))
            resolutions.append_many([_resolution(number, draw) for number in numbers])


def _decision(number: int) -> NewRecord:
    candidate = {"market": MARKETS[number % len(MARKETS)], "decision_price": "100.00"}
    size = {"quantity": "10", "risk": "25.00", "currency": "USD"}
    fields = {"signal_id": f"sig_{number:026d}", "admitted": True, "candidate": candidate, "size": size, "verdicts": []}
    return NewRecord(kind="decision", surface="stk", mode="paper", id=f"dec_{number:026d}", fields=fields)


def _resolution(number: int, draw: Random) -> NewRecord:
    opened = START + timedelta(minutes=2 * number)
    moved = Decimal(draw.randint(-250, 260)) / 100
    end = Resolution(
        id=f"res_{number:026d}",
        signal_id=f"sig_{number:026d}",
        surface=Surface.STK,
        mode=Mode.PAPER,
        market=MARKETS[number % len(MARKETS)],
        side=Side.BUY,
        strategy="stop_entry",
        sub_strategy="stop_entry.day",
        quantity=Decimal(10),
        entry_price=Decimal("100.03"),
        exit_price=Decimal("100.03") + moved,
        reason=ExitReason.TRAILING_STOP,
        resolution_source=ResolutionSource.IBKR_POSITION,
        realised=moved * 10 - 2,
        fees=Decimal(2),
        currency="USD",
        mae=abs(moved),
        mfe=abs(moved) + 1,
        opened_at=opened,
        resolved_at=opened + timedelta(minutes=draw.randint(1, 300)),
        eta_hours=Decimal(6),
        actual_hours=Decimal(3),
        late=False,
    )
    fields = {key: value for key, value in encode_fields(end).items() if key not in ("id", "surface", "mode")}
    return NewRecord(kind="resolution", surface="stk", mode="paper", id=end.id, fields=fields)


def report(logs: Path) -> dict[str, object]:
    return as_dict(performance(logs, None))


def query(logs: Path) -> list[tuple[object, ...]]:
    import duckdb  # here, so that it is in nobody else's memory

    paths = {name: str(logs / "stk" / name / "0*.jsonl") for name in ("decisions", "resolutions")}
    with duckdb.connect() as connection:
        return connection.execute(QUERY.format(**paths)).fetchall()


def export(logs: Path) -> int:
    return sum(1 for _ in trades(logs, None))


def _turns(logs: Path) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the medians of time taken and processor time of both, run in turns."""
    ours, theirs = [], []
    for _ in range(RUNS):
        ours.append(_timed(report, logs))
        theirs.append(_timed(query, logs))
    return _medians(ours), _medians(theirs)


def _timed(call: Call, logs: Path) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    call(logs)
    return time.perf_counter() - wall, time.process_time() - processor


def _medians(times: list[tuple[float, float]]) -> tuple[float, float]:
    return median(one[0] for one in times), median(one[1] for one in times)


def _row(what: str, ours: float, theirs: float) -> None:
    print(f"{what:30}{ours * 1e3:>9,.0f} ms{theirs * 1e3:>9,.0f} ms{ours / theirs:>7.2f}x", flush=True)


def _earned(logs: Path) -> dict[str, tuple[int, float]]:
    (account,) = performance(logs, None).accounts
    return {name: (one.count, round(one.net, 6)) for name, one in sorted(account.groups().items())}


def _queried(logs: Path) -> dict[str, tuple[int, float]]:
    return {str(row[0]): (int(str(row[1])), round(float(str(row[2])), 6)) for row in sorted(query(logs), key=str)}


def _memory(logs: Path, what: str) -> float:
    """Return the most memory that a process of its own held while it did one thing, in MiB."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.performance", "--only", what, "--logs", str(logs)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout)


def _alone(logs: Path, what: str) -> float:
    CALLS[what](logs)
    # The high water of this very program: what getrusage tells begins with that of the one that started it.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


CALLS: dict[str, Call] = {"report": report, "export": export, "query": query}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.performance", description=__doc__)
    parser.add_argument("--trades", type=int, default=100_000, help="how many closed trades (default: 100,000)")
    parser.add_argument("--only", choices=CALLS, help=argparse.SUPPRESS)
    parser.add_argument("--logs", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        print(_alone(given.logs, given.only))
        raise SystemExit
    raise SystemExit(main(given.trades))
