"""An account's orders, fills, positions, settlements and balance as the wire shows them."""

from datetime import datetime
from decimal import Decimal

from simulators.kalshi.account import Account, Fill, Position, Settlement
from simulators.kalshi.market_views import merged
from simulators.kalshi.orders import Order, Side, unit_cost
from simulators.kalshi.venue import Venue
from simulators.kalshi.wire import Json, cents, dollars, fp, iso, unix, unix_ms


def _words(side: Side, outcome: str, action: str) -> Json:
    """Return the older wire's words for a side; a current order is told as a purchase."""
    return {"side": outcome or _outcome(side), "action": action or "buy"}


def _outcome(side: Side) -> str:
    return "yes" if side is Side.BID else "no"


def order_view(wire: str, order: Order) -> Json:
    """Return an order."""
    shared: Json = {
        "order_id": order.id,
        "user_id": order.account,
        "client_order_id": order.client_order_id,
        "ticker": order.ticker,
        **_words(order.side, order.ticket.outcome, order.ticket.action),
        "type": "limit",
        "status": str(order.status),
        "yes_price_dollars": dollars(order.price),
        "no_price_dollars": dollars(1 - order.price),
        "taker_fill_cost_dollars": dollars(order.taker_cost),
        "maker_fill_cost_dollars": dollars(order.maker_cost),
        "taker_fees_dollars": dollars(order.taker_fees),
        "maker_fees_dollars": dollars(order.maker_fees),
        "created_time": iso(order.created),
        "last_update_time": iso(order.updated),
        "self_trade_prevention_type": str(order.ticket.prevention),
        "cancel_order_on_pause": order.ticket.cancel_on_pause,
    }
    if order.ticket.expires is not None:
        shared["expiration_time"] = iso(order.ticket.expires)
    if order.ticket.group:
        shared["order_group_id"] = order.ticket.group
    current: Json = {
        "outcome_side": _outcome(order.side),
        "book_side": str(order.side),
        "fill_count_fp": fp(order.filled),
        "remaining_count_fp": fp(order.remaining),
        "initial_count_fp": fp(order.initial),
        "subaccount_number": 0,
        "exchange_index": 0,
    }
    older: Json = {
        "yes_price": cents(order.price),
        "no_price": cents(1 - order.price),
        "count": order.initial,
        "fill_count": order.filled,
        "remaining_count": order.remaining,
        "initial_count": order.initial,
        "taker_fees": cents(order.taker_fees),
        "maker_fees": cents(order.maker_fees),
        "taker_fill_cost": cents(order.taker_cost),
        "maker_fill_cost": cents(order.maker_cost),
        "queue_position": 0,
        "updated_time": iso(order.updated),
    }
    return merged(wire, shared, current, older)


def created_view(order: Order, now: datetime) -> Json:
    """Return the current wire's answer to a new or amended order."""
    body: Json = {
        "order_id": order.id,
        "fill_count": fp(order.filled),
        "remaining_count": fp(order.remaining),
        "ts_ms": unix_ms(now),
    }
    if order.client_order_id:
        body["client_order_id"] = order.client_order_id
    if order.filled:
        spent = order.taker_cost + order.maker_cost
        each = spent / order.filled
        body["average_fill_price"] = dollars(each if order.side is Side.BID else 1 - each)
        body["average_fee_paid"] = dollars((order.taker_fees + order.maker_fees) / order.filled)
    return body


def cancelled_view(order: Order, reduced: int, now: datetime) -> Json:
    """Return the current wire's answer to a cancel."""
    body: Json = {"order_id": order.id, "reduced_by": fp(reduced), "ts_ms": unix_ms(now)}
    return {**body, "client_order_id": order.client_order_id} if order.client_order_id else body


def fill_view(wire: str, fill: Fill) -> Json:
    """Return a fill."""
    shared: Json = {
        "fill_id": fill.id,
        "trade_id": fill.id,
        "order_id": fill.order_id,
        "ticker": fill.ticker,
        "market_ticker": fill.ticker,
        **_words(fill.side, fill.outcome, fill.action),
        "yes_price_dollars": dollars(fill.price),
        "no_price_dollars": dollars(1 - fill.price),
        "is_taker": fill.is_taker,
        "created_time": iso(fill.time),
        "fee_cost": dollars(fill.fee),
        "ts": unix(fill.time),
    }
    current: Json = {
        "outcome_side": _outcome(fill.side),
        "book_side": str(fill.side),
        "count_fp": fp(fill.count),
        "subaccount_number": 0,
        "exchange_index": 0,
    }
    older: Json = {
        "client_order_id": fill.client_order_id,
        "count": fill.count,
        "price": float(fill.price),
        "yes_price": cents(fill.price),
        "no_price": cents(1 - fill.price),
        "yes_price_fixed": dollars(fill.price),
        "no_price_fixed": dollars(1 - fill.price),
    }
    return merged(wire, shared, current, older)


def position_view(account: Account, held: Position, wire: str) -> Json:
    """Return what an account holds of one market."""
    resting = sum(1 for order in account.resting.values() if order.ticker == held.ticker)
    shared: Json = {
        "ticker": held.ticker,
        "total_traded_dollars": dollars(held.traded),
        "market_exposure_dollars": dollars(held.cost),
        "realized_pnl_dollars": dollars(held.realized),
        "fees_paid_dollars": dollars(held.fees),
        "resting_orders_count": resting,
        "last_updated_ts": iso(held.updated),
    }
    older: Json = {
        "position": held.count,
        "total_traded": cents(held.traded),
        "market_exposure": cents(held.cost),
        "realized_pnl": cents(held.realized),
        "fees_paid": cents(held.fees),
    }
    return merged(wire, shared, {"position_fp": fp(held.count), "exchange_index": 0}, older)


def event_position_view(event_ticker: str, held: list[Position], wire: str) -> Json:
    """Return what an account holds of one event."""
    cost, fees = sum((p.cost for p in held), Decimal(0)), sum((p.fees for p in held), Decimal(0))
    realized, traded = sum((p.realized for p in held), Decimal(0)), sum((p.traded for p in held), Decimal(0))
    shares = sum(abs(p.count) for p in held)
    shared: Json = {
        "event_ticker": event_ticker,
        "total_cost_dollars": dollars(traded),
        "event_exposure_dollars": dollars(cost),
        "realized_pnl_dollars": dollars(realized),
        "fees_paid_dollars": dollars(fees),
    }
    older: Json = {
        "total_cost": cents(traded),
        "total_cost_shares": shares,
        "event_exposure": cents(cost),
        "realized_pnl": cents(realized),
        "fees_paid": cents(fees),
    }
    return merged(wire, shared, {"total_cost_shares_fp": fp(shares)}, older)


def settlement_view(settlement: Settlement, wire: str) -> Json:
    """Return what a finished market paid."""
    yes, no = max(settlement.count, 0), max(-settlement.count, 0)
    yes_cost = settlement.cost if yes else Decimal(0)
    no_cost = settlement.cost if no else Decimal(0)
    shared: Json = {
        "ticker": settlement.ticker,
        "event_ticker": settlement.event_ticker,
        "market_result": settlement.result,
        "revenue": cents(settlement.revenue),
        "settled_time": iso(settlement.time),
        "fee_cost": dollars(settlement.fees),
        "value": 100 * int(settlement.result == "yes"),
    }
    current: Json = {
        "yes_count_fp": fp(yes),
        "no_count_fp": fp(no),
        "yes_total_cost_dollars": dollars(yes_cost),
        "no_total_cost_dollars": dollars(no_cost),
        "exchange_index": 0,
    }
    older: Json = {
        "result": settlement.result,
        "yes_count": yes,
        "no_count": no,
        "yes_total_cost": cents(yes_cost),
        "no_total_cost": cents(no_cost),
    }
    return merged(wire, shared, current, older)


def balance_view(venue: Venue, account: Account, now: datetime) -> Json:
    """Return the balance: what orders may spend, and what the holdings would fetch."""
    available, value = account.available, _portfolio_value(venue, account, now)
    shared: Json = {"balance": cents(available), "portfolio_value": cents(value), "updated_ts": unix(now)}
    told = dollars(available)
    current: Json = {"balance_dollars": told, "balance_breakdown": [{"exchange_index": 0, "balance": told}]}
    return merged(venue.wire, shared, current, {})


def _portfolio_value(venue: Venue, account: Account, now: datetime) -> Decimal:
    held = [position for position in account.positions.values() if position.count]
    return sum((abs(position.count) * _worth(venue, position, now) for position in held), Decimal(0))


def _worth(venue: Venue, position: Position, now: datetime) -> Decimal:
    """Return what one held contract could be sold for, was last traded at, or will pay."""
    contract, side = venue.contracts[position.ticker], Side.BID if position.count > 0 else Side.ASK
    result = contract.life.shown_result(now)
    if result:
        return Decimal(int(result == _outcome(side)))
    if venue.status(contract, now) == "active":
        contract.refresh(now)
        best = contract.book.levels(side)
        return unit_cost(side, best[0][0]) if best else Decimal(0)
    last = contract.last_trade(now)
    return Decimal(0) if last is None else unit_cost(side, last.price)
