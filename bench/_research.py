"""The recorded forecasts and weather some benchmarks are measured on: where they lie, and reading them.

Not all of it may be redistributed, so none of it is part of the project: TBOT_RESEARCH_DATA or ``--data`` names the
folder, ``../shared/data`` beside the project is looked at by default.
"""

import argparse
import csv
import gzip
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"


def data_folder(description: str | None, *needed: str) -> Path | None:
    """Return the folder of recorded data, or say plainly what is not present and return None."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TBOT_RESEARCH_DATA", _DEFAULT)))
    folder: Path = parser.parse_args().data
    missing = [name for name in needed if not (folder / name).exists()]
    if missing:
        print(f"not present: {', '.join(missing)} in {folder}; nothing measured (set TBOT_RESEARCH_DATA or --data)")
        return None
    return folder


def rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file, packed or not."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    yield from csv.DictReader(io.StringIO(text.decode(), newline=""))


def parquet(path: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Return the rows of a query in which ``{}`` stands for a Parquet file; times come naive, in UTC."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection.execute(query.format(f"read_parquet('{path}')"), list(values)).fetchall()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """One forecaster's probability of one thing, with what it came to."""

    target: str
    forecaster: str
    chance: float
    outcome: float
    market: float | None
    asked: str
    resolved: str
    source: str


def opinions(folder: Path, dataset: str) -> list[Opinion]:
    """Return the opinions of one of the recorded sets, in the order of the file."""
    return [
        Opinion(
            target=f"{row['question_id']} {row['resolution_date']}",
            forecaster=row["forecaster"],
            chance=float(row["p"]),
            outcome=float(row["outcome"]),
            market=float(row["market_price"]) if row["market_price"] else None,
            asked=row["date"],
            resolved=row["resolution_date"],
            source=row["source"],
        )
        for row in rows(folder / "forecasts" / "forecasts_long.csv.gz")
        if row["dataset"] == dataset
    ]


def by_target(found: list[Opinion], *, least: int = 1) -> dict[str, list[Opinion]]:
    """Return target -> its opinions, of targets that have at least so many."""
    groups: dict[str, list[Opinion]] = {}
    for one in found:
        groups.setdefault(one.target, []).append(one)
    return {target: group for target, group in groups.items() if len(group) >= least}


def day(text: str) -> datetime:
    """Return the beginning of a date in UTC."""
    return datetime.fromisoformat(text[:10]).replace(tzinfo=UTC)
