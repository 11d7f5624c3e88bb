"""OANDA's JSON read into domain values; everything numeric arrives as a string."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from brokers.port import Account, BrokerTrade
from domain.clock import parse_iso
from domain.quotes import Bar, Instrument, Ohlc
from domain.vocabulary import Side

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A ClientPrice: top of book and the venue's time; ``rate`` is home currency per quote currency, if it was sent."""

    market: str
    bid: Decimal
    ask: Decimal
    at: datetime
    tradeable: bool
    rate: Decimal | None


def number(text: Any) -> Decimal:
    """Read a decimal string; NaN and infinities are refused."""
    value = Decimal(str(text))
    if not value.is_finite():
        raise ValueError(f"expected a finite number, found {text!r}")
    return value


def moment(text: str) -> datetime:
    """Read RFC 3339 with nine digits of a second, ``2016-10-25T21:07:21.065554321Z``; the last three are dropped."""
    return parse_iso(text)


def side_of(units: Decimal) -> Side:
    return Side.BUY if units > 0 else Side.SELL


def instrument(data: Json) -> Instrument:
    base, _, quote_currency = data["name"].partition("_")
    return Instrument(
        name=data["name"],
        base=base,
        quote_currency=quote_currency,
        tick=Decimal(1).scaleb(-int(data["displayPrecision"])),
        pip=Decimal(1).scaleb(int(data["pipLocation"])),
        quantity_step=Decimal(1).scaleb(-int(data["tradeUnitsPrecision"])),
        quantity_min=number(data["minimumTradeSize"]),
        quantity_max=number(data["maximumOrderUnits"]),
        margin_rate=number(data["marginRate"]),
    )


def price(data: Json) -> Price | None:
    """Read a ClientPrice from REST or stream; None when it holds no two-sided price."""
    bid, ask = _top(data, "bids", "closeoutBid"), _top(data, "asks", "closeoutAsk")
    if bid is None or ask is None or not 0 < bid <= ask:
        return None
    tradeable = data.get("tradeable", data.get("status") == "tradeable")
    return Price(
        market=data["instrument"],
        bid=bid,
        ask=ask,
        at=moment(data["time"]),
        tradeable=bool(tradeable),
        rate=_factor(data.get("quoteHomeConversionFactors")),
    )


def _top(data: Json, ladder: str, closeout: str) -> Decimal | None:
    buckets = data.get(ladder) or []
    text = buckets[0]["price"] if buckets else data.get(closeout)
    return number(text) if text else None


def _factor(data: Json | None) -> Decimal | None:
    if not data:
        return None
    return (number(data["positiveUnits"]) + number(data["negativeUnits"])) / 2


def home_rates(body: Json) -> dict[str, Decimal]:
    """Return currency -> home currency per unit of it, from ``homeConversions`` of a pricing reply."""
    return {
        row["currency"]: (number(row["accountGain"]) + number(row["accountLoss"])) / 2
        for row in body.get("homeConversions") or []
    }


def bar(market: str, period_s: int, data: Json) -> Bar:
    return Bar(
        market=market,
        start=moment(data["time"]),
        period_s=period_s,
        bid=_ohlc(data["bid"]),
        ask=_ohlc(data["ask"]),
        volume=int(data["volume"]),
    )


def _ohlc(data: Json) -> Ohlc:
    return Ohlc(open=number(data["o"]), high=number(data["h"]), low=number(data["l"]), close=number(data["c"]))


def account(body: Json) -> Account:
    data = body["account"]
    return Account(
        account_id=data["id"],
        currency=data["currency"],
        balance=number(data["balance"]),
        equity=number(data["NAV"]),
        margin_used=number(data["marginUsed"]),
        margin_available=number(data["marginAvailable"]),
        cursor=str(body.get("lastTransactionID") or data["lastTransactionID"]),
    )


def trade(data: Json) -> BrokerTrade:
    units = number(data["currentUnits"])
    return BrokerTrade(
        trade_id=data["id"],
        client_order_id=(data.get("clientExtensions") or {}).get("id"),
        market=data["instrument"],
        side=side_of(units),
        quantity=abs(units),
        price=number(data["price"]),
        opened_at=moment(data["openTime"]),
        stop_loss=_resting(data, "stopLossOrder", "price"),
        take_profit=_resting(data, "takeProfitOrder", "price"),
        trailing_distance=_resting(data, "trailingStopLossOrder", "distance"),
    )


def _resting(data: Json, order: str, field: str) -> Decimal | None:
    """Read a protective order's level; one that is no longer pending protects nothing."""
    nested = data.get(order)
    if not nested or nested.get("state", "PENDING") != "PENDING" or nested.get(field) is None:
        return None
    return number(nested[field])
