"""Order numbers of clients: each has its own row, kept between runs."""

import json
import os
from pathlib import Path

from simulators.rest.faults import Json


class OrderNumbersError(ValueError):
    """A file of order numbers that cannot be used."""


class OrderNumbers:
    """client -> the highest order number it has used."""

    def __init__(self, folder: Path | None = None) -> None:
        self._file = None if folder is None else folder / "tws-order-numbers.json"
        self._highest: dict[int, int] = {}
        if self._file is not None and self._file.exists():
            self._highest = self._read(self._file)

    def next_of(self, client: int) -> int:
        """Return the number a client may use next."""
        return self._highest.get(client, 0) + 1

    def used(self, client: int, number: int) -> None:
        """Note a number that was used."""
        if number > self._highest.get(client, 0):
            self._highest[client] = number
            self._keep()

    def roll_back(self, client: int, by: int) -> None:
        """Forget the last numbers of a client, as a gateway does that restarts with an old file."""
        self._highest[client] = max(self._highest.get(client, 0) - by, 0)
        self._keep()

    def _keep(self) -> None:
        if self._file is None:
            return
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self._highest))
        os.replace(new, self._file)

    @staticmethod
    def _read(path: Path) -> dict[int, int]:
        try:
            kept: Json = json.loads(path.read_text())
            return {int(client): int(number) for client, number in kept.items()}
        except (OSError, ValueError, AttributeError, TypeError) as exc:
            raise OrderNumbersError(f"--state: cannot read {path}: {exc}; move it away to start afresh") from exc
