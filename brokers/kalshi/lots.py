"""What an account did in one market, worked out from its orders, executions and settlement.

Kalshi knows one net position a market; we know trades, one for each entry order. This module is the single authority
for how executions belong to trades and what each of them realised. It asks nobody anything.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from brokers.kalshi.parse import ONE, ZERO
from brokers.kalshi.records import FillRow, OrderRow, SettlementRow
from brokers.port import BrokerTrade, Fill
from domain.ids import signal_of_order
from domain.vocabulary import ExitReason, Leg, Side

CURRENCY = "USD"
# What one contract of a partial exit costs is booked to this step; the last exit takes what is left.
STEP = Decimal("0.0001")
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """What is left of one trade; ``basis`` is what its contracts were entered at, in prices of YES."""

    trade_id: str
    client_order_id: str | None
    ticker: str
    side: Side
    quantity: Decimal
    basis: Decimal
    opened_at: datetime

    @property
    def is_ours(self) -> bool:
        return self.client_order_id is not None

    @property
    def signal(self) -> str | None:
        parsed = signal_of_order(self.client_order_id or "")
        return parsed[1] if parsed else None

    @property
    def price(self) -> Decimal:
        return self.basis / self.quantity

    def share(self, quantity: Decimal) -> Decimal:
        """Return the part of the basis that belongs to ``quantity`` contracts."""
        if quantity == self.quantity:
            return self.basis
        return (self.basis * quantity / self.quantity).quantize(STEP)

    def trade(self, quantity: Decimal | None = None) -> BrokerTrade:
        """Return the trade as the port has it. A contract is paid for in full: its bounds protect it by themselves."""
        is_buy = self.side is Side.BUY
        return BrokerTrade(
            trade_id=self.trade_id,
            client_order_id=self.client_order_id,
            market=self.ticker,
            side=self.side,
            quantity=self.quantity if quantity is None else quantity,
            price=self.price,
            opened_at=self.opened_at,
            stop_loss=ZERO if is_buy else ONE,
            take_profit=ONE if is_buy else ZERO,
            trailing_distance=None,
        )


class Ledger:
    """Walks executions in order of time; ``fills`` and ``lots`` are what came of them.

    An exit of ours ends the trade of its own signal. An execution of somebody else's order ends trades nobody here
    opened first, then the oldest of ours, and what is left of it opens a trade of theirs.
    """

    def __init__(self, orders: Mapping[str, OrderRow]) -> None:
        self._orders = orders
        self._with_fee: set[str] = set()
        self._keys: dict[str, list[str]] = {}
        self.fills: list[Fill] = []
        self.lots: dict[str, Lot] = {}

    def of_order(self, order_id: str) -> list[Fill]:
        """Return what one order did, in order of time."""
        keys = self._keys.get(order_id, [])
        return [fill for fill in self.fills if fill.transaction_id in keys]

    def take(self, row: FillRow) -> None:
        order = self._orders[row.order_id]
        parsed = signal_of_order(order.client_order_id)
        fee, left = self._fee(row, order), row.quantity
        if parsed is None or parsed[2] is Leg.EXIT:
            signal = parsed[1] if parsed else None
            for lot in self._reducible(row.side, signal):
                if left > 0:
                    done = min(left, lot.quantity)
                    self._reduce(lot, row, order, done, fee, is_own=signal is not None and lot.signal == signal)
                    left, fee = left - done, ZERO
        if left > 0:
            self._open(row, order, left, fee, is_ours=parsed is not None and parsed[2] is Leg.ENTRY)

    def settle(self, row: SettlementRow) -> None:
        """End every trade at what YES paid, or at what it cost when the market was void."""
        for lot in list(self.lots.values()):
            price = lot.price.quantize(STEP) if row.value is None else row.value
            realised = ZERO if row.value is None else (row.value * lot.quantity - lot.basis) * lot.side.sign
            self._book(
                lot,
                transaction_id=settlement_id(row, lot),
                quantity=lot.quantity,
                price=price,
                realised=realised,
                fee=ZERO,
                reason=ExitReason.SETTLED,
                happened_at=row.at,
            )
            del self.lots[lot.trade_id]

    def _reducible(self, side: Side, signal: str | None) -> list[Lot]:
        """Return the trades an execution can end, in the order in which it does."""
        against = [lot for lot in self.lots.values() if lot.side is not side]
        return sorted(against, key=lambda lot: (lot.signal != signal, lot.is_ours, lot.opened_at))

    def _reduce(
        self, lot: Lot, row: FillRow, order: OrderRow, quantity: Decimal, fee: Decimal, *, is_own: bool
    ) -> None:
        share = lot.share(quantity)
        self._book(
            lot,
            transaction_id=self._key(row, lot),
            quantity=quantity,
            price=row.price,
            realised=(row.price * quantity - share) * lot.side.sign,
            fee=fee,
            client_order_id=order.client_order_id if is_own else None,
            reason=None if is_own else ExitReason.BROKER,
            happened_at=row.at,
        )
        if quantity == lot.quantity:
            del self.lots[lot.trade_id]
        else:
            self.lots[lot.trade_id] = replace(lot, quantity=lot.quantity - quantity, basis=lot.basis - share)

    def _open(self, row: FillRow, order: OrderRow, quantity: Decimal, fee: Decimal, *, is_ours: bool) -> None:
        client_id = order.client_order_id if is_ours else None
        lot = self.lots.get(order.order_id) or Lot(
            trade_id=order.order_id,
            client_order_id=client_id,
            ticker=row.ticker,
            side=row.side,
            quantity=ZERO,
            basis=ZERO,
            opened_at=row.at,
        )
        self.lots[lot.trade_id] = replace(lot, quantity=lot.quantity + quantity, basis=lot.basis + quantity * row.price)
        self.fills.append(
            Fill(
                transaction_id=self._key(row, lot),
                trade_id=lot.trade_id,
                client_order_id=client_id,
                opened_by=client_id,
                market=row.ticker,
                side=row.side,
                quantity=quantity,
                price=row.price,
                realised=ZERO,
                fee=fee,
                currency=CURRENCY,
                closes=False,
                reason=None,
                happened_at=row.at,
            )
        )

    def _book(self, lot: Lot, **facts: Any) -> None:
        """Note an exit of ``lot``."""
        same: dict[str, Any] = {"client_order_id": None, "opened_by": lot.client_order_id, "currency": CURRENCY}
        self.fills.append(
            Fill(trade_id=lot.trade_id, market=lot.ticker, side=lot.side.opposite, closes=True, **(same | facts))
        )

    def _key(self, row: FillRow, lot: Lot) -> str:
        """Return the key of an execution; where it touches several trades, the later ones have one of their own."""
        keys = self._keys.setdefault(row.order_id, [])
        key = fill_id(row, lot.trade_id if fill_id(row) in keys else "")
        keys.append(key)
        return key

    def _fee(self, row: FillRow, order: OrderRow) -> Decimal:
        """Return the fee of an execution; a wire that tells it by order alone has it on the order's first."""
        if row.fee is not None:
            return row.fee
        if order.fees is None:
            raise ValueError(f"expected fee_cost of {row.fill_id} or fees of its order, found neither")
        is_first = row.order_id not in self._with_fee
        self._with_fee.add(row.order_id)
        return order.fees if is_first else ZERO


def fold(orders: Mapping[str, OrderRow], rows: Iterable[FillRow], end: SettlementRow | None) -> Ledger:
    """Return what became of one market.

    Raises:
        KeyError: the order of an execution is not among ``orders``.
    """
    ledger = Ledger(orders)
    for row in sorted(rows, key=lambda row: (row.at, row.fill_id)):
        ledger.take(row)
    if end is not None:
        ledger.settle(end)
    return ledger


def fill_id(row: FillRow, part: str = "") -> str:
    """Return the key of an execution, which is a cursor too: microseconds first, so that keys sort by time."""
    return f"{micros(row.at)}:f:{row.fill_id}{f'+{part}' if part else ''}"


def settlement_id(row: SettlementRow, lot: Lot) -> str:
    """Return the key of a trade's settlement: after any execution of the same moment."""
    return f"{micros(row.at)}:s:{lot.trade_id}"


def micros(at: datetime) -> int:
    return round(at.timestamp() * MICROSECONDS)


def held(lots: Iterable[Lot]) -> Decimal:
    """Return the net position the trades add up to: YES above zero, NO below."""
    return sum((lot.quantity * lot.side.sign for lot in lots), ZERO)


def covered(lots: Iterable[Lot], quantity: Decimal) -> Iterator[BrokerTrade]:
    """Yield the trades as far as a net position of ``quantity`` covers them, the oldest first."""
    left = abs(quantity)
    for lot in sorted(lots, key=lambda lot: lot.opened_at):
        if (quantity > 0) is (lot.side is Side.BUY) and left > 0:
            yield lot.trade(min(left, lot.quantity))
            left -= min(left, lot.quantity)
