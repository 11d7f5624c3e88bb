"""The signals that are served, and which of them are open: a fold over the public lines."""

from collections.abc import Container, Iterable
from datetime import datetime
from sys import intern

from domain.vocabulary import Surface
from feed.keepsake import KeptBoard, KeptLine
from feed.lines import Line, Signal, kept


class Board:
    """Takes lines in any order of logs: an end may be read before its beginning."""

    def __init__(self) -> None:
        self._signals: dict[str, Signal] = {}
        self._open: dict[str, Line] = {}
        self._amends: dict[str, Line] = {}
        self._ended: dict[str, datetime] = {}

    @classmethod
    def restored(cls, board: KeptBoard) -> "Board":
        """Return the board as `keep` saw it."""
        made = cls()
        made._ended = board.ended
        for one in board.signals:
            made._add(
                Signal(
                    one.id, intern(one.surface), intern(one.mode), intern(one.side),
                    one.reference_price, one.published_at, one.expires_at,
                )
            )  # fmt: skip
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
        return KeptBoard(len(self._signals), list(self._signals.values()), dict(self._ended), opens, amends)

    def over_before(self, moment: datetime, but: Container[str]) -> list[str]:
        """Return the signals that ended before ``moment``, but for some. One that is open is never among them."""
        return [signal_id for signal_id, at in self._ended.items() if at < moment and signal_id not in but]

    def forget(self, signal_ids: Iterable[str]) -> None:
        for signal_id in signal_ids:
            self._signals.pop(signal_id, None)
            self._ended.pop(signal_id, None)

    def take(self, line: Line, at: datetime) -> None:
        """Fold one line that was written at ``at``."""
        signal_id = line.facts.signal_id
        if line.is_open:
            self._add(_signal(line))
            if signal_id not in self._ended:
                self._open[signal_id] = line
        elif line.is_amend:
            if signal_id not in self._ended:
                self._amends[signal_id] = line
        elif signal_id:
            self._end(signal_id, at)
            self._open.pop(signal_id, None)
            self._amends.pop(signal_id, None)

    # Of hundreds of thousands of signals the texts weigh most: an id is kept once, and so is each of the few words.
    def _add(self, signal: Signal) -> None:
        self._signals[signal.id] = signal
        at = self._ended.pop(signal.id, None)
        if at is not None:
            self._ended[signal.id] = at

    def _end(self, signal_id: str, at: datetime) -> None:
        signal = self._signals.get(signal_id)
        self._ended.setdefault(signal_id if signal is None else signal.id, at)

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
        intern(facts.surface),
        intern(facts.mode),
        intern(facts.side or ""),
        facts.reference_price,
        facts.published_at,
        facts.expires_at,
    )
