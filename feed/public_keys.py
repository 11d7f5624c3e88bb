"""The public keys of the publishers, as the operator's commands keep them; the feed itself holds no signing key."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from domain.errors import Halt
from domain.vocabulary import Surface

_Stamp = tuple[int, int, int]


class _File(msgspec.Struct):
    keys: list[dict[str, Any]]


class PublicKeys:
    """The file of public keys, read again whenever it has changed; ``problem`` says why it cannot be."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: _Stamp | None = None
        self._keys: Sequence[dict[str, Any]] = ()
        self.problem: Halt | None = None
        self.refresh()

    def refresh(self) -> None:
        """Read the file if it is another than before; one that is missing holds no keys."""
        stamp = _stamp(self._path)
        if stamp == self._stamp and self.problem is None:
            return
        self._stamp = stamp
        try:
            self._keys = () if stamp is None else _read(self._path)
            self.problem = None
        except (OSError, ValueError) as error:
            self.problem = Halt(f"public keys in {self._path.name}", str(error), "restore the file from its backup")

    def of(self, surfaces: frozenset[Surface]) -> list[dict[str, Any]]:
        """Return the entries of these surfaces, as they stand in the file."""
        return [entry for entry in self._keys if entry.get("surface") in surfaces]


def _read(path: Path) -> Sequence[dict[str, Any]]:
    return msgspec.json.decode(path.read_bytes(), type=_File).keys


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
