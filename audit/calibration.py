"""Estimates of event contracts joined with how the contracts ended, from the journals of a surface.

Judged are, apart from each other, the newest estimate of each market and method before the contract's end, whether it
led to a trade or not, and the estimates that were traded. Nothing is joined across modes.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from audit.judging import Attendance, Forecast, Judged, Opinion, model_scores, tables
from audit.since import chosen, records_since
from audit.tally import is_synthetic
from domain.vocabulary import ExitReason, Kind, Leg
from journal import scan

Key = tuple[str, str]  # mode and market
NO, YES = Decimal(0), Decimal(1)


class _Vote(msgspec.Struct):
    model: str
    probability: Decimal
    weight: Decimal
    is_cached: bool = False


class _Missing(msgspec.Struct):
    model: str
    reason: str


class _Estimate(msgspec.Struct):
    probability: Decimal
    method: str = ""
    model_probability: Decimal | None = None
    market_probability: Decimal | None = None
    votes: tuple[_Vote, ...] = ()
    missing: tuple[_Missing, ...] = ()


class _Candidate(msgspec.Struct):
    market: str = ""
    group: str = ""


class _Decision(msgspec.Struct):
    """A record of the decisions log; of other kinds than decision only kind, mode and market are of interest."""

    ts: datetime
    kind: str
    mode: str
    market: str = ""
    signal_id: str | None = None
    candidate: _Candidate | None = None
    estimate: _Estimate | None = None


class _Outcome(msgspec.Struct):
    kind: str
    mode: str
    market: str = ""
    value: Decimal = NO
    closed_at: datetime | None = None


class _Resolution(msgspec.Struct):
    ts: datetime
    kind: str
    mode: str
    signal_id: str = ""
    market: str = ""
    reason: str = ""
    exit_price: Decimal = NO
    resolution_source: str = ""
    provisional: bool = False
    disputed: bool = False


class _Fill(msgspec.Struct):
    kind: str
    signal_id: str = ""
    leg: str = ""
    quantity: Decimal = NO


class End(NamedTuple):
    """What a contract paid per YES, and when its trading ended."""

    value: Decimal
    closed_at: datetime | None


@dataclass(slots=True)
class ModeCalibration:
    """One surface's estimates of one mode.

    Attributes:
        newest, traded: what could be judged, see the module.
        disputed: markets whose result was contested, corrected, or differed from what was seen before; they are judged.
        contradicted: markets of which surface and resolver wrote different ends; judged by the surface's.
        awaited: markets with an estimate whose end is not known.
        elsewhere: markets with an estimate whose end was written in another mode alone; they are not judged.
        seen_early: trades whose outcome was seen while nothing is final; they are not judged.
        uneven: contracts that ended neither YES nor NO; they can't be judged.
        unguessed: contracts that ended without an estimate before their end that holds an opinion.
        simulated: trades that were settled in simulation while the venue's own word is not known; not judged.
    """

    mode: str
    newest: list[Judged] = field(default_factory=list)
    traded: list[Judged] = field(default_factory=list)
    attendance: dict[str, Attendance] = field(default_factory=dict)
    disputed: set[str] = field(default_factory=set)
    contradicted: set[str] = field(default_factory=set)
    awaited: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)
    seen_early: set[str] = field(default_factory=set)
    uneven: set[str] = field(default_factory=set)
    unguessed: set[str] = field(default_factory=set)
    simulated: set[str] = field(default_factory=set)

    @property
    def judged_markets(self) -> set[str]:
        return {one.forecast.market for one in (*self.newest, *self.traded)}

    @property
    def says_something(self) -> bool:
        """Tell whether any event contract was estimated here."""
        return bool(self.attendance or any(self.contracts().values()))

    def contracts(self) -> dict[str, int]:
        """Return how many contracts (of ``seen_early`` and ``simulated_end``: trades) came to what."""
        judged = self.judged_markets
        return {
            "judged": len(judged),
            "disputed": len(self.disputed & judged),
            "contradicted": len(self.contradicted & judged),
            "awaited": len(self.awaited),
            "ended_in_another_mode": len(self.elsewhere),
            "seen_early": len(self.seen_early),
            "neither_yes_nor_no": len(self.uneven),
            "without_an_opinion": len(self.unguessed),
            "simulated_end": len(self.simulated),
        }

    def as_dict(self) -> dict[str, Any]:
        return {
            "mode": self.mode,
            "contracts": self.contracts(),
            "newest": [table.as_dict() for table in tables(self.newest)],
            "traded": [table.as_dict() for table in tables(self.traded)],
            "models": [one.as_dict() for one in model_scores(self.newest)],
            "attendance": {model: seen.as_dict() for model, seen in sorted(self.attendance.items())},
        }


class SurfaceCalibration:
    """The estimates of one surface, judged, mode by mode."""

    def __init__(self, surface: str, modes: list[ModeCalibration]) -> None:
        self.surface = surface
        self.modes = modes

    def as_dict(self) -> dict[str, Any]:
        return {"surface": self.surface, "modes": [one.as_dict() for one in self.modes]}


def calibrations(
    logs: Path, moment: datetime | None, surfaces: Sequence[str] | None = None
) -> list[SurfaceCalibration]:
    """Return the calibration of each surface asked for, or of each that estimated an event contract.

    Raises:
        Refuse: a surface asked for does not exist.
    """
    found = [calibrate(logs, surface, moment) for surface in chosen(logs, surfaces)]
    return [one for one in found if surfaces or one.modes]


def calibrate(logs: Path, surface: str, moment: datetime | None) -> SurfaceCalibration:
    """Judge the estimates of one surface's contracts whose end was written at or after ``moment`` (None: all).

    The estimates themselves may be older: they come before the end, so the decisions are read from their start.
    """
    join = _Join(logs / surface, moment)
    join.read_ends()
    join.read_estimates()
    return SurfaceCalibration(surface, join.judged())


class _Join:
    """The two passes over a surface's journals: first how contracts ended, then what was believed of them."""

    def __init__(self, directory: Path, moment: datetime | None) -> None:
        self._directory = directory
        self._moment = moment
        self._ends: dict[Key, End] = {}
        self._settled: dict[str, End] = {}  # signal -> what its final resolution says
        self._simulated: dict[str, Key] = {}
        self._over: set[Key] = set()
        self._filled: set[str] = set()
        self._newest: dict[Key, dict[str, Forecast]] = defaultdict(dict)  # by method
        self._traded: dict[str, tuple[Key, Forecast]] = {}
        self._asked: set[Key] = set()
        self._estimated: set[Key] = set()
        self._modes: dict[str, ModeCalibration] = {}

    def read_ends(self) -> None:
        for row in records_since(self._directory / "decisions", self._moment, _Outcome):
            if row.kind == Kind.OUTCOME:
                self._ended((row.mode, row.market), End(row.value, row.closed_at))
        early: dict[str, _Resolution] = {}
        for resolution in scan(self._directory / "resolutions", _Resolution):
            if resolution.kind == Kind.RESOLUTION:
                self._resolution(resolution, early)
        for seen in early.values():
            if (seen.mode, seen.market) not in self._ends:
                self._mode(seen.mode).seen_early.add(seen.signal_id)
        for fill in scan(self._directory / "orders", _Fill):
            if fill.kind == Kind.ORDER_EVENT and fill.leg == Leg.ENTRY and fill.quantity > 0:
                self._filled.add(fill.signal_id)

    def read_estimates(self) -> None:
        for row in scan(self._directory / "decisions", _Decision):
            if row.kind == Kind.OUTCOME:
                self._over.add((row.mode, row.market))
            elif row.kind == Kind.DECISION and row.candidate is not None and row.estimate is not None:
                self._decision(row, row.candidate, row.estimate)

    def judged(self) -> list[ModeCalibration]:
        """Hold what was believed against what came."""
        for (mode, market), end in self._ends.items():
            # An end without any estimate in its mode belongs to one of another.
            if (mode, market) in self._asked:
                self._judge_newest(self._mode(mode), market, end)
        for signal_id, (key, forecast) in self._traded.items():
            self._judge_traded(signal_id, key, forecast)
        for signal_id, key in self._simulated.items():
            if key not in self._over:
                self._mode(key[0]).simulated.add(signal_id)
        over = {market for _, market in self._over}
        for mode, market in self._estimated - self._over:
            (self._mode(mode).elsewhere if market in over else self._mode(mode).awaited).add(market)
        return [found for _, found in sorted(self._modes.items()) if found.says_something]

    def _mode(self, mode: str) -> ModeCalibration:
        return self._modes.setdefault(mode, ModeCalibration(mode=mode))

    def _ended(self, key: Key, end: End) -> None:
        before = self._ends.get(key, end)
        if before.value != end.value:
            self._mode(key[0]).disputed.add(key[1])
        self._ends[key] = end

    def _resolution(self, row: _Resolution, early: dict[str, _Resolution]) -> None:
        is_new = self._moment is None or row.ts >= self._moment
        if row.disputed:
            self._mode(row.mode).disputed.add(row.market)
        if row.provisional:
            if is_new:
                early[row.signal_id] = row
            return
        early.pop(row.signal_id, None)
        self._filled.add(row.signal_id)
        if row.reason != ExitReason.SETTLED:
            return
        if is_synthetic(row.resolution_source):
            if is_new:
                self._simulated[row.signal_id] = row.mode, row.market
            return
        self._over.add((row.mode, row.market))
        if is_new:
            self._settled.setdefault(row.signal_id, End(row.exit_price, None))

    def _decision(self, row: _Decision, candidate: _Candidate, estimate: _Estimate) -> None:
        self._attend(row, estimate)
        key = (row.mode, candidate.market)
        if estimate.market_probability is not None:
            self._asked.add(key)
        forecast = _forecast(row, candidate, estimate)
        if forecast is None:
            return
        self._estimated.add(key)
        end = self._ends.get(key)
        if end is not None and (end.closed_at is None or row.ts < end.closed_at):
            self._newest[key][estimate.method] = forecast
        if row.signal_id in self._filled:
            self._traded[row.signal_id] = key, forecast

    def _attend(self, row: _Decision, estimate: _Estimate) -> None:
        if self._moment is not None and row.ts < self._moment:
            return
        seen = self._mode(row.mode).attendance
        for vote in estimate.votes:
            one = seen.setdefault(vote.model, Attendance())
            one.voted += 1
            one.cached += vote.is_cached
        for absent in estimate.missing:
            seen.setdefault(absent.model, Attendance()).missing[absent.reason] += 1

    def _judge_traded(self, signal_id: str, key: Key, forecast: Forecast) -> None:
        said, settled = self._ends.get(key), self._settled.get(signal_id)
        end = said or settled
        if end is None:
            return
        mode = self._mode(key[0])
        if said is not None and settled is not None and said.value != settled.value:
            mode.contradicted.add(key[1])
        if end.value in (NO, YES):
            mode.traded.append(_judge(forecast, end))
        else:
            mode.uneven.add(key[1])

    def _judge_newest(self, mode: ModeCalibration, market: str, end: End) -> None:
        if end.value not in (NO, YES):
            mode.uneven.add(market)
            return
        found = self._newest.get((mode.mode, market))
        if found is None:
            mode.unguessed.add(market)
        else:
            mode.newest += [_judge(forecast, end) for forecast in found.values()]


def _judge(forecast: Forecast, end: End) -> Judged:
    return Judged(forecast=forecast, came=int(end.value), closed_at=end.closed_at)


def _forecast(row: _Decision, candidate: _Candidate, estimate: _Estimate) -> Forecast | None:
    """Return what is judged; None without a market's price beside it, or when nobody had an opinion."""
    if estimate.market_probability is None or estimate.model_probability is None:
        return None
    return Forecast(
        market=candidate.market,
        event=candidate.group or candidate.market,
        method=estimate.method,
        made_at=row.ts,
        chances={
            "market": float(estimate.market_probability),
            "model": float(estimate.model_probability),
            "blended": float(estimate.probability),
        },
        opinions=tuple(
            Opinion(model=vote.model, probability=float(vote.probability), weight=float(vote.weight))
            for vote in estimate.votes
        ),
    )
