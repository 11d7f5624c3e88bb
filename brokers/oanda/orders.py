"""Entries and protective orders: sending them once, and finding out what became of them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from brokers.grace import Grace
from brokers.oanda import outcome, sdk, tickets
from brokers.oanda.account import AccountReader
from brokers.oanda.book import TradeBook
from brokers.oanda.errors import Rejected
from brokers.oanda.outcome import Ticket
from brokers.oanda.transactions import TransactionLog
from brokers.oanda.wire import Body, Wire
from domain.errors import Ask, Retry
from domain.order import OrderEvent, OrderIntent
from domain.quotes import Instrument
from domain.vocabulary import OrderState

# Our clock and OANDA's may differ by this much when the log is searched from a time of ours.
SKEW = timedelta(seconds=30)
# How far back an order is looked for when OANDA says that its id is taken.
LOOK_BACK = timedelta(days=1)
TAKEN = frozenset({"CLIENT_ORDER_ID_ALREADY_EXISTS", "CLIENT_TRADE_ID_ALREADY_EXISTS"})


class Entries:
    """Market orders that open trades."""

    def __init__(self, wire: Wire, reader: AccountReader, log: TransactionLog, grace: Grace) -> None:
        self._wire = wire
        self._reader = reader
        self._log = log
        self._grace = grace
        self._account_id = wire.config.account_id

    def submit(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        """Send the order once; nothing here repeats the POST."""
        ticket = self._ticket_of(intent)
        instrument = self._reader.instruments([intent.market]).get(intent.market)
        if instrument is None:
            return [ticket.rejected("INSTRUMENT_UNKNOWN")]
        if instrument.round_quantity(intent.quantity) <= 0:
            return [ticket.rejected("UNITS_MINIMUM_NOT_MET")]
        request = sdk.orders.OrderCreate(self._account_id, data=tickets.market_order(intent, instrument))
        try:
            with self._grace.sending(intent.client_order_id):
                events = self._wire.write("a market order", request, lambda body: self._read(ticket, body))
        except Rejected as error:
            events = outcome.of_rejection(self._now(ticket), error)
        return self._first_of_its_id(ticket, events)

    def find(self, ticket: Ticket, since: datetime) -> Sequence[OrderEvent]:
        """Ask for the order by our id, then search the log; absent only when both show nothing after the grace."""
        order = self._order(ticket.client_order_id)
        if order is not None and order["state"] == "FILLED":
            return self._filled(ticket, order)
        events = outcome.of_log(ticket, self._log.since_time(since - SKEW))
        if events:
            return events
        if order is not None:
            return [_of_order(ticket, order)]
        self._grace.require(ticket.client_order_id, since)
        return [ticket.absent("neither order nor transaction carries this id")]

    def cancel(self, client_order_id: str) -> None:
        """Ask for the cancel; an order that is done or unknown answers 404, which is no error."""
        request = sdk.orders.OrderCancel(self._account_id, orderID=f"@{client_order_id}")
        try:
            self._wire.write("a cancel", request, lambda body: None, repeatable=True)
        except Rejected as error:
            if error.status != 404:
                raise

    def _ticket_of(self, intent: OrderIntent) -> Ticket:
        return outcome.ticket_of_intent(intent, self._reader.currency(), self._wire.clock.now())

    def _now(self, ticket: Ticket) -> Ticket:
        return replace(ticket, learned_at=self._wire.clock.now())

    def _read(self, ticket: Ticket, body: Body) -> list[OrderEvent]:
        return outcome.of_reply(self._now(ticket), body)

    def _first_of_its_id(self, ticket: Ticket, events: list[OrderEvent]) -> Sequence[OrderEvent]:
        """When OANDA has our id already, answer with the order that took it: this one did nothing."""
        if events[-1].reason not in TAKEN:
            return events
        try:
            found = self.find(self._now(ticket), self._wire.clock.now() - LOOK_BACK)
        except Retry as error:
            raise Ask("the order that holds this id", error.found, "look it up by its client id") from error
        if found[-1].state in (OrderState.ABSENT, OrderState.REJECTED) or found[-1].reason in TAKEN:
            raise Ask("the order that holds this id", events[-1].reason, "look it up by its client id")
        return found

    def _order(self, client_order_id: str) -> Body | None:
        """Return the order; None for NO_SUCH_ORDER, which a fresh order answers too for up to half a second."""
        try:
            return self._wire.read(
                "an order by its client id",
                lambda: sdk.orders.OrderDetails(self._account_id, orderID=f"@{client_order_id}"),
                lambda body: Body(body["order"]),
            )
        except Rejected as error:
            if error.status == 404:
                return None
            raise

    def _filled(self, ticket: Ticket, order: Body) -> Sequence[OrderEvent]:
        fill = self._log.one(order["fillingTransactionID"])
        if fill is None:
            raise Retry("the fill of a filled order", "none yet", "ask again", after_s=0.5)
        return outcome.events(ticket, order, [fill], None)


class Protection:
    """Stop, target and trailing stop resting at OANDA for one trade."""

    def __init__(self, wire: Wire, reader: AccountReader, book: TradeBook) -> None:
        self._wire = wire
        self._reader = reader
        self._book = book

    def protect(self, trade_id: str, stop: Decimal, target: Decimal | None, trailing: Decimal | None) -> None:
        """Replace all three; null takes one away. Repeating it changes nothing, so a lost reply is Retry."""
        trade = self._book.known_trade(trade_id)
        instrument = self._reader.instruments([trade.market]).get(trade.market)
        if instrument is None:
            raise Retry(f"the precision of {trade.market}", "an instrument OANDA does not list", "try again")
        levels = {
            "stopLoss": tickets.resting(price=tickets.price_text(instrument, stop, trade.side)),
            "takeProfit": _target(instrument, target),
            "trailingStopLoss": _trailing(instrument, trailing),
        }
        request = sdk.trades.TradeCRCDO(self._wire.config.account_id, trade_id, data=levels)
        self._wire.write(f"protection of trade {trade_id}", request, lambda body: None, repeatable=True)


def _target(instrument: Instrument, price: Decimal | None) -> dict[str, str] | None:
    return None if price is None else tickets.resting(price=tickets.price_text(instrument, price))


def _trailing(instrument: Instrument, distance: Decimal | None) -> dict[str, str] | None:
    return None if distance is None else tickets.resting(distance=tickets.distance_text(instrument, distance))


def _of_order(ticket: Ticket, order: Body) -> OrderEvent:
    """Read the state of an order whose transactions are not visible."""
    state = OrderState.CANCELLED if order["state"] == "CANCELLED" else OrderState.ACCEPTED
    return ticket.event(state, broker_order_id=order["id"], reason=f"order {order['state'].lower()}")
