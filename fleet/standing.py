"""How each surface stands: its operating state and why, what it holds open, and which STOP files hold it back."""

import json
import time
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from audit.fold import SurfaceFold
from domain.house import House
from domain.operation import OperatorAction, StateChange, effective
from domain.vocabulary import Cause, Kind, State, Surface
from fleet.programs import FLEET
from journal import Entry, beat, decode
from surfaces.stop import stop_reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one surface stands.

    ``state`` is None before the surface ever ran. ``ordered`` is what a person ordered and the surface did not take
    over yet. ``stop_files`` are relative to the home. ``beat_age_s`` is in real seconds, None without a heartbeat;
    ``ended`` is what the process noted when it ended since, such as ``stopped`` or ``misconfigured``.
    """

    state: State | None
    reason: str
    flatten: bool
    ordered: str
    open: int
    stop_files: tuple[str, ...]
    beat_age_s: float | None
    ended: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Follower:
    """Follows one surface: its journals and its orders entry by entry, its heartbeat and STOP files when asked."""

    def __init__(self, house: House, surface: Surface) -> None:
        self._house = house
        self._surface = surface
        self._fold = SurfaceFold(Decimal(1), "")  # only for states and positions: what the bankroll is does not matter
        self._order: Entry | None = None
        self._has_run = False
        self._mode: str | None = None

    def apply(self, entry: Entry) -> None:
        """Take in one entry of the surface's own journals."""
        self._has_run = True
        if entry.kind == Kind.RECONCILIATION:  # one at each start: tells in which mode the surface runs now
            self._mode = entry.record["mode"]
        self._fold.apply(entry.record)

    def ordered(self, entry: Entry) -> None:
        """Take in one entry of the operator's journal."""
        if entry.kind == Kind.OPERATOR_ACTION and entry.record["surface"] == self._surface:
            self._order = entry

    def standing(self) -> Standing:
        """Return how the surface stands now."""
        path = self._house.heartbeat(program_of(self._surface))
        found = read_beat(path)
        ended = ending(found)
        said = {} if ended else found
        # The heartbeat and the journals are read at different moments: of the two, the tighter state is shown.
        wish = effective([self._fold.state, *_said(said)])
        return Standing(
            state=wish.state if self._has_run or said else None,
            reason=wish.reason if wish.state is not State.RUN else "",
            flatten=wish.flatten,
            ordered=self._pending(),
            open=self._open() if self._has_run else said.get("open", 0),
            stop_files=stop_files(self._house, self._surface),
            beat_age_s=None if ended else beat_age_s(path),
            ended=ended,
        )

    def _open(self) -> int:
        # From the journals: a heartbeat of a surface that ended does not see what the resolver closed since.
        return sum(self._mode in (None, position.decision.mode) for position in self._fold.positions())

    def _pending(self) -> str:
        obeyed = self._fold.wish(Cause.OPERATOR).request or 0
        if self._order is None or self._order.seq <= obeyed:
            return ""
        action = decode(self._order.record, OperatorAction)
        return f"{'flatten' if action.flatten else action.state} ({action.reason})"


def program_of(surface: Surface) -> str:
    """Return the name of the program that trades a surface; the surface's own name when the fleet has none."""
    return next((p.name for p in FLEET if p.module == "surfaces" and p.arguments == (surface,)), str(surface))


def is_in_fleet(surface: Surface) -> bool:
    return program_of(surface) != surface


def read_beat(path: Path) -> dict[str, Any]:
    """Return the facts of a heartbeat file, none when there is no such file or it makes no sense."""
    try:
        beat = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return beat if isinstance(beat, dict) else {}


def ending(found: dict[str, Any]) -> str:
    """Return how the process of a heartbeat file ended, nothing while it may run.

    It notes its end in the same file, which is fresh then although nothing turns any more.
    """
    phase = found.get("phase")
    return phase if isinstance(phase, str) and phase in beat.NO_CRASH else ""


def beat_age_s(path: Path) -> float | None:
    """Return how long ago a heartbeat was written, in real seconds whatever the fleet's clock says."""
    try:
        return round(max(0.0, time.time() - path.stat().st_mtime), 1)
    except OSError:
        return None


def stop_files(house: House, surface: Surface) -> tuple[str, ...]:
    """Return the STOP files that exist; one that can't be looked at counts as present."""
    return tuple(str(Path(found).relative_to(house.home)) for found in stop_reasons(house.stop_files(surface)))


def _said(beat: dict[str, Any]) -> list[StateChange]:
    known = beat.get("state") in set(State)
    return [StateChange(state=State(beat["state"]), reason=str(beat.get("reason", "")))] if known else []
