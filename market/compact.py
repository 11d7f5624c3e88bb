"""The command ``python -m market.compact DIRECTORY --before DAY``: recorded days that are over become Parquet.

It runs as a child process, because DuckDB has no place in a loop's memory. It may be killed at any moment and run
again: a CSV file goes only once its rows were read back from the disk, and a Parquet file names the CSV files it holds,
so that none is taken in twice.
"""

# DuckDB takes no parameters for files and columns: paths and markets are quoted, all else is ours.
# ruff: noqa: S608

import argparse
import fcntl
import json
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from domain.clock import iso
from domain.errors import Halt, TBotError
from market.tick_files import COLUMNS, LAST_HEARD, cut_torn_line, last_heard, listed, parquet_path, sha256_of
from market.tick_sql import SOURCES, connect, quoted, rows_of_csv, rows_of_parquet, sources_of, union

_SPILL = ".spill"


def main() -> int:
    """Compact what the command line names; return 1 if a day had to be left as it is."""
    parser = argparse.ArgumentParser(prog="python -m market.compact", description=__doc__)
    parser.add_argument("directory", type=Path, help="recorded data, e.g. logs/stk/market")
    parser.add_argument("--before", type=date.fromisoformat, required=True, help="first day that is not over (UTC)")
    parser.add_argument("--keep-days", type=int, help="remove days that are over for longer; all are kept without it")
    given = parser.parse_args()
    os.nice(10)  # nobody waits for it
    troubles = compact(given.directory, given.before, keep_days=given.keep_days)
    for trouble in troubles:
        print(f"compact {given.directory}: {trouble}", file=sys.stderr)
    return 1 if troubles else 0


def compact(directory: Path, before: date, *, keep_days: int | None = None) -> Sequence[str]:
    """Compact the days before ``before`` and remove those too old to keep; return what went wrong.

    A second process that compacts the same folder leaves it to the first.
    """
    troubles: list[str] = []
    with (directory / ".compact.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return troubles
        if keep_days is not None:
            _remove(directory, before - timedelta(days=keep_days))
        spill = directory / _SPILL
        with connect(spill) as connection:
            for (kind, day), files in _closed(directory, before).items():
                try:
                    _compact_day(connection, parquet_path(directory, kind, day), kind, files)
                except (TBotError, OSError, duckdb.Error) as error:
                    troubles.append(f"{kind} of {day} stays as it is: {error}")
        shutil.rmtree(spill, ignore_errors=True)
    return troubles


def _closed(directory: Path, before: date) -> Mapping[tuple[str, date], list[Path]]:
    closed: dict[tuple[str, date], list[Path]] = defaultdict(list)
    for file in listed(directory):
        if file.is_csv and file.day < before:
            closed[file.kind, file.day].append(file.path)
    return closed


def _compact_day(connection: duckdb.DuckDBPyConnection, target: Path, kind: str, files: Sequence[Path]) -> None:
    for path in files:
        cut_torn_line(path)
    sources = {path: sha256_of(path) for path in files}
    held = sources_of(connection, target) if target.exists() else []
    fresh = [path for path in files if sources[path] not in held and path.stat().st_size]
    if fresh:
        older = [rows_of_parquet([target], kind)] if held else []
        rows = union([*older, *(rows_of_csv(path, kind) for path in fresh)])
        _replace(connection, target, kind, rows, [*held, *(sources[path] for path in fresh)])
    if kind == "quotes":
        _note_last_heard(connection, target)
    for path, source in sources.items():
        # Rows that came in meanwhile are taken in the next time.
        if sha256_of(path) == source:
            path.unlink()


def _replace(connection: duckdb.DuckDBPyConnection, target: Path, kind: str, rows: str, sources: Sequence[str]) -> None:
    """Write ``rows`` in order, read them back and only then put the file in its place.

    Raises:
        Halt: what was read back is not what was written.
    """
    scratch = target.with_name(f".{target.name}.new")
    columns = list(COLUMNS[kind])
    order = ", ".join(f'"{name}"' for name in ("market", columns[0]))
    form = f"FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{SOURCES}: '{json.dumps(list(sources))}'}}"
    connection.execute(f"COPY (SELECT * FROM ({rows}) ORDER BY {order}) TO {quoted(scratch)} ({form})")
    wanted, found = _digest(connection, kind, rows), _digest(connection, kind, rows_of_parquet([scratch], kind))
    if wanted != found:
        scratch.unlink()
        raise Halt(f"rows and checksum {wanted} in {target.name}", f"{found}", "check the disk")
    _sync(scratch)
    scratch.replace(target)
    _sync(target.parent)


def _digest(connection: duckdb.DuckDBPyConnection, kind: str, rows: str) -> tuple[int, int]:
    """Return how many rows there are and a checksum that does not depend on their order."""
    columns = ", ".join(f'"{name}"' for name in COLUMNS[kind])
    found = connection.execute(f"SELECT count(*), coalesce(sum(hash({columns})), 0) FROM ({rows})").fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


def _note_last_heard(connection: duckdb.DuckDBPyConnection, target: Path) -> None:
    """Keep when each market was last heard of, which the recorder asks for when it starts and must not ask DuckDB."""
    if not target.exists():
        return
    heard = last_heard(target.parent)
    query = f"SELECT market, max(epoch_us(received_at)) FROM {quoted(target)} GROUP BY market"
    for market, micros in connection.execute(query).fetchall():
        at = datetime.fromtimestamp(micros // 1_000_000, UTC) + timedelta(microseconds=micros % 1_000_000)
        heard[market] = max(at, heard.get(market, at))
    scratch = target.with_name(f".{LAST_HEARD}.new")
    scratch.write_text(json.dumps({market: iso(at) for market, at in sorted(heard.items())}) + "\n")
    scratch.replace(target.with_name(LAST_HEARD))


def _remove(directory: Path, before: date) -> None:
    for file in [file for file in listed(directory) if file.day < before]:
        file.path.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    raise SystemExit(main())
