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

from brokers.fake_market import FakeMarket
from brokers.port import Account, BrokerTrade, Fill
from domain.clock import Clock
from domain.errors import Ask, Refuse, Retry
from domain.ids import signal_of_order
from domain.order import OrderEvent, OrderIntent
from domain.quotes import Instrument
from domain.vocabulary import ExitReason, Leg, OrderState, Side

ZERO = Decimal(0)


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
        sent: every order ``submit`` was called with.
        accidents: what happens to the next orders; None, or an empty queue, is a fill.
        on_submit: called first with each order.
        hesitations: how many calls of ``find`` answer Retry before one is answered.
        trades: trade id -> what is open; a test may change it behind everybody's back.
        protected: ids of trades that ``protect`` was called for.
        log: every execution, in order.
        page: how many executions ``fills_since`` returns at once.
    """

    def __init__(self, clock: Clock, instruments: Sequence[Instrument], *, balance: Decimal = Decimal(100_000)) -> None:
        super().__init__(clock, instruments)
        self.balance = balance
        self.sent: list[OrderIntent] = []
        self.accidents: deque[Accident | None] = deque()
        self.on_submit: Callable[[OrderIntent], None] = lambda intent: None
        self.hesitations = 0
        self.trades: dict[str, BrokerTrade] = {}
        self.protected: list[str] = []
        self.log: list[Fill] = []
        self.page = 1000
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
            price=self._quotes[market].entry_price(side),
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
        price = price or self._quotes[trade.market].exit_price(trade.side)
        realised = (price - trade.price) * trade.side.sign * quantity
        self.balance += realised
        facts = {"client_order_id": None, "realised": realised, "reason": reason, "closes": True, **changes}
        return self._book(trade, self._next_id(), trade.side.opposite, quantity, price, **facts)

    def account(self) -> Account:
        self._require_up()
        money = {"balance": self.balance, "equity": self.balance, "margin_available": self.balance}
        return Account(account_id="fake", currency="USD", margin_used=ZERO, cursor=str(self._last_id), **money)

    def submit(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        self.on_submit(intent)
        self.sent.append(intent)
        accident = self.accidents.popleft() if self.accidents else None
        if self.down or accident is Accident.NOT_SENT:
            raise Retry("a connection", Accident.NOT_SENT, "try again")
        if accident is Accident.REFUSED:
            raise Refuse("the right to trade", accident, "ask the broker")
        if accident is Accident.REQUEST_LOST:
            raise Ask("an answer", accident, "look the order up")
        self._answers[intent.client_order_id] = self._act(intent, accident)
        if accident is Accident.REPLY_LOST:
            raise Ask("an answer", accident, "look the order up")
        return self._answers[intent.client_order_id]

    def find(self, client_order_id: str, *, since: datetime) -> Sequence[OrderEvent]:
        self._require_up()
        if self.hesitations:
            self.hesitations -= 1
            raise Retry(f"proof of {client_order_id}", "an order too fresh", "ask again")
        absent = (self._event(client_order_id, OrderState.ABSENT, reason="no such order"),)
        return self._answers.get(client_order_id, absent)

    def cancel(self, client_order_id: str) -> Sequence[OrderEvent]:
        return self.find(client_order_id, since=self.clock.now())

    def open_trades(self) -> Sequence[BrokerTrade]:
        self._require_up()
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
        found = [fill for fill in self.log if int(fill.transaction_id) > int(cursor)][: self.page]
        return found, found[-1].transaction_id if found else cursor

    def _act(self, intent: OrderIntent, accident: Accident | None) -> Sequence[OrderEvent]:
        """Do what was ordered, and return what is to be said about it now and ever after."""
        key = intent.client_order_id
        if accident in (Accident.REJECTED, Accident.CANCELLED):
            state = OrderState.REJECTED if accident is Accident.REJECTED else OrderState.CANCELLED
            return (self._event(key, state, reason=str(accident)),)
        is_half = accident is Accident.HALF_FILLED
        quantity = intent.quantity / 2 if is_half else intent.quantity
        if intent.leg is Leg.ENTRY:
            fill = self.open(intent.market, intent.side, quantity, key)
            levels = (intent.stop_loss, intent.take_profit, intent.trailing_distance)
            self._set_levels(fill.trade_id, *(levels if accident is not Accident.BRACKET_LOST else (None, None, None)))
        elif intent.broker_trade_id in self.trades:
            fill = self.end(intent.broker_trade_id, None, quantity=quantity, client_order_id=key)
        else:
            return (self._event(key, OrderState.REJECTED, reason="TRADE_DOESNT_EXIST"),)
        filled = self._filled(key, fill, OrderState.PARTIAL if is_half else OrderState.FILLED)
        return (filled, self._event(key, OrderState.CANCELLED, reason=str(accident))) if is_half else (filled,)

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
