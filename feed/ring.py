"""The recent past of one log, in memory."""

from bisect import bisect_right

from feed.lines import Line
from journal import Entry, Position


class Ring:
    """The last records of a log: where each of them ends, and those among them that are public.

    Records are numbered without gaps, so the place after record ``seq`` is found by subtraction.
    """

    def __init__(self, capacity: int, base: Position) -> None:
        self._capacity = capacity
        self._places = [base]
        self._lines: list[Line] = []
        self._seqs: list[int] = []

    @property
    def base(self) -> Position:
        """The place after which nothing is missing."""
        return self._places[0]

    @property
    def head(self) -> Position:
        return self._places[-1]

    def add(self, entry: Entry, line: Line | None) -> None:
        self._places.append(entry.position)
        if line is not None:
            self._lines.append(line)
            self._seqs.append(line.seq)
        # Trimming an eighth at a time costs a record no more than moving eight places.
        if len(self._places) > self._capacity + self._capacity // 8 + 1:
            self._trim(self._capacity)

    def place(self, seq: int) -> Position | None:
        """Return the place just after record ``seq``, or None when it is not remembered."""
        index = seq - self.base.seq
        return self._places[index] if 0 <= index < len(self._places) else None

    def covers(self, seq: int) -> bool:
        """Tell whether everything after record ``seq`` is here."""
        return self.base.seq <= seq

    def after(self, seq: int, limit: int) -> list[Line]:
        """Return the first ``limit`` public lines after record ``seq``."""
        first = bisect_right(self._seqs, seq)
        return self._lines[first : first + limit]

    def _trim(self, keep: int) -> None:
        del self._places[:-keep]
        gone = bisect_right(self._seqs, self.base.seq)
        del self._lines[:gone]
        del self._seqs[:gone]
