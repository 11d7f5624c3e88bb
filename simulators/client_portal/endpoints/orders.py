"""Pages of orders: send, answer questions, change, cancel, list, preview."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from simulators.client_portal.call import Call
from simulators.client_portal.conversation import Conversation
from simulators.client_portal.desk import Desk
from simulators.client_portal.questions import asked, questions_about
from simulators.client_portal.tickets import Ticket, read_ticket
from simulators.client_portal.wire import Json, Refusal, plain, whole
from simulators.ibkr.orders import Order, Rejected

_EVERY = "-1"
# a late fill comes after a client could have seen the order cancelled (wall-clock seconds)
LATE_SECONDS = 0.3
_MOST_SUPPRESSED = 51
_REJECTED = "Order rejected: the simulator was told to refuse it."


def submit(call: Call) -> Any:
    """Answer ``POST /iserver/account/{account}/orders``: orders, or the first question about them."""
    tickets = _tickets(call)
    brokerage = call.brokerage
    # whatever was waiting for an answer is gone
    brokerage.pending = None
    _check_new(call, tickets)
    rejected = call.fault("reject_200")
    if rejected is not None:
        raise Refusal(200, rejected.get("error", _REJECTED))
    return _converse(call, tickets, lambda faulty: Desk(call.gateway, faulty).enter(tickets))


def _tickets(call: Call) -> list[Ticket]:
    body = call.body()
    raw = body.get("orders") if isinstance(body, dict) else body
    if not isinstance(raw, list) or not raw:
        raise Refusal(500, "expected a list of orders")
    tickets = [read_ticket(item, call.account) for item in raw]
    for ticket in tickets:
        if ticket.terms.account not in call.venue.specs:
            raise Refusal(400, f"Invalid account id: {ticket.terms.account}")
        if call.venue.contract(ticket.terms.conid) is None:
            raise Refusal(400, f"Invalid conid: {ticket.terms.conid}")
    return tickets


def _check_new(call: Call, tickets: Sequence[Ticket]) -> None:
    names = [ticket.coid for ticket in tickets if ticket.coid]
    for name in names:
        if call.gateway.used(name, call.now) or names.count(name) > 1:
            raise _duplicate(name)
    forced = call.fault("duplicate_coid")
    if forced is not None:
        if forced.get("taken", False):
            Desk(call.gateway, call.fault).enter(tickets)
        raise _duplicate(names[0] if names else "")


def _duplicate(name: str) -> Refusal:
    return Refusal(200, f"Order couldn't be submitted: Local order ID={name} is already registered.")


def _converse(call: Call, tickets: Sequence[Ticket], settle: Any) -> Any:
    questions = questions_about([(ticket.terms, call.venue.quote(ticket.terms.conid)) for ticket in tickets])
    questions = [found for found in questions if found.message_id not in call.brokerage.suppressed]
    extra, unknown = call.fault("extra_questions"), call.fault("unknown_question")
    if extra is not None:
        questions += asked(extra.get("message_ids", ["o451", "o163"]))
    if unknown is not None:
        questions += asked(["o99999"], unknown.get("text"))
    if not questions:
        return settle(call.fault)
    call.brokerage.pending = Conversation(questions, settle)
    return call.brokerage.pending.ask()


def reply(call: Call) -> Any:
    """Answer ``/iserver/reply/{id}``: the next question, or what became of the orders."""
    stale, pending = call.fault("stale_reply"), call.brokerage.pending
    if stale is not None:
        call.brokerage.pending = None
        if stale.get("status", 400) == 503:
            raise Refusal(503, "Service Unavailable")
    if stale is not None or pending is None or pending.id != call.params["reply"]:
        raise Refusal(400, f"reply id not found: '{call.params['reply']}'")
    confirmed = call.fields().get("confirmed")
    if not isinstance(confirmed, bool):
        raise Refusal(400, "confirmed: expected true or false")
    if not confirmed:
        call.brokerage.pending = None
        raise Refusal(200, "The order was not confirmed and is dropped.")
    if not pending.confirm():
        return pending.ask()
    call.brokerage.pending = None
    return pending.settle(call.fault)


def suppress(call: Call) -> Json:
    """Answer ``/iserver/questions/suppress``: do not ask these again in this brokerage session."""
    found = call.fields().get("messageIds")
    if not isinstance(found, list) or len(found) > _MOST_SUPPRESSED or not all(isinstance(item, str) for item in found):
        raise Refusal(400, f"messageIds: expected at most {_MOST_SUPPRESSED} message ids in a list")
    call.brokerage.suppressed.update(found)
    return {"status": "submitted"}


def reset_suppressed(call: Call) -> Json:
    """Answer ``/iserver/questions/suppress/reset``."""
    call.brokerage.suppressed.clear()
    return {"status": "submitted"}


def modify(call: Call) -> Any:
    """Answer ``POST /iserver/account/{account}/order/{order}``: all keys of the order, some with other values."""
    order = _order(call)
    fields = call.fields()
    ticket = read_ticket({**_kept(order), **fields}, call.account)
    terms = replace(
        ticket.terms,
        ref=order.terms.ref,
        parent=order.terms.parent,
        oca_group=order.terms.oca_group,
        oca_type=order.terms.oca_type,
    )
    rejected = call.fault("reject_200")
    if rejected is not None:
        raise Refusal(200, rejected.get("error", _REJECTED))
    return _converse(call, [ticket], lambda faulty: Desk(call.gateway, faulty).change(order, terms))


def _kept(order: Order) -> Json:
    """Return what a client may leave out of a change."""
    terms = order.terms
    return {"conid": terms.conid, "side": terms.side, "tif": terms.tif, "outsideRTH": terms.outside_rth}


def _order(call: Call) -> Order:
    _need_accounts(call)
    text = call.params["order"]
    number = whole(text)
    order = None if number is None else call.venue.order(number)
    if order is None or order.terms.account != call.account:
        raise Refusal(200, f"OrderID {text} doesn't exist")
    return order


def _need_accounts(call: Call) -> None:
    if not call.brokerage.accounts_read:
        raise Refusal(400, "Please query /accounts first")


def cancel(call: Call) -> Json:
    """Answer ``DELETE /iserver/account/{account}/order/{order}``; ``-1`` means every order of the account.

    The reply says that the request was passed on, not that the order is cancelled.
    """
    if call.params["order"] == _EVERY:
        _need_accounts(call)
        for live in call.venue.orders(call.account):
            _cancel(call, live)
        return _requested(call, -1, -1)
    order = _order(call)
    _cancel(call, order)
    return _requested(call, order.perm_id, order.terms.conid)


def _cancel(call: Call, order: Order) -> None:
    if order.status == "PendingCancel":
        return
    try:
        call.venue.cancel(order.perm_id)
    except Rejected as exc:
        if call.params["order"] != _EVERY:
            raise Refusal(200, exc.reason) from exc
        return
    late = call.fault("late_fill_after_cancel")
    if late is not None:
        call.gateway.fill_later(order.perm_id, late.get("seconds", LATE_SECONDS))


def _requested(call: Call, order_id: int, conid: int) -> Json:
    return {"msg": "Request was submitted", "order_id": order_id, "conid": conid, "account": call.account}


def preview(call: Call) -> Json:
    """Answer ``/iserver/account/{account}/orders/whatif``."""
    tickets = _tickets(call)
    ticket = tickets[0]
    try:
        margins = call.venue.what_if(replace(ticket.terms, what_if=True))
    except Rejected as exc:
        return {"amount": None, "equity": None, "initial": None, "maintenance": None, "warn": None, "error": exc.reason}
    quote = call.venue.quote(ticket.terms.conid)
    market = None if quote is None else quote.ask if ticket.terms.side == "BUY" else quote.bid
    value = (ticket.terms.limit or ticket.terms.stop or market or Decimal(0)) * ticket.terms.quantity
    return {
        "amount": {
            "amount": f"{value:,.2f} USD ({plain(ticket.terms.quantity)} Shares)",
            "commission": f"{margins.commission:,.2f} USD",
            "total": f"{value + margins.commission:,.2f} USD",
        },
        "equity": _change(margins.equity_before, margins.equity_after),
        "initial": _change(margins.initial_before, margins.initial_after),
        "maintenance": _change(margins.maintenance_before, margins.maintenance_after),
        "position": _change(*_position_change(call, ticket)),
        "warn": None,
        "error": None,
    }


def _change(before: Decimal, after: Decimal) -> Json:
    return {"current": f"{before:,.2f}", "change": f"{after - before:,.2f}", "after": f"{after:,.2f}"}


def _position_change(call: Call, ticket: Ticket) -> tuple[Decimal, Decimal]:
    every = call.venue.positions(ticket.terms.account)
    held = sum((found.quantity for found in every if found.conid == ticket.terms.conid), Decimal(0))
    return held, held + (ticket.terms.quantity if ticket.terms.side == "BUY" else -ticket.terms.quantity)
