"""Matching of resting orders against replayed quotes, in order, each stamped with its quote's time."""

from simulators.oanda.account import Account, Batch
from simulators.oanda.closing import close_units
from simulators.oanda.dependents import cancel_order
from simulators.oanda.fills import Execution, Plan, book_fill, fill_entry
from simulators.oanda.instruments import INSTRUMENTS
from simulators.oanda.intake import stored_legs
from simulators.oanda.market import Market
from simulators.oanda.orders import Order
from simulators.oanda.tape import Quote
from simulators.oanda.triggers import is_triggered, trailed_level
from simulators.oanda.valuation import valuate
from simulators.oanda.wire import Json, from_points, parse_time, price


def expire(account: Account, now: int) -> None:
    """Cancel orders whose time is up, stamped with that time."""
    due = [order for order in account.pending.values() if order.expires is not None and order.expires <= now]
    for order in sorted(due, key=lambda item: (item.expires or 0, int(item.id))):
        # an order replaced or restored late must not be stamped before the account's last transaction
        last = parse_time(account.transactions[-1]["time"])
        cancel_order(Batch(account, max(order.expires or now, last), None), order, "TIME_IN_FORCE_EXPIRED")


def meet_quote(account: Account, market: Market, quote: Quote) -> None:
    """Let every resting order of one account see one quote."""
    expire(account, quote.time)
    for order in [o for o in account.pending.values() if o.instrument == quote.instrument]:
        if order.is_pending and not try_fill(order, Batch(account, quote.time, None), market, quote):
            _trail(account, order, quote)
    _close_out(account, market, quote)


def try_fill(order: Order, batch: Batch, market: Market, quote: Quote) -> Json | None:
    """Fill a resting order if the quote sets it off; return the fill or cancel transaction."""
    if not is_triggered(order, quote):
        return None
    factors = market.factors(INSTRUMENTS[order.instrument].quote, batch.account.currency, quote.time)
    if factors is None:
        return None
    trade = batch.account.open_trades.get(order.trade_id or "")
    execution = Execution(market, batch, order, quote, factors, f"{order.type}_ORDER", stored_legs(order.wire))
    if trade is None:
        return fill_entry(execution, order.units)
    return book_fill(execution, Plan([(trade, abs(trade.current_units))], order.units * 0))


def _trail(account: Account, order: Order, quote: Quote) -> None:
    level = trailed_level(order, quote)
    if level is not None:
        order.trail_to(level, price(from_points(level), INSTRUMENTS[order.instrument].precision))
        account.changed_orders.add(order.id)


def _close_out(account: Account, market: Market, quote: Quote) -> None:
    """Close every trade once half the margin used is no longer covered."""
    if not account.open_trades or valuate(account, market, quote.time, quote).closeout_percent < 1:
        return
    for trade in list(account.open_trades.values()):
        at = quote if trade.instrument == quote.instrument else market.quote(trade.instrument, quote.time)
        if at is not None and market.is_tradeable(trade.instrument, quote.time):
            why = {"reason": "MARGIN_CHECK_VIOLATION"}
            batch = Batch(account, quote.time, None)
            close_units(batch, market, [trade], abs(trade.current_units), at, "MARGIN_CLOSEOUT", marginCloseout=why)
