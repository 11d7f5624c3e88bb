"""Answers already paid for, kept in memory and, if a file is given, across restarts.

The file holds one JSON line for each answer and belongs to one process. It may be lost or damaged: what cannot be
read is asked, and paid for, again.
"""

import json
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog

from domain.clock import iso, parse_iso

log = structlog.get_logger()

ENTRIES = 5_000
LARGEST_FILE_BYTES = 8_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One model's answer: its probability, the model as the vendor named it, and when it was given."""

    probability: Decimal
    version: str
    at: datetime


class AnswerCache:
    """Remembers at most ``entries`` answers, each for ``ttl_s`` seconds of the process's clock; thread-safe."""

    def __init__(self, ttl_s: float, *, file: Path | None = None, entries: int = ENTRIES) -> None:
        self._ttl_s = ttl_s
        self._entries = entries
        self._file = file
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._lines = 0
        if file is not None:
            self._read(file)

    def find(self, key: str, now: datetime) -> Kept | None:
        """Return the answer kept under ``key`` while it is young enough."""
        with self._lock:
            kept = self._kept.get(key)
            return kept if kept is not None and self._is_fresh(kept, now) else None

    def keep(self, key: str, kept: Kept) -> None:
        """Remember an answer; a file that cannot be written is given up, not the answer."""
        with self._lock:
            self._put(key, kept)
            if self._file is None:
                return
            try:
                self._append(self._file, key, kept)
            except OSError as error:
                log.warning("answers are no longer kept across restarts", file=str(self._file), error=str(error))
                self._file = None

    def _is_fresh(self, kept: Kept, now: datetime) -> bool:
        # An answer from the future was given on another clock: a simulated one that started again.
        return 0 <= (now - kept.at).total_seconds() < self._ttl_s

    def _put(self, key: str, kept: Kept) -> None:
        self._kept.pop(key, None)
        self._kept[key] = kept
        while len(self._kept) > self._entries:
            self._kept.popitem(last=False)

    def _append(self, file: Path, key: str, kept: Kept) -> None:
        if self._lines >= 2 * self._entries:
            self._rewrite(file)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        # A torn last line must not swallow the next one: it begins on a line of its own.
        with file.open("a", encoding="utf-8") as out:
            out.write("\n" + _line(key, kept))
        self._lines += 1

    def _rewrite(self, file: Path) -> None:
        fresh = file.with_name(file.name + ".new")
        fresh.write_text("\n".join(_line(key, kept) for key, kept in self._kept.items()), encoding="utf-8")
        os.replace(fresh, file)
        self._lines = len(self._kept)

    def _read(self, file: Path) -> None:
        try:
            if file.stat().st_size > LARGEST_FILE_BYTES:
                file.unlink()
                return
            text = file.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("answers of before the restart cannot be read", file=str(file), error=str(error))
            return
        for line in text.splitlines():
            self._lines += 1
            entry = _entry(line)
            if entry is not None:
                self._put(*entry)


def _line(key: str, kept: Kept) -> str:
    fields = {"key": key, "probability": str(kept.probability), "version": kept.version, "at": iso(kept.at)}
    return json.dumps(fields)


def _entry(line: str) -> tuple[str, Kept] | None:
    try:
        fields: dict[str, Any] = json.loads(line)
        kept = Kept(
            probability=Decimal(fields["probability"]), version=str(fields["version"]), at=parse_iso(fields["at"])
        )
        return (str(fields["key"]), kept) if 0 <= kept.probability <= 1 else None
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
        return None
