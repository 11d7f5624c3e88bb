"""The files of recorded market data: one a kind and day, CSV while the day lasts and Parquet afterwards.

    quotes-2014-05-06.csv      being written
    quotes-2014-05-05.parquet  closed, compacted by ``market.compact``

This module is the single authority for their names and columns.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import file_digest
from pathlib import Path

from domain.clock import parse_iso

# What market.compact leaves of the days it compacted: market -> when its last quote was received.
LAST_HEARD = "last-heard.json"
PRICE = "DECIMAL(24,10)"
# kind -> column -> type in Parquet. Times are UTC; prices are exact, not floats.
COLUMNS: dict[str, dict[str, str]] = {
    "quotes": {
        "at": "TIMESTAMPTZ",
        "received_at": "TIMESTAMPTZ",
        "market": "VARCHAR",
        "bid": PRICE,
        "ask": PRICE,
        "last": PRICE,
    },
    "trades": {
        "at": "TIMESTAMPTZ",
        "received_at": "TIMESTAMPTZ",
        "market": "VARCHAR",
        "price": PRICE,
        "quantity": PRICE,
    },
    "bars": {
        "at": "TIMESTAMPTZ",
        "market": "VARCHAR",
        "period_s": "INTEGER",
        **{f"{side}_{point}": PRICE for side in ("bid", "ask") for point in ("open", "high", "low", "close")},
        "volume": "BIGINT",
    },
    "gaps": {"since": "TIMESTAMPTZ", "until": "TIMESTAMPTZ", "market": "VARCHAR", "reason": "VARCHAR"},
}
HEADERS = {kind: tuple(columns) for kind, columns in COLUMNS.items()}
# A file whose header is of an older version is put aside under a number and read beside the new one.
_NAME = re.compile(r"(?P<kind>[a-z]+)-(?P<day>\d{4}-\d\d-\d\d)(?:\.(?P<part>\d+))?\.(?P<form>csv|parquet)")
_TAIL = 64 * 1024


@dataclass(frozen=True, slots=True)
class TickFile:
    """One file of recorded data."""

    path: Path
    kind: str
    day: date
    is_csv: bool


def csv_path(directory: Path, kind: str, day: str) -> Path:
    """Return where the rows of a day (ISO) are appended."""
    return directory / f"{kind}-{day}.csv"


def parquet_path(directory: Path, kind: str, day: date) -> Path:
    """Return where a closed day is kept."""
    return directory / f"{kind}-{day.isoformat()}.parquet"


def listed(directory: Path) -> Iterator[TickFile]:
    """Yield the files of recorded data in ``directory``, oldest day first."""
    found = ((_NAME.fullmatch(path.name), path) for path in directory.glob("*-*"))
    files = [
        TickFile(path, match["kind"], date.fromisoformat(match["day"]), match["form"] == "csv")
        for match, path in found
        if match and match["kind"] in COLUMNS
    ]
    yield from sorted(files, key=lambda file: (file.day, file.kind, file.path.name))


def cut_torn_line(path: Path) -> None:
    """Cut off half a line that a crash left at the end: it may read as a whole one with a shorter number."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(max(0, size - _TAIL))
        tail = file.read()
        if tail and not tail.endswith(b"\n"):
            file.truncate(size - len(tail) + tail.rfind(b"\n") + 1)


def put_aside_if_foreign(path: Path, kind: str) -> None:
    """Rename a file whose header is not today's, so that no file mixes two forms."""
    with path.open("rb") as file:
        header = file.readline().decode(errors="replace").strip()
    if header == ",".join(HEADERS[kind]):
        return
    number = 1
    while (aside := path.with_name(f"{path.stem}.{number}.csv")).exists():
        number += 1
    path.rename(aside)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, by which a Parquet file names the CSV files it holds."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def tail_rows(path: Path) -> Iterator[list[str]]:
    """Yield the last whole rows of a CSV file of ours, whose fields hold neither commas nor quotes."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL))
        lines = file.read().split(b"\n")
    for line in lines[1:-1]:
        yield line.decode(errors="replace").split(",")


def last_heard(directory: Path) -> dict[str, datetime]:
    """Return market -> when its last quote was received, from what ``market.compact`` noted and the newest CSV files.

    Whatever can't be read is passed over: it only costs the note of a gap.
    """
    heard: dict[str, datetime] = {}
    try:
        noted = json.loads((directory / LAST_HEARD).read_bytes())
        heard = {str(market): parse_iso(at) for market, at in noted.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        heard = {}
    for file in [file for file in listed(directory) if file.is_csv and file.kind == "quotes"][-2:]:
        try:
            for _, received_at, market, *_ in tail_rows(file.path):
                heard[market] = parse_iso(received_at)
        except (OSError, ValueError):
            continue
    return heard
