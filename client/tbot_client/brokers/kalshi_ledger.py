"""What became of our orders at Kalshi, one line each in a file of the home, in the order in which it was learned.

Kalshi numbers nothing: its orders, fills and settlements are lists without a common order, entries may show up late,
and old ones move out of reach while a position may be held for months. Here each event is written down once, so that
"what is new since" has an answer over any restart, and an entry's price and fees are still known when it settles.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from tbot_client.brokers.kalshi_parse import Fill, OwnOrder, Settlement
from tbot_client.brokers.port import Event, NotFilled, Opened, Reduced
from tbot_client.brokers.told import Told
from tbot_client.clock import iso
from tbot_client.journal import Record

CURRENCY = "USD"
NOT_FILLED = "NOT_FILLED"
_PRICE = Decimal("0.000001")
_MONEY = Decimal("0.0001")


@dataclass(slots=True, kw_only=True)
class Held:
    """An entry of ours and what is ``left`` of it; ``cost`` (at YES prices) and ``fees`` are those of what is left."""

    trade_id: str
    client_id: str
    market: str
    side: str
    price: Decimal
    left: Decimal
    cost: Decimal
    fees: Decimal
    at: datetime
    exits: int = 0

    @property
    def sign(self) -> int:
        return 1 if self.side == "buy" else -1

    def shares(self, units: Decimal) -> tuple[Decimal, Decimal]:
        """Return cost and fees of ``units`` of what is left; whatever rounding leaves over goes with the last part."""
        if units == self.left:
            return self.cost, self.fees
        part = units / self.left
        return (self.cost * part).quantize(_MONEY), (self.fees * part).quantize(_MONEY)


class Ledger(Told):
    """The fold of one file."""

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        super().__init__(path, now)
        self.held: dict[str, Held] = {}
        self.orders: set[str] = set()
        self.fills: set[str] = set()
        self.load()

    def opened(self, order: OwnOrder, fills: list[Fill]) -> None:
        """Note an entry that was filled, wholly or in part."""
        self.write(
            {
                "kind": "opened",
                "order_id": order.order_id,
                "client_id": order.client_id,
                "market": order.ticker,
                "side": order.side,
                "time": iso(order.at),
            }
            | _sums(fills)
        )

    def unfilled(self, order: OwnOrder) -> None:
        """Note an entry that ended without a fill."""
        self.write(
            {"kind": "unfilled", "order_id": order.order_id, "client_id": order.client_id, "time": iso(order.at)}
        )

    def exited(self, held: Held, order: OwnOrder, fills: list[Fill]) -> None:
        """Note an exit of ours, filled or not; the next one has another id then."""
        record = {"kind": "exit", "order_id": order.order_id, "time": iso(order.at)}
        self.write(record | self._reduction(held, fills, order.order_id, "broker"))

    def known(self, order: OwnOrder) -> None:
        """Note an order that changes nothing any more: what it did was learned another way."""
        self.write({"kind": "known", "order_id": order.order_id, "time": iso(order.at)})

    def outside(self, held: Held, fills: list[Fill]) -> None:
        """Note that a position was left by orders that are not ours."""
        record = {"kind": "outside", "time": iso(max(fill.at for fill in fills))}
        self.write(record | self._reduction(held, fills, fills[0].fill_id, "broker"))

    def settled(self, held: Held, settlement: Settlement, value: Decimal) -> None:
        """Note that the venue paid ``value`` for each YES of what is left."""
        units = held.left
        paid = Fill(
            fill_id=f"settled-{held.market}",
            order_id="",
            ticker=held.market,
            side="",
            units=units,
            price=value,
            fee=Decimal(0),
            at=settlement.at,
        )
        record = {"kind": "settled", "time": iso(settlement.at)}
        self.write(record | self._reduction(held, [paid], paid.fill_id, "settled"))

    def _reduction(self, held: Held, fills: list[Fill], event_id: str, reason: str) -> Record:
        """Return what leaving brings: proceeds less cost, less the fees of both."""
        sums = _sums(fills)
        cost, fees = held.shares(sum((fill.units for fill in fills), Decimal(0))) if fills else (Decimal(0), Decimal(0))
        realised = (Decimal(sums["cost"]) - cost) * held.sign - fees - Decimal(sums["fees"])
        part = {"trade_id": held.trade_id, "id": event_id, "reason": reason}
        return part | sums | {"entry_cost": str(cost), "entry_fees": str(fees), "realised": str(realised)}

    def fold(self, record: Record, at: datetime) -> Event | None:
        self.orders.add(record.get("order_id", ""))
        self.fills.update(record.get("fills", []))
        return _APPLY[record["kind"]](self, record, at)

    def _apply_opened(self, record: Record, at: datetime) -> Event:
        units, cost = Decimal(record["units"]), Decimal(record["cost"])
        price = _mean(cost, units)
        order_id, client_id = record["order_id"], record["client_id"]
        self.held[order_id] = Held(
            trade_id=order_id,
            client_id=client_id,
            market=record["market"],
            side=record["side"],
            price=price,
            left=units,
            cost=cost,
            fees=Decimal(record["fees"]),
            at=at,
        )
        return Opened(id=order_id, client_id=client_id, trade_id=order_id, units=units, price=price, at=at)

    def _apply_unfilled(self, record: Record, at: datetime) -> Event:
        return NotFilled(id=record["order_id"], client_id=record["client_id"], reason=NOT_FILLED)

    def _apply_reduced(self, record: Record, at: datetime) -> Event | None:
        held, units = self.held[record["trade_id"]], Decimal(record["units"])
        held.exits += record["kind"] == "exit"
        if not units:
            return None
        held.left -= units
        held.cost -= Decimal(record["entry_cost"])
        held.fees -= Decimal(record["entry_fees"])
        if not held.left:
            del self.held[held.trade_id]
        return Reduced(
            id=record["id"],
            trade_id=held.trade_id,
            units=units,
            price=_mean(Decimal(record["cost"]), units),
            realised=Decimal(record["realised"]),
            currency=CURRENCY,
            reason=record["reason"],
            at=at,
        )


_APPLY: dict[str, Callable[[Ledger, Record, datetime], Event | None]] = {
    "opened": Ledger._apply_opened,
    "unfilled": Ledger._apply_unfilled,
    "known": lambda ledger, record, at: None,
    "exit": Ledger._apply_reduced,
    "outside": Ledger._apply_reduced,
    "settled": Ledger._apply_reduced,
}


def _mean(cost: Decimal, units: Decimal) -> Decimal:
    """Return a mean price with four decimals, or six where it needs them."""
    exact = (cost / units).quantize(_PRICE)
    four = exact.quantize(_MONEY)
    return four if four == exact else exact


def _sums(fills: list[Fill]) -> Record:
    """Return what fills add up to; ``cost`` is at YES prices, whichever way they went."""
    return {
        "units": str(sum((fill.units for fill in fills), Decimal(0))),
        "cost": str(sum((fill.units * fill.price for fill in fills), Decimal(0))),
        "fees": str(sum((fill.fee for fill in fills), Decimal(0))),
        "fills": [fill.fill_id for fill in fills],
    }
