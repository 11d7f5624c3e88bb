"""Record of what a process saw of its markets: one CSV file a day and kind, written beside the loop."""

import csv
import io
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from domain.clock import iso, require_utc
from domain.quotes import Bar, Quote
from market.gaps import Gap, GapWatch, OpenTime, always_open
from market.tick_files import HEADERS, csv_path, cut_torn_line, last_heard, put_aside_if_foreign

# kind, day, fields
_Row = tuple[str, str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One trade the venue reported: ``at`` is its time, ``received_at`` ours."""

    market: str
    price: Decimal
    quantity: Decimal
    at: datetime
    received_at: datetime

    def __post_init__(self) -> None:
        require_utc(self.at, "Trade.at")
        require_utc(self.received_at, "Trade.received_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """That closed days become Parquet, and after how many days they are removed; None keeps them for ever."""

    keep_days: int | None = None

    def __post_init__(self) -> None:
        if self.keep_days is not None and self.keep_days < 1:
            raise ValueError(f"recorded days are kept for at least 1 day, found {self.keep_days}")


class Recorder:
    """Appends to ``<directory>/quotes-YYYY-MM-DD.csv`` and the like from its own thread.

    Nothing here raises or waits for a disk. ``errors`` counts batches that could not be written, ``dropped`` rows that
    found the buffer full. A quote that was recorded before is left out. A stream that was silent for too long while its
    market was open, and one that was not listened to because the process did not run, leaves a row in ``gaps``.

    Args:
        directory: made when the first row is written.
        flush_s: real seconds between two writes.
        capacity: rows held while the disk is slow.
        open_time: how long a market was open between two moments, so that a night is no gap.
        compaction: turns closed days into Parquet, in a child process started with the first row of a day.
    """

    def __init__(
        self,
        directory: Path,
        *,
        flush_s: float = 1.0,
        capacity: int = 50_000,
        open_time: OpenTime = always_open,
        compaction: Compaction | None = None,
    ) -> None:
        self._directory = directory
        self._flush_s = flush_s
        # Appending to a deque and taking from its other end need no lock between the loop and the thread.
        self._rows: deque[_Row] = deque()
        self._capacity = capacity
        self._last: dict[str, datetime] = {}
        self._watch = GapWatch(open_time, heard=last_heard(directory))
        self._compaction = compaction
        self._compacted = ""
        self._child: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()
        self._writing = threading.Lock()
        self._mended: set[Path] = set()
        self.errors = 0
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def quotes(self, quotes: Iterable[Quote]) -> None:
        """Record quotes under the day on which they were received."""
        for quote in quotes:
            if self._last.get(quote.market) == quote.at:
                continue
            self._last[quote.market] = quote.at
            received_at = iso(quote.received_at)
            last = "" if quote.last is None else str(quote.last)
            fields = (iso(quote.at), received_at, quote.market, str(quote.bid), str(quote.ask), last)
            self._put("quotes", received_at[:10], fields)
            if gap := self._watch.hear(quote.market, quote.received_at):
                self.gaps((gap,))

    def trades(self, trades: Iterable[Trade]) -> None:
        """Record trades under the day on which they were received."""
        for trade in trades:
            received_at = iso(trade.received_at)
            fields = (iso(trade.at), received_at, trade.market, str(trade.price), str(trade.quantity))
            self._put("trades", received_at[:10], fields)

    def bars(self, bars: Iterable[Bar]) -> None:
        """Record closed bars under the day in which they start."""
        for bar in bars:
            start = iso(bar.start)
            prices = tuple(
                str(price) for side in (bar.bid, bar.ask) for price in (side.open, side.high, side.low, side.close)
            )
            self._put("bars", start[:10], (start, bar.market, str(bar.period_s), *prices, str(bar.volume)))

    def gaps(self, gaps: Iterable[Gap]) -> None:
        """Record times of which nothing is known, under the day on which they end, such as a lost connection's."""
        for gap in gaps:
            until = iso(gap.until)
            self._put("gaps", until[:10], (iso(gap.since), until, gap.market, str(gap.reason)))

    def flush(self) -> None:
        """Write what is buffered, in the caller's thread."""
        with self._writing:
            batches: dict[tuple[str, str], list[tuple[str, ...]]] = {}
            for _ in range(len(self._rows)):
                kind, day, fields = self._rows.popleft()
                batches.setdefault((kind, day), []).append(fields)
            for (kind, day), rows in batches.items():
                self._write(kind, csv_path(self._directory, kind, day), rows)
            if batches and self._compaction is not None:
                self._compact(max(day for _, day in batches), self._compaction)

    def close(self) -> None:
        """Write the rest and end the thread; a compaction that takes longer goes on by itself."""
        self._stop.set()
        self._thread.join(timeout=5)
        self.flush()
        if self._child is not None:
            try:
                self._child.wait(timeout=2)
            except subprocess.TimeoutExpired:
                return

    def _put(self, kind: str, day: str, fields: tuple[str, ...]) -> None:
        if len(self._rows) < self._capacity:
            self._rows.append((kind, day, fields))
        else:
            self.dropped += 1

    def _run(self) -> None:
        while not self._stop.wait(self._flush_s):
            self.flush()

    def _write(self, kind: str, path: Path, rows: list[tuple[str, ...]]) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._mend(kind, path)
            with path.open("ab") as file:
                lines = rows if file.tell() else [HEADERS[kind], *rows]
                file.write(_csv(lines))
        except OSError:
            self.errors += 1

    def _mend(self, kind: str, path: Path) -> None:
        """Make an older file fit to be appended to, once a file and life."""
        if path not in self._mended:
            self._mended.add(path)
            if path.exists():
                cut_torn_line(path)
                put_aside_if_foreign(path, kind)

    def _compact(self, today: str, compaction: Compaction) -> None:
        """Begin to compact the days before ``today``, once a day; DuckDB must not be loaded into a loop's process."""
        if self._child is not None and self._child.poll() is not None:
            self.errors += self._child.returncode != 0
            self._child = None
        if today <= self._compacted or self._child is not None:
            return
        self._compacted = today
        keep = [] if compaction.keep_days is None else ["--keep-days", str(compaction.keep_days)]
        command = [sys.executable, "-m", "market.compact", str(self._directory.resolve()), "--before", today, *keep]
        quiet = subprocess.DEVNULL
        try:
            self._child = subprocess.Popen(command, env={}, stdin=quiet, stdout=quiet, stderr=quiet)
        except OSError:
            self.errors += 1


def _csv(rows: Iterable[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
