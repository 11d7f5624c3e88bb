"""Rows of the Client Portal: orders, executions, quotes, positions, with numbers as text, as numbers, or missing."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from tbot_client.errors import Retry

Json = dict[str, Any]
Value = TypeVar("Value")
OURS = re.compile(r"(tc-[0-9A-HJKMNP-TV-Z]{26})-(entry|stop|target|exit)-([1-9][0-9]{0,5})")
ZERO = Decimal(0)
# What may still fill. PendingCancel included: a cancel is a wish.
LIVE = frozenset({"PreSubmitted", "Submitted", "PendingSubmit", "PendingCancel", "ApiPending", "PreSubmit"})
_STOPS = ("STP", "STOP")
_PRICE = re.compile(r"([A-Z]?)([0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnOrder:
    """An order with one of our ids; ``price`` is the limit of a target, and where a stop stands now."""

    order_id: str
    client_id: str
    status: str
    units: Decimal
    filled: Decimal
    price: Decimal | None = None
    is_trail: bool = False

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def left(self) -> Decimal:
        return self.units - self.filled


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill; ``fill_id`` stays the same when the broker corrects it, ``client_id`` is empty when it is not ours."""

    fill_id: str
    revision: str
    client_id: str
    conid: int
    symbol: str
    side: str
    units: Decimal
    price: Decimal
    fee: Decimal | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A quote; ``is_live`` is False for one that is delayed, frozen, not subscribed to, or halted."""

    bid: Decimal
    ask: Decimal
    is_live: bool
    at: datetime


def read(what: str, reader: Callable[[Any], Value], row: Any) -> Value:
    """Read a row; one that is not of the documented form is Retry."""
    try:
        return reader(row)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError) as error:
        raise Retry(f"{what} of the documented form", f"one that is not ({type(error).__name__})") from error


def number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError
    try:
        found = Decimal(str(value).replace(",", "").strip())
    except InvalidOperation as error:
        raise ValueError(str(value)[:40]) from error
    if not found.is_finite():
        raise ValueError(str(value)[:40])
    return Decimal(f"{found.normalize():f}")


def optional(value: Any) -> Decimal | None:
    return None if value in (None, "", "null", "N/A") else number(value)


def own_order(row: Json) -> OwnOrder | None:
    """Read a row of the list of orders, None for one that is not ours."""
    client_id = str(row.get("order_ref") or "")
    if not OURS.fullmatch(client_id):
        return None
    filled, left = optional(row.get("filledQuantity")) or ZERO, optional(row.get("remainingQuantity")) or ZERO
    kind = str(row.get("origOrderType") or row.get("orderType") or "").upper().replace(" ", "_")
    stop = optional(row.get("stop_price")) or optional(row.get("auxPrice"))
    is_stop = "TRAIL" in kind or kind.startswith(_STOPS)
    return OwnOrder(
        order_id=str(row["orderId"]),
        client_id=client_id,
        status=str(row.get("status") or row.get("order_ccp_status") or ""),
        units=optional(row.get("totalSize")) or filled + left,
        filled=filled,
        price=(stop or optional(row.get("price"))) if is_stop else optional(row.get("price")),
        is_trail="TRAIL" in kind,
    )


def execution(row: Json) -> Execution:
    fill_id, _, revision = str(row["execution_id"]).rpartition(".")
    client_id, fee = str(row.get("order_ref") or ""), optional(row.get("commission"))
    return Execution(
        fill_id=fill_id or revision,
        revision=revision,
        client_id=client_id if OURS.fullmatch(client_id) else "",
        conid=int(number(row["conid"])),
        symbol=str(row.get("symbol") or row.get("contract_description_1") or ""),
        side={"B": "buy", "S": "sell"}[str(row["side"]).strip().upper()[:1]],
        units=abs(number(row["size"])),
        price=number(row["price"]),
        fee=None if fee is None else abs(fee),
        at=moment(row["trade_time_r"]),
    )


def latest(executions: list[Execution]) -> list[Execution]:
    """Return each fill as it was corrected last, busted ones left out, oldest first."""
    found: dict[str, Execution] = {}
    for each in executions:
        if each.fill_id not in found or found[each.fill_id].revision < each.revision:
            found[each.fill_id] = each
    return sorted((each for each in found.values() if each.units > 0), key=lambda each: each.at)


def snapshot(row: Json) -> Snapshot | None:
    """Read a row of a snapshot, None while it has no bid and ask."""
    bid, ask, last = (_price(row.get(field)) for field in ("84", "86", "31"))
    if bid is None or ask is None or "_updated" not in row:
        return None
    is_halted = last is not None and last[1] == "H"
    is_live = str(row.get("6509") or "").upper().startswith("R") and not is_halted
    return Snapshot(bid=bid[0], ask=ask[0], is_live=is_live, at=moment(row["_updated"]))


def _price(value: Any) -> tuple[Decimal, str] | None:
    found = _PRICE.fullmatch(str(value).strip()) if value not in (None, "") else None
    if found is None:
        return None
    price = Decimal(found[2].replace(",", ""))
    return (price, found[1]) if price > 0 else None


def position(row: Json) -> tuple[int, Decimal]:
    """Read what is held of a contract, negative when it is short."""
    return int(number(row["conid"])), number(row["position"])


def moment(milliseconds: Any) -> datetime:
    return datetime.fromtimestamp(float(number(milliseconds)) / 1000, UTC)
