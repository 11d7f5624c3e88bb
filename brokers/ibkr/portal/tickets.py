"""Orders in the words of the Client Portal."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from brokers.ibkr.portal.parse import OrderRow, number, optional
from brokers.ibkr.references import stop_of
from domain.errors import Refuse
from domain.order import OrderIntent
from domain.quotes import Instrument
from domain.vocabulary import Leg, Side, TimeInForce

Ticket = dict[str, Any]


def of_intent(intent: OrderIntent, account: str, conid: int, instrument: Instrument) -> list[Ticket]:
    """Return the tickets of one request: an order and, with an entry, the protective order that hangs on it.

    Raises:
        Refuse: the intent asks for what the portal does not have.
    """
    if intent.quantity <= 0 or instrument.round_quantity(intent.quantity) != intent.quantity:
        raise Refuse(f"a size in steps of {instrument.quantity_step}", str(intent.quantity), "size it anew")
    if intent.take_profit is not None:
        raise Refuse("an order whose only protection is its stop", "a take_profit", "let the resolver take profits")
    if sells_now(intent):
        return [_head(intent, account, conid) | {"orderType": "MKT", "tif": "DAY"}]
    if intent.leg is Leg.STOP:
        own = _head(intent, account, conid) | {"tif": _tif(TimeInForce.GTC)}
        return [own | _protection(intent, instrument, intent.side, intent.trigger or intent.stop_loss)]
    entry = _head(intent, account, conid) | {"tif": _tif(intent.tif or TimeInForce.DAY)} | _entry(intent, instrument)
    child = _child(intent, account, conid, instrument)
    return [entry] if child is None else [entry, child]


def sells_now(intent: OrderIntent) -> bool:
    """Tell whether an order ends a trade at the market: an exit, or a stop that has no level to wait for."""
    levels = (intent.trigger, intent.stop_loss, intent.trailing_percent, intent.trailing_distance)
    is_bare = intent.leg is Leg.STOP and all(level is None for level in levels)
    return intent.leg is Leg.EXIT or is_bare


def modified(row: OrderRow, quantity: Decimal) -> Ticket:
    """Return the ticket that gives a resting order another quantity: the portal wants every key of it again.

    Raises:
        Refuse: not every key is known; the portal does not show the limit of a trailing limit that others sent.
    """
    if row.kind == "TRAILLMT" and row.limit is None:
        raise Refuse("a trailing limit whose limit is known", "one sent before this process began", "replace it")
    ticket: Ticket = {
        "acctId": row.account,
        "conid": row.conid,
        "orderType": row.kind,
        "side": row.side.upper(),
        "quantity": _json(row.filled + quantity),
        "tif": _tif(row.tif or TimeInForce.GTC),
        "outsideRTH": row.outside_hours,
        "ticker": row.market,
    }
    if row.reference is not None:
        ticket["cOID"] = row.reference
    return ticket | _prices(row.kind, limit=row.limit, stop=row.stop) | _trail_of(row)


def acknowledged(ticket: Ticket, market: str, order_id: str, status: str) -> OrderRow:
    """Return what is known of an order before a list shows it."""
    what = str(ticket["orderType"])
    first, second = optional(ticket.get("price")), optional(ticket.get("auxPrice"))
    has_limit = what in ("LMT", "STOP_LIMIT", "TRAILLMT")
    trail = optional(ticket.get("trailingAmt"))
    is_percent = ticket.get("trailingType") == "%"
    return OrderRow(
        order_id=order_id,
        reference=str(ticket["cOID"]),
        account=str(ticket["acctId"]),
        conid=int(ticket["conid"]),
        market=market,
        side=side(ticket),
        kind=what,
        status=status or "PendingSubmit",
        quantity=number(ticket["quantity"]),
        filled=Decimal(0),
        limit=first if has_limit else None,
        stop=second if has_limit else first,
        trailing_percent=trail if is_percent else None,
        trailing_distance=None if is_percent else trail,
        tif=TimeInForce(str(ticket["tif"]).lower()),
        outside_hours=bool(ticket["outsideRTH"]),
        at=None,
    )


def side(ticket: Ticket) -> Side:
    return Side(str(ticket["side"]).lower())


def _head(intent: OrderIntent, account: str, conid: int) -> Ticket:
    return {
        "acctId": account,
        "conid": conid,
        "secType": f"{conid}:STK",
        "cOID": intent.client_order_id,
        "ticker": intent.market,
        "side": intent.side.upper(),
        "quantity": _json(intent.quantity),
        "outsideRTH": intent.outside_hours,
    }


def _entry(intent: OrderIntent, instrument: Instrument) -> Ticket:
    bound = None if intent.price_bound is None else instrument.round_price(intent.price_bound, intent.side)
    if intent.trigger is None:
        return {"orderType": "MKT"} if bound is None else {"orderType": "LMT"} | _prices("LMT", limit=bound, stop=None)
    # On the tick and no looser than asked: a bound rounds towards the market, a trigger away from it.
    trigger = instrument.round_price(intent.trigger, intent.side.opposite)
    what = "STP" if bound is None else "STOP_LIMIT"
    return {"orderType": what} | _prices(what, limit=bound, stop=trigger)


def _child(intent: OrderIntent, account: str, conid: int, instrument: Instrument) -> Ticket | None:
    """Return the protective order that becomes live when its entry fills; None when the entry asks for none."""
    if intent.stop_loss is None and intent.trailing_percent is None and intent.trailing_distance is None:
        return None
    side = intent.side.opposite
    facts = {
        "cOID": stop_of(intent.client_order_id),
        "parentId": intent.client_order_id,
        "side": side.upper(),
        "tif": _tif(TimeInForce.GTC),
        "outsideRTH": False,
    }
    return _head(intent, account, conid) | facts | _protection(intent, instrument, side, intent.stop_loss)


def _protection(intent: OrderIntent, instrument: Instrument, side: Side, stop: Decimal | None) -> Ticket:
    """Return a stop, a trailing stop or a trailing limit that ends a position by trading ``side``."""
    # A stop is rounded away from the market, as for the position it protects.
    level = None if stop is None else instrument.round_price(stop, side.opposite)
    if intent.trailing_percent is None and intent.trailing_distance is None:
        if level is None:
            raise Refuse("a protective order with a price or a distance", "neither", "give it a trigger")
        return {"orderType": "STP"} | _prices("STP", limit=None, stop=level)
    trail = _trail(intent, instrument)
    if intent.trailing_offset is None:
        return {"orderType": "TRAIL"} | trail | _prices("TRAIL", limit=None, stop=level)
    if level is None:
        raise Refuse("a trailing limit with its first stop", "none", "give it a stop or a trigger")
    limit = instrument.round_price(level + intent.trailing_offset * side.sign)
    return {"orderType": "TRAILLMT"} | trail | _prices("TRAILLMT", limit=limit, stop=level)


def _trail(intent: OrderIntent, instrument: Instrument) -> Ticket:
    if intent.trailing_percent is not None:
        return {"trailingType": "%", "trailingAmt": _json(intent.trailing_percent)}
    return {"trailingType": "amt", "trailingAmt": _json(instrument.round_price(intent.trailing_distance or Decimal(0)))}


def _trail_of(row: OrderRow) -> Ticket:
    if row.trailing_percent is not None:
        return {"trailingType": "%", "trailingAmt": _json(row.trailing_percent)}
    return {} if row.trailing_distance is None else {"trailingType": "amt", "trailingAmt": _json(row.trailing_distance)}


def _prices(what: str, *, limit: Decimal | None, stop: Decimal | None) -> Ticket:
    """Return the keys in which a kind of order carries its prices: ``price`` is the stop where there is no limit."""
    pairs: Mapping[str, Decimal | None] = {"price": limit, "auxPrice": stop}
    if what in ("STP", "TRAIL"):
        pairs = {"price": stop}
    return {name: _json(value) for name, value in pairs.items() if value is not None}


def _tif(tif: TimeInForce) -> str:
    return tif.upper()


def _json(value: Decimal) -> int | float:
    """Return a number as JSON has it; the portal takes no text for sizes."""
    return int(value) if value == value.to_integral_value() else float(value)
