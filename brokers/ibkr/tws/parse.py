"""What the SDK's decoder hands over, as records of ours: decimals, aware times, no sentinels."""

import math
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from brokers.ibkr.executions import Execution
from brokers.ibkr.windows import NEW_YORK
from domain.vocabulary import Side

# What IBKR writes for "no value" (the largest double and int), and -1 for a price that is not there.
_UNSET = (1.7976931348623157e308, float(2**31 - 1))


def number(value: Any) -> Decimal | None:
    """Return a number as it was written, None for IBKR's sentinels and for what is none."""
    try:
        as_float = float(value)
    except (TypeError, ValueError):
        return None
    if not math.isfinite(as_float) or as_float in _UNSET:
        return None
    return Decimal(str(value)) if isinstance(value, str) else Decimal(repr(as_float)).normalize() + 0


def price(value: Any) -> Decimal | None:
    """Return a price, None where there is none: unset, nan, nought and -1 all mean that nobody quotes."""
    found = number(value)
    return found if found is not None and found > 0 else None


def side_of(action: str) -> Side:
    """Read BUY/SELL of an order and BOT/SLD of an execution."""
    return Side.BUY if action.upper() in ("BUY", "BOT") else Side.SELL


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """An order as IBKR tells it; ``sdk_order`` is the SDK's own object, needed to modify it.

    ``filled`` is told of orders that are over only.
    """

    perm_id: int
    client_id: int
    order_id: int
    parent_id: int
    account: str
    reference: str | None
    market: str
    side: Side
    quantity: Decimal
    kind: str
    limit: Decimal | None
    trigger: Decimal | None
    trailing_percent: Decimal | None
    trailing_distance: Decimal | None
    tif: str
    oca_group: str
    sdk_order: Any
    sdk_contract: Any
    oca_type: int = 0
    filled: Decimal = Decimal(0)


def terms_of(contract: Any, order: Any) -> Terms:
    """Read an openOrder or completedOrder message. A trailing stop's trigger is where it stands now."""
    kind = str(order.orderType)
    is_trailing = kind.startswith("TRAIL")
    stop, trailing = price(order.auxPrice), price(order.trailStopPrice)
    return Terms(
        perm_id=int(order.permId),
        client_id=int(order.clientId),
        order_id=int(order.orderId),
        parent_id=int(order.parentId or 0),
        account=str(order.account),
        reference=order.orderRef or None,
        market=str(contract.symbol),
        side=side_of(order.action),
        quantity=number(order.totalQuantity) or Decimal(0),
        kind=kind,
        limit=price(order.lmtPrice) if "LIMIT" in kind or "LMT" in kind else None,
        trigger=trailing if is_trailing else stop if kind.startswith("STP") else None,
        trailing_percent=price(order.trailingPercent) if is_trailing else None,
        trailing_distance=stop if is_trailing and price(order.trailingPercent) is None else None,
        tif=str(order.tif),
        oca_group=str(order.ocaGroup),
        oca_type=int(order.ocaType),
        sdk_order=order,
        sdk_contract=contract,
    )


def completed_terms_of(contract: Any, order: Any, status: str) -> Terms:
    """Read a completedOrder message, whose quantity is what was left at the end: none of an order that filled."""
    terms = terms_of(contract, order)
    filled = number(order.filledQuantity) or Decimal(0)
    whole = max(filled, terms.quantity) if status == "Filled" else filled + terms.quantity
    return replace(terms, quantity=whole, filled=filled)


def execution_of(contract: Any, told: Any) -> Execution:
    """Read an execDetails message; a busted one comes with no shares or no price."""
    paid, shares = number(told.price) or Decimal(0), number(told.shares) or Decimal(0)
    return Execution(
        exec_id=str(told.execId),
        reference=told.orderRef or None,
        broker_order_id=str(int(told.permId)),
        account=str(told.acctNumber),
        market=str(contract.symbol),
        side=side_of(told.side),
        quantity=shares if paid > 0 else Decimal(0),
        price=paid,
        at=told.time.astimezone(UTC),
        currency=str(contract.currency or "USD"),
    )


def bar_start(text: str) -> datetime:
    """Read the start of a bar: epoch seconds as we ask for them, or a day, which begins at midnight in New York."""
    if len(text) == 8:
        day = date(int(text[:4]), int(text[4:6]), int(text[6:]))
        return datetime.combine(day, time(), NEW_YORK).astimezone(UTC)
    return datetime.fromtimestamp(int(text), UTC)
