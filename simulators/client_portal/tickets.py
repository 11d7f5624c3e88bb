"""Orders as clients write them, read into the venue's terms."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, cast

from simulators.client_portal.wire import Json, Refusal, decimal, whole
from simulators.ibkr.orders import Kind, Side, Terms, Tif

KINDS: dict[str, Kind] = {
    "MKT": "MKT",
    "LMT": "LMT",
    "STP": "STP",
    "STOP_LIMIT": "STP LMT",
    "STP_LIMIT": "STP LMT",
    "STPLMT": "STP LMT",
    "TRAIL": "TRAIL",
    "TRAILLMT": "TRAIL LIMIT",
}
_TIFS = ("DAY", "GTC")
_TOO_MUCH = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One order and how it hangs together with the others sent along; ``parent`` is the parent's cOID."""

    terms: Terms
    coid: str
    parent: str
    is_single_group: bool


def read_ticket(raw: Any, account: str) -> Ticket:
    """Read one order.

    Raises:
        Refusal: 400 when a field is missing or cannot be read; the message names it.
    """
    if not isinstance(raw, dict):
        raise Refusal(500, "orders: expected objects")
    kind = KINDS.get(str(raw.get("orderType", "")).upper())
    if kind is None:
        raise _bad("orderType", f"one of {', '.join(KINDS)}", raw)
    if raw.get("cashQty") is not None:
        raise Refusal(400, "cashQty: not supported for this account")
    coid = str(raw.get("cOID") or "")
    terms = Terms(
        conid=_conid(raw),
        account=str(raw.get("acctId") or account),
        side=_side(raw),
        quantity=_amount(raw, "quantity"),
        kind=kind,
        tif=_tif(raw),
        outside_rth=raw.get("outsideRTH") is True,
        ref=coid,
        **_prices(kind, raw),
    )
    return Ticket(
        terms=terms,
        coid=coid,
        parent=str(raw.get("parentId") or ""),
        is_single_group=raw.get("isSingleGroup") is True,
    )


def _bad(name: str, expected: str, raw: Json) -> Refusal:
    return Refusal(400, f"{name}: expected {expected}; found {raw.get(name)!r}")


def _conid(raw: Json) -> int:
    text = str(raw.get("conid") or str(raw.get("conidex", "")).split("@")[0])
    found = whole(text)
    if found is None:
        raise _bad("conid", "a contract's number", raw)
    return found


def _side(raw: Json) -> Side:
    text = str(raw.get("side", "")).upper()
    if text not in ("BUY", "SELL"):
        raise _bad("side", "BUY or SELL", raw)
    return cast("Literal['BUY', 'SELL']", text)


def _tif(raw: Json) -> Tif:
    text = str(raw.get("tif", "")).upper()
    if text not in _TIFS:
        raise _bad("tif", " or ".join(_TIFS), raw)
    return cast("Literal['DAY', 'GTC']", text)


def _amount(raw: Json, name: str) -> Decimal:
    found = decimal(raw.get(name))
    if found is None or not 0 < found < _TOO_MUCH:
        raise _bad(name, f"a number above 0 and below {_TOO_MUCH:,}", raw)
    return found


def _prices(kind: Kind, raw: Json) -> Json:
    """Return the prices an order of this kind needs.

    ``price`` is the limit, or the stop of an order without one; ``auxPrice`` is the stop of an order with a limit.
    """
    match kind:
        case "LMT":
            return {"limit": _amount(raw, "price")}
        case "STP":
            return {"stop": _amount(raw, "auxPrice" if raw.get("price") is None else "price")}
        case "STP LMT":
            return {"limit": _amount(raw, "price"), "stop": _amount(raw, "auxPrice")}
        case "TRAIL":
            return _trail(raw) | {"trail_stop": None if raw.get("price") is None else _amount(raw, "price")}
        case "TRAIL LIMIT":
            limit, stop = _amount(raw, "price"), _amount(raw, "auxPrice")
            return _trail(raw) | {"trail_stop": stop, "limit_offset": abs(stop - limit)}
    return {}


def _trail(raw: Json) -> Json:
    amount = _amount(raw, "trailingAmt")
    match raw.get("trailingType"):
        case "%":
            return {"trail_percent": amount}
        case "amt":
            return {"trail_amount": amount}
    raise _bad("trailingType", "% or amt", raw)
