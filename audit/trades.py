"""Closed trades as rows: what each cost, earned and took, and which fills it was made of."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from audit.fold import lot_of
from audit.linking import Pair, pairs
from audit.since import chosen
from audit.tally import is_synthetic
from domain.corporate import Split, rescale_lot
from domain.ledger.position import Lot
from domain.order import OrderEvent
from domain.resolution import Resolution
from domain.vocabulary import Kind, Leg
from journal import decode, scan, scan_since

PERCENT = Decimal(100)
_PLACES = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One closed trade. ``gross`` is before and ``realised`` after ``fees``, in ``currency``.

    ``return_percent`` is ``realised`` for what was put in, entry price times quantity; None where that is in another
    currency, of which the journals do not keep the rate. ``minutes`` is how long it was held.
    """

    surface: str
    mode: str
    resolution_source: str
    synthetic: bool
    signal_id: str
    market: str
    side: str
    strategy: str
    sub_strategy: str
    quantity: Decimal
    opened_at: datetime
    entry_price: Decimal
    closed_at: datetime
    exit_price: Decimal
    gross: Decimal
    fees: Decimal
    realised: Decimal
    currency: str
    return_percent: Decimal | None
    minutes: Decimal
    outcome: str
    reason: str
    mae: Decimal
    mfe: Decimal
    late: bool

    @classmethod
    def columns(cls) -> list[str]:
        return [field.name for field in fields(cls)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fills:
    """The executions of one trade, on the share count and prices of its end."""

    entries: tuple[Lot, ...]
    exits: tuple[Lot, ...]

    def linked(self, sign: int) -> tuple[Pair, ...]:
        return pairs(self.entries, self.exits, sign)


def trades(logs: Path, since: datetime | None, surfaces: Sequence[str] | None = None) -> list[Trade]:
    """Return the trades resolved at or after ``since`` (None: all), in the order in which they ended.

    Raises:
        Refuse: a surface asked for does not exist.
    """
    found = [trade for name in chosen(logs, surfaces, "resolutions") for trade in _of(logs / name, since)]
    return sorted(found, key=lambda trade: (trade.closed_at, trade.signal_id))


def fills(directory: Path) -> Mapping[str, Fills]:
    """Return signal -> its executions, read from a surface's ``orders`` and ``resolutions``."""
    events: dict[tuple[str, str], OrderEvent] = {}
    for stream in ("orders", "resolutions"):
        for event in _fills_in(directory / stream):
            events.setdefault((event.client_order_id, event.transaction_id or ""), event)
    splits = _splits(directory / "decisions")
    found: dict[str, tuple[list[Lot], list[Lot]]] = {}
    for event in events.values():
        entries, exits = found.setdefault(event.signal_id, ([], []))
        lot = rescale_lot(lot_of(event), splits.get(event.signal_id, ()))
        (entries if event.leg is Leg.ENTRY else exits).append(lot)
    return {signal: Fills(entries=tuple(ins), exits=tuple(outs)) for signal, (ins, outs) in found.items()}


def _of(directory: Path, since: datetime | None) -> Iterator[Trade]:
    seen: set[str] = set()
    stream = directory / "resolutions"
    for record in _records(stream, since):
        if record["kind"] != Kind.RESOLUTION or record.get("provisional") or record["signal_id"] in seen:
            continue
        seen.add(record["signal_id"])
        yield _trade(decode(record, Resolution))


def _records(directory: Path, since: datetime | None) -> Iterable[dict[str, Any]]:
    return scan(directory, dict) if since is None else scan_since(directory, since, dict)


def _fills_in(directory: Path) -> Iterator[OrderEvent]:
    for record in scan(directory, dict):
        if record["kind"] == Kind.ORDER_EVENT and Decimal(record["quantity"]) > 0:
            event = decode(record, OrderEvent)
            if event.leg in (Leg.ENTRY, Leg.EXIT):
                yield event


def _splits(directory: Path) -> Mapping[str, list[Split]]:
    found: dict[str, list[Split]] = {}
    for record in scan(directory, dict):
        if record["kind"] == Kind.CORPORATE_ACTION:
            split = decode(record, Split)
            found.setdefault(split.signal_id, []).append(split)
    return found


def _trade(one: Resolution) -> Trade:
    seconds = Decimal((one.resolved_at - one.opened_at).total_seconds())
    return Trade(
        surface=one.surface,
        mode=one.mode,
        resolution_source=one.resolution_source,
        synthetic=is_synthetic(one.resolution_source),
        signal_id=one.signal_id,
        market=one.market,
        side=one.side,
        strategy=one.strategy,
        sub_strategy=one.sub_strategy,
        quantity=one.quantity,
        opened_at=one.opened_at,
        entry_price=one.entry_price,
        closed_at=one.resolved_at,
        exit_price=one.exit_price,
        gross=one.realised + one.fees,
        fees=one.fees,
        realised=one.realised,
        currency=one.currency,
        return_percent=_return_percent(one),
        minutes=(seconds / 60).quantize(_PLACES),
        outcome="win" if one.realised > 0 else "loss" if one.realised < 0 else "even",
        reason=one.reason,
        mae=one.mae,
        mfe=one.mfe,
        late=one.late,
    )


def _return_percent(one: Resolution) -> Decimal | None:
    """Return the profit for what was put in, where the prices show that both are in the same currency."""
    moved = (one.exit_price - one.entry_price) * one.quantity * one.side.sign
    put_in = one.entry_price * one.quantity
    # A cent of rounding for each fill; a rate of exchange moves it by far more.
    if put_in <= 0 or abs(moved - one.realised - one.fees) > max(abs(moved), Decimal(1)) / PERCENT:
        return None
    return (one.realised / put_in * PERCENT).quantize(_PLACES)
