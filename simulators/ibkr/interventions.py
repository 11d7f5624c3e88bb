"""What goes wrong at a broker: corrections, busts, late fills, lost orders, splits."""

from dataclasses import replace
from decimal import Decimal

from simulators.ibkr.book import Fill
from simulators.ibkr.clock import local_date, moment
from simulators.ibkr.contracts import BY_CONID, BY_SYMBOL
from simulators.ibkr.desk import Desk
from simulators.ibkr.events import Charged, Executed, OrderChanged, PositionChanged, SplitHappened
from simulators.ibkr.orders import ZERO, Commission, Execution, Order, Terms
from simulators.ibkr.triggers import rescaled


class Unknown(LookupError):
    """An order, execution or symbol that is not there."""


def reissue(desk: Desk, exec_id: str, price: Decimal, quantity: Decimal) -> Execution:
    """Replace an execution by its next issue; position, cash, commission and the order's average follow."""
    key = exec_id.rpartition(".")[0]
    issues = [each for each in desk.executions if each.exec_id.rpartition(".")[0] == key]
    if not issues:
        raise Unknown(f"expected an execution of the last days; found {exec_id!r}")
    before, order = issues[-1], issues[-1].order
    # what was charged stays charged, unless the trade is taken back
    fee = desk.commissions[before.exec_id].amount if quantity else ZERO
    total = order.filled - before.quantity + quantity
    value = order.filled * order.average_price - before.quantity * before.price + quantity * price
    order.filled, order.average_price = total, value / total if total else ZERO
    number = int(before.exec_id.rpartition(".")[2]) + 1
    after = replace(
        before,
        exec_id=f"{key}.{number:02d}",
        quantity=quantity,
        price=price,
        cumulative=total,
        average=order.average_price,
    )
    signed = quantity if before.side == "BUY" else -quantity
    fill = Fill(key=key, quantity=signed, price=price, commission=fee, at=round(before.at.timestamp() * 1000))
    book = desk.accounts[before.account].replace(before.conid, fill)
    desk.executions.append(after)
    desk.commissions[after.exec_id] = Commission(exec_id=after.exec_id, amount=fee, realised=book.by_fill[key])
    desk.emit(Executed(after))
    desk.emit(Charged(desk.commissions[after.exec_id]))
    desk.tell_position(before.account, before.conid)
    return after


def fill_late(desk: Desk, order: Order, now: int) -> Execution:
    """Fill what was left of an order that is over; its status stays."""
    if not order.is_done or not order.remaining:
        raise Unknown(f"expected an order that ended unfilled; found {order.perm_id} {order.status}")
    tick = desk.tape.last(desk.symbol_of(order), now)
    if tick is None:
        raise Unknown(f"expected a stock with a price; found {desk.symbol_of(order)}")
    market = tick.ask if order.terms.side == "BUY" else tick.bid
    return desk.fill(order, order.remaining, order.limit_points or market or tick.last, now)


def trade_by_hand(desk: Desk, account: str, conid: int, quantity: Decimal, now: int) -> Execution:
    """Trade signed shares at once, as the owner of the account does outside any client."""
    terms = Terms(
        conid=conid,
        account=account,
        side="BUY" if quantity > 0 else "SELL",
        quantity=abs(quantity),
        kind="MKT",
    )
    tick = desk.tape.last(BY_CONID[conid].symbol, now)
    if tick is None:
        raise Unknown(f"expected a stock with a price; found {BY_CONID[conid].symbol}")
    order = Order(perm_id=desk.next_perm_id, terms=terms, owner=None, placed_at=moment(now), status="Filled")
    desk.next_perm_id += 1
    desk.orders[order.perm_id] = order
    order.done_at = moment(now)
    return desk.fill(order, terms.quantity, (tick.ask if quantity > 0 else tick.bid) or tick.last, now)


def split_positions(desk: Desk, symbol: str, new: int, old: int, now: int, orders: str) -> None:
    """Give every holder ``new`` shares for ``old``, and treat resting orders as told: keep, cancel, scale."""
    contract = BY_SYMBOL.get(symbol)
    if contract is None or orders not in ("keep", "cancel", "scale") or min(new, old) < 1:
        raise Unknown(
            f"expected a listed symbol, whole shares and keep, cancel or scale; found {symbol} {new}:{old} {orders}"
        )
    desk.emit(SplitHappened(contract, new, old, local_date(now)))
    for order in [each for each in desk.live.values() if each.terms.conid == contract.conid]:
        if orders == "cancel":
            desk.end(order, "Cancelled", now, code=202, reason="corporate action")
        elif orders == "scale":
            rescaled(order, new, old)
            desk.emit(OrderChanged(order))
        else:
            # what rested before the split meets the new prices as an order that has just come in
            order.seen = None
    for account in desk.accounts.values():
        if account.split(contract.conid, new, old, now):
            book = account.books[contract.conid]
            desk.emit(PositionChanged(account.id, contract, book.quantity, book.average))
