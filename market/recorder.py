"""Record of the quotes and bars a process saw: one CSV file a day and kind, written beside the loop."""

import csv
import io
import queue
import threading
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from domain.clock import iso
from domain.quotes import Bar, Quote

QUOTES = ("at", "received_at", "market", "bid", "ask")
BARS = (
    "at", "market", "period_s",
    "bid_open", "bid_high", "bid_low", "bid_close",
    "ask_open", "ask_high", "ask_low", "ask_close",
    "volume",
)  # fmt: skip
_HEADERS = {"quotes": QUOTES, "bars": BARS}
# kind, day, fields
_Row = tuple[str, str, tuple[str, ...]]


class Recorder:
    """Appends to ``<directory>/quotes-YYYY-MM-DD.csv`` and ``bars-YYYY-MM-DD.csv`` from its own thread.

    Nothing here raises or waits for a disk. ``errors`` counts batches that could not be written, ``dropped`` rows that
    found the buffer full. A quote that was recorded before is left out.

    Args:
        directory: made when the first row is written.
        flush_s: real seconds between two writes.
        capacity: rows held while the disk is slow.
    """

    def __init__(self, directory: Path, *, flush_s: float = 1.0, capacity: int = 50_000) -> None:
        self._directory = directory
        self._flush_s = flush_s
        self._rows: queue.Queue[_Row] = queue.Queue(capacity)
        self._last: dict[str, datetime] = {}
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
            if self._last.get(quote.market) != quote.at:
                self._last[quote.market] = quote.at
                received_at = iso(quote.received_at)
                fields = (iso(quote.at), received_at, quote.market, str(quote.bid), str(quote.ask))
                self._put("quotes", received_at[:10], fields)

    def bars(self, bars: Iterable[Bar]) -> None:
        """Record closed bars under the day in which they start."""
        for bar in bars:
            start = iso(bar.start)
            prices = tuple(
                str(price) for side in (bar.bid, bar.ask) for price in (side.open, side.high, side.low, side.close)
            )
            self._put("bars", start[:10], (start, bar.market, str(bar.period_s), *prices, str(bar.volume)))

    def flush(self) -> None:
        """Write what is buffered, in the caller's thread."""
        with self._writing:
            batches: dict[tuple[str, str], list[tuple[str, ...]]] = {}
            while not self._rows.empty():
                kind, day, fields = self._rows.get_nowait()
                batches.setdefault((kind, day), []).append(fields)
            for (kind, day), rows in batches.items():
                self._write(kind, self._directory / f"{kind}-{day}.csv", rows)

    def close(self) -> None:
        """Write the rest and end the thread."""
        self._stop.set()
        self._thread.join(timeout=5)
        self.flush()

    def _put(self, kind: str, day: str, fields: tuple[str, ...]) -> None:
        try:
            self._rows.put_nowait((kind, day, fields))
        except queue.Full:
            self.dropped += 1

    def _run(self) -> None:
        while not self._stop.wait(self._flush_s):
            self.flush()

    def _write(self, kind: str, path: Path, rows: list[tuple[str, ...]]) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._mend(path)
            with path.open("ab") as file:
                lines = rows if file.tell() else [_HEADERS[kind], *rows]
                file.write(_csv(lines))
        except OSError:
            self.errors += 1

    def _mend(self, path: Path) -> None:
        """Cut off half a line that a crash left, once a file and life: DuckDB refuses a file that holds one."""
        if path in self._mended or not path.exists():
            self._mended.add(path)
            return
        self._mended.add(path)
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(max(0, size - 4096))
            tail = file.read()
            if tail and not tail.endswith(b"\n"):
                file.truncate(size - len(tail) + tail.rfind(b"\n") + 1)


def _csv(rows: Iterable[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
