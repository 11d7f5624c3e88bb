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
    """What one surface did. ``realised`` is keyed by (source, currency), so real and synthetic never add up.

    ``resolved`` counts final resolutions; an outcome seen before the venue paid is in ``seen_early`` until then.
    """

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
    _final: set[str] = field(default_factory=set, repr=False, compare=False)
    _early: set[str] = field(default_factory=set, repr=False, compare=False)

    @property
    def executed(self) -> int:
        """Return the number of entry orders that filled, wholly or in part."""
        return len(self.filled_orders)

    @property
    def seen_early(self) -> int:
        """Return the number of trades whose outcome was seen, but which the venue has not paid yet."""
        return len(self._early)

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
        """Count how a signal ended, once: like the fold, by the first final resolution."""
        signal_id = record["signal_id"]
        if signal_id in self._final:
            return
        if record.get("provisional"):
            self._early.add(signal_id)
            return
        self._final.add(signal_id)
        self._early.discard(signal_id)
        key, amount = (record["resolution_source"], record["currency"]), Decimal(record["realised"])
        self.resolved += 1
        self.late += bool(record["late"])
        self.wins += amount > 0
        self.realised[key] = self.realised.get(key, Decimal(0)) + amount


@dataclass(slots=True)
class _Trade:
    """What one subscriber has reported about one signal, its corrections taken in."""

    decision: str | None = None
    reason: str = ""
    fills: dict[str, Decimal] = field(default_factory=dict)
    end: tuple[Decimal, str, Decimal] | None = None  # quantity, currency, realised

    @property
    def is_resolved(self) -> bool:
        """Whether the end holds: one that came before its fills does not yet."""
        return self.end is not None and bool(self.fills) and sum(self.fills.values(), Decimal(0)) >= self.end[0]

    def take(self, record: Record) -> None:
        """Note a report; of two with different revisions the later one holds."""
        if record["stage"] == Stage.ACK:
            self.decision, self.reason = record["decision"], record["reason"]
        elif record["stage"] == Stage.EXECUTED:
            self.fills[record["fill_id"]] = Decimal(record["quantity"])
        elif record["stage"] == Stage.RESOLVED:
            self.end = Decimal(record["quantity"]), record["currency"], Decimal(record["realised"])


@dataclass(slots=True)
class SubscriberTally:
    """What all subscribers reported together; nobody can be told apart in it.

    ``executed`` and ``resolved`` count signals, however many fills and corrections were reported of each.
    """

    acked: int = 0
    accepted: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    executed: int = 0
    resolved: int = 0
    realised: dict[str, Decimal] = field(default_factory=dict)
    _trades: dict[tuple[str, str], _Trade] = field(default_factory=dict, repr=False, compare=False)

    def apply(self, record: Record) -> None:
        """Count one record of the callbacks journal."""
        if record["kind"] != Kind.CALLBACK:
            return
        trade = self._trades.setdefault((record["subscriber"], record["signal_id"]), _Trade())
        self._count(trade, -1)
        trade.take(record)
        self._count(trade, 1)

    def _count(self, trade: _Trade, sign: int) -> None:
        self.acked += sign * (trade.decision is not None)
        self.accepted += sign * (trade.decision == "accept")
        if trade.decision == "skip":
            self.skipped[trade.reason] += sign
            self.skipped += Counter()  # drops what has come down to nothing
        self.executed += sign * bool(trade.fills)
        if trade.end is not None and trade.is_resolved:
            _, currency, amount = trade.end
            self.resolved += sign
            self.realised[currency] = self.realised.get(currency, Decimal(0)) + sign * amount


def is_synthetic(source: str) -> bool:
    """Tell whether a resolution source is synthetic; ``sim:<gate>`` is the counterfactual form of ``sim``."""
    return ResolutionSource(source.partition(":")[0]).is_synthetic
