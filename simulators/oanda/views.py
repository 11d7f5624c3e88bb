"""Accounts, orders, trades and positions as clients read them."""

from decimal import Decimal

from simulators.oanda.account import USER_ID, Account
from simulators.oanda.instruments import INSTRUMENTS, MARGIN_RATE
from simulators.oanda.orders import DEPENDENT_KEYS, Order
from simulators.oanda.trades import ZERO, Trade
from simulators.oanda.valuation import Valuation
from simulators.oanda.wire import Json, amount, from_points, price, ratio, units


def order_view(order: Order) -> Json:
    """Return an order."""
    return dict(order.wire)


def trade_view(account: Account, trade: Trade, value: Valuation, nested: bool = True) -> Json:
    """Return a trade with its protective orders, or only their ids in a summary."""
    view: Json = {
        "id": trade.id,
        "instrument": trade.instrument,
        "price": _price(trade.price, trade.instrument),
        "openTime": trade.open_time,
        "state": "OPEN" if trade.is_open else "CLOSED",
        "initialUnits": units(trade.initial_units),
        "initialMarginRequired": amount(trade.initial_margin),
        "currentUnits": units(trade.current_units),
        "realizedPL": amount(trade.realized),
        "financing": amount(ZERO),
    }
    if trade.extensions:
        view["clientExtensions"] = trade.extensions
    if trade.is_open:
        profit, margin = value.trades.get(trade.id, (ZERO, ZERO))
        view |= {"unrealizedPL": amount(profit), "marginUsed": amount(margin)}
    else:
        view["closeTime"] = trade.close_time
    if trade.closing_ids:
        view["closingTransactionIDs"] = list(trade.closing_ids)
        closed = abs(trade.initial_units - trade.current_units)
        view["averageClosePrice"] = _price(trade.closed_value / closed, trade.instrument)
    for kind, order_id in trade.dependents.items():
        key = f"{DEPENDENT_KEYS[kind]}Order"
        view |= {key: order_view(account.orders[order_id])} if nested else {f"{key}ID": order_id}
    return view


def _price(value: Decimal, instrument: str) -> str:
    return price(value, INSTRUMENTS[instrument].precision)


def position_view(account: Account, instrument: str, value: Valuation) -> Json:
    """Return one position; sides without trades stand at zero."""
    sides = {side: _side(account, instrument, side, value) for side in ("long", "short")}
    profits = [account.position_pl.get((instrument, side), ZERO) for side in sides]
    open_profit = sum((_open_profit(account, instrument, side, value) for side in sides), ZERO)
    return {
        "instrument": instrument,
        "pl": amount(sum(profits, ZERO)),
        "resettablePL": amount(sum(profits, ZERO)),
        "unrealizedPL": amount(open_profit),
        "marginUsed": amount(value.positions.get(instrument, (ZERO, ZERO))[0]),
        "financing": amount(ZERO),
        "commission": amount(ZERO),
        "guaranteedExecutionFees": amount(ZERO),
        **sides,
    }


def side_trades(account: Account, instrument: str, side: str) -> list[Trade]:
    """Return the open trades of one side of a position, oldest first."""
    wanted = side == "long"
    return [t for t in account.open_trades.values() if t.instrument == instrument and t.is_long == wanted]


def _open_profit(account: Account, instrument: str, side: str, value: Valuation) -> Decimal:
    return sum((value.trades.get(t.id, (ZERO, ZERO))[0] for t in side_trades(account, instrument, side)), ZERO)


def _side(account: Account, instrument: str, side: str, value: Valuation) -> Json:
    trades = side_trades(account, instrument, side)
    size = sum((trade.current_units for trade in trades), ZERO)
    profit = account.position_pl.get((instrument, side), ZERO)
    view: Json = {"units": units(size)}
    if trades:
        paid = sum((trade.price * trade.current_units for trade in trades), ZERO)
        view |= {"averagePrice": _price(paid / size, instrument), "tradeIDs": [trade.id for trade in trades]}
    return view | {
        "pl": amount(profit),
        "resettablePL": amount(profit),
        "unrealizedPL": amount(_open_profit(account, instrument, side, value)),
        "financing": amount(ZERO),
        "guaranteedExecutionFees": amount(ZERO),
    }


def traded_instruments(account: Account) -> list[str]:
    """Return the instruments the account ever held, in order of first fill."""
    return list(dict.fromkeys(trade.instrument for trade in account.trades.values()))


def open_instruments(account: Account) -> list[str]:
    """Return the instruments with an open trade."""
    return list(dict.fromkeys(trade.instrument for trade in account.open_trades.values()))


def numbers_view(value: Valuation) -> Json:
    """Return the price-dependent numbers shared by summary and changes."""
    return {
        "unrealizedPL": amount(value.unrealized),
        "NAV": amount(value.nav),
        "marginUsed": amount(value.margin_used),
        "marginAvailable": amount(value.margin_available),
        "positionValue": amount(value.position_value),
        "marginCloseoutUnrealizedPL": amount(value.unrealized),
        "marginCloseoutNAV": amount(value.nav),
        "marginCloseoutMarginUsed": amount(value.margin_used),
        "marginCloseoutPercent": ratio(value.closeout_percent),
        "marginCloseoutPositionValue": amount(value.position_value),
        "withdrawalLimit": amount(value.margin_available),
        "marginCallMarginUsed": amount(value.margin_used),
        "marginCallPercent": ratio(value.closeout_percent * 2),
    }


def summary_view(account: Account, value: Valuation) -> Json:
    """Return the account summary."""
    last_fill = next((t for t in reversed(account.transactions) if t["type"] == "ORDER_FILL"), None)
    view = {
        "id": account.id,
        "alias": "Primary",
        "currency": account.currency,
        "balance": amount(account.balance),
        "createdByUserID": USER_ID,
        "createdTime": account.transactions[0]["time"],
        "guaranteedStopLossOrderMode": "DISABLED",
        "pl": amount(account.realized),
        "resettablePL": amount(account.realized),
        "resettablePLTime": "0",
        "financing": amount(ZERO),
        "commission": amount(ZERO),
        "guaranteedExecutionFees": amount(ZERO),
        "marginRate": str(MARGIN_RATE),
        "openTradeCount": len(account.open_trades),
        "openPositionCount": len(open_instruments(account)),
        "pendingOrderCount": len(account.pending),
        "hedgingEnabled": False,
        **numbers_view(value),
        "lastTransactionID": account.last_id,
    }
    if last_fill is not None:
        view["lastOrderFillTimestamp"] = last_fill["time"]
    return view


def account_view(account: Account, value: Valuation) -> Json:
    """Return the full account: summary with pending orders, open trades and positions."""
    return {
        **summary_view(account, value),
        "orders": [order_view(order) for order in account.pending.values()],
        "trades": [trade_view(account, trade, value, nested=False) for trade in account.open_trades.values()],
        "positions": [position_view(account, name, value) for name in traded_instruments(account)],
    }


def state_view(account: Account, value: Valuation, trigger_distances: dict[str, int]) -> Json:
    """Return the price-dependent state that goes with account changes.

    Args:
        trigger_distances: order id -> points between the market and the trailing stop.
    """
    orders = []
    for order in account.pending.values():
        if order.type == "TRAILING_STOP_LOSS":
            gap = from_points(trigger_distances.get(order.id, 0))
            item = {"id": order.id, "trailingStopValue": order.wire["trailingStopValue"]}
            orders.append({**item, "triggerDistance": _price(gap, order.instrument), "isTriggerDistanceExact": True})
    return {
        **numbers_view(value),
        "orders": orders,
        "trades": [
            {"id": trade_id, "unrealizedPL": amount(profit), "marginUsed": amount(margin)}
            for trade_id, (profit, margin) in value.trades.items()
        ],
        "positions": [_position_state(account, name, value) for name in open_instruments(account)],
    }


def _position_state(account: Account, instrument: str, value: Valuation) -> Json:
    long, short = (_open_profit(account, instrument, side, value) for side in ("long", "short"))
    return {
        "instrument": instrument,
        "netUnrealizedPL": amount(long + short),
        "longUnrealizedPL": amount(long),
        "shortUnrealizedPL": amount(short),
        "marginUsed": amount(value.positions.get(instrument, (ZERO, ZERO))[0]),
    }
