"""What cursors promise: what stands in each log, and every cursor a feed gave."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from domain.vocabulary import Surface

Place = tuple[int, str]  # seq and h, of which 0 and zeros are the start


@dataclass
class Log:
    """What stands in one log: every record, and which of them are public."""

    hs: list[str] = field(default_factory=list)
    ts: list[datetime] = field(default_factory=list)
    raws: dict[int, bytes] = field(default_factory=dict)  # seq -> public line

    @classmethod
    def on_disk(cls, folder: Path) -> "Log":
        log = cls()
        for path in sorted(folder.glob("0*.jsonl")):
            for raw in path.read_bytes().splitlines():
                log.add(json.loads(raw), raw)
        return log

    def add(self, record: dict[str, Any], raw: bytes) -> None:
        self.hs.append(record["h"])
        self.ts.append(datetime.fromisoformat(record["ts"]))
        if record["kind"] == "signal":
            self.raws[record["seq"]] = raw

    @property
    def place(self) -> Place:
        return (len(self.hs), self.hs[-1]) if self.hs else (0, "")

    def has(self, place: Place) -> bool:
        return place[0] == 0 or (place[0] <= len(self.hs) and self.hs[place[0] - 1] == place[1])

    def oldest(self, since: datetime) -> int:
        """Return the seq before the first record not older than ``since``."""
        return next((index for index, ts in enumerate(self.ts) if ts >= since), len(self.ts))

    def after(self, seq: int) -> list[bytes]:
        return [raw for number, raw in sorted(self.raws.items()) if number > seq]


@dataclass
class Given:
    """A cursor as the feed gave it, and the place it stands for."""

    cursor: str
    surfaces: tuple[Surface, ...]
    places: dict[str, Place]
    answers: dict[int, bytes] = field(default_factory=dict)  # limit -> items that a full page held
