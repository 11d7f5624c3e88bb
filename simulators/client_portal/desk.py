"""Where confirmed orders go to the venue, and what can become of them on the way."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import uuid4

from simulators.client_portal.conversation import Faulty
from simulators.client_portal.gateway import Gateway
from simulators.client_portal.tickets import Ticket
from simulators.client_portal.wire import Json, Refusal
from simulators.ibkr.orders import Order, Rejected, Terms
from simulators.rest.transport import Dropped

# numbers of orders that were never there
_NOWHERE = count(2_000_000_001)
_CANCEL_REST = 1
_NO_CHILD = "Order rejected: orders of this kind cannot be attached here."


class Desk:
    """Takes tickets that were sent together to the venue."""

    def __init__(self, gateway: Gateway, faulty: Faulty) -> None:
        self._gateway = gateway
        self._venue = gateway.venue
        self._faulty = faulty

    def enter(self, tickets: Sequence[Ticket]) -> Any:
        """Place orders; return what the gateway acknowledges.

        Raises:
            Refusal: the venue does not take them.
            Dropped: a fault loses the reply, or the orders.
        """
        swallowed = self._faulty("swallowed_order")
        if swallowed is not None:
            return _swallow(tickets, swallowed)
        placed = self._place(tickets)
        refused = self._faulty("child_refused") if len(placed) > 1 else None
        if refused is not None:
            self._take_back(placed[1:])
            placed = placed[:1]
        self._bend(placed)
        self._transmit(placed)
        if self._faulty("lost_reply") is not None:
            raise Dropped
        refusals = [] if refused is None else [{"error": refused.get("error", _NO_CHILD)}] * (len(tickets) - 1)
        return [*map(acknowledged, placed), *refusals]

    def change(self, order: Order, terms: Terms) -> Any:
        """Give an order other terms.

        Raises:
            Refusal: the venue does not take them.
            Dropped: a fault loses the reply.
        """
        try:
            changed = self._venue.modify(order.perm_id, terms)
        except Rejected as exc:
            raise Refusal(200, exc.reason) from exc
        if self._faulty("lost_reply") is not None:
            raise Dropped
        return [acknowledged(changed)]

    def _place(self, tickets: Sequence[Ticket]) -> list[Order]:
        group = f"single-{uuid4()}" if any(ticket.is_single_group for ticket in tickets) else ""
        placed: list[Order] = []
        try:
            for ticket in tickets:
                # held back until all are there: the parent of a bracket must not fill before it has its children
                terms = replace(self._related(ticket, group), transmit=False)
                order = self._venue.place(terms, {"portal": ticket.coid})
                self._gateway.use(ticket.coid, order)
                placed.append(order)
        except Rejected as exc:
            self._take_back(placed)
            raise Refusal(200, exc.reason) from exc
        return placed

    def _related(self, ticket: Ticket, group: str) -> Terms:
        terms = ticket.terms
        if ticket.parent:
            parent = self._gateway.by_ref(ticket.parent, terms.account)
            if parent is None:
                raise Rejected(135, f"Can't find order with id = {ticket.parent}")
            terms = replace(terms, parent=parent.perm_id)
        if ticket.is_single_group:
            terms = replace(terms, oca_group=group, oca_type=_CANCEL_REST)
        return terms

    def _take_back(self, placed: Sequence[Order]) -> None:
        for order in placed:
            self._gateway.disuse(order.terms.ref)
            if not order.is_done:
                self._venue.cancel(order.perm_id)

    def _transmit(self, placed: Sequence[Order]) -> None:
        # the last of a family takes the others along
        for order in reversed(placed):
            if order.transmitted or order.is_done:
                continue
            try:
                self._venue.modify(order.perm_id, replace(order.terms, transmit=True))
            except Rejected as exc:
                # an order sent along has just used what this one needed
                self._venue.force_inactive(order.perm_id, exc.reason)

    def _bend(self, placed: Sequence[Order]) -> None:
        for order in placed:
            partial = self._faulty("partial_fill")
            if partial is not None:
                self._venue.hold_fills(order.perm_id, Decimal(str(partial["quantity"])))
            inactive = self._faulty("inactive_order")
            if inactive is not None and not order.is_done:
                self._venue.force_inactive(order.perm_id, inactive.get("reason", "The order was deactivated."))


def acknowledged(order: Order) -> Json:
    """Return what the gateway says of an order it has taken."""
    found: Json = {"order_id": str(order.perm_id)}
    if order.terms.ref:
        found["local_order_id"] = order.terms.ref
    found |= {"order_status": order.status, "encrypt_message": "1"}
    if order.terms.parent is not None:
        found["parent_order_id"] = str(order.terms.parent)
    return found


def _swallow(tickets: Sequence[Ticket], params: Json) -> Any:
    if not params.get("acknowledged", True):
        raise Dropped
    return [
        {
            "order_id": str(next(_NOWHERE)),
            "local_order_id": ticket.coid,
            "order_status": "PreSubmitted",
            "encrypt_message": "1",
        }
        for ticket in tickets
    ]
