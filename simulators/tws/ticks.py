"""Ticks of a quote: which numbers changed, under which ids they are sent."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from simulators.ibkr.quotes import Quote
from simulators.tws.order_messages import Row

# what a subscription was sent last, by the name of the tick
Sent = dict[str, object]
_LIVE = {
    "bid": 1, "ask": 2, "last": 4, "bid_size": 0, "ask_size": 3, "last_size": 5, "high": 6, "low": 7, "volume": 8,
    "close": 9, "open": 14, "time": 45, "halted": 49,
}  # fmt: skip
_DELAYED = {
    "bid": 66, "ask": 67, "last": 68, "bid_size": 69, "ask_size": 70, "last_size": 71, "high": 72, "low": 73,
    "volume": 74, "close": 75, "open": 76, "time": 88, "halted": 90,
}  # fmt: skip
_RT_VOLUME = "233"
NOTHING = Decimal(-1)
ZERO = Decimal(0)


def tick_rows(
    quote: Quote,
    request: int,
    sent: Sent,
    generic: tuple[str, ...],
    *,
    delayed: bool = False,
    empty: Mapping[str, Any] | None = None,
) -> list[Row]:
    """Return the messages that bring a subscription up to date, and note them in ``sent``.

    ``empty`` are the parameters of the fault that takes bid or ask away.
    """
    ids = _DELAYED if delayed else _LIVE
    rows: list[Row] = []
    for side in ("bid", "ask", "last"):
        price, size = _side(quote, side, empty)
        rows += _price_and_size(request, ids, side, price, size, sent)
    for name in ("high", "low", "open", "close"):
        price = getattr(quote, name)
        if price is not None and sent.get(name) != price:
            sent[name] = price
            rows.append((1, 6, request, ids[name], price, 0, 0))
    rows += _volume(quote, request, ids, sent, generic)
    if sent.get("halted") != quote.halted:
        sent["halted"] = quote.halted
        rows.append((45, 6, request, ids["halted"], 1 if quote.halted else 0))
    return rows


def _side(quote: Quote, side: str, empty: Mapping[str, Any] | None) -> tuple[Decimal | None, Decimal]:
    price: Decimal | None = getattr(quote, side)
    size: Decimal = getattr(quote, f"{side}_size")
    if side == "last":
        return price, size
    if empty is not None and empty.get("sides", "both") in (side, "both"):
        return Decimal(empty.get("price", -1)), ZERO
    # the broker's way to say that nobody bids or offers
    return (NOTHING, ZERO) if price is None else (price, size)


def _price_and_size(
    request: int, ids: Mapping[str, int], side: str, price: Decimal | None, size: Decimal, sent: Sent
) -> list[Row]:
    if price is None:
        return []
    if sent.get(side) != price:
        sent[side], sent[f"{side}_size"] = price, size
        return [(1, 6, request, ids[side], price, size, 1 if side != "last" else 0),
                (2, 6, request, ids[f"{side}_size"], size)]  # fmt: skip
    if sent.get(f"{side}_size") != size:
        sent[f"{side}_size"] = size
        return [(2, 6, request, ids[f"{side}_size"], size)]
    return []


def _volume(quote: Quote, request: int, ids: Mapping[str, int], sent: Sent, generic: tuple[str, ...]) -> list[Row]:
    if sent.get("volume") == quote.volume:
        return []
    sent["volume"] = quote.volume
    at = int(quote.at.timestamp())
    rows: list[Row] = [(2, 6, request, ids["volume"], quote.volume), (46, 6, request, ids["time"], at)]
    if _RT_VOLUME in generic and quote.last is not None:
        value = f"{quote.last:f};{quote.last_size:f};{at * 1000};{quote.volume:f};{quote.last:f};true"
        rows.append((46, 6, request, 48, value))
    return rows
