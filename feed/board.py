"""All signals the feed has ever served, and which of them are open: a fold over the public lines."""

from datetime import datetime
from decimal import Decimal

import msgspec

from domain.vocabulary import Surface
from feed.lines import Line


class Signal(msgspec.Struct):
    """What callbacks and `expired` need to know of one signal."""

    id: str
    surface: str
    mode: str
    side: str
    reference_price: Decimal | None
    published_at: datetime | None
    expires_at: datetime | None

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


class Board:
    """Takes lines in any order of logs: an end may be read before its beginning."""

    def __init__(self) -> None:
        self._signals: dict[str, Signal] = {}
        self._open: dict[str, Line] = {}
        self._amends: dict[str, Line] = {}
        self._ended: dict[str, datetime] = {}

    def take(self, line: Line, at: datetime) -> None:
        """Fold one line that was written at ``at``."""
        signal_id = line.facts.signal_id
        if line.is_open:
            self._signals[signal_id] = _signal(line)
            if signal_id not in self._ended:
                self._open[signal_id] = line
        elif line.is_amend:
            if signal_id not in self._ended:
                self._amends[signal_id] = line
        elif signal_id:
            self._ended.setdefault(signal_id, at)
            self._open.pop(signal_id, None)
            self._amends.pop(signal_id, None)

    def find(self, signal_id: str, surfaces: frozenset[Surface]) -> Signal | None:
        """Return a signal these surfaces contain; one of another surface does not exist for the caller."""
        found = self._signals.get(signal_id)
        return found if found is not None and found.surface in surfaces else None

    def signal(self, signal_id: str) -> Signal | None:
        return self._signals.get(signal_id)

    def ended_at(self, signal_id: str) -> datetime | None:
        return self._ended.get(signal_id)

    def is_dead(self, signal_id: str, now: datetime) -> bool:
        """Tell whether an open must not be executed any more: too old, or over already."""
        signal = self._signals.get(signal_id)
        return signal_id in self._ended or signal is None or signal.is_expired(now)

    def open_lines(self, logs: frozenset[str]) -> list[Line]:
        """Return each open signal's line, followed by its latest amend, oldest first."""
        opens = sorted((line for line in self._open.values() if line.log in logs), key=lambda line: line.order)
        return [line for one in opens for line in (one, self._amends.get(one.facts.signal_id)) if line is not None]


def _signal(line: Line) -> Signal:
    facts = line.facts
    return Signal(
        facts.signal_id,
        facts.surface,
        facts.mode,
        facts.side or "",
        facts.reference_price,
        facts.published_at,
        facts.expires_at,
    )
