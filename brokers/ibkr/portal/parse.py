"""Values and rows of the Client Portal's JSON: numbers as text, with commas, letters in front, or missing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from brokers.ibkr.executions import Execution
from domain.ids import signal_of_order
from domain.vocabulary import Side, TimeInForce

Json = Mapping[str, Any]
ZERO = Decimal(0)
_PRICE = re.compile(r"(?P<mark>[A-Z]?)(?P<number>-?[0-9][0-9,]*(?:\.[0-9]+)?|-?\.[0-9]+)")
# What may still fill. PendingCancel included: a cancel is a wish.
LIVE = frozenset({"PreSubmitted", "Submitted", "PendingSubmit", "PendingCancel", "ApiPending", "PreSubmit"})
INACTIVE = frozenset({"Inactive", "Rejected"})


def number(value: Any) -> Decimal:
    """Read a number; NaN, infinities and anything that is no number are refused."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise ValueError(f"expected a number, found {type(value).__name__}")
    try:
        read = Decimal(str(value).replace(",", "").strip())
    except InvalidOperation as error:
        raise ValueError(f"expected a number, found {value!r}") from error
    if not read.is_finite():
        raise ValueError(f"expected a finite number, found {value!r}")
    return Decimal(format(read.normalize(), "f"))


def optional(value: Any) -> Decimal | None:
    """Read a number that may be missing, in any of the ways the portal leaves one out."""
    return None if value in (None, "", "null", "N/A") else number(value)


def price(value: Any) -> tuple[Decimal, str] | None:
    """Read a price of a snapshot with its mark: ``C`` is yesterday's close, ``H`` that trading is halted.

    None where there is no price: nothing sent, or one of zero or less, which stands for "no quote".
    """
    found = _PRICE.fullmatch(str(value).strip()) if value not in (None, "") else None
    if found is None:
        return None
    read = Decimal(found["number"].replace(",", ""))
    return (read, found["mark"]) if read > 0 else None


def moment(milliseconds: Any) -> datetime:
    """Read a time in milliseconds since 1970."""
    return datetime.fromtimestamp(float(number(milliseconds)) / 1000, UTC)


def reference(value: Any) -> str | None:
    """Read a client order id; None when it is not one of ours."""
    text = "" if value is None else str(value)
    return text if signal_of_order(text) is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """An order as the portal lists it. ``reference`` is our id; ``raw`` the words it was told in."""

    order_id: str
    reference: str | None
    account: str
    conid: int
    market: str
    side: Side
    kind: str
    status: str
    quantity: Decimal
    filled: Decimal
    limit: Decimal | None
    stop: Decimal | None
    trailing_percent: Decimal | None
    trailing_distance: Decimal | None
    tif: TimeInForce | None
    outside_hours: bool
    at: datetime | None

    @property
    def remaining(self) -> Decimal:
        return max(self.quantity - self.filled, ZERO)

    @property
    def is_live(self) -> bool:
        return self.status in LIVE


# what the portal calls a kind of order, in lists and in tickets -> the ticket's word
KINDS: Mapping[str, str] = {
    "LIMIT": "LMT",
    "LMT": "LMT",
    "MARKET": "MKT",
    "MKT": "MKT",
    "STOP": "STP",
    "STP": "STP",
    "STOP_LIMIT": "STOP_LIMIT",
    "STOP LIMIT": "STOP_LIMIT",
    "STP LMT": "STOP_LIMIT",
    "STPLMT": "STOP_LIMIT",
    "STOPLIMIT": "STOP_LIMIT",
    "TRAIL": "TRAIL",
    "TRAILING_STOP": "TRAIL",
    "TRAILING STOP": "TRAIL",
    "TRAILLMT": "TRAILLMT",
    "TRAIL LIMIT": "TRAILLMT",
    "TRAIL_LIMIT": "TRAILLMT",
    "TRAILING_STOP_LIMIT": "TRAILLMT",
    "TRAILING STOP LIMIT": "TRAILLMT",
}


def kind(row: Json) -> str:
    """Return the kind of a listed order in a ticket's words; what is not known stays as it is."""
    for name in ("origOrderType", "orderType", "order_type"):
        text = str(row.get(name) or "").upper().strip()
        if text in KINDS:
            return KINDS[text]
    return str(row.get("orderType") or row.get("order_type") or "").upper()


def is_stock(row: Any) -> bool:
    """Tell a row about a stock from one about what else goes by its symbol, such as its options."""
    if not isinstance(row, Mapping):
        return True  # whoever reads it says what is wrong with it
    return str(row.get("sec_type") or row.get("secType") or "STK").upper() == "STK"


def order(row: Json) -> OrderRow:
    """Read a row of the list of orders."""
    what = kind(row)
    percent, distance = _trail(row)
    limit, stop = _prices(row, what)
    filled = optional(row.get("filledQuantity")) or ZERO
    remaining = optional(row.get("remainingQuantity")) or ZERO
    at = row.get("lastExecutionTime_r")
    return OrderRow(
        order_id=str(row["orderId"]),
        reference=reference(row.get("order_ref")),
        account=str(row.get("acct") or row.get("account") or ""),
        conid=int(number(row["conid"])),
        market=str(row.get("ticker") or ""),
        side=side(row["side"]),
        kind=what,
        status=str(row.get("status") or row.get("order_ccp_status") or ""),
        quantity=optional(row.get("totalSize")) or filled + remaining,
        filled=filled,
        limit=limit,
        stop=stop,
        trailing_percent=percent,
        trailing_distance=distance,
        tif=tif(row.get("timeInForce")),
        outside_hours=row.get("outsideRTH") is True,
        at=None if at in (None, "", 0) else moment(at),
    )


def seen(row: OrderRow, body: Json) -> OrderRow:
    """Return an order with what the page of one order says of it."""
    filled, total = optional(body.get("cum_fill")), optional(body.get("total_size"))
    stop = optional(body.get("stop_price")) if row.stop is not None else None
    moved = ZERO if stop is None or row.stop is None else stop - row.stop
    return replace(
        row,
        stop=row.stop if stop is None else stop,
        # A trailing limit keeps its distance from its stop.
        limit=row.limit + moved if row.kind == "TRAILLMT" and row.limit is not None else row.limit,
        status=str(body.get("order_status") or row.status),
        filled=row.filled if filled is None else filled,
        quantity=total or row.quantity,
    )


def account_of(row: Json) -> str:
    """Return whose execution a row is; an empty text where it does not say."""
    return str(row.get("accountCode") or row.get("account") or "")


def execution(row: Json) -> Execution:
    """Read a row of the list of executions; a busted one has a size of zero."""
    fee = optional(row.get("commission"))
    return Execution(
        exec_id=str(row["execution_id"]),
        reference=reference(row.get("order_ref")),
        broker_order_id=str(row.get("order_id") or row.get("orderId") or ""),
        account=account_of(row),
        market=str(row["symbol"]),
        side=side(row["side"]),
        quantity=abs(number(row["size"])),
        price=number(row["price"]),
        at=moment(row["trade_time_r"]),
        fee=None if fee is None else abs(fee),
    )


def side(value: Any) -> Side:
    """Read ``BUY``, ``B``, ``SELL``, ``S`` or ``SLD``."""
    letter = str(value).strip().upper()[:1]
    if letter not in ("B", "S"):
        raise ValueError(f"expected a side, found {value!r}")
    return Side.BUY if letter == "B" else Side.SELL


def tif(value: Any) -> TimeInForce | None:
    """Read how long an order rests; None for one of the portal's other ways."""
    return {"DAY": TimeInForce.DAY, "GTC": TimeInForce.GTC, "CLOSE": TimeInForce.DAY}.get(str(value).strip().upper())


def _prices(row: Json, what: str) -> tuple[Decimal | None, Decimal | None]:
    """Return limit and stop of a listed order: ``price`` is the stop where a kind has no limit."""
    first, second = optional(row.get("price")), optional(row.get("auxPrice"))
    stop = optional(row.get("stop_price")) or optional(row.get("stopPrice"))
    if what in ("STP", "TRAIL"):
        return None, stop or second or first
    if what == "TRAILLMT" and (stop or second) == first:
        # The list shows the stop in both places until it was reached.
        return None, first
    if what in ("STOP_LIMIT", "TRAILLMT"):
        return optional(row.get("limit_price")) or first, stop or second
    return (first, None) if what == "LMT" else (None, None)


def _trail(row: Json) -> tuple[Decimal | None, Decimal | None]:
    """Return a trailing stop's distance, in percent or in dollars."""
    text = row.get("trailingAmt", row.get("trailing_amount"))
    if text in (None, ""):
        return None, None
    is_percent = str(row.get("trailingType", row.get("trailing_amount_unit", ""))) == "%" or str(text).endswith("%")
    read = number(str(text).rstrip("%"))
    return (read, None) if is_percent else (None, read)
