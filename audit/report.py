"""The report on a surface: outcomes by source, the gate funnel with its nearest misses, and how good the ETAs were."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from audit.tally import is_synthetic
from audit.words import has_no_price
from domain.vocabulary import Gate, Kind

Record = Mapping[str, Any]
# Gates that answer yes or no count these; with a limit of 0 no refusal is nearer than another.
COUNTED = frozenset({"reasons", "positions", "blocks", "rules unread", "closures", "suspensions", "trips"})


@dataclass(slots=True)
class Outcomes:
    """The trades of one mode and source; money in ``currency``."""

    mode: str
    source: str
    currency: str
    trades: int = 0
    wins: int = 0
    realised: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    best: Decimal | None = None
    worst: Decimal | None = None
    eta_ratios: list[float] = field(default_factory=list)
    late: int = 0

    @property
    def is_synthetic(self) -> bool:
        return is_synthetic(self.source)

    def add(self, record: Record) -> None:
        """Take in one resolution."""
        amount = Decimal(record["realised"])
        self.trades += 1
        self.wins += amount > 0
        self.realised += amount
        self.fees += Decimal(record["fees"])
        self.best = amount if self.best is None else max(self.best, amount)
        self.worst = amount if self.worst is None else min(self.worst, amount)
        self.late += record["late"]
        eta = float(record["eta_hours"])
        if eta > 0:
            self.eta_ratios.append(float(record["actual_hours"]) / eta)

    def as_dict(self) -> dict[str, Any]:
        return {
            "mode": self.mode,
            "resolution_source": self.source,
            "synthetic": self.is_synthetic,
            "trades": self.trades,
            "wins": self.wins,
            "realised": str(self.realised),
            "fees": str(self.fees),
            "currency": self.currency,
            "best": None if self.best is None else str(self.best),
            "worst": None if self.worst is None else str(self.worst),
            "late": self.late,
            "late_rate": round(self.late / self.trades, 4) if self.trades else None,
            "actual_over_eta_median": round(statistics.median(self.eta_ratios), 4) if self.eta_ratios else None,
        }


@dataclass(slots=True)
class Miss:
    """The refusal of one gate that came nearest to passing; ``margin`` is the gap as a share of the limit."""

    decision_id: str
    market: str
    value: str
    limit: str
    unit: str
    margin: Decimal


@dataclass(frozen=True, slots=True)
class Early:
    """A trade whose outcome was seen before the venue paid; ``amount`` is what it comes to if that holds."""

    signal_id: str
    mode: str
    market: str
    source: str
    outcome: str
    amount: str
    currency: str
    disputed: bool

    def as_dict(self) -> dict[str, Any]:
        return {
            "signal": self.signal_id,
            "mode": self.mode,
            "market": self.market,
            "resolution_source": self.source,
            "outcome": self.outcome,
            "realised_if_it_holds": self.amount,
            "currency": self.currency,
            "disputed": self.disputed,
        }


class SurfaceReport:
    """A fold over a surface's decisions and resolutions.

    Attributes:
        codes: gate -> refusal code -> how many candidates the gate refused first, with that code.
        early: signal -> the newest outcome seen of it, while the venue has not paid; no total holds it.
        stepped_back, most_back_s: how many records were written while the clock stood behind the record before, and how
            far behind at most: they bear the time of that record, not their own.
    """

    def __init__(self, surface: str) -> None:
        self.surface = surface
        self.candidates = 0
        self.admitted = 0
        self.refused: dict[str, int] = defaultdict(int)
        self.codes: dict[str, Counter[str]] = defaultdict(Counter)
        self.nearest: dict[str, Miss] = {}
        self.outcomes: dict[tuple[str, str, str], Outcomes] = {}
        self.early: dict[str, Early] = {}
        self._final: set[str] = set()
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.stepped_back = 0
        self.most_back_s = Decimal(0)

    def add(self, records: Iterable[Record]) -> "SurfaceReport":
        """Take in records of the surface's logs, in any order of the logs."""
        for record in records:
            if "clock_back_s" in record:
                self.stepped_back += 1
                self.most_back_s = max(self.most_back_s, Decimal(record["clock_back_s"]))
            if record["kind"] == Kind.DECISION:
                self._decision(record)
            elif record["kind"] == Kind.RESOLUTION:
                self._resolution(record)
        return self

    def funnel(self) -> list[tuple[str, int, int]]:
        """Return (gate, candidates that reached it, candidates it refused first), in gate order."""
        left, rows = self.candidates, []
        for gate in Gate:
            refused = self.refused.get(gate, 0)
            rows.append((str(gate), left, refused))
            left -= refused
        return rows

    def as_dict(self) -> dict[str, Any]:
        return {
            "surface": self.surface,
            "first": self.first.isoformat() if self.first else None,
            "last": self.last.isoformat() if self.last else None,
            "clock_stepped_back": {"records": self.stepped_back, "most_s": str(self.most_back_s)},
            "candidates": self.candidates,
            "admitted": self.admitted,
            "funnel": [self._passage(*row) for row in self.funnel()],
            "nearest_misses": {gate: _miss_dict(miss) for gate, miss in self.nearest.items()},
            "outcomes": [outcomes.as_dict() for _, outcomes in sorted(self.outcomes.items())],
            "seen_early": [early.as_dict() for early in self.early.values()],
        }

    def _passage(self, gate: str, reached: int, refused: int) -> dict[str, Any]:
        return {"gate": gate, "reached": reached, "refused": refused, "codes": dict(self.codes[gate].most_common())}

    def _decision(self, record: Record) -> None:
        moment = datetime.fromisoformat(record["ts"])
        self.first = min(moment, self.first or moment)
        self.last = max(moment, self.last or moment)
        self.candidates += 1
        if record["admitted"]:
            self.admitted += 1
            return
        first = next(v for v in record["verdicts"] if v["passed"] is False)
        self.refused[first["gate"]] += 1
        self.codes[first["gate"]][first["code"]] += 1
        self._remember_nearest(record, first)

    def _resolution(self, record: Record) -> None:
        """Take in how a trade ended, once: like the fold, by the first final resolution."""
        signal_id = record["signal_id"]
        if signal_id in self._final:
            return
        if record.get("provisional"):
            self.early[signal_id] = _early(record)
            return
        self._final.add(signal_id)
        self.early.pop(signal_id, None)
        key = (record["mode"], record["resolution_source"], record["currency"])
        self.outcomes.setdefault(key, Outcomes(*key)).add(record)

    def _remember_nearest(self, record: Record, verdict: Record) -> None:
        value, limit = Decimal(verdict["value"]), Decimal(verdict["limit"])
        if has_no_price(verdict["unit"], limit):
            return  # a side nobody stands on: 0 against 0 would hide every real miss
        margin = abs(value - limit) / abs(limit) if limit else abs(value - limit)
        known = self.nearest.get(verdict["gate"])
        if known is None or margin < known.margin:
            market = record["candidate"]["market"]
            miss = Miss(record["id"], market, verdict["value"], verdict["limit"], verdict["unit"], margin)
            self.nearest[verdict["gate"]] = miss


def has_degree(unit: str, limit: Decimal) -> bool:
    """Tell whether a comparison can be missed by more or by less, which a plain no can't."""
    return not has_no_price(unit, limit) and (unit not in COUNTED or limit != 0)


def _early(record: Record) -> Early:
    return Early(
        signal_id=record["signal_id"],
        mode=record["mode"],
        market=record["market"],
        source=record["resolution_source"],
        outcome=record["outcome"],
        amount=record["realised"],
        currency=record["currency"],
        disputed=record["disputed"],
    )


def _miss_dict(miss: Miss) -> dict[str, str]:
    margin = str(miss.margin.quantize(Decimal("0.0001")))
    return {
        "decision": miss.decision_id,
        "market": miss.market,
        "value": miss.value,
        "limit": miss.limit,
        "unit": miss.unit,
        "margin": margin,
    }
