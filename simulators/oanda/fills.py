"""Fills: which trades an order reduces, what it opens, and when it may not."""

from dataclasses import dataclass
from decimal import Decimal

from simulators.oanda.account import Account, Batch
from simulators.oanda.dependents import cancel_dependents, cancel_order, create_dependent, stop_price
from simulators.oanda.instruments import INSTRUMENTS
from simulators.oanda.market import Factors, Market, book
from simulators.oanda.orders import DEPENDENT_KEYS, Order
from simulators.oanda.tape import Quote
from simulators.oanda.trades import ZERO, Trade
from simulators.oanda.triggers import fill_points
from simulators.oanda.valuation import margin_for, valuate
from simulators.oanda.wire import Json, amount, booked, factor, from_points, price, rfc3339, units

_SIDES = ("long", "short")


@dataclass(slots=True)
class Execution:
    """One attempt to fill an order against one quote."""

    market: Market
    batch: Batch
    order: Order
    quote: Quote
    factors: Factors
    reason: str
    # checked on-fill details by order type
    legs: dict[str, Json]

    @property
    def account(self) -> Account:
        return self.batch.account

    @property
    def price(self) -> Decimal:
        return from_points(fill_points(self.order, self.quote))


@dataclass(frozen=True, slots=True)
class Plan:
    """How many units go to which open trades (positive), and how many open a new one (signed)."""

    reductions: list[tuple[Trade, Decimal]]
    opened: Decimal

    @property
    def filled(self) -> Decimal:
        """Return the units taken off, signed like the order that does it."""
        taken = sum(((-size if trade.is_long else size) for trade, size in self.reductions), ZERO)
        return taken + self.opened


def plan_fill(account: Account, order: Order, size: Decimal) -> Plan:
    """Net signed units against opposite trades, oldest first, by the order's positionFill."""
    policy = order.wire.get("positionFill", "DEFAULT")
    reductions, left = [], abs(size)
    if policy != "OPEN_ONLY":
        for trade in account.open_trades.values():
            if left and trade.instrument == order.instrument and trade.is_long != (size > 0):
                taken = min(left, abs(trade.current_units))
                reductions.append((trade, taken))
                left -= taken
    opened = ZERO if policy == "REDUCE_ONLY" else left.copy_sign(size) + 0
    return Plan(reductions, opened)


def fill_entry(execution: Execution, size: Decimal) -> Json:
    """Fill signed units of an entry order, or cancel it; return the transaction either way."""
    plan = plan_fill(execution.account, execution.order, size)
    refusal = _refusal(execution, plan)
    if refusal is not None:
        return cancel_order(execution.batch, execution.order, refusal)
    return book_fill(execution, plan)


def _refusal(execution: Execution, plan: Plan) -> str | None:
    order, points = execution.order, fill_points(execution.order, execution.quote)
    if order.bound is not None and (points > order.bound if order.is_buy else points < order.bound):
        return "BOUNDS_VIOLATION"
    if plan.filled == 0:
        return "POSITION_CLOSEOUT_FAILED"
    if plan.opened == 0:
        return None
    client_id = (order.wire.get("tradeClientExtensions") or {}).get("id")
    if client_id and any(trade.client_id == client_id for trade in execution.account.open_trades.values()):
        return "CLIENT_TRADE_ID_ALREADY_EXISTS"
    return _losing_leg(execution, plan.opened > 0) or _margin_refusal(execution, plan)


def _losing_leg(execution: Execution, is_long: bool) -> str | None:
    # a protective order that would fire on the very quote that opens the trade
    out = from_points(execution.quote.bid if is_long else execution.quote.ask)
    stop, profit = execution.legs.get("STOP_LOSS"), execution.legs.get("TAKE_PROFIT")
    if stop is not None:
        level = stop_price(stop, execution.price, is_long)
        if level >= out if is_long else level <= out:
            return "STOP_LOSS_ON_FILL_LOSS"
    if profit is not None and (profit["price"] <= out if is_long else profit["price"] >= out):
        return "TAKE_PROFIT_ON_FILL_LOSS"
    return None


def _margin_refusal(execution: Execution, plan: Plan) -> str | None:
    now, instrument = execution.batch.now, execution.order.instrument
    value = valuate(execution.account, execution.market, now, execution.quote)
    held = dict.fromkeys(_SIDES, ZERO)
    for trade in execution.account.open_trades.values():
        if trade.instrument == instrument:
            held["long" if trade.is_long else "short"] += abs(trade.current_units)
    for trade, size in plan.reductions:
        held["long" if trade.is_long else "short"] -= size
    held["long" if plan.opened > 0 else "short"] += abs(plan.opened)
    others = value.margin_used - value.positions.get(instrument, (ZERO, ZERO))[0]
    needed = others + margin_for(max(held.values()), execution.quote, execution.factors)
    spread = from_points(execution.quote.ask - execution.quote.bid) * abs(plan.opened) * execution.factors.loss
    return "INSUFFICIENT_MARGIN" if needed > value.nav - spread else None


def book_fill(execution: Execution, plan: Plan) -> Json:
    """Write the fill and everything that follows from it; the caller has checked it may happen."""
    account, batch, order = execution.account, execution.batch, execution.order
    fill_id = str(len(account.transactions) + 1)
    closed, reduced, profit = _reduce(execution, plan, fill_id)
    opened = _open(execution, plan, fill_id)
    fill = batch.write("ORDER_FILL", **_fill_fields(execution, plan, profit))
    fill.update(_outcome(execution, closed, reduced, opened))
    links: Json = {"tradeOpenedID": opened.id} if opened else {}
    if reduced:
        links["tradeReducedID"] = reduced["tradeID"]
    if closed:
        links["tradeClosedIDs"] = [item["tradeID"] for item in closed]
    account.settle_order(order, state="FILLED", fillingTransactionID=fill_id, filledTime=batch.time, **links)
    for trade, _ in plan.reductions:
        if trade.is_open:
            _resize_dependents(account, trade)
        else:
            cancel_dependents(batch, account, trade)
    if opened is not None:
        _protect(execution, opened, fill_id)
    return fill


def _reduce(execution: Execution, plan: Plan, fill_id: str) -> tuple[list[Json], Json | None, Decimal]:
    account, closed, reduced, total = execution.account, [], None, ZERO
    for trade, size in plan.reductions:
        signed = size if trade.is_long else -size
        profit = booked(execution.factors.home((execution.price - trade.price) * signed))
        trade.close(size, execution.price, profit, fill_id, execution.batch.time)
        account.note_trade(trade)
        account.book_profit(trade.instrument, "long" if trade.is_long else "short", profit)
        total += profit
        item = {
            "tradeID": trade.id,
            "units": units(-signed),
            "price": _price(execution),
            "realizedPL": amount(profit),
            "financing": amount(ZERO),
            "guaranteedExecutionFee": amount(ZERO),
            "halfSpreadCost": _half_spread(execution, size),
        }
        if trade.is_open:
            reduced = item
        else:
            closed.append(item)
    return closed, reduced, total


def _open(execution: Execution, plan: Plan, fill_id: str) -> Trade | None:
    if plan.opened == 0:
        return None
    trade = Trade(
        id=fill_id,
        instrument=execution.order.instrument,
        price=execution.price,
        open_time=execution.batch.time,
        initial_units=plan.opened,
        current_units=plan.opened,
        initial_margin=margin_for(plan.opened, execution.quote, execution.factors),
        extensions=execution.order.wire.get("tradeClientExtensions"),
    )
    execution.account.add_trade(trade)
    return trade


def _fill_fields(execution: Execution, plan: Plan, profit: Decimal) -> Json:
    order, quote = execution.order, execution.quote
    return {
        "orderID": order.id,
        "clientOrderID": order.client_id,
        "instrument": order.instrument,
        "units": units(plan.filled),
        "gainQuoteHomeConversionFactor": factor(execution.factors.gain),
        "lossQuoteHomeConversionFactor": factor(execution.factors.loss),
        "price": _price(execution),
        "fullVWAP": _price(execution),
        "fullPrice": {"type": "PRICE", "time": rfc3339(quote.time), **book(quote)},
        "reason": execution.reason,
        "pl": amount(profit),
        "financing": amount(ZERO),
        "commission": amount(ZERO),
        "guaranteedExecutionFee": amount(ZERO),
        "accountBalance": amount(execution.account.balance),
        "halfSpreadCost": _half_spread(execution, abs(plan.filled)),
    }


def _outcome(execution: Execution, closed: list[Json], reduced: Json | None, opened: Trade | None) -> Json:
    parts: Json = {}
    if opened is not None:
        parts["tradeOpened"] = {
            "tradeID": opened.id,
            "units": units(opened.initial_units),
            "price": _price(execution),
            "guaranteedExecutionFee": amount(ZERO),
            "halfSpreadCost": _half_spread(execution, abs(opened.initial_units)),
            "initialMarginRequired": amount(opened.initial_margin),
        }
        if opened.extensions:
            parts["tradeOpened"]["clientExtensions"] = opened.extensions
    if closed:
        parts["tradesClosed"] = closed
    if reduced is not None:
        parts["tradeReduced"] = reduced
    return parts


def _protect(execution: Execution, trade: Trade, fill_id: str) -> None:
    for kind, key in DEPENDENT_KEYS.items():
        details = execution.legs.get(kind)
        if details is not None and key not in execution.order.lost_legs:
            create_dependent(
                execution.batch, trade, kind, details, execution.quote, "ON_FILL", orderFillTransactionID=fill_id
            )


def _resize_dependents(account: Account, trade: Trade) -> None:
    for order_id in trade.dependents.values():
        account.orders[order_id].units = -trade.current_units
        account.changed_orders.add(order_id)


def _price(execution: Execution) -> str:
    return price(execution.price, INSTRUMENTS[execution.order.instrument].precision)


def _half_spread(execution: Execution, size: Decimal) -> str:
    spread = from_points(execution.quote.ask - execution.quote.bid)
    return amount(spread / 2 * size * execution.factors.middle)
