"""What the rule would have done on the bars of one symbol: its trades, and what each of them returned before costs.

Prices are the middle of bid and ask; what it costs to trade is counted by the estimate. Bars are those of the hours in
which the strategy trades, and a date in UTC is a session: New York's regular hours never cross midnight there.
Positions end by the exit engine that ends real ones. A bar tells no order of its prices, so a buy stop and the stop
below it, met in the same bar, are a loss.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from domain.quotes import Bar, Ohlc
from domain.vocabulary import Side
from strategies.exits import ExitPlan, ExitState, Trailing, on_bar, start
from strategies.stop_entry.levels import Levels, levels
from strategies.stop_entry.params import StopEntryParams
from strategies.stop_entry.splits import off_scale
from strategies.track_record import Trade

_HUNDRED = Decimal(100)
_BP = 10_000.0
_HOUR_S = 3600.0
# Older trades fall out: a symbol that changed its habits is judged by the newer ones.
_REMEMBERED = 500


@dataclass(slots=True)
class _Open:
    state: ExitState
    since: datetime


class Track:
    """Walks the rule over bars, oldest first; keeps the trades, not the bars."""

    def __init__(self, symbol: str, tick: Decimal, params: StopEntryParams) -> None:
        self._symbol = symbol
        self._tick = tick
        self._params = params
        self._plan = ExitPlan(trailing=Trailing(percent=params.trail_of(symbol)))
        self._done: deque[Trade] = deque(maxlen=_REMEMBERED)
        self._open: _Open | None = None
        self._armed: tuple[Levels, datetime] | None = None
        self._rests_until: datetime | None = None
        self._day: date | None = None
        self._close: Decimal | None = None
        self._seen_until: datetime | None = None

    @property
    def trades(self) -> Sequence[Trade]:
        """Return the trades so far, the one still open last, at its latest price: winners run longest."""
        held = self._open
        if held is None or self._seen_until is None:
            return tuple(self._done)
        return (*self._done, _trade(held, held.state.last, self._seen_until))

    def on_bar(self, bar: Bar) -> None:
        """Take in one closed bar that is later than all before."""
        prices = bar.mid if bar.bid != bar.ask else bar.bid
        bar = replace(bar, bid=prices, ask=prices)
        if off_scale(prices.open, self._close) is not None:
            # A split in raw prices: what waits or is open means nothing on the new scale.
            self._armed, self._open = None, None
        self._turn_of_day(bar)
        if self._open is not None:
            self._follow(bar)
        elif self._rests_until is None or bar.start >= self._rests_until:
            self._wait(bar, prices)
        self._close, self._seen_until = prices.close, bar.end

    def _turn_of_day(self, bar: Bar) -> None:
        if bar.start.date() != self._day:
            self._day, self._armed, self._close = bar.start.date(), None, bar.bid.open

    def _wait(self, bar: Bar, prices: Ohlc) -> None:
        """Arm an entry if none waits, fill it where the bar reaches it, and move it down after a fall."""
        assert self._close is not None
        if self._armed is None:
            armed = levels(self._symbol, self._close, self._tick, self._params)
            if armed is None:
                return
            self._armed = armed, bar.start
        price = _fill(self._armed[0], prices)
        if price is None:
            self._reprice(bar, prices.close)
            return
        at = bar.start if prices.open >= self._armed[0].trigger else bar.start + (bar.end - bar.start) / 2
        self._open = _Open(start(self._plan, Side.BUY, price, Decimal(1), at), at)
        self._armed = None
        self._follow(bar)

    def _reprice(self, bar: Bar, close: Decimal) -> None:
        assert self._armed is not None
        armed, since = self._armed
        if bar.end - since < timedelta(seconds=self._params.reprice_min_s):
            return
        wanted = levels(self._symbol, close, self._tick, self._params)
        if wanted is not None and armed.trigger > wanted.trigger * (1 + self._params.reprice_pct / _HUNDRED):
            self._armed = wanted, bar.end

    def _follow(self, bar: Bar) -> None:
        assert self._open is not None
        self._open.state, legs = on_bar(self._plan, self._open.state, bar)
        if legs:
            self._done.append(_trade(self._open, legs[-1].price, bar.end))
            self._open = None
            self._rests_until = bar.end + timedelta(minutes=float(self._params.cooldown_min))


def _fill(armed: Levels, prices: Ohlc) -> Decimal | None:
    """Return where a bar fills a waiting entry: at its trigger, at a gap's open, or at the bound it comes back to."""
    if prices.high < armed.trigger:
        return None
    price = max(prices.open, armed.trigger)
    if armed.limit is None or price <= armed.limit:
        return price
    return armed.limit if prices.low <= armed.limit else None


def _trade(held: _Open, price: Decimal, until: datetime) -> Trade:
    return Trade(
        return_bp=float(price / held.state.entry - 1) * _BP, hours=(until - held.since).total_seconds() / _HOUR_S
    )
