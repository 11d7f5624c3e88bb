"""The store of recorded market data: what was quoted, traded and missed, of any day and market.

The embedded store is the recorder's own folder, read by DuckDB: Parquet of the days that are over and CSV of today. A
folder needs nothing of ours to be read; ``docs/market.md`` has the lines for DuckDB and Polars. No loop may import this
module: DuckDB is as large as one.
"""

# DuckDB takes no parameters for files and columns: paths and markets are quoted, all else is ours.
# ruff: noqa: S608

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import duckdb

from domain.clock import require_utc
from domain.quotes import Bar, Ohlc, Quote
from market.gaps import EVERY_MARKET, Gap, GapReason
from market.recorder import Trade
from market.tick_files import TickFile, listed, sha256_of
from market.tick_sql import connect, rows_of_csv, rows_of_parquet, sources_of, text, union

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A file may be compacted between its listing and its reading.
_ATTEMPTS = 5
# A quote lies in the file of the day on which it reached us, which may not be the day the venue made it.
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySummary:
    """How many rows of one kind, day and market are kept, and the times of the first and last of them."""

    kind: str
    day: date
    market: str
    rows: int
    first: datetime
    last: datetime


class TickStore(Protocol):
    """Where recorded market data is read, on one machine or beyond it; ends of spans are exclusive."""

    def quotes(self, market: str, start: datetime, end: datetime) -> Sequence[Quote]:
        """Return the quotes whose venue time lies in the span, oldest first."""

    def trades(self, market: str, start: datetime, end: datetime) -> Sequence[Trade]:
        """Return the trades whose venue time lies in the span, oldest first."""

    def bars(self, market: str, period_s: int, start: datetime, end: datetime) -> Sequence[Bar]:
        """Return the bars that start in the span, oldest first, each once."""

    def gaps(self, market: str, start: datetime, end: datetime) -> Sequence[Gap]:
        """Return the times in the span of which nothing is known for ``market``, oldest first."""

    def daily_summary(self) -> Sequence[DaySummary]:
        """Return how much is kept of each kind, day and market."""


class EmbeddedStore(TickStore):
    """The folder a recorder writes; it may be read while it is written."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def quotes(self, market: str, start: datetime, end: datetime) -> Sequence[Quote]:
        # A process that starts again records the venue's standing quote once more.
        columns = 'epoch_us("at"), min(epoch_us(received_at)), bid, ask, "last"'
        found = self._select("quotes", columns, market, start, end, "GROUP BY ALL ORDER BY 1, 2")
        return [
            Quote(market=market, at=_at(at), received_at=_at(heard), bid=bid, ask=ask, last=last, tradeable=True)
            for at, heard, bid, ask, last in found
        ]

    def trades(self, market: str, start: datetime, end: datetime) -> Sequence[Trade]:
        columns = 'epoch_us("at"), epoch_us(received_at), price, quantity'
        found = self._select("trades", columns, market, start, end, 'ORDER BY "at", received_at')
        return [
            Trade(market=market, at=_at(at), received_at=_at(heard), price=price, quantity=quantity)
            for at, heard, price, quantity in found
        ]

    def bars(self, market: str, period_s: int, start: datetime, end: datetime) -> Sequence[Bar]:
        prices = [f"{side}_{point}" for side in ("bid", "ask") for point in ("open", "high", "low", "close")]
        columns = f'epoch_us("at"), {", ".join(prices)}, volume'
        # The venue is asked for the same history again after a restart; of two forms of a bar the fuller one is later.
        once = 'QUALIFY row_number() OVER (PARTITION BY "at" ORDER BY volume DESC) = 1 ORDER BY "at"'
        found = self._select("bars", columns, market, start, end, f"AND period_s = {period_s:d} {once}")
        return [_bar(market, period_s, row) for row in found]

    def gaps(self, market: str, start: datetime, end: datetime) -> Sequence[Gap]:
        span = f"epoch_us(since) < {_us(end)} AND epoch_us(until) > {_us(start)}"
        wanted = f"market IN ({text(market)}, '{EVERY_MARKET}') AND {span}"
        query = (
            f"SELECT market, epoch_us(since), epoch_us(until), reason FROM rows WHERE {wanted} ORDER BY since, until"
        )
        with self._rows("gaps", require_utc(start).date(), date.max) as connection:
            found = connection.execute(query).fetchall() if connection else []
        return [
            Gap(market=whose, since=_at(since), until=_at(until), reason=GapReason(reason))
            for whose, since, until, reason in found
        ]

    def daily_summary(self) -> Sequence[DaySummary]:
        found: list[DaySummary] = []
        for day, kind in sorted({(file.day, file.kind) for file in listed(self._directory)}):
            column = "since" if kind == "gaps" else '"at"'
            query = (
                f"SELECT market, count(*), min(epoch_us({column})), max(epoch_us({column})) FROM rows GROUP BY market"
            )
            with self._rows(kind, day, day) as connection:
                rows = connection.execute(f"{query} ORDER BY market").fetchall() if connection else []
            for market, count, first, last in rows:
                found.append(
                    DaySummary(kind=kind, day=day, market=market, rows=count, first=_at(first), last=_at(last))
                )
        return found

    def _select(self, kind: str, columns: str, market: str, start: datetime, end: datetime, rest: str) -> Sequence[Any]:
        since, until = require_utc(start), require_utc(end)
        span = f'"at" >= make_timestamptz({_us(since)}) AND "at" < make_timestamptz({_us(until)})'
        where = f"market = {text(market)} AND {span}"
        query = f"SELECT {columns} FROM rows WHERE {where} {rest}"
        with self._rows(kind, (since - _DAY).date(), (until + _DAY).date()) as connection:
            return connection.execute(query).fetchall() if connection else []

    @contextmanager
    def _rows(self, kind: str, first: date, last: date) -> Iterator[duckdb.DuckDBPyConnection | None]:
        """Open the files of some days as the view ``rows``; None when there are none."""
        with tempfile.TemporaryDirectory(prefix="tbot-store-") as scratch, connect() as connection:
            for attempt in range(_ATTEMPTS):
                files = [file for file in listed(self._directory) if file.kind == kind and first <= file.day <= last]
                try:
                    queries = _queries(connection, files, kind, Path(scratch))
                    break
                except FileNotFoundError:
                    if attempt == _ATTEMPTS - 1:
                        raise
            if queries:
                connection.execute(f"CREATE VIEW rows AS {union(queries)}")
            yield connection if queries else None


def _queries(connection: duckdb.DuckDBPyConnection, files: Sequence[TickFile], kind: str, scratch: Path) -> list[str]:
    """Return the queries whose rows together are what is kept, each row once.

    A CSV file that stands beside the Parquet file made of it, because its removal was interrupted, is left out.
    """
    parquet = [file.path for file in files if not file.is_csv]
    held = {source for path in parquet for source in sources_of(connection, path)}
    whole = [_whole(file.path, scratch) for file in files if file.is_csv]
    queries = [rows_of_csv(path, kind) for path in whole if path.stat().st_size and sha256_of(path) not in held]
    return [*queries, rows_of_parquet(parquet, kind)] if parquet else queries


def _whole(path: Path, scratch: Path) -> Path:
    """Copy the whole lines of a CSV file: the last one may be on its way, and would read as a shorter number."""
    content = path.read_bytes()
    copy = scratch / path.name
    copy.write_bytes(content[: content.rfind(b"\n") + 1])
    return copy


def _bar(market: str, period_s: int, row: Sequence[Any]) -> Bar:
    start, *prices, volume = row
    bid, ask = (Ohlc(open=o, high=h, low=low, close=c) for o, h, low, c in (prices[:4], prices[4:]))
    return Bar(market=market, start=_at(start), period_s=period_s, bid=bid, ask=ask, volume=volume)


def _at(micros: int) -> datetime:
    return _EPOCH + micros * _MICROSECOND


def _us(moment: datetime) -> int:
    return (require_utc(moment) - _EPOCH) // _MICROSECOND
