"""Kalshi's JSON as values: amounts in dollars and counts come as strings, times as ISO or Unix seconds.

Shapes: Kalshi Trade API 3.30.0, models Market, Order, Fill, MarketPosition, Settlement. Prices are those of YES.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import Any, TypeVar

from tbot_client.errors import Retry

OURS = "tc-"
CENT = Decimal("0.01")
ACTIVE = "active"
# Trading is over for good; what is still held is settled by the venue.
OVER = frozenset({"closed", "determined", "disputed", "amended", "finalized", "settled"})
Json = dict[str, Any]
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A contract as listed; ``steps`` are (from, price step), rising, and ``value`` what YES paid once it is known."""

    ticker: str
    status: str
    is_binary: bool
    bid: Decimal
    ask: Decimal
    payout: Decimal
    steps: tuple[tuple[Decimal, Decimal], ...]
    value: Decimal | None

    def step(self, price: Decimal) -> Decimal:
        """Return the smallest change of price at ``price``."""
        return [step for start, step in self.steps if start <= price][-1]

    def limit(self, side: str, worst: Decimal) -> Decimal:
        """Return the nearest price that can be ordered at and is no worse than ``worst``."""
        rounding = ROUND_FLOOR if side == "buy" else ROUND_CEILING
        step = self.step(min(max(worst, Decimal(0)), self.payout))
        price = (worst / step).to_integral_value(rounding) * step
        return min(max(price, self.step(Decimal(0))), self.payout - self.step(self.payout))


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnOrder:
    """An order that carries one of our ids."""

    order_id: str
    client_id: str
    ticker: str
    side: str
    status: str
    filled: Decimal
    at: datetime

    @property
    def is_final(self) -> bool:
        return self.status in ("executed", "canceled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """``side`` is what was done to YES: buying it, or selling it, which is buying NO."""

    fill_id: str
    order_id: str
    ticker: str
    side: str
    units: Decimal
    price: Decimal
    fee: Decimal
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """``held`` is what the account held then, NO as a negative number; ``value`` what one YES paid, if it is told."""

    ticker: str
    held: Decimal
    value: Decimal | None
    at: datetime


def read(what: str, reader: Callable[[Json], Value], entry: Json) -> Value:
    """Return what ``reader`` makes of an entry.

    Raises:
        Retry: it is not of the documented form.
    """
    try:
        return reader(entry)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, InvalidOperation) as error:
        raise Retry(f"{what} of the documented form", f"{type(error).__name__}: {error}"[:120]) from error


def market(entry: Json) -> Market:
    ranges = [(number(part["start"]), number(part["step"])) for part in entry.get("price_ranges") or []]
    value = entry.get("settlement_value_dollars")
    return Market(
        ticker=text(entry["ticker"]),
        status=text(entry["status"]),
        is_binary=entry.get("market_type", "binary") == "binary",
        bid=number(entry["yes_bid_dollars"]),
        ask=number(entry["yes_ask_dollars"]),
        payout=number(entry.get("notional_value_dollars") or "1"),
        steps=tuple(sorted(ranges)) if ranges and min(ranges)[0] <= 0 else ((Decimal(0), CENT),),
        value=None if value in (None, "") else number(value),
    )


def own_order(entry: Json) -> OwnOrder:
    return OwnOrder(
        order_id=text(entry["order_id"]),
        client_id=text(entry["client_order_id"]),
        ticker=text(entry["ticker"]),
        side=_side(entry),
        status=text(entry["status"]),
        filled=count(entry["fill_count_fp"]),
        at=_moment(entry.get("created_time") or entry.get("last_update_time")),
    )


def fill(entry: Json) -> Fill:
    return Fill(
        fill_id=text(entry.get("fill_id") or entry["trade_id"]),
        order_id=text(entry["order_id"]),
        ticker=text(entry.get("ticker") or entry["market_ticker"]),
        side=_side(entry),
        units=count(entry["count_fp"]),
        price=number(entry["yes_price_dollars"]),
        fee=number(entry.get("fee_cost") or "0"),
        at=_moment(entry.get("created_time") or entry.get("ts")),
    )


def settlement(entry: Json) -> Settlement:
    paid = {"yes": Decimal(1), "no": Decimal(0)}.get(entry["market_result"])
    if paid is None and entry.get("value") is not None:
        paid = number(entry["value"]) / 100
    return Settlement(
        ticker=text(entry["ticker"]),
        held=count(entry["yes_count_fp"]) - count(entry["no_count_fp"]),
        value=paid,
        at=_moment(entry["settled_time"]),
    )


def position(entry: Json) -> tuple[str, Decimal]:
    """Return ticker and contracts held, NO as a negative number."""
    return text(entry["ticker"]), count(entry["position_fp"])


def number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"{type(value).__name__} is no number")
    found = Decimal(value)
    if not found.is_finite():
        raise ValueError("a number that is none")
    return found


def count(value: object) -> Decimal:
    """Read a number of contracts, without the two decimals it is written with when it is whole."""
    found = number(value)
    whole = found.to_integral_value()
    return whole if whole == found else found


def money(value: object) -> Decimal:
    """Read an amount of dollars, in cents unless it is finer."""
    found = number(value)
    cents = found.quantize(CENT)
    return cents if cents == found else found


def text(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable() or len(value) > 100:
        raise ValueError("no short text")
    return value


def _side(entry: Json) -> str:
    return {"bid": "buy", "ask": "sell"}[entry["book_side"]]


def _moment(value: object) -> datetime:
    if isinstance(value, int) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    moment = datetime.fromisoformat(str(value))
    if moment.tzinfo is None:
        raise ValueError("a time without an offset")
    return moment.astimezone(UTC)
