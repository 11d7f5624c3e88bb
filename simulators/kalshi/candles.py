"""Candles: quotes sampled from the synthetic book, prices from the public trades."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from simulators.kalshi.contract import Contract, Trade
from simulators.kalshi.market_views import merged
from simulators.kalshi.wire import Json, cents, dollars, fp

# period in minutes -> how many times its quotes are looked at
_SAMPLES = {1: 4, 60: 12, 1440: 24}


def candlesticks(contract: Contract, span: tuple[datetime, datetime], period: int, wire: str) -> list[Json]:
    """Return one candle for each whole period of trading that ends in a span.

    Args:
        contract: the market.
        span: first and last moment at which a candle may end.
        period: in minutes.
        wire: whose fields to write.
    """
    length = period * 60
    first = max(span[0], contract.life.opens + timedelta(seconds=1))
    end = -(-int(first.timestamp()) // length) * length
    last = min(span[1], contract.life.closes + timedelta(seconds=length - 1))
    found = []
    while end <= last.timestamp():
        found.append(_candle(contract, end, length, wire))
        end += length
    return found


def _candle(contract: Contract, end: int, length: int, wire: str) -> Json:
    begins, ends = datetime.fromtimestamp(end - length, UTC), datetime.fromtimestamp(end, UTC)
    low, high = max(begins, contract.life.opens), min(ends, contract.life.closes)
    step = (high - low) / _SAMPLES[length // 60]
    moments = [low + step * i for i in range(_SAMPLES[length // 60])]
    quotes = [contract.quotes_at(moment) for moment in moments]
    bids = [max(q.bids, default=Decimal(0)) for q in quotes]
    asks = [min(q.asks, default=Decimal(1)) for q in quotes]
    trades = list(reversed(list(contract.trades_between(begins, ends))))
    volume = sum(trade.count for trade in trades)
    interest = contract.volume(high) // 2
    shared: Json = {
        "end_period_ts": end,
        "yes_bid": _spread(bids, wire),
        "yes_ask": _spread(asks, wire),
        "price": _prices(trades, wire),
    }
    current: Json = {"volume_fp": fp(volume), "open_interest_fp": fp(interest)}
    return merged(wire, shared, current, {"volume": volume, "open_interest": interest})


def _spread(values: Sequence[Decimal], wire: str) -> Json:
    named = {"open": values[0], "low": min(values), "high": max(values), "close": values[-1]}
    return _both(named, wire)


def _prices(trades: list[Trade], wire: str) -> Json:
    if not trades:
        return {}
    prices = [trade.price for trade in trades]
    count = sum(trade.count for trade in trades)
    mean = sum((trade.price * trade.count for trade in trades), Decimal(0)) / count
    named = {"open": prices[0], "low": min(prices), "high": max(prices), "close": prices[-1], "mean": mean}
    return _both(named, wire)


def _both(named: dict[str, Decimal], wire: str) -> Json:
    told = {f"{name}_dollars": dollars(value) for name, value in named.items()}
    return merged(wire, told, {}, {name: cents(value) for name, value in named.items()})
