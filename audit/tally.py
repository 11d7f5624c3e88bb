"""Counts over the journals of a surface and of the feed, taken record by record."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from domain.vocabulary import Action, Kind, Leg, ResolutionSource, Stage

Record = Mapping[str, Any]


@dataclass(slots=True)
class SurfaceTally:
    """What one surface did. ``realised`` is keyed by (source, currency), so real and synthetic never add up."""

    decisions: int = 0
    admitted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    signals: int = 0
    closes: int = 0
    resolved: int = 0
    late: int = 0
    wins: int = 0
    realised: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    wishes: dict[str, str] = field(default_factory=dict)
    filled_orders: set[str] = field(default_factory=set)

    @property
    def executed(self) -> int:
        """Return the number of entry orders that filled, wholly or in part."""
        return len(self.filled_orders)

    def apply(self, record: Record) -> None:
        """Count one record; kinds that are not counted are passed over."""
        kind = record["kind"]
        if kind == Kind.DECISION:
            self._decision(record)
        elif kind == Kind.ORDER_EVENT and record["leg"] == Leg.ENTRY and Decimal(record["quantity"]) > 0:
            self.filled_orders.add(record["client_order_id"])
        elif kind == Kind.SIGNAL:
            self.signals += record["action"] == Action.OPEN
            self.closes += record["action"] == Action.CLOSE
        elif kind == Kind.RESOLUTION:
            self._resolution(record)
        elif kind == Kind.STATE:
            self.wishes[record["cause"]] = f"{record['state']} ({record['cause']}: {record['reason']})"

    def real(self, currency: str) -> Decimal:
        """Return what was realised from real sources in one currency."""
        return self._sum(currency, synthetic=False)

    def synthetic(self, currency: str) -> Decimal:
        return self._sum(currency, synthetic=True)

    def _sum(self, currency: str, *, synthetic: bool) -> Decimal:
        return sum(
            (
                amount
                for (source, unit), amount in self.realised.items()
                if unit == currency and is_synthetic(source) is synthetic
            ),
            Decimal(0),
        )

    def _decision(self, record: Record) -> None:
        self.decisions += 1
        if record["admitted"]:
            self.admitted += 1
        else:
            self.refused[record["code"]] += 1

    def _resolution(self, record: Record) -> None:
        self.resolved += 1
        self.late += record["late"]
        amount = Decimal(record["realised"])
        self.wins += amount > 0
        key = (record["resolution_source"], record["currency"])
        self.realised[key] = self.realised.get(key, Decimal(0)) + amount


@dataclass(slots=True)
class SubscriberTally:
    """What all subscribers reported together; nobody can be told apart in it."""

    acked: int = 0
    accepted: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    executed: int = 0
    resolved: int = 0
    realised: dict[str, Decimal] = field(default_factory=dict)

    def apply(self, record: Record) -> None:
        """Count one record of the callbacks journal."""
        if record["kind"] != Kind.CALLBACK or record["rev"] != 0:
            return
        if record["stage"] == Stage.ACK:
            self.acked += 1
            self.accepted += record["decision"] == "accept"
            if record["decision"] == "skip":
                self.skipped[record["reason"]] += 1
        elif record["stage"] == Stage.EXECUTED:
            self.executed += 1
        elif record["stage"] == Stage.RESOLVED:
            self.resolved += 1
            currency = record["currency"]
            self.realised[currency] = self.realised.get(currency, Decimal(0)) + Decimal(record["realised"])


def is_synthetic(source: str) -> bool:
    """Tell whether a resolution source is synthetic; ``sim:<gate>`` is the counterfactual form of ``sim``."""
    return ResolutionSource(source.partition(":")[0]).is_synthetic
