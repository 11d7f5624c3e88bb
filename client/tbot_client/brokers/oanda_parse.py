"""OANDA's JSON as values of the port.

Shapes: OANDA v20 API, Transaction, Trade, Instrument and Pricing definitions. Numbers come as strings.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tbot_client.brokers.port import Event, Instrument, NotFilled, Opened, Position, Quote, Reduced

OURS = "tc-"
REASONS = {
    "STOP_LOSS_ORDER": "stop_loss",
    "TAKE_PROFIT_ORDER": "take_profit",
    "TRAILING_STOP_LOSS_ORDER": "trailing_stop",
}
Json = dict[str, Any]


def events(transactions: list[Json], currency: str) -> list[Event]:
    """Return what a run of transactions means for us, oldest first."""
    found: list[Event] = []
    for transaction in transactions:
        found += _event(transaction, currency)
    return found


def _event(transaction: Json, currency: str) -> list[Event]:
    kind = transaction.get("type", "")
    if kind == "ORDER_FILL":
        return _fill(transaction, currency)
    client_id = transaction.get("clientOrderID") or transaction.get("clientExtensions", {}).get("id", "")
    if not client_id.startswith(OURS):
        return []
    if kind == "ORDER_CANCEL":
        return [NotFilled(id=transaction["id"], client_id=client_id, reason=str(transaction.get("reason", kind)))]
    if kind == "MARKET_ORDER_REJECT":
        return [NotFilled(id=transaction["id"], client_id=client_id, reason=str(transaction.get("rejectReason", kind)))]
    return []


def _fill(fill: Json, currency: str) -> list[Event]:
    """Take a fill apart: it may open one trade and close others at the same time."""
    closed = [*fill.get("tradesClosed", []), *([fill["tradeReduced"]] if fill.get("tradeReduced") else [])]
    opened = fill.get("tradeOpened")
    legs = closed + ([opened] if opened else [])
    total = sum((abs(Decimal(leg["units"])) for leg in legs), Decimal(0))
    found: list[Event] = [_reduced(fill, leg, total, currency) for leg in closed]
    client_id = fill.get("clientOrderID", "")
    if opened and client_id.startswith(OURS):
        found.append(_opened(fill, opened, client_id))
    elif client_id.startswith(OURS):
        found.append(NotFilled(id=fill["id"], client_id=client_id, reason="NETTED"))
    return found


def _opened(fill: Json, opened: Json, client_id: str) -> Opened:
    return Opened(
        id=fill["id"],
        client_id=client_id,
        trade_id=opened["tradeID"],
        units=abs(Decimal(opened["units"])),
        price=Decimal(opened.get("price") or fill["price"]),
        at=moment(fill["time"]),
    )


def _reduced(fill: Json, leg: Json, total: Decimal, currency: str) -> Reduced:
    units = abs(Decimal(leg["units"]))
    share = units / total if total else Decimal(1)
    commission = Decimal(fill.get("commission", "0")) * share
    realised = Decimal(leg.get("realizedPL", "0")) + Decimal(leg.get("financing", "0")) - commission
    return Reduced(
        id=fill["id"],
        trade_id=leg["tradeID"],
        units=units,
        price=Decimal(leg.get("price") or fill["price"]),
        realised=realised,
        currency=currency,
        reason=REASONS.get(fill.get("reason", ""), "broker"),
        at=moment(fill["time"]),
    )


def moment(text: str) -> datetime:
    """Read RFC 3339 with nine fractional digits; Python keeps six."""
    head, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{(fraction + '000000')[:6]}").replace(tzinfo=UTC)


def instrument(entry: Json) -> Instrument:
    return Instrument(
        name=entry["name"],
        price_digits=int(entry["displayPrecision"]),
        unit_digits=int(entry["tradeUnitsPrecision"]),
        minimum=Decimal(entry["minimumTradeSize"]),
        maximum=Decimal(entry["maximumOrderUnits"]),
    )


def quote(answer: Json, name: str, home: str) -> Quote | None:
    """Return the price of ``name`` in a pricing answer, with the rate from its quote currency to ``home``."""
    for price in answer.get("prices", []):
        if price.get("instrument") == name and price.get("bids") and price.get("asks"):
            bid, ask = Decimal(price["bids"][0]["price"]), Decimal(price["asks"][0]["price"])
            tradeable = bool(price.get("tradeable", price.get("status") == "tradeable"))
            return Quote(bid=bid, ask=ask, tradeable=tradeable, home_rate=_home_rate(answer, price, name, home))
    return None


def _home_rate(answer: Json, price: Json, name: str, home: str) -> Decimal | None:
    base, _, currency = name.partition("_")
    if currency == home:
        return Decimal(1)
    for entry in answer.get("homeConversions", []):
        if entry.get("currency") == currency:
            # The dearer of the two, so that a size worked out from it errs to the small side.
            return max(Decimal(entry["accountGain"]), Decimal(entry["accountLoss"]))
    factors = price.get("quoteHomeConversionFactors")
    if factors:
        return max(Decimal(factors["positiveUnits"]), Decimal(factors["negativeUnits"]))
    return 1 / Decimal(price["bids"][0]["price"]) if base == home else None


def position(trade: Json) -> Position | None:
    """Return an open trade of ours, or None when it carries none of our ids."""
    client_id = trade.get("clientExtensions", {}).get("id", "")
    if not client_id.startswith(OURS):
        return None
    units = Decimal(trade["currentUnits"])
    return Position(
        client_id=client_id,
        trade_id=trade["id"],
        instrument=trade["instrument"],
        side="buy" if units > 0 else "sell",
        units=abs(units),
        price=Decimal(trade["price"]),
        levels=(
            _level(trade, "stopLossOrder", "price"),
            _level(trade, "takeProfitOrder", "price"),
            _level(trade, "trailingStopLossOrder", "distance"),
        ),
    )


def _level(trade: Json, order: str, key: str) -> Decimal | None:
    text = trade.get(order, {}).get(key)
    return Decimal(text) if text else None
