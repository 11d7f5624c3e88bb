"""When each token was last used: kept in memory, written at most once a minute, and allowed to be lost."""

import contextlib
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from domain.clock import iso


class LastUse:
    """Token id -> moment, for the operator's list of subscribers."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._moments: dict[str, str] = dict(read(path))
        self._fresh: dict[str, datetime] = {}

    def note(self, token_id: str, now: datetime) -> None:
        self._fresh[token_id] = now

    def snapshot(self) -> bytes | None:
        """Return what to `write`, or None when it was written already."""
        if not self._fresh:
            return None
        self._moments.update((token_id, iso(moment)) for token_id, moment in self._fresh.items())
        self._fresh = {}
        return msgspec.json.encode(self._moments)

    def write(self, content: bytes) -> None:
        """Replace the file; a disk that does not take it costs nobody anything."""
        fresh = self._path.with_name(f".{self._path.name}.new")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(fresh, "wb", opener=_private) as file:
                file.write(content)
            os.replace(fresh, self._path)


def read(path: Path) -> Mapping[str, str]:
    """Return token id -> ISO moment; nothing when the file is missing or spoilt."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, ValueError):
        return {}


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
