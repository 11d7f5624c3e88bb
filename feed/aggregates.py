"""What the operator may know of the subscribers: sums per surface and mode, and nothing about any one of them.

Pure: a fold over the stored reports. A number that fewer than ``cohort_min`` subscribers made up is not shown.
Late reports are counted as late and kept out of realised and slippage.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from typing import Any

from domain.callback import Callback
from domain.vocabulary import Side, Stage, Surface
from feed.keepsake import KeptCell
from feed.lines import Signal
from feed.thread import Pair, Thread, gather

OTHER = "other"
_OF_CONTRACTS = frozenset({Surface.ST, Surface.LT})
_COUNTS = ("received", "accepted", "executed", "resolved", "parked_overdue", "late")
_BP = Decimal("0.000001")
_EXACT = Context(prec=80, rounding=ROUND_HALF_EVEN)

Cell = tuple[str, str, str, str]  # surface, mode, measure, detail
Find = Callable[[str], Signal | None]


class Tally:
    """Sums by cell, and how many subscribers stand behind each."""

    def __init__(self) -> None:
        self.counts: Counter[Cell] = Counter()
        self.sums: defaultdict[Cell, Decimal] = defaultdict(Decimal)
        self._behind: defaultdict[Cell, set[str]] = defaultdict(set)

    def add(self, cell: Cell, subscriber: str, amount: Decimal = Decimal(0)) -> None:
        self.counts[cell] += 1
        self.sums[cell] += amount
        self._behind[cell].add(subscriber)

    def behind(self, *cells: Cell) -> int:
        return len(set().union(*(self._behind.get(cell, set()) for cell in cells)))

    def copy(self) -> "Tally":
        return Tally.restored(self.keep())

    def keep(self) -> list[KeptCell]:
        return [
            KeptCell(cell, count, format(self.sums[cell], "f"), sorted(self._behind[cell]))
            for cell, count in self.counts.items()
        ]

    @classmethod
    def restored(cls, cells: Iterable[KeptCell]) -> "Tally":
        made = cls()
        for one in cells:
            made.counts[one.cell], made.sums[one.cell] = one.count, Decimal(one.total)
            made._behind[one.cell] = set(one.behind)
        return made


def of_records(
    records: Iterable[Callback], find: Find, *, cohort_min: int, now: datetime | None = None
) -> dict[str, Any]:
    """Compute the aggregates from the reports of a journal."""
    return of_threads(gather(records), find, cohort_min=cohort_min, now=now)


def of_threads(
    threads: Mapping[Pair, Thread],
    find: Find,
    *,
    cohort_min: int,
    now: datetime | None = None,
    past: Tally | None = None,
) -> dict[str, Any]:
    """Compute the aggregates; the order of the threads does not matter.

    Args:
        now: by which a resolution that waits for its fills is overdue; without it none is.
        past: sums over threads that are no longer in memory.
    """
    tally = Tally() if past is None else past.copy()
    with localcontext(_EXACT):
        for (subscriber, signal_id), thread in threads.items():
            _count(tally, subscriber, thread, find(signal_id), now)
        groups = sorted({(surface, mode) for surface, mode, _, _ in tally.counts})
        return {
            "cohort_min": cohort_min,
            "surfaces": [_group(tally, surface, mode, cohort_min) for surface, mode in groups],
        }


def add(tally: Tally, subscriber: str, thread: Thread, signal: Signal | None, now: datetime) -> None:
    """Take one thread into the sums, exactly."""
    with localcontext(_EXACT):
        _count(tally, subscriber, thread, signal, now)


def _count(tally: Tally, subscriber: str, thread: Thread, signal: Signal | None, now: datetime | None) -> None:
    latest = [revisions[-1] for revisions in thread.chains.values()]
    surface, mode = latest[0].surface, latest[0].mode

    def add(measure: str, detail: str = "", amount: Decimal = Decimal(0)) -> None:
        tally.add((surface, mode, measure, detail), subscriber, amount)

    add("reports")
    for record in latest:
        if record.late:
            add("late")
        if record.stage is Stage.ACK:
            add("received")
            add("skipped", record.reason) if thread.is_skipped else add("accepted")
    if thread.fills:
        add("executed")
    for fill in thread.fills:
        slippage = None if fill.late else _slippage_bp(fill, signal)
        if slippage is not None:
            add("slippage_bp", "", slippage)
    if thread.is_resolved and thread.resolved is not None:
        add("resolved")
        if not thread.resolved.late:
            add("realised", thread.resolved.currency or "", thread.resolved.realised or Decimal(0))
    elif now is not None and thread.is_overdue(now):
        add("parked_overdue")


def _slippage_bp(fill: Callback, signal: Signal | None) -> Decimal | None:
    """Return how much worse than the publisher's own price a fill was, in basis points; negative is better."""
    if signal is None or not signal.reference_price or fill.price is None or signal.side not in tuple(Side):
        return None
    worse = (fill.price - signal.reference_price) * Side(signal.side).sign
    # An event contract pays a dollar: a cent of it is 100 basis points, whatever it cost.
    basis = 1 if signal.surface in _OF_CONTRACTS else signal.reference_price
    return (worse / basis * 10_000).quantize(_BP)


def _group(tally: Tally, surface: str, mode: str, cohort_min: int) -> dict[str, Any]:
    """Return one surface and mode; ``None`` stands where too few subscribers are behind a number."""

    def cell(measure: str, detail: str = "") -> Cell:
        return surface, mode, measure, detail

    def shown(where: Cell) -> bool:
        return tally.behind(where) >= cohort_min

    def count(measure: str) -> int | None:
        return tally.counts[cell(measure)] if shown(cell(measure)) else None

    realised = sorted(one for one in tally.counts if one[:3] == (surface, mode, "realised") and shown(one))
    slippage = cell("slippage_bp")
    return {
        "surface": surface,
        "mode": mode,
        **{name: count(name) for name in _COUNTS},
        "skipped": _reasons(tally, surface, mode, cohort_min),
        "realised": {one[3]: format(tally.sums[one], "f") for one in realised},
        "slippage_bp": _mean(tally, slippage) if shown(slippage) else None,
    }


def _mean(tally: Tally, cell: Cell) -> str:
    return format((tally.sums[cell] / tally.counts[cell]).quantize(Decimal("0.01")), "f")


def _reasons(tally: Tally, surface: str, mode: str, cohort_min: int) -> dict[str, int]:
    """Return reason -> skips. A reason is free text: those that few have used are added up, or not shown at all."""
    cells = sorted(one for one in tally.counts if one[:3] == (surface, mode, "skipped"))
    rare = [one for one in cells if tally.behind(one) < cohort_min]
    shown = {one[3]: tally.counts[one] for one in cells if one not in rare}
    if rare and tally.behind(*rare) >= cohort_min:
        shown[OTHER] = shown.get(OTHER, 0) + sum(tally.counts[one] for one in rare)
    return shown
