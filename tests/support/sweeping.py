"""Dying at chosen writes: what a sweep over all of a day's writes needs, and what no death may loosen."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from audit.fold import SurfaceFold
from domain.operation import TIGHTNESS
from domain.quotes import Instrument
from domain.vocabulary import Cause

D = Decimal


class Crash(BaseException):
    """The process died here: nothing may catch this."""


class Fuse:
    """Dies at chosen writes, counted over all journals and lives of a process.

    Attributes:
        held: what kept the process from trading just before it died.
    """

    def __init__(self, *points: int, after: bool = False) -> None:
        self.points = points
        self.after = after
        self.count = 0
        self.held: dict[str, Any] = {}

    def around(self, write: Callable[[], None], fold: SurfaceFold) -> None:
        self.count += 1
        number = self.count
        if number in self.points:
            self.held = holds(fold)
            self.about_to_die()
        if number in self.points and not self.after:
            raise Crash
        write()
        if number in self.points:
            raise Crash

    def guard(self, books: Any, *names: str) -> None:
        """Let every write of these books go past this fuse; ``names`` are the methods that write."""
        for name in names:
            write = getattr(books, name)
            setattr(books, name, lambda *told, do=write, **more: self.around(lambda: do(*told, **more), books.fold))

    def about_to_die(self) -> None:
        """Called just before the write at which the process dies."""

    def tear(self) -> None:
        """Called once the dead processes' files are closed: make them what a crash leaves behind."""


class TornFuse(Fuse):
    """Dies while a write is on its way: of its bytes only ``share`` reach the disk and nothing was acknowledged."""

    def __init__(self, logs: Path, share: float, *points: int) -> None:
        super().__init__(*points, after=True)
        self.logs = logs
        self.share = share
        self.torn = 0
        self._files: dict[Path, bytes] = {}

    def about_to_die(self) -> None:
        self._files = self._read()

    def tear(self) -> None:
        for path, now in self._read().items():
            before = self._files.get(path, b"")
            if path.name.startswith("0") and path.suffix == ".jsonl":
                keep = len(before) + round((len(now) - len(before)) * self.share)
                self.torn += keep < len(now)
                path.write_bytes(now[:keep])
            elif path in self._files:
                path.write_bytes(before)
            else:
                path.unlink()
        for path in self._files.keys() - self._read().keys():
            path.write_bytes(self._files[path])

    def _read(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.logs.rglob("*") if path.is_file() and path.name != ".lock"}


def holds(fold: SurfaceFold) -> dict[str, Any]:
    """Return everything in a fold that keeps its surface from trading."""
    return {
        "wishes": {cause: TIGHTNESS[fold.wish(cause).state] for cause in (Cause.OPERATOR, Cause.BREAKER)},
        "day": fold.day and (fold.day.day, fold.day.tripped, fold.day.start_equity),
        "cooldowns": {market: cooldown.until for market, cooldown in fold.cooldowns.items()},
        "suspensions": dict(fold.suspensions),
        "cooled": set(fold.cooled_signals),
        "recent": set(fold.recent),
        "intents": set(fold.intents),
        "resolutions": set(fold.resolutions),
    }


def assert_never_looser(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Assert that nothing that kept a surface from trading was let go of."""
    for cause, tightness in before["wishes"].items():
        assert after["wishes"][cause] >= tightness, cause
    if before["day"] is not None:
        assert after["day"][:2] >= before["day"][:2]
        assert after["day"][0] > before["day"][0] or after["day"][2] == before["day"][2]
    for market, until in before["cooldowns"].items():
        assert after["cooldowns"][market] >= until
    for what in ("suspensions", "cooled", "recent", "intents", "resolutions"):
        assert set(before[what]) <= set(after[what]), what


def instrument(name: str) -> Instrument:
    sizes = {"quantity_step": D(1), "quantity_min": D(1), "quantity_max": D(10**6), "margin_rate": D("0.02")}
    return Instrument(name=name, base=name[:3], quote_currency=name[4:], tick=D("0.00001"), pip=D("0.0001"), **sizes)
