"""Orders: sending them once, and finding out what became of them."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from brokers.answers import Answer, answer_to, answer_to_id
from brokers.grace import Grace
from brokers.ibkr.fills import FillReader
from brokers.ibkr.link import LinkState
from brokers.ibkr.portal import tickets
from brokers.ibkr.portal.contracts import Contracts
from brokers.ibkr.portal.errors import NoTurn, Rejected, message_of
from brokers.ibkr.portal.ledger import GONE, MISSES, Ledger
from brokers.ibkr.portal.parse import INACTIVE, OrderRow
from brokers.ibkr.portal.questions import Ack, Conversations, PartlyRefused, receipts_of
from brokers.ibkr.portal.shares import Shares
from brokers.ibkr.portal.wire import Wire
from brokers.ibkr.windows import NEW_YORK
from domain.errors import Ask, Refuse, Retry
from domain.order import OrderEvent, OrderIntent
from domain.quotes import Quote
from domain.vocabulary import Leg, OrderState

# How often, and how far apart, an order is looked at after something was asked of it.
LOOKS, LOOK_S = 5, 0.1
TAKEN = "local order id"
# What the gateway says when the list of accounts was not asked for in this session.
UNPREPARED = "accounts first"


class Orders:
    """Orders of one account."""

    def __init__(
        self,
        wire: Wire,
        ledger: Ledger,
        contracts: Contracts,
        fills: FillReader,
        state: LinkState,
        talks: Conversations,
        grace: Grace,
        shares: Shares,
    ) -> None:
        self._wire = wire
        self._shares = shares
        self._ledger = ledger
        self._contracts = contracts
        self._fills = fills
        self._state = state
        self._talks = talks
        self._grace = grace
        self._began_ns = ledger.now_ns()
        self._acted_ns: dict[str, int] = {}
        self._seen_live: set[str] = set()
        self._missing: dict[str, int] = {}
        self._inactive: set[str] = set()
        # market -> what it can be bought and sold at now; without it a trailing limit needs a level of its own
        self.quote: Callable[[str], Quote | None] = lambda market: None

    def submit(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        """Send an order once, with the protective order of an entry in the same request.

        Raises:
            Retry: nothing was sent. Ask: nobody knows. Refuse: IBKR asked what may not be answered.
        """
        self._state.require_up("an order")
        answer = answer_to(intent, self._wire.config.currency, self._wire.clock.now())
        known = self._ledger.of_reference(intent.client_order_id)
        if known is not None:
            return self._told(answer, known)
        if self._ledger.book.of_order(intent.client_order_id):
            return self._executed(answer)
        if intent.leg is Leg.STOP:
            self._shares.require_unsold(intent.signal_id)
        contract = self._contracts.instrument(intent.market)
        conid = self._contracts.conids([intent.market])[intent.market]
        request = tickets.of_intent(self._levelled(intent), self._wire.config.account, conid, contract)
        return self.send(answer, request, intent.market)

    def _levelled(self, intent: OrderIntent) -> OrderIntent:
        """Give a trailing limit that has none its first stop: the portal wants it, where TWS works it out itself."""
        has_level = intent.trigger is not None or intent.stop_loss is not None
        if intent.leg is not Leg.STOP or intent.trailing_offset is None or has_level:
            return intent
        quote = self.quote(intent.market)
        if quote is None:
            raise Retry(f"a quote of {intent.market} for the first stop of a trailing limit", "none", "try again")
        price = quote.entry_price(intent.side)
        distance = intent.trailing_distance or price * (intent.trailing_percent or Decimal(0)) / 100
        return replace(intent, trigger=price + distance * intent.side.sign)

    def send(self, answer: Answer, request: list[tickets.Ticket], market: str) -> Sequence[OrderEvent]:
        """Hold the conversation about one request and say what came of its first order."""
        path = f"/iserver/account/{self._wire.config.account}/orders"
        names = [str(ticket["cOID"]) for ticket in request]
        try:
            with self._grace.sending(answer.client_order_id):
                acks = self._talks.hold("an order", path, {"orders": request})
        except PartlyRefused as error:
            self._take_back(error.acks)
            raise
        except Rejected as error:
            if TAKEN in error.message.lower():
                return self._holder_of_id(answer)
            if UNPREPARED in error.message.lower():
                self._wire.on_loss(error.message)
                raise Retry("a session that is ready for orders", error.message, "try again when it is UP") from error
            return [answer.event(OrderState.REJECTED, reason=error.message or f"status {error.status}")]
        finally:
            self.acted(*names)
        rows = [
            tickets.acknowledged(ticket, market, ack.order_id, ack.status)
            for ack, ticket in zip(receipts_of(names, acks), request, strict=True)
            if ack is not None
        ]
        for row in rows:
            self._ledger.note(row)
        if not rows or rows[0].reference != answer.client_order_id:
            raise Ask("a receipt that names the order", "one that does not", "look the order up by its client id")
        return self._told(answer, rows[0])

    def _take_back(self, acks: Sequence[Ack]) -> None:
        """Take back what was taken of orders that belong together: an entry without its stop must not fill."""
        for ack in acks:
            path = f"/iserver/account/{self._wire.config.account}/order/{ack.order_id}"
            with suppress(Retry, Rejected):
                self._wire.act("a cancel", "DELETE", path, repeatable=True)

    def known(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        """Return the events of an order that was sent before. Raises Ask when they cannot be told now."""
        try:
            return self.find(intent.client_order_id, self._wire.clock.now())
        except Retry as error:
            raise Ask(error.expected, error.found, "look the order up by its client id") from error

    def find(self, client_order_id: str, since: datetime) -> Sequence[OrderEvent]:
        """Look for an order among today's orders and the week's executions; absent only when neither has it."""
        answer = answer_to_id(client_order_id, self._wire.config.currency, self._wire.clock.now())
        self.catch_up(client_order_id)
        found = self._found(answer)
        if found:
            self._require_listed(client_order_id, since)
            return found
        self._grace.require(client_order_id, since)
        self._read_after_the_grace(client_order_id)
        found = self._found(answer)
        if found:
            return found
        self._miss(client_order_id)
        if client_order_id in self._seen_live or _day(since) < _day(self._wire.clock.now()):
            # Orders of other days are not listed: it may have been there, but it is over and nothing came of it.
            return [answer.event(OrderState.CANCELLED, reason="no longer listed, and never executed")]
        return [answer.event(OrderState.ABSENT, reason="no order and no execution carries this id")]

    def _found(self, answer: Answer) -> Sequence[OrderEvent]:
        """Return the events of an order that a list shows, none where neither does."""
        row = self._ledger.of_reference(answer.client_order_id)
        if row is not None:
            self._missing.pop(answer.client_order_id, None)
            return self._events(answer, self._put_down(row))
        return self._executed(answer) if self._ledger.book.of_order(answer.client_order_id) else ()

    def _require_listed(self, client_order_id: str, since: datetime) -> None:
        """See that an order of today is listed before its executions count as the whole of it. Raises Retry."""
        if self._ledger.of_reference(client_order_id) is None and _day(since) == _day(self._wire.clock.now()):
            self._miss(client_order_id)

    def _read_after_the_grace(self, client_order_id: str) -> None:
        """See that both lists were read when nothing could be on its way any more: only then do they prove absence."""
        sent_ns = self._acted_ns.get(client_order_id, self._began_ns)
        proof_ns = sent_ns + int(self._wire.config.fresh_order_grace_s * 1e9)
        left_s = (proof_ns - self._ledger.now_ns()) / 1e9
        if left_s > 0:
            raise Retry(f"proof that {client_order_id} is absent", "lists of before", "ask again", after_s=left_s)
        self._ledger.read_orders(proof_ns)
        self._ledger.read_trades(proof_ns)

    def _put_down(self, row: OrderRow) -> OrderRow:
        """Ask for the end of an order that IBKR holds inactive, once, so that it cannot wake up later."""
        if row.status not in INACTIVE or row.order_id in self._inactive:
            return row
        self._inactive.add(row.order_id)
        with suppress(Retry):
            return self.request_cancel(row)
        return row

    def _miss(self, client_order_id: str) -> None:
        """Count the lists that leave an order out; raise Retry until several have: one list has left out a live one."""
        first = self._missing.setdefault(client_order_id, self._ledger.lists)
        if self._ledger.lists - first + 1 < MISSES:
            pause_s = self._wire.config.portal_page_pause_s
            raise Retry(f"proof that {client_order_id} is absent", "too few lists", "ask again", after_s=pause_s)

    def cancel(self, client_order_id: str) -> Sequence[OrderEvent]:
        """Ask for an order to be taken back; its end is told by ``find`` once orders and executions agree on it."""
        answer = answer_to_id(client_order_id, self._wire.config.currency, self._wire.clock.now())
        row = self._ledger.of_reference(client_order_id)
        if row is None:
            self.catch_up(client_order_id)
            row = self._ledger.of_reference(client_order_id)
        if row is None:
            return self.find(client_order_id, self._long_ago())
        if row.is_live:
            row = self.request_cancel(row)
        return self._events(answer, row)

    def request_cancel(self, row: OrderRow) -> OrderRow:
        """Ask for a cancel and look until the order says something of it. Raises Retry."""
        path = f"/iserver/account/{self._wire.config.account}/order/{row.order_id}"
        try:
            # Asking twice does no harm: a lost answer is Retry.
            reply = self._wire.act("a cancel", "DELETE", path, repeatable=True)
        except Rejected as error:
            reply = {"error": error.message}
        self.acted(row.reference or row.order_id)
        if message_of(reply):
            # It is done already, or unknown: the lists say which.
            return self._ledger.read_order(row) or row
        return self._look(row, lambda seen: not seen.is_live)

    def amend(self, client_order_id: str, quantity: Decimal) -> Sequence[OrderEvent]:
        """Give a resting order another quantity still to fill."""
        answer = answer_to_id(client_order_id, self._wire.config.currency, self._wire.clock.now())
        self._state.require_up("a change of an order")
        row = self._live(client_order_id)
        if quantity <= 0:
            raise Refuse("a quantity above 0", str(quantity), "cancel the order instead")
        if row.remaining == quantity:
            return self._events(answer, row)
        self.modify(row, tickets.modified(row, quantity))
        return self._told(answer, self._ledger.read_order(row) or row)

    def modify(self, row: OrderRow, ticket: tickets.Ticket) -> None:
        """Send an order's other terms. Raises Retry, Ask or Refuse."""
        path = f"/iserver/account/{self._wire.config.account}/order/{row.order_id}"
        try:
            self._talks.hold("a change of an order", path, ticket)
        finally:
            self.acted(row.reference or row.order_id)

    def ended(self, row: OrderRow) -> bool:
        """Tell whether it is proven that an order fills no more: orders and executions agreed, late enough."""
        ended_ns = self._ledger.ended_ns(row)
        if row.is_live or ended_ns is None:
            return False
        if row.filled >= row.quantity:
            return True
        proven_ns = ended_ns + int(self._wire.config.portal_late_fill_s * 1e9)
        return self._ledger.now_ns() >= proven_ns and self._ledger.trades_since(proven_ns)

    def acted(self, *references: str) -> None:
        """Note that something was asked of these orders: what was read before says nothing about it."""
        self._acted_ns |= dict.fromkeys(references, self._ledger.now_ns())

    def catch_up(self, client_order_id: str) -> None:
        """Learn what is new of an order since something was asked of it.

        The lists may be asked for rarely: an order whose number is known is looked at by itself instead of waiting.

        Raises:
            Retry: the portal does not answer.
        """
        acted_ns = self._acted_ns.get(client_order_id, -1)
        row = self._ledger.of_reference(client_order_id)
        try:
            self._ledger.refresh_orders(acted_ns)
        except NoTurn:
            if row is None:
                self._ledger.read_orders(acted_ns)
            else:
                self._ledger.read_order(row)
        try:
            self._ledger.refresh_trades(acted_ns)
        except NoTurn:
            if row is None:
                self._ledger.read_trades(acted_ns)

    def _long_ago(self) -> datetime:
        """Return a time before which an order would have turned up by now."""
        clock = self._wire.clock
        seconds = 2 * self._wire.config.fresh_order_grace_s / (clock.real_seconds(1.0) or 1.0)
        return clock.now() - timedelta(seconds=seconds)

    def _live(self, client_order_id: str) -> OrderRow:
        self.catch_up(client_order_id)
        row = self._ledger.of_reference(client_order_id)
        if row is not None:
            # The list may be seconds old, and a change has to name what has filled and where the stop stands now.
            row = self._ledger.read_order(row) or row
        if row is None or not row.is_live:
            found = "no such order" if row is None else f"an order that is {row.status}"
            raise Refuse(f"{client_order_id} to rest", found, "read the resting orders again")
        return row

    def _look(self, row: OrderRow, done: Callable[[OrderRow], bool]) -> OrderRow:
        """Look at an order until it is as expected, for half a second."""
        seen = row
        for left in reversed(range(LOOKS)):
            seen = self._ledger.read_order(seen) or seen
            if done(seen) or left == 0:
                break
            time.sleep(LOOK_S)
        return seen

    def _holder_of_id(self, answer: Answer) -> Sequence[OrderEvent]:
        """Answer with the order that has our id already: this one did nothing."""
        self.acted(answer.client_order_id)
        try:
            found = self.find(answer.client_order_id, self._wire.clock.now())
        except Retry as error:
            raise Ask("the order that holds this id", error.found, "look it up by its client id") from error
        if found[-1].state is OrderState.ABSENT:
            raise Ask("the order that holds this id", "none in the lists", "look it up by its client id")
        return found

    def _told(self, answer: Answer, row: OrderRow) -> Sequence[OrderEvent]:
        """Return the events of an order that is there for certain: what cannot be told now is no "nothing happened"."""
        try:
            return self._events(answer, row)
        except Retry as error:
            raise Ask(error.expected, error.found, "look the order up by its client id") from error

    def _events(self, answer: Answer, row: OrderRow) -> Sequence[OrderEvent]:
        """Return one event an execution, then the end of what is proven to fill no more.

        Raises:
            Retry: the order filled, and the executions do not all show yet.
        """
        found, done = self._executions(answer, row.quantity, row.order_id)
        if row.is_live:
            self._seen_live.add(answer.client_order_id)
        if done >= row.quantity:
            return found
        if done < row.filled:
            raise Retry(f"executions of {row.filled}", f"{done}", "ask again", after_s=1.0)
        if self.ended(row):
            return [*found, self._over(answer, row, found)]
        if found:
            return found
        words = "resting" if row.is_live else f"{row.status}, not proven yet"
        return [answer.event(OrderState.ACCEPTED, broker_order_id=row.order_id, reason=f"order {words}")]

    def _executed(self, answer: Answer) -> Sequence[OrderEvent]:
        """Return the executions of an order that is listed no more: they count as the whole of it."""
        done = sum((one.quantity for one in self._ledger.book.of_order(answer.client_order_id)), Decimal(0))
        return self._executions(answer, done, None)[0]

    def _executions(self, answer: Answer, quantity: Decimal, order_id: str | None) -> tuple[list[OrderEvent], Decimal]:
        if answer.leg is Leg.ENTRY:
            self._fees(answer.client_order_id)  # an exit's are waited for by whoever reads fills
        found: list[OrderEvent] = []
        done = Decimal(0)
        for one in self._ledger.book.of_order(answer.client_order_id):
            done += one.quantity
            state = OrderState.FILLED if done >= quantity else OrderState.PARTIAL
            found.append(replace(answer.filled(self._fills.fill(one), state, order_id), revision=one.version))
        return found, done

    def _fees(self, client_order_id: str) -> None:
        """Wait until what an order's executions cost is known, or for as long as each may wait for it."""
        while (left_s := self._fills.wait_s(self._ledger.book.of_order(client_order_id))) > 0:
            time.sleep(min(left_s, LOOK_S))
            with suppress(Retry):
                self._ledger.refresh_trades()

    def _over(self, answer: Answer, row: OrderRow, fills: Sequence[OrderEvent]) -> OrderEvent:
        # Only of an order this process sent is it known that nobody ever saw it rest.
        ours = answer.client_order_id in self._acted_ns and answer.client_order_id not in self._seen_live
        refused = row.order_id in self._inactive and not fills and ours
        state = OrderState.REJECTED if refused else OrderState.CANCELLED
        words = {GONE: "no longer listed"}.get(row.status, row.status)
        if row.order_id in self._inactive:
            words = "held inactive by IBKR, and taken back"
        return answer.event(state, broker_order_id=row.order_id, reason=words)


def _day(moment: datetime) -> str:
    """Return the day of New York that a moment belongs to."""
    return moment.astimezone(NEW_YORK).date().isoformat()
