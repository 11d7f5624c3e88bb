"""Executor with no socket: orders fill at the venue's quote, protective orders on its closed bars."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from brokers.answers import Answer, answer_to, answer_to_id
from brokers.dry_run import triggers
from brokers.dry_run.book import Book
from brokers.port import Account, BrokerTrade, Fill, MarketData
from domain.clock import Clock
from domain.errors import Refuse, Retry
from domain.order import OrderEvent, OrderIntent
from domain.quotes import Bar, Quote
from domain.vocabulary import ExitReason, Leg, OrderState

ACCOUNT_ID = "dry-run"


class DryRunExecutor:
    """An imaginary account that trades on the quotes of ``data``.

    Args:
        balance: what the account starts with, in ``currency``.
        fee: market, quantity and price -> what an execution costs; nothing when not given.
    """

    def __init__(
        self,
        data: MarketData,
        clock: Clock,
        *,
        balance: Decimal,
        currency: str,
        fee: Callable[[str, Decimal, Decimal], Decimal] | None = None,
    ) -> None:
        self._data = data
        self._fee = fee
        self._clock = clock
        self._book = Book(clock, balance=balance, currency=currency)
        self._answers: dict[str, Sequence[OrderEvent]] = {}
        self._quotes: dict[str, Quote] = {}
        self._bar_seen: dict[tuple[str, str], datetime] = {}

    def restore(self, trades: Iterable[BrokerTrade]) -> None:
        """Take over trades from the journals; hand the bars since they opened to ``on_bar`` afterwards.

        May be called again at any time: trades known already, open or closed, stay as they are.
        """
        self._book.restore(trades)

    def on_bar(self, bar: Bar) -> Sequence[Fill]:
        """Move every trade of this market along a closed bar and return what it ended.

        A bar handed over twice acts once. Raises Retry, with nothing done, when profit can't be converted now.
        """
        affected = [trade for trade in self._book.trades.values() if self._concerns(trade, bar)]
        exits = [(trade, triggers.exit_on(trade, self._book.trails[trade.trade_id], bar)) for trade in affected]
        rate = self._rate(bar.market) if any(exit_ for _, exit_ in exits) else None
        fills = []
        for trade, exit_ in exits:
            self._bar_seen[trade.trade_id, bar.market] = bar.start
            if exit_ is None or rate is None:
                self._book.trails[trade.trade_id] = triggers.trail_after(trade, self._book.trails[trade.trade_id], bar)
                continue
            fills.append(
                self._book.close(
                    trade, quantity=trade.quantity, price=exit_.price, rate=rate, at=bar.end, reason=exit_.reason
                )
            )
        return fills

    def settle(self, market: str, value: Decimal | None, at: datetime) -> Sequence[Fill]:
        """End every trade of an event contract at what YES paid, as its venue does: without a fee.

        A contract handed over twice is settled once; one that was void (None) gives back what its trades had paid.
        """
        ended = [trade for trade in self._book.trades.values() if trade.market == market]
        return [
            self._book.close(
                trade,
                quantity=trade.quantity,
                price=trade.price if value is None else value,
                rate=Decimal(1),
                at=at,
                reason=ExitReason.SETTLED,
            )
            for trade in ended
        ]

    def account(self) -> Account:
        open_profit, margin = Decimal(0), Decimal(0)
        trades = list(self._book.trades.values())
        if trades:
            self._look(sorted({trade.market for trade in trades}))
        for trade in trades:
            open_profit += self._open_profit(trade)
            margin += self._margin(trade)
        equity = self._book.balance + open_profit
        return Account(
            account_id=ACCOUNT_ID,
            currency=self._book.currency,
            balance=self._book.balance,
            equity=equity,
            margin_used=margin,
            margin_available=max(equity - margin, Decimal(0)),
            cursor=str(self._book.last_id),
        )

    def submit(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        """Fill at once or not at all; an id that was answered before gets the same answer."""
        if intent.client_order_id not in self._answers:
            event = self._exit(intent) if intent.leg is Leg.EXIT else self._entry(intent)
            self._answers[intent.client_order_id] = (event,)
        return self._answers[intent.client_order_id]

    def find(self, client_order_id: str, *, since: datetime) -> Sequence[OrderEvent]:
        """Answer from memory, or from a restored trade; nothing can be on its way, so anything else is absent."""
        if client_order_id in self._answers:
            return self._answers[client_order_id]
        answer = answer_to_id(client_order_id, self._book.currency, self._clock.now())
        for trade in self._book.trades.values():
            if trade.client_order_id == client_order_id:
                return (answer.restored(trade),)
        return (answer.event(OrderState.ABSENT, reason="this dry run never sent it"),)

    def cancel(self, client_order_id: str) -> Sequence[OrderEvent]:
        """Nothing rests here, so there is never anything to cancel."""
        return self.find(client_order_id, since=self._clock.now())

    def open_trades(self) -> Sequence[BrokerTrade]:
        return list(self._book.trades.values())

    def protect(
        self, trade_id: str, *, stop_loss: Decimal, take_profit: Decimal | None, trailing_distance: Decimal | None
    ) -> None:
        self._book.protect(trade_id, stop_loss, take_profit, trailing_distance)

    def fills_since(self, cursor: str) -> tuple[Sequence[Fill], str]:
        fills = self._book.since(cursor)
        return fills, fills[-1].transaction_id if fills else cursor

    def close(self) -> None:
        """There is nothing to give back; the market data belongs to whoever opened it."""

    def _entry(self, intent: OrderIntent) -> OrderEvent:
        quote = self._quote(intent.market)
        price = quote.entry_price(intent.side)
        refusal = _refusal(intent, quote, price, is_event=self._is_event(intent.market))
        if refusal:
            return self._answer(intent).event(OrderState.CANCELLED, reason=refusal)
        _home_rate(quote)
        trade = BrokerTrade(
            trade_id=self._book.next_id(),
            client_order_id=intent.client_order_id,
            market=intent.market,
            side=intent.side,
            quantity=intent.quantity,
            price=price,
            opened_at=self._clock.now(),
            stop_loss=intent.stop_loss,
            take_profit=intent.take_profit,
            trailing_distance=intent.trailing_distance,
        )
        fee = self._cost(intent.market, intent.quantity, price)
        return self._answer(intent).filled(self._book.open(trade, fee))

    def _exit(self, intent: OrderIntent) -> OrderEvent:
        if intent.broker_trade_id is None:
            raise Refuse("an exit that names its trade", "broker_trade_id None", "find the trade in open_trades")
        trade = self._book.trades.get(intent.broker_trade_id)
        if trade is None:
            return self._answer(intent).event(OrderState.REJECTED, reason="TRADE_DOESNT_EXIST")
        if intent.quantity > trade.quantity:
            return self._answer(intent).event(OrderState.REJECTED, reason="CLOSE_TRADE_UNITS_EXCEED_TRADE_SIZE")
        quote = self._quote(trade.market)
        if not quote.tradeable:
            return self._answer(intent).event(OrderState.CANCELLED, reason="MARKET_HALTED")
        fill = self._book.close(
            trade,
            quantity=intent.quantity,
            price=quote.exit_price(trade.side),
            rate=_home_rate(quote),
            at=self._clock.now(),
            client_order_id=intent.client_order_id,
            fee=self._cost(trade.market, intent.quantity, quote.exit_price(trade.side)),
        )
        return self._answer(intent).filled(fill)

    def _cost(self, market: str, quantity: Decimal, price: Decimal) -> Decimal:
        return Decimal(0) if self._fee is None else self._fee(market, quantity, price)

    def _is_event(self, market: str) -> bool:
        """Tell whether a market is an event contract, whose price lies between nothing and its payout of one."""
        instrument = self._data.instruments([market]).get(market)
        return instrument is not None and instrument.payout is not None

    def _concerns(self, trade: BrokerTrade, bar: Bar) -> bool:
        seen = self._bar_seen.get((trade.trade_id, bar.market))
        fresh = seen is None or bar.start > seen
        return trade.market == bar.market and bar.end > trade.opened_at and fresh

    def _quote(self, market: str) -> Quote:
        quote = self._data.quotes([market]).get(market)
        if quote is None:
            raise Retry(f"a quote of {market}", "none", "try again")
        self._quotes[market] = quote
        return quote

    def _look(self, markets: Sequence[str]) -> None:
        try:
            self._quotes |= self._data.quotes(markets)
        except Retry:
            return  # the last quotes will do for a valuation

    def _rate(self, market: str) -> Decimal:
        """Return the home rate of the market's quote currency, the last known one while there is no new quote."""
        try:
            quote = self._quote(market)
        except Retry:
            if market not in self._quotes:
                raise
            quote = self._quotes[market]
        return _home_rate(quote)

    def _answer(self, intent: OrderIntent) -> Answer:
        return answer_to(intent, self._book.currency, self._clock.now())

    def _open_profit(self, trade: BrokerTrade) -> Decimal:
        quote = self._quotes.get(trade.market)
        if quote is None or quote.home_rate is None:
            return Decimal(0)
        return (quote.exit_price(trade.side) - trade.price) * trade.side.sign * trade.quantity * quote.home_rate

    def _margin(self, trade: BrokerTrade) -> Decimal:
        quote = self._quotes.get(trade.market)
        instrument = self._data.instruments([trade.market]).get(trade.market)
        if quote is None or quote.home_rate is None or instrument is None:
            return Decimal(0)
        return trade.quantity * quote.mid * quote.home_rate * instrument.margin_rate


def _home_rate(quote: Quote) -> Decimal:
    if quote.home_rate is None:
        raise Retry(f"a home currency rate for {quote.market}", "none", "try again")
    return quote.home_rate


def _refusal(intent: OrderIntent, quote: Quote, price: Decimal, *, is_event: bool) -> str:
    """Name what keeps an entry from filling, in OANDA's words, or return an empty string."""
    sign = intent.side.sign
    if not quote.tradeable:
        return "MARKET_HALTED"
    if intent.price_bound is not None and (price - intent.price_bound) * sign > 0:
        return "BOUNDS_VIOLATION"
    if is_event:
        # Its stop and target are the contract's own ends, which a side nobody stands on may well show.
        return "" if 0 < price < 1 else "BOUNDS_VIOLATION"
    exit_price = quote.exit_price(intent.side)
    if intent.stop_loss is not None and (exit_price - intent.stop_loss) * sign <= 0:
        return "STOP_LOSS_ON_FILL_LOSS"
    if intent.take_profit is not None and (exit_price - intent.take_profit) * sign >= 0:
        return "TAKE_PROFIT_ON_FILL_LOSS"
    return ""
