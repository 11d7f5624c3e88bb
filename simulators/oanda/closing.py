"""Market orders that close named trades."""

from decimal import Decimal

from simulators.oanda.account import Batch
from simulators.oanda.dependents import cancel_order
from simulators.oanda.fills import Execution, Plan, book_fill
from simulators.oanda.instruments import INSTRUMENTS
from simulators.oanda.market import Market
from simulators.oanda.orders import Order
from simulators.oanda.tape import Quote
from simulators.oanda.trades import ZERO, Trade
from simulators.oanda.wire import Json, units


def close_units(
    batch: Batch, market: Market, trades: list[Trade], size: Decimal, quote: Quote | None, reason: str, **why: Json
) -> tuple[Json, Json]:
    """Close ``size`` units (positive) of trades of one side, oldest first.

    Args:
        quote: what the order meets; None when the market is halted, which cancels the order.
        reason: TRADE_CLOSE, POSITION_CLOSEOUT or MARGIN_CLOSEOUT.
        why: the transaction field that names what is closed.

    Returns:
        The order transaction, and the fill or cancel transaction.
    """
    signed = -size if trades[0].is_long else size
    fields: Json = {"instrument": trades[0].instrument, "units": units(signed), "timeInForce": "FOK"}
    fields |= {"positionFill": "REDUCE_ONLY", **why}
    created = batch.write("MARKET_ORDER", **fields, reason=reason)
    wire: Json = {"id": created["id"], "createTime": batch.time, "type": "MARKET", **fields, "state": "PENDING"}
    order = Order(wire, trades[0].instrument, signed)
    batch.account.add_order(order)
    factors = market.factors(INSTRUMENTS[order.instrument].quote, batch.account.currency, batch.now)
    if quote is None or factors is None:
        return created, cancel_order(batch, order, "MARKET_HALTED")
    execution = Execution(market, batch, order, quote, factors, f"MARKET_ORDER_{reason}", {})
    return created, book_fill(execution, Plan(_oldest_first(trades, size), ZERO))


def _oldest_first(trades: list[Trade], size: Decimal) -> list[tuple[Trade, Decimal]]:
    reductions = []
    for trade in trades:
        taken = min(size, abs(trade.current_units))
        if taken:
            reductions.append((trade, taken))
            size -= taken
    return reductions
