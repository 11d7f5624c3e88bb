"""Rows of the account: orders, executions, settlements and positions, in terms of the YES book."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from brokers.kalshi.parse import (
    CENTS,
    ONE,
    ZERO,
    Json,
    count,
    moment,
    money,
    number,
    optional_moment,
    required_count,
    required_money,
    text,
    traded_price,
)
from domain.vocabulary import Side

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# (side, action) of the older wire -> side of the YES book: selling NO is buying YES.
_OLDER = {
    ("yes", "buy"): Side.BUY,
    ("no", "sell"): Side.BUY,
    ("yes", "sell"): Side.SELL,
    ("no", "buy"): Side.SELL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """An order as the venue lists it; ``fees`` are those of all its executions."""

    order_id: str
    client_order_id: str
    ticker: str
    side: Side
    status: str
    filled: Decimal
    initial: Decimal
    fees: Decimal | None
    created_at: datetime | None

    @property
    def is_resting(self) -> bool:
        return self.status == "resting"


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRow:
    """One execution; ``price`` is that of YES. ``fee`` is None on a wire that does not tell it by execution."""

    fill_id: str
    order_id: str
    ticker: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementRow:
    """The end of one market; ``value`` is what YES paid, None when all were given back what they had paid.

    ``held`` is what the account held of it then, YES above zero and NO below; None where that was not sent.
    """

    ticker: str
    value: Decimal | None
    at: datetime
    held: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRow:
    """What is held of one market: YES above zero, NO below. ``cost`` is what it was bought for."""

    ticker: str
    quantity: Decimal
    cost: Decimal
    updated_at: datetime


def order(data: Json) -> OrderRow:
    filled = count(data, "fill_count")
    initial = _initial(data, filled)
    return OrderRow(
        order_id=str(data["order_id"]),
        client_order_id=text(data, "client_order_id"),
        ticker=str(data["ticker"]),
        side=side_of(data),
        status=str(data["status"]),
        filled=initial - required_count(data, "remaining_count") if filled is None else filled,
        initial=initial,
        fees=fees(data),
        created_at=optional_moment(data.get("created_time")),
    )


def fill(data: Json) -> FillRow:
    side = side_of(data)
    return FillRow(
        fill_id=str(data.get("fill_id") or data["trade_id"]),
        order_id=str(data["order_id"]),
        ticker=str(data.get("ticker") or data["market_ticker"]),
        side=side,
        quantity=_positive(required_count(data, "count")),
        price=_yes_price(data),
        fee=None if data.get("fee_cost") in (None, "") else number(data["fee_cost"]),
        at=moment(data.get("created_time") or data["ts"]),
    )


def settlement(data: Json) -> SettlementRow:
    result = text(data, "market_result") or str(data["result"])
    yes, no = count(data, "yes_count"), count(data, "no_count")
    return SettlementRow(
        ticker=str(data["ticker"]),
        value=_value(result, data),
        at=moment(data["settled_time"]),
        held=None if yes is None or no is None else yes - no,
    )


def position(data: Json) -> PositionRow:
    return PositionRow(
        ticker=str(data["ticker"]),
        quantity=required_count(data, "position"),
        cost=abs(required_money(data, "market_exposure")),
        updated_at=optional_moment(data.get("last_updated_ts")) or EPOCH,
    )


def side_of(data: Json) -> Side:
    """Read which way of the YES book a row goes; the current wire says it in one word."""
    book = data.get("book_side")
    if book in ("bid", "ask"):
        return Side.BUY if book == "bid" else Side.SELL
    older = (text(data, "side"), text(data, "action"))
    if older not in _OLDER:
        raise ValueError(f"expected book_side bid or ask, or side and action, found {book!r} and {older}")
    return _OLDER[older]


def _initial(data: Json, filled: Decimal | None) -> Decimal:
    initial = count(data, "initial_count")
    if initial is None:
        initial = count(data, "count")
    if initial is None and filled is not None:
        return filled + required_count(data, "remaining_count")
    if initial is None:
        raise ValueError("expected initial_count_fp, initial_count or count, found none of them")
    return initial


def fees(data: Json) -> Decimal | None:
    """Read what an order's executions cost in fees, in dollars; None on a wire that does not tell."""
    parts = [money(data, "taker_fees"), money(data, "maker_fees")]
    told = [part for part in parts if part is not None]
    return sum(told, ZERO) if told else None


def _yes_price(data: Json) -> Decimal:
    """Read the price of YES, from that of NO if it alone was sent."""
    if money(data, "yes_price") is not None:
        return traded_price(data, "yes_price")
    if money(data, "no_price") is not None:
        return ONE - traded_price(data, "no_price")
    # The oldest rows have one price, that of the side they name.
    named = traded_price(data, "price")
    return ONE - named if text(data, "side") == "no" else named


def _value(result: str, data: Json) -> Decimal | None:
    if result in ("yes", "no"):
        return ONE if result == "yes" else ZERO
    if result == "void":
        return None
    if data.get("value") is not None:
        return number(data["value"]) / CENTS
    return _value_paid(result, data)


def _value_paid(result: str, data: Json) -> Decimal:
    """Work out what YES paid from what the account was paid, in cents, for what it held of one side."""
    yes, no, revenue = count(data, "yes_count"), count(data, "no_count"), data.get("revenue")
    if revenue is None or yes is None or no is None or (yes > 0) is (no > 0):
        raise ValueError(f"expected a value, or a revenue of one side, beside market_result {result!r}, found neither")
    each = number(revenue) / CENTS / (yes or no)
    return each if yes > 0 else ONE - each


def _positive(quantity: Decimal) -> Decimal:
    if quantity <= 0:
        raise ValueError(f"expected a count above 0, found {quantity}")
    return quantity
