"""Positions as trades: IBKR knows a net position per symbol, and here it is told which signal opened it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from brokers.ibkr import references
from brokers.ibkr.executions import Execution, ExecutionBook
from brokers.port import BrokerTrade, RestingOrder
from domain.vocabulary import Leg, Side

Held = Callable[[], Sequence[BrokerTrade]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A position as IBKR tells it: ``quantity`` is negative when short, ``average_cost`` includes commissions."""

    market: str
    quantity: Decimal
    average_cost: Decimal

    @property
    def side(self) -> Side:
        return Side.BUY if self.quantity > 0 else Side.SELL


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """How a trade of ours began: what its entry bought or sold so far, and at which average price.

    Of one that ``is_held`` by our journals it is what they say is left, in shares and prices of after every split.
    """

    trade_id: str
    market: str
    side: Side
    quantity: Decimal
    price: Decimal
    at: datetime
    is_held: bool = False


class Entries:
    """What opened our trades: what our journals hold open, else executions of this session by their references.

    The journals come first: they know of splits, and of exits on days whose executions nobody tells any more.
    """

    def __init__(self, book: ExecutionBook, held: Held) -> None:
        self._book = book
        self._held = held

    def entered(self, trade_id: str) -> Entered | None:
        """Return how the trade with this id (its entry's client order id) began; None when nobody knows any more."""
        for trade in self._held():
            if trade.client_order_id == trade_id:
                return _held_entered(trade)
        seen = self._book.of_order(trade_id)
        return _entered(trade_id, seen) if seen else None

    def open_in(self, market: str, side: Side) -> Entered | None:
        """Return the trade that a position in ``market`` is attributed to: the latest of ours that has not ended."""
        held = [_held_entered(one) for one in self._held() if (one.market, one.side) == (market, side)]
        mine = [one for one in held if references.entry_of(one.trade_id) == one.trade_id]
        live = mine or [one for one in self._candidates(market) if one.side is side and self._left(one) > 0]
        return max(live, key=lambda one: one.at, default=None)

    def closed_by(self, execution: Execution) -> Entered | None:
        """Return the trade of ours that an execution reduces; None when it opens something, or concerns others."""
        if execution.reference is not None and (trade_id := references.entry_of(execution.reference)):
            return None if trade_id == execution.reference else self.entered(trade_id)
        rivals = [one for one in self._candidates(execution.market) if one.side is execution.side.opposite]
        before = [one for one in rivals if one.at <= execution.at and self._left(one, until=execution) > 0]
        return max(before, key=lambda one: one.at, default=None)

    def _candidates(self, market: str) -> list[Entered]:
        seen: dict[str, list[Execution]] = {}
        for one in self._book.all():
            if one.market == market and not one.is_bust and references.leg_of(one.reference) is Leg.ENTRY:
                seen.setdefault(str(one.reference), []).append(one)
        found = {trade_id: _entered(trade_id, executions) for trade_id, executions in seen.items()}
        for trade in self._held():
            if trade.market == market and trade.client_order_id is not None:
                found[trade.client_order_id] = _held_entered(trade)
        return list(found.values())

    def _left(self, entered: Entered, until: Execution | None = None) -> Decimal:
        """Return what is left of a trade after its own exits (before ``until``); others' orders do not count."""
        if entered.is_held:
            return entered.quantity
        signal_id = references.signal_id_of(entered.trade_id)
        left = entered.quantity
        for one in self._book.all():
            if until is not None and one.exec_id == until.exec_id:
                break
            if references.signal_id_of(one.reference) == signal_id and one.side is not entered.side:
                left -= one.quantity
        return left


def open_trades(
    holdings: Iterable[Holding], entries: Entries, resting: Sequence[RestingOrder], now: datetime
) -> list[BrokerTrade]:
    """Return each position as one trade, whole, with the protective orders that rest for it."""
    return [_trade(holding, entries, resting, now) for holding in holdings if holding.quantity != 0]


def stops_of(resting: Iterable[RestingOrder], market: str, side: Side) -> list[RestingOrder]:
    """Return the orders that protect a position of this side: stops of ours against it."""
    return [
        order
        for order in resting
        if order.market == market
        and order.side is side.opposite
        and references.leg_of(order.client_order_id) is Leg.STOP
    ]


def _trade(holding: Holding, entries: Entries, resting: Sequence[RestingOrder], now: datetime) -> BrokerTrade:
    entered = entries.open_in(holding.market, holding.side)
    stops = stops_of(resting, holding.market, holding.side)
    stop = stops[0] if stops else None
    return BrokerTrade(
        trade_id=entered.trade_id if entered else holding.market,
        client_order_id=entered.trade_id if entered else None,
        market=holding.market,
        side=holding.side,
        quantity=abs(holding.quantity),
        price=entered.price if entered else holding.average_cost,
        opened_at=entered.at if entered else now,
        stop_loss=stop.trigger if stop else None,
        take_profit=None,
        trailing_distance=stop.trailing_distance if stop else None,
        trailing_percent=stop.trailing_percent if stop else None,
    )


def _entered(trade_id: str, executions: Sequence[Execution]) -> Entered:
    quantity = sum((one.quantity for one in executions), Decimal(0))
    return Entered(
        trade_id=trade_id,
        market=executions[0].market,
        side=executions[0].side,
        quantity=quantity,
        price=sum((one.quantity * one.price for one in executions), Decimal(0)) / quantity,
        at=executions[0].at,
    )


def _held_entered(trade: BrokerTrade) -> Entered:
    return Entered(
        trade_id=str(trade.client_order_id),
        market=trade.market,
        side=trade.side,
        quantity=trade.quantity,
        price=trade.price,
        at=trade.opened_at,
        is_held=True,
    )
