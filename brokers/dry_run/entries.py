"""Entries: what keeps one from filling, and those that rest until the market reaches their trigger."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from brokers.port import RestingOrder
from domain.order import OrderIntent
from domain.quotes import Bar, Ohlc, Quote
from domain.vocabulary import Side


@dataclass(slots=True, kw_only=True)
class RestingEntry:
    """A stop, or a stop limit when it has a bound; ``is_triggered`` tells one that waits for its limit only."""

    intent: OrderIntent
    trigger: Decimal
    broker_order_id: str
    quantity: Decimal
    placed_at: datetime
    expires_at: datetime | None
    is_triggered: bool = False

    def fill_on_quote(self, quote: Quote) -> Decimal | None:
        """Return the price at which ``quote`` fills the order, None if it does not.

        The last trade triggers where the venue tells it, as stops of stocks do, and otherwise what is offered.
        """
        offered = quote.entry_price(self.intent.side)
        if not self._has_triggered(offered if quote.last is None else quote.last):
            return None
        return offered if self._is_within_bound(offered) else None

    def fill_on_bar(self, bar: Bar) -> Decimal | None:
        """Return the price at which a closed bar fills the order: its trigger, or its open after a gap."""
        prices = bar.ask if self.intent.side is Side.BUY else bar.bid
        is_gap = self.is_triggered or self._reaches(prices.open)
        if not self._has_triggered(prices.high if self.intent.side is Side.BUY else prices.low):
            return None
        return self._limited(prices, prices.open if is_gap else self.trigger)

    def shown(self) -> RestingOrder:
        return RestingOrder(
            client_order_id=self.intent.client_order_id,
            broker_order_id=self.broker_order_id,
            market=self.intent.market,
            side=self.intent.side,
            quantity=self.quantity,
            trigger=self.trigger,
            limit=self.intent.price_bound,
            tif=self.intent.tif,
            triggered=self.is_triggered,
        )

    def _has_triggered(self, price: Decimal) -> bool:
        self.is_triggered = self.is_triggered or self._reaches(price)
        return self.is_triggered

    def _reaches(self, price: Decimal) -> bool:
        return (price - self.trigger) * self.intent.side.sign >= 0

    def _is_within_bound(self, price: Decimal) -> bool:
        bound = self.intent.price_bound
        return bound is None or (price - bound) * self.intent.side.sign <= 0

    def _limited(self, prices: Ohlc, price: Decimal) -> Decimal | None:
        """Return ``price`` or, where that is beyond the bound, the bound once the bar came back to it."""
        if self._is_within_bound(price):
            return price
        cheapest = prices.low if self.intent.side is Side.BUY else prices.high
        return self.intent.price_bound if self._is_within_bound(cheapest) else None


def misplaced(intent: OrderIntent, trigger: Decimal) -> str:
    """Name what makes an entry at ``trigger`` impossible, in the words of other entries, or return an empty string."""
    sign = intent.side.sign
    if intent.price_bound is not None and (trigger - intent.price_bound) * sign > 0:
        return "BOUNDS_VIOLATION"
    if intent.stop_loss is not None and (trigger - intent.stop_loss) * sign <= 0:
        return "STOP_LOSS_ON_FILL_LOSS"
    if intent.take_profit is not None and (trigger - intent.take_profit) * sign >= 0:
        return "TAKE_PROFIT_ON_FILL_LOSS"
    return ""


def refusal_of(intent: OrderIntent, quote: Quote, price: Decimal, *, is_event: bool) -> str:
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
