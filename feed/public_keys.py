"""The publishers' public keys as the feed serves them: read again whenever their file has changed."""

import os
from collections.abc import Sequence
from pathlib import Path

from domain.errors import TBotError
from domain.vocabulary import Surface
from journal.public_keys import FILE, PublicKey, read_public_keys

_Stamp = tuple[int, int, int]


class PublicKeys:
    """The file of public keys; ``problem`` says why it cannot be read, while it cannot."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp: _Stamp | None = None
        self._keys: Sequence[PublicKey] = ()
        self.problem: TBotError | None = None
        self.refresh()

    def refresh(self) -> None:
        """Read the file if it is another than before; one that is missing holds no keys."""
        stamp = _stamp(self._folder / FILE)
        if stamp == self._stamp and self.problem is None:
            return
        self._stamp = stamp
        try:
            self._keys = read_public_keys(self._folder)
            self.problem = None
        except TBotError as error:
            self.problem = error

    def of(self, surfaces: frozenset[Surface]) -> list[PublicKey]:
        """Return the keys of these surfaces, in the order of the file."""
        return [key for key in self._keys if key.surface in surfaces]


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
