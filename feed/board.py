"""The signals that are served, and which of them are open: a fold over the public lines."""

from collections.abc import Collection
from datetime import datetime

from domain.vocabulary import Surface
from feed.keepsake import KeptBoard, KeptLine
from feed.lines import Line, Signal, kept
from feed.rows import Rows


class Board:
    """Takes lines in any order of logs: an end may be read before its beginning."""

    def __init__(self) -> None:
        self._rows = Rows()
        self._open: dict[str, Line] = {}
        self._amends: dict[str, Line] = {}

    @classmethod
    def restored(cls, board: KeptBoard) -> "Board":
        """Return the board as `keep` saw it."""
        made = cls()
        made._rows = Rows.restored(board.rows)
        for lines, found in ((board.opens, made._open), (board.amends, made._amends)):
            restored = [kept(one.log, one.raw.encode(), one.after) for one in lines]
            found.update((line.facts.signal_id, line) for line in restored)
        return made

    def keep(self) -> KeptBoard:
        """Return everything as it is now; later lines do not change it."""
        opens, amends = (
            [KeptLine(line.log, line.raw.decode(), line.after) for line in lines.values()]
            for lines in (self._open, self._amends)
        )
        return KeptBoard(self._rows.keep(), opens, amends)

    def __len__(self) -> int:
        return len(self._rows)

    def is_served(self, signal_id: str, moment: datetime) -> bool:
        """Tell whether there is this signal, and it did not end before ``moment``."""
        return self._rows.is_served(signal_id, moment)

    def forget(self, moment: datetime, but: Collection[str]) -> None:
        """Let go of the signals that ended before ``moment``, but for some. One that is open is never among them."""
        self._rows.drop(moment, but)

    def take(self, line: Line, at: datetime) -> None:
        """Fold one line that was written at ``at``."""
        signal_id = line.facts.signal_id
        if line.is_open:
            is_over = self._rows.put(_signal(line))
            if not is_over:
                self._open[signal_id] = line
        elif line.is_amend:
            if self._rows.ended_at(signal_id) is None:
                self._amends[signal_id] = line
        elif line.is_end and signal_id:
            self._rows.end(signal_id, at)
            self._open.pop(signal_id, None)
            self._amends.pop(signal_id, None)

    def find(self, signal_id: str, surfaces: frozenset[Surface]) -> Signal | None:
        """Return a signal these surfaces contain; one of another surface does not exist for the caller."""
        found = self._rows.signal(signal_id)
        return found if found is not None and found.surface in surfaces else None

    def signal(self, signal_id: str) -> Signal | None:
        return self._rows.signal(signal_id)

    def is_known(self, signal_id: str) -> bool:
        return self._rows.is_known(signal_id)

    def ended_at(self, signal_id: str) -> datetime | None:
        return self._rows.ended_at(signal_id)

    def is_dead(self, signal_id: str, now: datetime) -> bool:
        """Tell whether an open must not be executed any more: too old, or over already."""
        return self._rows.is_dead(signal_id, now)

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
