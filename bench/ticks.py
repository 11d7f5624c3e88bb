"""What recording, compacting and reading market data cost, each beside the plain csv module or DuckDB on the same rows.

python -m bench.ticks [--quotes 200000]

Ours and the peer take turns and medians are compared. Files lie in a folder that is removed at the end.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median

import duckdb

from domain.clock import iso
from domain.quotes import Quote
from market.recorder import Recorder
from market.store import EmbeddedStore
from market.tick_files import COLUMNS, HEADERS

START = datetime(2014, 5, 6, 13, 30, tzinfo=UTC)
DAY, NEXT = "2014-05-06", "2014-05-07"
MARKETS = 20
ROUNDS = 3


def main(count: int) -> int:
    """Print a table of rows a second, ours beside the peer."""
    quotes = made(count)
    print(f"{count:,} quotes of {MARKETS} markets, median of {ROUNDS} rounds")
    print(f"{'':34}{'ours':>12}{'peer':>12}  ratio of times")
    with tempfile.TemporaryDirectory(prefix="bench-ticks-", dir=".") as name:
        base = Path(name)
        row(
            "record, beside plain csv",
            count,
            *turns(lambda: record(base / "ours", quotes), lambda: plain(base / "csv", quotes)),
        )
        row(
            "hand over, beside list.append",
            count,
            *turns(lambda: hand_over(base / "queue", quotes), lambda: listed(quotes)),
        )
        row("compact, beside one COPY", count, *turns(lambda: compact(base / "ours", base), lambda: copy(base)))
        store = base / "store"
        record(store, quotes)
        child(store)
        row("read one market, beside DuckDB", count // MARKETS, *turns(lambda: read(store), lambda: read_plain(store)))
    return 0


def made(count: int) -> Sequence[Quote]:
    """Return quotes of one session, each market in turn."""
    step = timedelta(seconds=6.5 * 3600 / count)
    found = []
    for number in range(count):
        at, bid = START + number * step, Decimal("187.50") + Decimal(number % 97) / 100
        found.append(
            Quote(
                market=f"S{number % MARKETS:02d}",
                bid=bid,
                ask=bid + Decimal("0.01"),
                at=at,
                received_at=at,
                tradeable=True,
            )
        )
    return found


def turns(ours: Callable[[], float], peer: Callable[[], float]) -> tuple[float, float]:
    """Return the median seconds of each, taken in turns."""
    pairs = [(ours(), peer()) for _ in range(ROUNDS)]
    return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)


def row(what: str, count: int, ours: float, peer: float) -> None:
    print(f"{what:34}{count / ours:>10,.0f}/s{count / peer:>10,.0f}/s  {ours / peer:.2f}", flush=True)


def record(directory: Path, quotes: Sequence[Quote]) -> float:
    """Record everything and return the seconds until it is in the file."""
    for path in directory.glob("*"):
        path.unlink()
    recorder = Recorder(directory, flush_s=3600, capacity=len(quotes) + 1000)
    begun = time.perf_counter()
    recorder.quotes(quotes)
    recorder.flush()
    took = time.perf_counter() - begun
    recorder.close()
    assert (recorder.dropped, recorder.errors) == (0, 0)
    return took


def hand_over(directory: Path, quotes: Sequence[Quote]) -> float:
    """Return the seconds the loop spends: nothing of it waits for the disk."""
    recorder = Recorder(directory, flush_s=3600, capacity=len(quotes) + 1000)
    begun = time.perf_counter()
    recorder.quotes(quotes)
    took = time.perf_counter() - begun
    recorder.close()
    return took


def listed(quotes: Sequence[Quote]) -> float:
    rows: list[tuple[str, ...]] = []
    begun = time.perf_counter()
    for quote in quotes:
        rows.append((iso(quote.at), iso(quote.received_at), quote.market, str(quote.bid), str(quote.ask), ""))  # noqa: PERF401  one call a quote is what is compared
    return time.perf_counter() - begun


def plain(path: Path, quotes: Sequence[Quote]) -> float:
    """Write the same rows with the csv module alone."""
    begun = time.perf_counter()
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADERS["quotes"])
        for quote in quotes:
            writer.writerow((iso(quote.at), iso(quote.received_at), quote.market, quote.bid, quote.ask, ""))
    return time.perf_counter() - begun


def compact(source: Path, base: Path) -> float:
    """Compact a copy of what was recorded, start of the process included."""
    directory = base / "compacting"
    directory.mkdir(exist_ok=True)
    for path in directory.glob("*"):
        path.unlink()
    name = f"quotes-{DAY}.csv"
    (directory / name).write_bytes((source / name).read_bytes())
    (base / "copy.csv").write_bytes((source / name).read_bytes())
    return child(directory)


def child(directory: Path) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "market.compact", str(directory), "--before", NEXT], check=True)
    return time.perf_counter() - begun


def copy(base: Path) -> float:
    """Turn the same CSV file into Parquet with one statement in a process of its own: nothing is checked or synced."""
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS["quotes"].items())
    rows = f"read_csv('{base / 'copy.csv'}', header = true, columns = {{{columns}}})"
    statement = (
        f"COPY (FROM {rows} ORDER BY market, \"at\") TO '{base / 'copy.parquet'}' (FORMAT parquet, COMPRESSION zstd)"
    )
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import duckdb; duckdb.execute({statement!r})"], check=True)
    return time.perf_counter() - begun


def read(directory: Path) -> float:
    begun = time.perf_counter()
    found = EmbeddedStore(directory).quotes("S07", START, START + timedelta(hours=7))
    assert found
    return time.perf_counter() - begun


def read_plain(directory: Path) -> float:
    """Fetch the same rows as tuples: no quote is made of them."""
    begun = time.perf_counter()
    query = f"SELECT * FROM '{directory}/quotes-{DAY}.parquet' WHERE market = 'S07' ORDER BY \"at\""  # noqa: S608  our own folder
    with duckdb.connect() as connection:
        found = connection.execute(query).fetchall()
    assert found
    return time.perf_counter() - begun


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quotes", type=int, default=200_000)
    raise SystemExit(main(parser.parse_args().quotes))
