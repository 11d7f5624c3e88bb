"""Closed trades as rows: what each cost, earned and took, and which fills it was made of."""

import heapq
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec

from audit.fold import lot_of
from audit.linking import Pair, pairs
from audit.since import chosen, records_since
from audit.tally import is_synthetic
from domain.corporate import Split, rescale_lot
from domain.ledger.position import Lot
from domain.order import OrderEvent
from domain.vocabulary import Kind, Leg, Side
from journal import decode, scan

PERCENT = Decimal(100)
_PLACES = Decimal("0.000001")
_ZERO = Decimal(0)
_NEVER = datetime.min.replace(tzinfo=UTC)


class Ending(msgspec.Struct, gc=False):
    """The fields of a resolution that a report needs; of other records only ``kind`` and ``ts`` mean anything here."""

    kind: str
    ts: str
    mode: str = ""
    signal_id: str | None = None
    provisional: bool = False
    resolution_source: str = ""
    market: str = ""
    side: str = ""
    strategy: str = ""
    sub_strategy: str = ""
    quantity: Decimal = _ZERO
    entry_price: Decimal = _ZERO
    exit_price: Decimal = _ZERO
    realised: Decimal = _ZERO
    fees: Decimal = _ZERO
    currency: str = ""
    opened_at: datetime = _NEVER
    resolved_at: datetime = _NEVER
    reason: str | None = None
    mae: Decimal = _ZERO
    mfe: Decimal = _ZERO
    late: bool = False


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


def endings(stream: Path, since: datetime | None) -> Iterator[Ending]:
    """Yield how each trade of a ``resolutions`` journal ended, once, in the order of writing."""
    seen: set[str] = set()
    for record in records_since(stream, since, Ending):
        if record.kind != Kind.RESOLUTION or record.provisional or record.signal_id is None:
            continue
        if record.signal_id not in seen:
            seen.add(record.signal_id)
            yield record


def trades(logs: Path, since: datetime | None, surfaces: Sequence[str] | None = None) -> Iterator[Trade]:
    """Yield the trades whose end was written at or after ``since`` (None: all), in the order of writing.

    Raises:
        Refuse: a surface asked for does not exist.
    """
    names = chosen(logs, surfaces, "resolutions")
    rows = [_dated(name, logs / name / "resolutions", since) for name in names]
    # Only the newest row of each surface is held at a time, however long the journals are.
    return (trade for _, trade in heapq.merge(*rows, key=lambda row: row[0]))


def fills(directory: Path, wanted: Container[str]) -> Mapping[str, Fills]:
    """Return signal -> its executions, each in its last revision, of the signals wanted of a surface."""
    last: dict[tuple[str, str], OrderEvent] = {}
    for stream in ("orders", "resolutions"):
        for event in _executions(directory / stream, wanted):
            key = (event.client_order_id, event.transaction_id or "")
            if key not in last or event.revision > last[key].revision:
                last[key] = event
    splits = _splits(directory / "decisions", wanted)
    found: dict[str, tuple[list[Lot], list[Lot]]] = {}
    for event in last.values():
        if event.quantity > 0:
            entries, exits = found.setdefault(event.signal_id, ([], []))
            lot = rescale_lot(lot_of(event), splits.get(event.signal_id, ()))
            (entries if event.leg is Leg.ENTRY else exits).append(lot)
    return {signal: Fills(entries=tuple(ins), exits=tuple(outs)) for signal, (ins, outs) in found.items()}


def links(directory: Path, closed: Iterable[Trade]) -> Iterator[tuple[Trade, Pair]]:
    """Yield each trade of one surface with each pair of an entry fill and the exit fill that closed it."""
    held = {trade.signal_id: trade for trade in closed}
    made_of = fills(directory, held)
    for signal_id, trade in held.items():
        if signal_id in made_of:
            yield from ((trade, pair) for pair in made_of[signal_id].linked(Side(trade.side).sign))


def _dated(surface: str, stream: Path, since: datetime | None) -> Iterator[tuple[str, Trade]]:
    return ((ending.ts, _trade(surface, ending)) for ending in endings(stream, since))


def _executions(directory: Path, wanted: Container[str]) -> Iterator[OrderEvent]:
    """Yield what filled, and what was said later never to have filled."""
    for record in scan(directory, dict):
        if record["kind"] != Kind.ORDER_EVENT or record["signal_id"] not in wanted:
            continue
        if record["leg"] != Leg.STOP and (Decimal(record["quantity"]) > 0 or record.get("revision")):
            yield decode(record, OrderEvent)


def _splits(directory: Path, wanted: Container[str]) -> Mapping[str, list[Split]]:
    found: dict[str, list[Split]] = {}
    for record in scan(directory, dict):
        if record["kind"] == Kind.CORPORATE_ACTION and record["signal_id"] in wanted:
            split = decode(record, Split)
            found.setdefault(split.signal_id, []).append(split)
    return found


def _trade(surface: str, one: Ending) -> Trade:
    seconds = Decimal((one.resolved_at - one.opened_at).total_seconds())
    return Trade(
        surface=surface,
        mode=one.mode,
        resolution_source=one.resolution_source,
        synthetic=is_synthetic(one.resolution_source),
        signal_id=one.signal_id or "",
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
        reason=one.reason or "",
        mae=one.mae,
        mfe=one.mfe,
        late=one.late,
    )


def _return_percent(one: Ending) -> Decimal | None:
    """Return the profit for what was put in, where the prices show that both are in the same currency."""
    moved = (one.exit_price - one.entry_price) * one.quantity * Side(one.side).sign
    put_in = one.entry_price * one.quantity
    # A cent of rounding for each fill; a rate of exchange moves it by far more.
    if put_in <= 0 or abs(moved - one.realised - one.fees) > max(abs(moved), Decimal(1)) / PERCENT:
        return None
    return (one.realised / put_in * PERCENT).quantize(_PLACES)
