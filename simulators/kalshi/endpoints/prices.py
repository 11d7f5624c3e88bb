"""Books, public trades and candles."""

import heapq
from datetime import UTC, datetime, timedelta
from itertools import islice

from simulators.kalshi.call import Call
from simulators.kalshi.candles import candlesticks
from simulators.kalshi.market_views import orderbook_view, trade_view
from simulators.kalshi.paging import page
from simulators.kalshi.wire import Json, refusal

_PERIODS = (1, 60, 1440)
_MOST_CANDLES = 5000
_MOST_BOOKS = 100
# how far back trades go: over one market, and over all of them
_ONE, _ALL = timedelta(days=7), timedelta(hours=1)
_MOST_TRADES = 5000


def orderbook(call: Call) -> tuple[int, Json]:
    """Return a book."""
    depth = call.integer("depth", 0, 0, 100)
    return 200, orderbook_view(call.venue, call.contract(), call.now, depth)


def orderbooks(call: Call) -> tuple[int, Json]:
    """Return several books."""
    names = call.names("tickers")
    if not 1 <= len(names) <= _MOST_BOOKS:
        raise refusal(400, "invalid_parameters", details=f"tickers should name 1 to {_MOST_BOOKS} markets")
    books = [{"ticker": name, **orderbook_view(call.venue, call.shown(name), call.now, 0)} for name in names]
    return 200, {"orderbooks": books}


def trades(call: Call) -> tuple[int, Json]:
    """List public trades, newest first."""
    ticker = call.query.get("ticker")
    contracts = [call.shown(ticker)] if ticker else call.venue.shown(call.now)
    low = call.moment("min_ts") or call.now - (_ONE if ticker else _ALL)
    high = min(call.moment("max_ts") or call.now, call.now) + timedelta(microseconds=1)
    runs = [contract.trades_between(low, high) for contract in contracts]
    newest = heapq.merge(*runs, key=lambda trade: trade.time, reverse=True)
    found = list(islice(newest, _MOST_TRADES))
    return 200, page(call, "trades", found, lambda trade: trade_view(call.wire, trade), (100, 1000))


def candles(call: Call) -> tuple[int, Json]:
    """Return candles of quotes and trades."""
    contract = call.contract()
    if contract.listing.series_ticker != call.params["series"]:
        raise refusal(404, "not_found", "market not found")
    period = call.integer("period_interval", 0, 0, 1440)
    start, end = call.moment("start_ts"), call.moment("end_ts")
    if period not in _PERIODS or start is None or end is None:
        details = "period_interval should be 1, 60 or 1440; start_ts and end_ts should be given"
        raise refusal(400, "invalid_parameters", details=details)
    if (end - start).total_seconds() / (60 * period) > _MOST_CANDLES:
        raise refusal(400, "invalid_parameters", details=f"at most {_MOST_CANDLES} candlesticks can be asked for")
    span = (max(start, datetime.fromtimestamp(0, UTC)), min(end, call.now))
    return 200, {"ticker": contract.ticker, "candlesticks": candlesticks(contract, span, period, call.wire)}
