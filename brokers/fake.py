"""A broker in memory that does what a test tells it to: one account and its market, without a socket.

It keeps the promises of ``brokers.port`` and, on request, has the accidents that real brokers have (docs/brokers.md).
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from brokers.dry_run.entries import RestingEntry, misplaced
from brokers.fake_market import FakeMarket
from brokers.fake_orders import child_of, is_stop_for, reason_of, sells_now, stop_of
from brokers.port import Account, BrokerTrade, Fill, RestingOrder
from domain.clock import Clock
from domain.errors import Ask, Refuse, Retry
from domain.ids import signal_of_order
from domain.order import OrderEvent, OrderIntent
from domain.quotes import Instrument, Quote
from domain.vocabulary import ExitReason, Leg, Link, OrderState, Side

ZERO = Decimal(0)
# What is refused outright; an order refused for any other reason was made and is cancelled.
REJECTIONS = frozenset({"TRADE_DOESNT_EXIST", "CLOSE_TRADE_UNITS_EXCEED_TRADE_SIZE"})


class Accident(StrEnum):
    """What happens to one order instead of a fill."""

    REPLY_LOST = "the broker acted and nobody heard of it"
    REQUEST_LOST = "it never arrived and nobody knows"
    NOT_SENT = "no connection"
    REFUSED = "account locked"
    CANCELLED = "BOUNDS_VIOLATION"
    REJECTED = "INSUFFICIENT_MARGIN"
    HALF_FILLED = "PARTIAL_FILL"
    BRACKET_LOST = "no protective orders were made"


class FakeBroker(FakeMarket):
    """An account beside the market it trades on; its public attributes are the script.

    Attributes:
        account_id: what ``account`` answers.
        sent: every order ``submit`` was called with.
        accidents: what happens to the next orders; None, or an empty queue, is a fill.
        on_submit: called first with each order.
        hesitations: how many calls of ``find`` answer Retry before one is answered.
        trades: trade id -> what is open; a test may change it behind everybody's back.
        protected: ids of trades that ``protect`` was called for.
        log: every execution, in order.
        page: how many executions ``fills_since`` returns at once.
        stop_orders: whether the stop of an entry becomes an order of its own, as with a broker of stocks.
        orders: broker order id -> what rests; a test may change it behind everybody's back. Entries with a trigger act
            as soon as the market is there, stops only when told to by ``fire``.
        connection: what ``link`` answers.
    """

    def __init__(self, clock: Clock, instruments: Sequence[Instrument], *, balance: Decimal = Decimal(100_000)) -> None:
        super().__init__(clock, instruments)
        self.account_id = "fake"
        self.balance = balance
        self.sent: list[OrderIntent] = []
        self.accidents: deque[Accident | None] = deque()
        self.on_submit: Callable[[OrderIntent], None] = lambda intent: None
        self.hesitations = 0
        self.trades: dict[str, BrokerTrade] = {}
        self.protected: list[str] = []
        self.log: list[Fill] = []
        self._corrections: list[Fill] = []
        self.page = 1000
        self.stop_orders = False
        self.orders: dict[str, RestingOrder] = {}
        self.connection = (Link.UP, "")
        self._entries: dict[str, RestingEntry] = {}
        self._answers: dict[str, Sequence[OrderEvent]] = {}
        self._last_id = 0

    def open(self, market: str, side: Side, quantity: Decimal, client_order_id: str | None = None) -> Fill:
        """Open a trade; without an id of ours it is one that somebody else opened."""
        number = self._next_id()
        trade = BrokerTrade(
            trade_id=number,
            client_order_id=client_order_id,
            market=market,
            side=side,
            quantity=quantity,
            price=self._quote(market).entry_price(side),
            opened_at=self.clock.now(),
            stop_loss=None,
            take_profit=None,
            trailing_distance=None,
        )
        self.trades[number] = trade
        return self._book(trade, number, side, quantity, trade.price, client_order_id=client_order_id, closes=False)

    def end(self, trade_id: str, reason: ExitReason | None, price: Decimal | None = None, **changes: Any) -> Fill:
        """Close a trade as a resting order or a person would; ``quantity`` closes a part."""
        trade = self.trades.pop(trade_id)
        quantity = changes.pop("quantity", trade.quantity)
        if quantity < trade.quantity:
            self.trades[trade_id] = replace(trade, quantity=trade.quantity - quantity)
        price = price or self._quote(trade.market).exit_price(trade.side)
        realised = self._profit(trade, quantity, price)
        self.balance += realised
        if trade_id not in self.trades:
            self._withdraw([order for order in self.orders.values() if is_stop_for(order, trade)])
        facts = {"client_order_id": None, "realised": realised, "reason": reason, "closes": True, **changes}
        return self._book(trade, self._next_id(), trade.side.opposite, quantity, price, **facts)

    def correct(self, fill: Fill, **changes: Any) -> Fill:
        """Tell an execution anew, as a broker that corrects itself: once, to whoever asks next."""
        corrected = replace(fill, revision=fill.revision + 1, **changes)
        self._corrections.append(corrected)
        return corrected

    def fire(self, client_order_id: str, price: Decimal | None = None) -> Fill:
        """Let the market reach a resting stop of ours, which fills at its trigger or at ``price``."""
        order = self._order(client_order_id)
        if order is None:
            raise Refuse("an order at rest", client_order_id, "look into orders")
        trade = next(trade for trade in self.trades.values() if is_stop_for(order, trade))
        del self.orders[order.broker_order_id]
        quantity = min(order.quantity, trade.quantity)
        facts = {"quantity": quantity, "client_order_id": client_order_id}
        fill = self.end(trade.trade_id, reason_of(order), price or order.trigger, **facts)
        self._answers[client_order_id] = (self._filled(client_order_id, fill, OrderState.FILLED),)
        return fill

    def link(self) -> tuple[Link, str]:
        return self.connection

    def resting(self) -> Sequence[RestingOrder]:
        self._require_up()
        self._enter()
        return list(self.orders.values())

    def amend(self, client_order_id: str, *, quantity: Decimal) -> Sequence[OrderEvent]:
        self._require_up()
        order = self._order(client_order_id)
        if order is None or quantity <= 0:
            raise Refuse("an order at rest and a quantity above 0", f"{client_order_id}, {quantity}", "read resting()")
        self.orders[order.broker_order_id] = replace(order, quantity=quantity)
        if client_order_id in self._entries:
            self._entries[client_order_id].quantity = quantity
        return self._answers[client_order_id]

    def account(self) -> Account:
        self._require_up()
        equity = self.balance + sum(map(self._open_profit, self.trades.values()), ZERO)
        margin = sum(map(self._margin, self.trades.values()), ZERO)
        money = {"balance": self.balance, "equity": equity, "margin_available": max(equity - margin, ZERO)}
        return Account(
            account_id=self.account_id, currency="USD", margin_used=margin, cursor=str(self._last_id), **money
        )

    def submit(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        """Fill at once or not at all, or rest; an id that was answered before gets the same answer."""
        self.on_submit(intent)
        self.sent.append(intent)
        accident = self.accidents.popleft() if self.accidents else None
        if self.down or accident is Accident.NOT_SENT:
            raise Retry("a connection", Accident.NOT_SENT, "try again")
        if accident is Accident.REFUSED:
            raise Refuse("the right to trade", accident, "ask the broker")
        if accident is Accident.REQUEST_LOST:
            raise Ask("an answer", accident, "look the order up")
        if intent.leg is Leg.EXIT and intent.broker_trade_id is None:
            raise Refuse("an exit that names its trade", "broker_trade_id None", "find the trade in open_trades")
        if intent.client_order_id not in self._answers:
            self._answers[intent.client_order_id] = self._act(intent, accident)
        if accident is Accident.REPLY_LOST:
            raise Ask("an answer", accident, "look the order up")
        return self._answers[intent.client_order_id]

    def find(self, client_order_id: str, *, since: datetime) -> Sequence[OrderEvent]:
        self._require_up()
        if self.hesitations:
            self.hesitations -= 1
            raise Retry(f"proof of {client_order_id}", "an order too fresh", "ask again")
        self._enter()
        absent = (self._event(client_order_id, OrderState.ABSENT, reason="no such order"),)
        return self._answers.get(client_order_id, absent)

    def cancel(self, client_order_id: str) -> Sequence[OrderEvent]:
        self._require_up()
        self._enter()
        order = self._order(client_order_id)
        if order is not None:
            self._withdraw([order])
        return self.find(client_order_id, since=self.clock.now())

    def open_trades(self) -> Sequence[BrokerTrade]:
        self._require_up()
        self._enter()
        return list(self.trades.values())

    def protect(
        self, trade_id: str, *, stop_loss: Decimal, take_profit: Decimal | None, trailing_distance: Decimal | None
    ) -> None:
        self._require_up()
        if trade_id not in self.trades:
            raise Refuse("an open trade", f"trade {trade_id}", "read open_trades again")
        self._set_levels(trade_id, stop_loss, take_profit, trailing_distance)
        self.protected.append(trade_id)

    def fills_since(self, cursor: str) -> tuple[Sequence[Fill], str]:
        self._require_up()
        self._enter()
        if not cursor.isdigit():
            raise Refuse("a transaction id as cursor", repr(cursor), "start from account().cursor")
        found = [fill for fill in self.log if int(fill.transaction_id) > int(cursor)][: self.page]
        corrections, self._corrections = self._corrections, []
        return [*found, *corrections], found[-1].transaction_id if found else cursor

    def _act(self, intent: OrderIntent, accident: Accident | None) -> Sequence[OrderEvent]:
        """Do what was ordered, and return what is to be said about it now and ever after."""
        key = intent.client_order_id
        if accident in (Accident.REJECTED, Accident.CANCELLED):
            state = OrderState.REJECTED if accident is Accident.REJECTED else OrderState.CANCELLED
            return (self._event(key, state, reason=str(accident)),)
        refusal = self._refusal(intent)
        if refusal:
            state = OrderState.REJECTED if refusal in REJECTIONS else OrderState.CANCELLED
            return (self._event(key, state, reason=refusal),)
        if intent.leg is Leg.STOP and not sells_now(intent):
            order = stop_of(intent, self._next_id())
            return self._accepted(order)
        if intent.leg is Leg.ENTRY and intent.trigger is not None:
            return self._rest(_bare(intent) if accident is Accident.BRACKET_LOST else intent, intent.trigger)
        is_half = accident is Accident.HALF_FILLED
        fill = self._execute(intent, intent.quantity / 2 if is_half else intent.quantity, accident)
        filled = self._filled(key, fill, OrderState.PARTIAL if is_half else OrderState.FILLED)
        return (filled, self._event(key, OrderState.CANCELLED, reason=str(accident))) if is_half else (filled,)

    def _refusal(self, intent: OrderIntent) -> str:
        """Name what keeps an order from filling, in OANDA's words, or return an empty string."""
        if intent.leg is Leg.EXIT:
            trade = self.trades.get(str(intent.broker_trade_id))
            if trade is None:
                return "TRADE_DOESNT_EXIST"
            if intent.quantity > trade.quantity:
                return "CLOSE_TRADE_UNITS_EXCEED_TRADE_SIZE"
        if intent.leg is Leg.STOP:
            return "" if intent.broker_trade_id in self.trades else "TRADE_DOESNT_EXIST"
        if intent.leg is Leg.ENTRY and intent.trigger is not None:
            return misplaced(intent, intent.trigger)
        quote = self._quote(intent.market)
        if not quote.tradeable:
            return "MARKET_HALTED"
        return _misplaced(intent, quote) if intent.leg is Leg.ENTRY else ""

    def _execute(self, intent: OrderIntent, quantity: Decimal, accident: Accident | None) -> Fill:
        key = intent.client_order_id
        if intent.leg is not Leg.ENTRY:
            return self.end(str(intent.broker_trade_id), None, quantity=quantity, client_order_id=key)
        return self._enter_at(intent, quantity, with_stop=accident is not Accident.BRACKET_LOST)

    def _enter_at(self, intent: OrderIntent, quantity: Decimal, *, with_stop: bool) -> Fill:
        fill = self.open(intent.market, intent.side, quantity, intent.client_order_id)
        if with_stop:
            self._set_levels(fill.trade_id, intent.stop_loss, intent.take_profit, intent.trailing_distance)
            trade = self.trades[fill.trade_id]
            self.trades[fill.trade_id] = replace(trade, trailing_percent=intent.trailing_percent)
            child = child_of(intent, self.trades[fill.trade_id], self._next_id()) if self.stop_orders else None
            if child is not None and child.client_order_id is not None:
                self._answers[child.client_order_id] = self._accepted(child)
        return fill

    def _rest(self, intent: OrderIntent, trigger: Decimal) -> Sequence[OrderEvent]:
        """Let an entry rest, and try it at once."""
        entry = RestingEntry(
            intent=intent,
            trigger=trigger,
            broker_order_id=self._next_id(),
            quantity=intent.quantity,
            placed_at=self.clock.now(),
            expires_at=None,
        )
        self._entries[intent.client_order_id] = entry
        self._answers[intent.client_order_id] = self._accepted(entry.shown())
        self._enter()
        return self._answers[intent.client_order_id]

    def _enter(self) -> None:
        """Fill the resting entries whose trigger the market has reached."""
        for key, entry in list(self._entries.items()):
            quote = self._quote(entry.intent.market)
            if not quote.tradeable or entry.fill_on_quote(quote) is None:
                continue
            del self._entries[key]
            self.orders.pop(entry.broker_order_id, None)
            fill = self._enter_at(entry.intent, entry.quantity, with_stop=True)
            self._answers[key] = (self._filled(key, fill, OrderState.FILLED),)

    def _accepted(self, order: RestingOrder) -> Sequence[OrderEvent]:
        self.orders[order.broker_order_id] = order
        key = order.client_order_id or ""
        return (self._event(key, OrderState.ACCEPTED, broker_order_id=order.broker_order_id),)

    def _withdraw(self, orders: Sequence[RestingOrder]) -> None:
        for order in orders:
            del self.orders[order.broker_order_id]
            if order.client_order_id is not None:
                self._entries.pop(order.client_order_id, None)
                cancelled = self._event(order.client_order_id, OrderState.CANCELLED, reason="cancelled")
                self._answers[order.client_order_id] = (cancelled,)

    def _order(self, client_order_id: str) -> RestingOrder | None:
        return next((order for order in self.orders.values() if order.client_order_id == client_order_id), None)

    def _set_levels(self, trade_id: str, stop: Decimal | None, target: Decimal | None, trail: Decimal | None) -> None:
        levels: dict[str, Any] = {"stop_loss": stop, "take_profit": target, "trailing_distance": trail}
        self.trades[trade_id] = replace(self.trades[trade_id], **levels)

    def _book(
        self, trade: BrokerTrade, number: str, side: Side, quantity: Decimal, price: Decimal, **facts: Any
    ) -> Fill:
        same: dict[str, Any] = {"trade_id": trade.trade_id, "opened_by": trade.client_order_id, "market": trade.market}
        same |= {"happened_at": self.clock.now(), "realised": ZERO, "fee": ZERO, "currency": "USD", "reason": None}
        fill = Fill(transaction_id=number, side=side, quantity=quantity, price=price, **(same | facts))
        self.log.append(fill)
        return fill

    def _filled(self, key: str, fill: Fill, state: OrderState) -> OrderEvent:
        facts = {"quantity": fill.quantity, "price": fill.price, "realised": fill.realised}
        return self._event(key, state, transaction_id=fill.transaction_id, broker_trade_id=fill.trade_id, **facts)

    def _event(self, key: str, state: OrderState, **facts: Any) -> OrderEvent:
        _, signal_id, leg, _ = signal_of_order(key) or (None, "", Leg.ENTRY, 0)
        now = self.clock.now()
        when = {"happened_at": now, "learned_at": now}
        return OrderEvent(client_order_id=key, signal_id=signal_id, leg=leg, state=state, **(when | facts))

    def _next_id(self) -> str:
        self._last_id += 1
        return str(self._last_id)


def _bare(intent: OrderIntent) -> OrderIntent:
    return replace(intent, stop_loss=None, take_profit=None, trailing_distance=None, trailing_percent=None)


def _misplaced(intent: OrderIntent, quote: Quote) -> str:
    """Name the bound, stop or target of an entry that lies on the wrong side of the market."""
    sign, exit_price = intent.side.sign, quote.exit_price(intent.side)
    if intent.price_bound is not None and (quote.entry_price(intent.side) - intent.price_bound) * sign > 0:
        return "BOUNDS_VIOLATION"
    if intent.stop_loss is not None and (exit_price - intent.stop_loss) * sign <= 0:
        return "STOP_LOSS_ON_FILL_LOSS"
    if intent.take_profit is not None and (exit_price - intent.take_profit) * sign >= 0:
        return "TAKE_PROFIT_ON_FILL_LOSS"
    return ""
