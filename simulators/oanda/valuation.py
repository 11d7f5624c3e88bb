"""Profit, margin and net asset value at current prices."""

from dataclasses import dataclass, field
from decimal import Decimal

from simulators.oanda.account import Account
from simulators.oanda.instruments import INSTRUMENTS, MARGIN_RATE
from simulators.oanda.market import SAME, Factors, Market
from simulators.oanda.tape import Quote
from simulators.oanda.trades import ZERO, Trade
from simulators.oanda.wire import from_points

HALF = Decimal("0.5")


@dataclass(slots=True)
class Valuation:
    """Numbers of one account at one time, in home currency."""

    balance: Decimal
    # trade id -> unrealised profit, margin
    trades: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    # instrument -> margin of the larger side, value of both
    positions: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)

    @property
    def unrealized(self) -> Decimal:
        return sum((profit for profit, _ in self.trades.values()), ZERO)

    @property
    def nav(self) -> Decimal:
        return self.balance + self.unrealized

    @property
    def margin_used(self) -> Decimal:
        return sum((margin for margin, _ in self.positions.values()), ZERO)

    @property
    def margin_available(self) -> Decimal:
        return max(self.nav - self.margin_used, ZERO)

    @property
    def position_value(self) -> Decimal:
        return sum((value for _, value in self.positions.values()), ZERO)

    @property
    def closeout_percent(self) -> Decimal:
        """Return half the margin used over net asset value; from 1 on everything is closed."""
        if self.margin_used == 0:
            return ZERO
        return Decimal(999) if self.nav <= 0 else self.margin_used * HALF / self.nav


def valuate(account: Account, market: Market, now: int, at: Quote | None = None) -> Valuation:
    """Value an account; ``at`` replaces the tape's quote of its instrument."""
    result = Valuation(account.balance)
    sides: dict[str, tuple[Decimal, Decimal]] = {}
    for trade in account.open_trades.values():
        quote = at if at is not None and at.instrument == trade.instrument else market.quote(trade.instrument, now)
        factors = market.factors(INSTRUMENTS[trade.instrument].quote, account.currency, now) or SAME
        if quote is None:
            continue
        value = abs(trade.current_units) * middle(quote) * factors.middle
        result.trades[trade.id] = (unrealized(trade, quote, factors), value * MARGIN_RATE)
        long, short = sides.get(trade.instrument, (ZERO, ZERO))
        sides[trade.instrument] = (long + value, short) if trade.is_long else (long, short + value)
    for name, (long, short) in sides.items():
        result.positions[name] = (max(long, short) * MARGIN_RATE, long + short)
    return result


def middle(quote: Quote) -> Decimal:
    """Return the price halfway between bid and ask."""
    return from_points(quote.bid + quote.ask) / 2


def unrealized(trade: Trade, quote: Quote, factors: Factors) -> Decimal:
    """Return what closing the trade now would gain."""
    price = from_points(quote.bid if trade.is_long else quote.ask)
    return factors.home((price - trade.price) * trade.current_units)


def margin_for(units: Decimal, quote: Quote, factors: Factors) -> Decimal:
    """Return the margin of a number of units."""
    return abs(units) * middle(quote) * factors.middle * MARGIN_RATE
