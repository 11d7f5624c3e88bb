"""Orders of clients: taken, changed, cancelled, listed."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from simulators.ibkr.events import Charged, Event, Executed, OrderChanged
from simulators.ibkr.orders import Order, Rejected, Terms
from simulators.tws.behind import Behind, Handler
from simulators.tws.faults import Fault
from simulators.tws.framing import Fields, plain
from simulators.tws.hours import waits_until
from simulators.tws.names import Ask
from simulators.tws.order_book import Key, OrderBook, key_of
from simulators.tws.order_messages import Row, completed_order, open_order, order_status
from simulators.tws.refusal import Refused, invalid
from simulators.tws.session import Session
from simulators.tws.teller import Teller
from simulators.tws.tickets import terms_of
from simulators.tws.wanted import Ticket, read_order

_ON_PLACING = ("swallowed_order", "rejected", "lost_reply", "inactive", "partial_fill", "order_message", "tif_preset")
_WORKING = 20
# how the others of a group fare when one fills: they shrink with it
_REDUCE = 3


class OrderDesk:
    """Takes orders of clients to the venue and back."""

    def __init__(self, gateway: Behind) -> None:
        self._gateway = gateway
        self._venue = gateway.venue
        self._book = OrderBook(gateway.venue)
        self._teller = Teller(gateway, self._book)

    def handlers(self) -> Mapping[int, Handler]:
        """Return request -> what answers it."""
        return {
            Ask.PlaceOrder: self._place,
            Ask.CancelOrder: self._cancel,
            Ask.ReqGlobalCancel: self._cancel_all,
            Ask.ReqOpenOrders: self._own_orders,
            Ask.ReqAllOpenOrders: self._all_orders,
            Ask.ReqAutoOpenOrders: self._bind,
            Ask.ReqCompletedOrders: self._completed,
        }

    def told(self, event: Event) -> None:
        """Tell clients what happened to their orders."""
        match event:
            case OrderChanged():
                self._book.learn(event.order)
                self._teller.changed(event)
            case Executed():
                self._teller.executed(event.execution)
            case Charged():
                self._teller.charged(event.commission)

    def poll(self) -> None:
        """Tell what is told at most once a poll."""
        self._teller.flush()

    def forget(self, session: Session) -> None:
        """Drop what waits for a client that has gone."""
        self._teller.forget(session)

    def forget_numbers(self, client: int) -> None:
        """Take order numbers of a client as new although they were used."""
        self._book.forget(client)

    # -- placing
    def _place(self, session: Session, fields: Fields) -> None:
        number = Fields(fields.values[1:]).whole()
        key = (session.client or 0, number)
        try:
            ticket = read_order(fields)
            contract = self._gateway.resolve(ticket.contract, number)
            terms = terms_of(ticket, contract, tuple(self._venue.specs), self._parent(key[0], ticket))
            if ticket.what_if:
                self._what_if(session, key, terms)
            elif (order := self._book.order(key)) is not None:
                self._modify(key, order, ticket, terms)
            elif number <= 0 or self._book.is_used(key):
                raise Refused(number, 103, "Duplicate order id")
            else:
                self._check_room(terms, number)
                self._submit(session, key, terms, self._faults(session, contract.symbol))
        except Rejected as exc:
            session.error(number, exc.code, _in_words(exc))
        except Refused as exc:
            session.error(number, exc.code, exc.text)

    def _parent(self, client: int, ticket: Ticket) -> int | None:
        """Return the permanent id of a ticket's parent; None where it has none."""
        if not ticket.parent_id:
            return None
        parent = self._book.order((client, ticket.parent_id))
        if parent is None:
            raise Refused(ticket.order_id, 10006, "Missing parent order.")
        return parent.perm_id

    def _what_if(self, session: Session, key: Key, terms: Terms) -> None:
        margins = self._venue.what_if(terms)
        contract = self._venue.contract(terms.conid)
        assert contract is not None
        order = Order(perm_id=0, terms=terms, owner=list(key), placed_at=self._gateway.now())
        session.send(*open_order(order, contract, key, 0, margins))

    def _faults(self, session: Session, symbol: str) -> Mapping[str, Fault]:
        taken = {action: self._gateway.take(action, session, "placeOrder", symbol) for action in _ON_PLACING}
        return {action: fault for action, fault in taken.items() if fault is not None}

    def _check_room(self, terms: Terms, number: int) -> None:
        same = [
            one
            for one in self._venue.orders(terms.account)
            if (one.terms.conid, one.terms.side) == (terms.conid, terms.side)
        ]
        if len(same) >= _WORKING:
            text = "Order rejected - reason:The limit of 20 working orders on one side of this instrument is reached."
            raise Refused(number, 201, text)

    def _submit(self, session: Session, key: Key, terms: Terms, faults: Mapping[str, Fault]) -> None:
        """Hand an order to the venue, with whatever befalls it on the way."""
        client, number = key
        if "swallowed_order" in faults:
            return
        self._gateway.numbers.used(client, number)
        if (rejected := faults.get("rejected")) is not None:
            reason = rejected.params.get("reason", "Order rejected by the simulator")
            raise Refused(number, rejected.params.get("code", 201), f"Order rejected - reason:{reason}")
        if "lost_reply" in faults:
            session.muted.add(number)
        if terms.parent is not None:
            # whatever group a child names, it is put into that of its parent
            terms = replace(terms, oca_group=str(terms.parent), oca_type=_REDUCE)
        # held back until the faults that must act before its first fill have acted
        early = "partial_fill" in faults or "inactive" in faults
        held = None if terms.parent is None else self._venue.order(terms.parent)
        held = held if held is not None and not held.transmitted else None
        order = self._venue.place(replace(terms, transmit=False) if early else terms, list(key))
        self._book.learn(order)
        if (inactive := faults.get("inactive")) is not None:
            self._teller.say_nothing_of(order)
            self._venue.force_inactive(order.perm_id, inactive.params.get("reason", ""))
            return
        if (partial := faults.get("partial_fill")) is not None:
            self._fill_in_part(order, partial)
        if early and terms.transmit:
            self._venue.modify(order.perm_id, terms)
        if terms.parent is None or held is not None:
            self._remark(session, order if held is None else held)
        if (message := faults.get("order_message")) is not None:
            text = message.params.get("text", "Your order will not be placed at the exchange until the market opens.")
            session.error(number, 399, f"Order Message:\n{text}")
        if "tif_preset" in faults:
            session.error(number, 10349, "Order TIF was set to DAY based on order preset.")

    def _remark(self, session: Session, order: Order) -> None:
        """Say of an order that came outside its hours when it goes to the exchange."""
        opening = waits_until(order, self._venue.clock.now_ms())
        number = key_of(order)[1]
        if opening is not None and number not in session.muted:
            what = f"{order.terms.side} {plain(order.terms.quantity)} {self._symbol(order)}"
            text = f"Warning: your order will not be placed at the exchange until {opening}"
            session.error(number, 399, f"Order Message:\n{what}\n{text}")

    def _fill_in_part(self, order: Order, fault: Fault) -> None:
        share = Decimal(str(fault.params["fraction"])) * order.terms.quantity
        self._venue.hold_fills(order.perm_id, share.to_integral_value(rounding="ROUND_FLOOR"))
        if "seconds" in fault.params:
            self._gateway.later(fault.params["seconds"], lambda: self._venue.hold_fills(order.perm_id, None))

    # -- changing
    def _modify(self, key: Key, order: Order, ticket: Ticket, terms: Terms) -> None:
        if order.status == "Filled" and order.terms.ref == ticket.ref:
            raise Refused(key[1], 104, "Cannot modify a filled order.")
        if order.is_done:
            raise Refused(key[1], 103, "Duplicate order id")
        terms = _in_its_group(order, terms, key[1])
        parent = None if order.terms.parent is None else self._venue.order(order.terms.parent)
        if parent is not None and parent.is_done:
            if ticket.parent_id:
                raise Refused(key[1], 135, f"Can't find order with ID ={ticket.parent_id}")
            # a child outlives its parent's number: it is changed without naming it
            terms = replace(terms, parent=parent.perm_id)
        self._teller.expect_answer(order)
        self._venue.modify(order.perm_id, terms)

    def _cancel(self, session: Session, fields: Fields) -> None:
        fields.skip()
        number = fields.whole()
        key = (session.client or 0, number)
        order = self._book.order(key)
        symbol = "" if order is None else self._symbol(order)
        refused = self._gateway.take("cancel_refused", session, "cancelOrder", symbol)
        if refused is not None:
            code = refused.params.get("code", 10148)
            raise Refused(number, code, _not_cancelled(number, code, "" if order is None else order.status))
        if order is None:
            raise Refused(number, 10147, _not_cancelled(number, 10147, ""))
        if order.is_done:
            raise Refused(number, 10148, _not_cancelled(number, 10148, order.status))
        late = self._gateway.take("late_fill_after_cancel", session, "cancelOrder", symbol)
        self._cancel_order(order)
        if late is not None:
            self._fill_late(order, late)

    def _cancel_order(self, order: Order) -> None:
        try:
            self._venue.cancel(order.perm_id)
        except Rejected as exc:
            # it ended while the venue caught up with the clock
            key = key_of(order)
            raise Refused(key[1], exc.code, _not_cancelled(key[1], exc.code, order.status)) from exc

    def _fill_late(self, order: Order, fault: Fault) -> None:
        def fill() -> None:
            if order.status == "Cancelled":
                self._venue.fill_after_cancel(order.perm_id)
            elif not order.is_done:
                self._gateway.later(0.05, fill)

        self._gateway.later(fault.params.get("seconds", 0.2), fill)

    def _cancel_all(self, session: Session, fields: Fields) -> None:
        for order in self._venue.orders():
            if not order.is_done and order.status != "PendingCancel":
                try:
                    self._venue.cancel(order.perm_id)
                except Rejected:
                    # one that ends at this moment needs no cancel
                    continue

    # -- listing
    def _own_orders(self, session: Session, fields: Fields) -> None:
        self._list(session, [one for one in self._venue.orders() if key_of(one)[0] == session.client], "reqOpenOrders")

    def _all_orders(self, session: Session, fields: Fields) -> None:
        self._list(session, self._venue.orders(), "reqAllOpenOrders")

    def _list(self, session: Session, orders: list[Order], request: str) -> None:
        omitted = self._omitted(session, orders, request)
        for order in orders if session.is_loaded else ():
            if order is not omitted:
                session.send(*self._opened(order))
                session.send(*order_status(order, key_of(order), self._book.number_of(order.terms.parent)))
        session.send(53, 1)

    def _omitted(self, session: Session, orders: list[Order], request: str) -> Order | None:
        for order in orders:
            if order.terms.parent is None:
                continue
            legs = ("any", "limit" if order.terms.kind in ("MKT", "LMT") else "stop")
            symbol = self._symbol(order)
            if self._gateway.take("omitted_child", session, request, symbol, lambda p: p.get("leg", "stop") in legs):  # noqa: B023 - called before the next turn of the loop
                return order
        return None

    def _bind(self, session: Session, fields: Fields) -> None:
        fields.skip()
        if fields.flag() and session.client != 0:
            raise invalid(-1, "Only the default client (i.e 0) can auto bind orders")

    def _completed(self, session: Session, fields: Fields) -> None:
        for order in self._venue.completed() if session.is_loaded else ():
            contract = self._venue.contract(order.terms.conid)
            if contract is not None:
                session.send(*completed_order(order, contract))
        session.send(102)

    def _opened(self, order: Order) -> Row:
        contract = self._venue.contract(order.terms.conid)
        assert contract is not None
        return open_order(order, contract, key_of(order), self._book.number_of(order.terms.parent))

    def _symbol(self, order: Order) -> str:
        contract = self._venue.contract(order.terms.conid)
        return "" if contract is None else contract.symbol


def _in_its_group(order: Order, terms: Terms, number: int) -> Terms:
    """Return changed terms in the group the order is in; another cannot be had."""
    if terms.oca_group and terms.oca_group != order.terms.oca_group:
        raise Refused(number, 10326, "OCA group revision is not allowed")
    if terms.oca_group and terms.oca_type != order.terms.oca_type:
        raise Refused(number, 10327, "OCA group type revision is not allowed")
    return replace(terms, oca_group=order.terms.oca_group, oca_type=order.terms.oca_type)


def _in_words(exc: Rejected) -> str:
    if exc.code == 201 and not exc.reason.startswith("Order rejected"):
        return f"Order rejected - reason:{exc.reason}"
    return exc.reason


def _not_cancelled(number: int, code: int, status: str) -> str:
    match code:
        case 10147:
            return f"OrderId {number} that needs to be cancelled is not found."
        case 161:
            return f"Cancel attempted when order is not in a cancellable state.  Order permId =0, status ={status}"
    return f"OrderId {number} that needs to be cancelled cannot be cancelled, state: {status}."
