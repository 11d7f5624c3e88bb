"""Tells clients what happens to their orders, as faults let it."""

from decimal import Decimal

from simulators.ibkr.contracts import CENT
from simulators.ibkr.events import OrderChanged
from simulators.ibkr.orders import Commission, Execution, Order
from simulators.rest.faults import Json
from simulators.tws.behind import Behind
from simulators.tws.faults import Fault
from simulators.tws.order_book import BY_HAND, Key, OrderBook, key_of
from simulators.tws.order_messages import Row, commission_report, exec_details, open_order, order_status
from simulators.tws.session import Session

_CANCELLED = 202


class Teller:
    """Pushes openOrder, orderStatus, execDetails and commissionReport to the client whose order it is."""

    def __init__(self, gateway: Behind, book: OrderBook) -> None:
        self._gateway = gateway
        self._book = book
        # permanent id -> what its client was last told of its state
        self._told: dict[int, tuple[object, ...]] = {}
        self._expected: set[int] = set()
        self._quiet: set[int] = set()
        self._moved: dict[int, Order] = {}
        # execution -> its client's order, until its commission is told
        self._uncharged: dict[str, Key] = {}
        # executions told after their commission, or after the next one
        self._after_commission: dict[str, Row] = {}
        self._after_next: list[tuple[Session, Row]] = []

    def expect_answer(self, order: Order) -> None:
        """Tell the next change of an order with a status, even if that is as before."""
        self._expected.add(order.perm_id)

    def say_nothing_of(self, order: Order) -> None:
        """Keep back why an order ended."""
        self._quiet.add(order.perm_id)

    def forget(self, session: Session) -> None:
        """Drop what waits for a client that has gone."""
        self._after_next = [item for item in self._after_next if item[0] is not session]

    def changed(self, event: OrderChanged) -> None:
        """Tell an order's state, and the reason if it ended without being filled."""
        order = event.order
        state = (order.status, order.filled, order.remaining, order.average_price, order.why_held)
        if state == self._told.get(order.perm_id) and order.perm_id not in self._expected and not event.code:
            # a trailing stop that moved: told once a poll
            self._moved[order.perm_id] = order
            return
        self._expected.discard(order.perm_id)
        self._moved.pop(order.perm_id, None)
        self._told[order.perm_id] = state
        if order.is_done:
            self._told.pop(order.perm_id)
        session = self._listener(order)
        if session is None:
            return
        key = key_of(order)
        if order.status != "PendingCancel":
            session.send(*self._opened(order))
        self._status(session, order, key)
        if event.code and order.perm_id not in self._quiet:
            session.error(key[1], event.code, _words(event))

    def flush(self) -> None:
        """Tell which trailing stops have moved."""
        for order in self._moved.values():
            if (session := self._listener(order)) is not None:
                session.send(*self._opened(order))
        self._moved.clear()

    def executed(self, execution: Execution) -> None:
        """Tell an execution."""
        order = execution.order
        key, symbol = key_of(order), self._symbol(execution.conid)
        self._uncharged[execution.exec_id] = key
        session = self._listener(order)
        if session is None:
            return
        contract = self._gateway.venue.contract(execution.conid)
        assert contract is not None
        row = exec_details(execution, contract, key)
        if not execution.exec_id.endswith(".01"):
            session.send(*row)
            return
        if (late := self._take("late_commission", session, symbol)) is not None:
            self._charge_later(execution.exec_id, late.params.get("seconds", 1))
        self._tell_fill(session, execution, row, symbol)
        self._come_back_to(session, execution, symbol)

    def _tell_fill(self, session: Session, execution: Execution, row: Row, symbol: str) -> None:
        if self._take("commission_first", session, symbol) is not None:
            self._after_commission[execution.exec_id] = row
            return
        if (late := self._take("reordered_execution", session, symbol)) is not None:
            self._after_next.append((session, row))
            self._gateway.later(late.params.get("seconds", 1), lambda: self._tell_late(session))
            return
        session.send(*row)
        if self._take("duplicate_execution", session, symbol) is not None:
            session.send(*row)
        self._tell_late(session)

    def _tell_late(self, session: Session) -> None:
        for one, row in self._after_next:
            if one is session:
                session.send(*row)
        self.forget(session)

    def _come_back_to(self, session: Session, execution: Execution, symbol: str) -> None:
        venue = self._gateway.venue
        if (wrong := self._take("execution_correction", session, symbol)) is not None:
            price = max(execution.price + _number(wrong, "price_change"), CENT)
            quantity = max(execution.quantity + _number(wrong, "quantity_change"), Decimal(0))
            seconds = wrong.params.get("seconds", 0.2)
            self._gateway.later(seconds, lambda: venue.correct(execution.exec_id, price, quantity))
        if (busted := self._take("busted_trade", session, symbol)) is not None:
            self._gateway.later(busted.params.get("seconds", 0.2), lambda: venue.bust(execution.exec_id))

    def _charge_later(self, exec_id: str, seconds: float) -> None:
        """Keep back what an execution cost, from everybody who asks too."""
        self._gateway.uncharged.add(exec_id)
        self._gateway.later(seconds, lambda: self._charge(exec_id))

    def _charge(self, exec_id: str) -> None:
        self._gateway.uncharged.discard(exec_id)
        if (commission := self._gateway.venue.commission_of(exec_id)) is not None:
            self.charged(commission)

    def charged(self, commission: Commission) -> None:
        """Tell a commission to the client whose execution it is."""
        if commission.exec_id in self._gateway.uncharged:
            return
        client, number = self._uncharged.pop(commission.exec_id, BY_HAND)
        session = self._gateway.of_client(client)
        if session is None or not number or number in session.muted:
            return
        session.send(*commission_report(commission))
        if (row := self._after_commission.pop(commission.exec_id, None)) is not None:
            session.send(*row)

    def _listener(self, order: Order) -> Session | None:
        """Return the client that is told of an order, if it is here and nothing keeps it from hearing."""
        client, number = key_of(order)
        session = self._gateway.of_client(client)
        return None if session is None or number in session.muted else session

    def _status(self, session: Session, order: Order, key: Key) -> None:
        row = order_status(order, key, self._book.number_of(order.terms.parent))
        symbol = self._symbol(order.terms.conid)
        if self._status_fault("missing_status", session, symbol, order.status):
            return
        session.send(*row)
        if self._status_fault("duplicate_status", session, symbol, order.status):
            session.send(*row)

    def _status_fault(self, action: str, session: Session, symbol: str, status: str) -> bool:
        def fits(params: Json) -> bool:
            return status in params.get("statuses", [status])

        return self._gateway.take(action, session, "orderStatus", symbol, fits) is not None

    def _take(self, action: str, session: Session, symbol: str) -> Fault | None:
        return self._gateway.take(action, session, "execDetails", symbol)

    def _opened(self, order: Order) -> Row:
        contract = self._gateway.venue.contract(order.terms.conid)
        assert contract is not None
        return open_order(order, contract, key_of(order), self._book.number_of(order.terms.parent))

    def _symbol(self, conid: int) -> str:
        contract = self._gateway.venue.contract(conid)
        return "" if contract is None else contract.symbol


def _number(fault: Fault, name: str) -> Decimal:
    return Decimal(str(fault.params.get(name, 0)))


def _words(event: OrderChanged) -> str:
    if event.code == _CANCELLED:
        return f"Order Canceled - reason:{event.reason}"
    if event.code == 201 and not event.reason.startswith("Order rejected"):
        return f"Order rejected - reason:{event.reason}"
    return event.reason
