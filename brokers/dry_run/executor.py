"""Executor with no socket: orders fill at the venue's quote, protective orders on its closed bars."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from brokers.answers import Answer, answer_to, answer_to_id
from brokers.dry_run.book import Book
from brokers.dry_run.entries import RestingEntry, misplaced, refusal_of
from brokers.dry_run.prices import Prices, home_rate
from brokers.dry_run.protection import Protection, resting_stop, sells_now
from brokers.port import Account, BrokerTrade, Fill, MarketData, RestingOrder
from domain.clock import Clock
from domain.errors import Refuse
from domain.exits.state import ExitLeg
from domain.exits.walk import on_bar
from domain.order import OrderEvent, OrderIntent
from domain.quotes import Bar
from domain.vocabulary import ExitReason, Leg, Link, OrderState, TimeInForce

ACCOUNT_ID = "dry-run"


class DryRunExecutor:
    """An imaginary account that trades on the quotes of ``data``.

    Entries with a trigger rest, and are tried on the newest quote whenever somebody asks what became of anything; they
    are tried in the process that placed them alone.

    Args:
        balance: what the account starts with, in ``currency``.
        fee: market, quantity and price -> what an execution costs; nothing when not given.
        closes_at: market and moment -> when the session open then, or the next one, closes: the end of a DAY order.
        stop_orders: whether a trade's stop is an order of its own, with an id of ours, as with a broker of stocks.
    """

    def __init__(
        self,
        data: MarketData,
        clock: Clock,
        *,
        balance: Decimal,
        currency: str,
        fee: Callable[[str, Decimal, Decimal], Decimal] | None = None,
        closes_at: Callable[[str, datetime], datetime | None] = lambda market, moment: None,
        stop_orders: bool = False,
    ) -> None:
        self._prices = Prices(data, fee)
        self._clock = clock
        self._closes_at = closes_at
        self._book = Book(clock, balance=balance, currency=currency, stop_orders=stop_orders)
        self._answers: dict[str, Sequence[OrderEvent]] = {}
        self._entries: dict[str, RestingEntry] = {}

    # ---------------------------------------------------------------- what moves the account along

    def restore(self, trades: Iterable[BrokerTrade]) -> None:
        """Take over trades from the journals; hand the bars since they opened to ``on_bar`` afterwards.

        May be called again at any time: trades known already, open or closed, stay as they are.
        """
        self._book.restore(trades)

    def restore_orders(self, orders: Iterable[tuple[OrderIntent, datetime]]) -> None:
        """Take over orders that still rest as the journals know them, each with the moment it was placed.

        The trades they belong to come first, with ``restore``. An order known already stays as it is, and a DAY order
        whose session is over is cancelled.
        """
        for intent, at in orders:
            if intent.client_order_id in self._answers or self._book.of_stop(intent.client_order_id) is not None:
                continue
            if intent.leg is Leg.STOP and not sells_now(intent):
                self._replace_stop(intent)
            elif (
                intent.leg is Leg.ENTRY
                and intent.trigger is not None
                and self._book.of_signal(intent.signal_id) is None
            ):
                self._rest(intent, intent.trigger, at)
        self._expire()

    def forget(self, trade_id: str) -> None:
        """Let go of a trade, and of its stop, that another process closed; of one unknown there is nothing to do."""
        known = self._book.protections.get(trade_id)
        self._book.forget(trade_id)
        if known is not None:
            self._stop_is_over(known)

    def on_bar(self, bar: Bar) -> Sequence[Fill]:
        """Move every trade of this market along a closed bar and return what it ended; entries may fill in it.

        A bar handed over twice acts once. Raises Retry, with nothing ended, when profit can't be converted now.
        """
        self._enter_on(bar)
        moved = []
        for trade in self._book.trades.values():
            if trade.market == bar.market:
                known = self._book.protections[trade.trade_id]
                moved.append((trade, *on_bar(known.plan, known.state, bar)))
        rate = self._prices.rate(bar.market) if any(legs for _, _, legs in moved) else None
        fills = []
        for trade, state, legs in moved:
            known = self._book.protections[trade.trade_id]
            self._book.protections[trade.trade_id] = replace(known, state=state)
            if legs and rate is not None:
                fills.append(self._end(trade, legs[0], rate, bar.end))
        return fills

    def settle(self, market: str, value: Decimal | None, at: datetime) -> Sequence[Fill]:
        """End every trade of an event contract at what YES paid, as its venue does: without a fee.

        A contract handed over twice is settled once; one that was void (None) gives back what its trades had paid.
        """
        return self._book.settle(market, value, at)

    # ---------------------------------------------------------------- what a broker offers

    def account(self) -> Account:
        trades = list(self._book.trades.values())
        if trades:
            self._prices.look(sorted({trade.market for trade in trades}))
        margin = sum((self._prices.margin(trade) for trade in trades), Decimal(0))
        equity = self._book.balance + sum((self._prices.open_profit(trade) for trade in trades), Decimal(0))
        return Account(
            account_id=ACCOUNT_ID,
            currency=self._book.currency,
            balance=self._book.balance,
            equity=equity,
            margin_used=margin,
            margin_available=max(equity - margin, Decimal(0)),
            cursor=str(self._book.last_id),
        )

    def link(self) -> tuple[Link, str]:
        """There is no connection that could be lost; prices speak for themselves."""
        return Link.UP, ""

    def submit(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        """Fill at once or not at all, or rest; an id that was answered before gets the same answer."""
        key = intent.client_order_id
        if intent.leg is Leg.STOP and not sells_now(intent):
            return self._answers.get(key) or self._stop(intent)
        if key not in self._answers:
            if intent.leg is not Leg.ENTRY:
                self._answers[key] = (self._exit(intent),)
            elif intent.trigger is None:
                self._answers[key] = (self._entry(intent),)
            else:
                self._place(intent, intent.trigger)
        return self._answers[key]

    def find(self, client_order_id: str, *, since: datetime) -> Sequence[OrderEvent]:
        """Answer from memory, or from a restored trade; nothing can be on its way, so anything else is absent."""
        self._enter_on_quotes()
        if client_order_id in self._answers:
            return self._answers[client_order_id]
        answer = answer_to_id(client_order_id, self._book.currency, self._clock.now())
        if self._book.of_stop(client_order_id) is not None:
            return (answer.event(OrderState.ACCEPTED),)
        for trade in self._book.trades.values():
            if trade.client_order_id == client_order_id:
                return (answer.restored(trade),)
        return (answer.event(OrderState.ABSENT, reason="this dry run never sent it"),)

    def cancel(self, client_order_id: str) -> Sequence[OrderEvent]:
        self._enter_on_quotes()
        trade = self._book.of_stop(client_order_id)
        if client_order_id in self._entries:
            self._withdraw(client_order_id, "cancelled")
        elif trade is not None:
            self._book.lay_bare(trade)
            self._over(client_order_id, OrderState.CANCELLED, "cancelled")
        return self.find(client_order_id, since=self._clock.now())

    def amend(self, client_order_id: str, *, quantity: Decimal) -> Sequence[OrderEvent]:
        """Give a resting order another quantity. Raises Refuse for one that does not rest."""
        self._enter_on_quotes()
        entry, trade = self._entries.get(client_order_id), self._book.of_stop(client_order_id)
        if quantity <= 0 or (entry is None and trade is None):
            raise Refuse("an order at rest and a quantity above 0", f"{client_order_id}, {quantity}", "read resting()")
        if entry is not None:
            entry.quantity = quantity
        if trade is not None:
            known = self._book.protections[trade.trade_id]
            self._book.protections[trade.trade_id] = replace(known, quantity=quantity)
        return self.find(client_order_id, since=self._clock.now())

    def resting(self) -> Sequence[RestingOrder]:
        self._enter_on_quotes()
        known = [(trade, self._book.protections[trade.trade_id]) for trade in self._book.trades.values()]
        stops = [resting_stop(trade, protection) for trade, protection in known]
        return [entry.shown() for entry in self._entries.values()] + [stop for stop in stops if stop is not None]

    def open_trades(self) -> Sequence[BrokerTrade]:
        self._enter_on_quotes()
        return list(self._book.trades.values())

    def protect(
        self, trade_id: str, *, stop_loss: Decimal, take_profit: Decimal | None, trailing_distance: Decimal | None
    ) -> None:
        self._book.protect(trade_id, stop_loss, take_profit, trailing_distance)

    def fills_since(self, cursor: str) -> tuple[Sequence[Fill], str]:
        self._enter_on_quotes()
        fills = self._book.since(cursor)
        return fills, fills[-1].transaction_id if fills else cursor

    def close(self) -> None:
        """There is nothing to give back; the market data belongs to whoever opened it."""

    # ---------------------------------------------------------------- entries

    def _entry(self, intent: OrderIntent) -> OrderEvent:
        quote = self._prices.quote(intent.market)
        price = quote.entry_price(intent.side)
        refusal = refusal_of(intent, quote, price, is_event=self._prices.is_event(intent.market))
        if refusal:
            return self._answer(intent).event(OrderState.CANCELLED, reason=refusal)
        home_rate(quote)
        return self._opened(intent, intent.quantity, price, self._clock.now())

    def _opened(self, intent: OrderIntent, quantity: Decimal, price: Decimal, at: datetime) -> OrderEvent:
        trade = BrokerTrade(
            trade_id=self._book.next_id(),
            client_order_id=intent.client_order_id,
            market=intent.market,
            side=intent.side,
            quantity=quantity,
            price=price,
            opened_at=at,
            stop_loss=intent.stop_loss,
            take_profit=intent.take_profit,
            trailing_distance=intent.trailing_distance,
            trailing_percent=intent.trailing_percent,
        )
        fee = self._prices.cost(intent.market, quantity, price)
        return self._answer(intent).filled(self._book.open(trade, fee))

    def _place(self, intent: OrderIntent, trigger: Decimal) -> None:
        refusal = misplaced(intent, trigger)
        if refusal:
            self._over(intent.client_order_id, OrderState.CANCELLED, refusal)
            return
        self._rest(intent, trigger, self._clock.now())
        self._enter_on_quotes()

    def _rest(self, intent: OrderIntent, trigger: Decimal, at: datetime) -> None:
        entry = RestingEntry(
            intent=intent,
            trigger=trigger,
            broker_order_id=self._book.next_id(),
            quantity=intent.quantity,
            placed_at=at,
            expires_at=None if intent.tif is TimeInForce.GTC else self._closes_at(intent.market, at),
        )
        self._entries[intent.client_order_id] = entry
        accepted = self._answer(intent).event(
            OrderState.ACCEPTED, happened_at=at, broker_order_id=entry.broker_order_id
        )
        self._answers[intent.client_order_id] = (accepted,)

    def _enter_on_quotes(self) -> None:
        """Try every resting entry on the newest quote there is."""
        self._expire()
        if not self._entries:
            return
        quotes = self._prices.look(sorted({entry.intent.market for entry in self._entries.values()}))
        for entry in list(self._entries.values()):
            quote = quotes.get(entry.intent.market)
            if quote is None or not quote.tradeable or quote.home_rate is None:
                continue
            price = entry.fill_on_quote(quote)
            if price is not None:
                self._fill(entry, price, self._clock.now())

    def _enter_on(self, bar: Bar) -> None:
        """Try the entries of a market on a bar that began after they were placed; stops begin at its end."""
        for entry in list(self._entries.values()):
            is_open = entry.expires_at is None or bar.start < entry.expires_at
            if entry.intent.market == bar.market and bar.start >= entry.placed_at and is_open:
                price = entry.fill_on_bar(bar)
                if price is not None:
                    self._fill(entry, price, bar.end)

    def _fill(self, entry: RestingEntry, price: Decimal, at: datetime) -> None:
        del self._entries[entry.intent.client_order_id]
        self._answers[entry.intent.client_order_id] = (self._opened(entry.intent, entry.quantity, price, at),)

    def _expire(self) -> None:
        now = self._clock.now()
        for key, entry in list(self._entries.items()):
            if entry.expires_at is not None and now >= entry.expires_at:
                self._withdraw(key, "its session is over")

    def _withdraw(self, key: str, reason: str) -> None:
        del self._entries[key]
        self._over(key, OrderState.CANCELLED, reason)

    # ---------------------------------------------------------------- stops and exits

    def _stop(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        """Let a stop order rest in the place of the one that protected its trade until now."""
        trade = self._replace_stop(intent)
        if trade is None:
            self._over(intent.client_order_id, OrderState.REJECTED, "TRADE_DOESNT_EXIST")
            return self._answers[intent.client_order_id]
        order = f"{trade.trade_id}-stop"
        accepted = self._answer(intent).event(
            OrderState.ACCEPTED, broker_order_id=order, broker_trade_id=trade.trade_id
        )
        return (accepted,)

    def _replace_stop(self, intent: OrderIntent) -> BrokerTrade | None:
        trade = self._book.trades.get(intent.broker_trade_id or "") or self._book.of_signal(intent.signal_id)
        if trade is None or intent.side is trade.side or intent.quantity > trade.quantity:
            return None
        known = self._book.protections[trade.trade_id]
        if known.order_id == intent.client_order_id and known.has_stop:
            return trade
        if known.order_id is not None and known.has_stop:
            self._over(known.order_id, OrderState.CANCELLED, "another stop took its place")
        levels = replace(
            trade,
            stop_loss=intent.trigger,
            trailing_distance=intent.trailing_distance,
            trailing_percent=intent.trailing_percent,
        )
        quote = self._prices.look([trade.market]).get(trade.market)
        best = known.state.last if quote is None else quote.exit_price(trade.side)
        self._book.relevel(levels, best=best, order_id=intent.client_order_id, quantity=intent.quantity)
        return levels

    def _end(self, trade: BrokerTrade, leg: ExitLeg, rate: Decimal, at: datetime) -> Fill:
        """Book what a protective order did: the stop closes what it is for, a target all."""
        known = self._book.protections[trade.trade_id]
        is_target = leg.reason is ExitReason.TAKE_PROFIT
        order_id = None if is_target else known.order_id
        fill = self._book.close(
            trade,
            quantity=leg.quantity if is_target else min(leg.quantity, known.quantity),
            price=leg.price,
            rate=rate,
            at=at,
            client_order_id=order_id,
            reason=leg.reason,
        )
        if order_id is not None:
            self._answers[order_id] = (answer_to_id(order_id, self._book.currency, self._clock.now()).filled(fill),)
        left = self._book.trades.get(trade.trade_id)
        if left is not None:
            self._book.lay_bare(left)
        elif is_target:
            self._stop_is_over(known)
        return fill

    def _exit(self, intent: OrderIntent) -> OrderEvent:
        if intent.broker_trade_id is None:
            raise Refuse("an exit that names its trade", "broker_trade_id None", "find the trade in open_trades")
        trade = self._book.trades.get(intent.broker_trade_id)
        if trade is None:
            return self._answer(intent).event(OrderState.REJECTED, reason="TRADE_DOESNT_EXIST")
        if intent.quantity > trade.quantity:
            return self._answer(intent).event(OrderState.REJECTED, reason="CLOSE_TRADE_UNITS_EXCEED_TRADE_SIZE")
        quote = self._prices.quote(trade.market)
        if not quote.tradeable:
            return self._answer(intent).event(OrderState.CANCELLED, reason="MARKET_HALTED")
        known = self._book.protections[trade.trade_id]
        fill = self._book.close(
            trade,
            quantity=intent.quantity,
            price=quote.exit_price(trade.side),
            rate=home_rate(quote),
            at=self._clock.now(),
            client_order_id=intent.client_order_id,
            fee=self._prices.cost(trade.market, intent.quantity, quote.exit_price(trade.side)),
        )
        if trade.trade_id not in self._book.trades:
            self._stop_is_over(known)
        return self._answer(intent).filled(fill)

    def _stop_is_over(self, known: Protection) -> None:
        if known.order_id is not None and known.has_stop:
            self._over(known.order_id, OrderState.CANCELLED, "its trade is closed")

    def _over(self, key: str, state: OrderState, reason: str) -> None:
        answer = answer_to_id(key, self._book.currency, self._clock.now())
        self._answers[key] = (answer.event(state, reason=reason),)

    def _answer(self, intent: OrderIntent) -> Answer:
        return answer_to(intent, self._book.currency, self._clock.now())
