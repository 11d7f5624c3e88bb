"""Order desk: create, replace and cancel orders on request."""

import time as wall
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from simulators.oanda.account import Account, Batch
from simulators.oanda.dependents import cancel_order, create_dependent
from simulators.oanda.faults import Occasion
from simulators.oanda.fills import Execution, fill_entry
from simulators.oanda.instruments import INSTRUMENTS, Instrument
from simulators.oanda.intake import (
    Rejected,
    checked_bound,
    checked_choices,
    checked_dependent,
    checked_extensions,
    checked_legs,
    checked_lifetime,
    checked_price,
    checked_units,
    wire_legs,
)
from simulators.oanda.market import LIQUIDITY, Market
from simulators.oanda.matching import try_fill
from simulators.oanda.orders import DEPENDENT_KEYS, ENTRY_TYPES, Order, order_from_wire
from simulators.oanda.tape import Quote
from simulators.oanda.wire import ApiError, Json, price, to_points, units

_PENDING_LIFETIMES = ("GTC", "GTD", "GFD")
_ECHOED = frozenset(
    {"instrument", "units", "price", "distance", "tradeID", "timeInForce", "gtdTime", "priceBound"}
    | {"positionFill", "triggerCondition", "clientExtensions", "tradeClientExtensions"}
    | {f"{key}OnFill" for key in DEPENDENT_KEYS.values()}
)


@dataclass(frozen=True, slots=True)
class Desk:
    """One request at work on one account; the venue has already replayed every quote up to ``now``."""

    account: Account
    market: Market
    now: int
    request_id: str
    occasion: Occasion

    def batch(self) -> Batch:
        """Start the transactions of this request."""
        return Batch(self.account, self.now, self.request_id)

    def live_quote(self, instrument: str) -> Quote | None:
        """Return the quote a request meets; None while the market is halted."""
        return self.market.quote(instrument, self.now) if self.market.is_tradeable(instrument, self.now) else None


def create_order(desk: Desk, request: Any) -> tuple[int, Json]:
    """Create an order and, where it can be, fill it; return status and reply."""
    kind = _kind(request)
    batch = desk.batch()
    try:
        parts = _created(desk, batch, kind, request, None)
    except Rejected as refusal:
        return _rejection(batch, kind, request, refusal)
    return 201, batch.reply(**parts)


def replace_order(desk: Desk, old: Order, request: Any) -> tuple[int, Json]:
    """Cancel a pending order and create its successor."""
    kind = _kind(request)
    batch = desk.batch()
    try:
        if kind != old.type:
            raise Rejected("REPLACING_ORDER_INVALID")
        parts = _created(desk, batch, kind, request, old)
    except Rejected as refusal:
        return _rejection(batch, kind, request, refusal)
    return 201, batch.reply(**parts)


def cancel_on_request(desk: Desk, specifier: str) -> tuple[int, Json]:
    """Cancel a pending order; an unknown one gets a cancel-reject transaction."""
    order = desk.account.find_order(specifier)
    batch = desk.batch()
    if order is None or not order.is_pending:
        named = {"clientOrderID": specifier[1:]} if specifier.startswith("@") else {"orderID": specifier}
        refused = batch.write("ORDER_CANCEL_REJECT", **named, rejectReason="ORDER_DOESNT_EXIST")
        body = batch.reply(orderCancelRejectTransaction=refused)
        return 404, {**body, "errorCode": "ORDER_DOESNT_EXIST", "errorMessage": "The Order specified does not exist"}
    return 200, batch.reply(orderCancelTransaction=cancel_order(batch, order, "CLIENT_REQUEST"))


def _kind(request: Any) -> str:
    if not isinstance(request, dict):
        raise ApiError(400, "Invalid value specified for 'order'. Expected an object")
    kind = request.get("type", "MARKET")
    if kind not in ENTRY_TYPES and kind not in DEPENDENT_KEYS:
        raise ApiError(400, "Invalid value specified for 'order.type'")
    return str(kind)


def _created(desk: Desk, batch: Batch, kind: str, request: Json, old: Order | None) -> dict[str, Json | None]:
    forced = desk.occasion.take("reject")
    if forced is not None:
        raise Rejected(forced.params["reason"])
    if kind in DEPENDENT_KEYS:
        return _create_protection(desk, batch, kind, request, old)
    return _create_entry(desk, batch, kind, request, old)


def _create_entry(desk: Desk, batch: Batch, kind: str, request: Json, old: Order | None) -> dict[str, Json | None]:
    instrument = _instrument(request.get("instrument"))
    fields, legs = _entry_fields(kind, request, instrument, desk.now)
    _check_client_id(desk.account, fields.get("clientExtensions"), old)
    if desk.market.factors(instrument.quote, desk.account.currency, desk.now) is None:
        raise Rejected("INSTRUMENT_PRICE_UNKNOWN")
    if desk.market.quote(instrument.name, desk.now) is None:
        raise Rejected("INSTRUMENT_PRICE_UNKNOWN")
    cancelled = None if old is None else _cancel_replaced(batch, old)
    order, transaction = _enter(desk, batch, kind, fields, old)
    parts: dict[str, Json | None] = {"orderCancelTransaction": cancelled, "orderCreateTransaction": transaction}
    if legs and (lost := desk.occasion.take("lose_bracket")) is not None:
        order.lost_legs = tuple(lost.params.get("legs", DEPENDENT_KEYS.values()))
    outcome = _attempt(desk, batch, order, legs)
    if outcome is not None:
        name = "orderFillTransaction" if outcome["type"] == "ORDER_FILL" else "orderCancelTransaction"
        # a replacement that is cancelled at once must not hide the cancel of what it replaced
        if name == "orderCancelTransaction" and cancelled is not None:
            name = "replacingOrderCancelTransaction"
        parts[name] = outcome
    return parts


def _instrument(name: Any) -> Instrument:
    if name is None:
        raise Rejected("INSTRUMENT_MISSING")
    instrument = INSTRUMENTS.get(str(name))
    if instrument is None:
        raise Rejected("INSTRUMENT_UNKNOWN")
    return instrument


def _entry_fields(kind: str, request: Json, instrument: Instrument, now: int) -> tuple[Json, dict[str, Json]]:
    fields: Json = {"instrument": instrument.name, "units": units(checked_units(request.get("units")))}
    if kind != "MARKET":
        fields["price"] = price(checked_price(request.get("price"), instrument), instrument.precision)
    if kind != "LIMIT":
        bound = checked_bound(request.get("priceBound"), instrument)
        if bound is not None:
            fields["priceBound"] = price(bound, instrument.precision)
    fields |= checked_lifetime(request, ("FOK", "IOC") if kind == "MARKET" else _PENDING_LIFETIMES, now)
    choices = checked_choices(request)
    if kind == "MARKET":
        del choices["triggerCondition"]
    fields |= choices
    for key, stem in (("clientExtensions", "CLIENT_ORDER"), ("tradeClientExtensions", "CLIENT_TRADE")):
        extensions = checked_extensions(request.get(key), stem)
        if extensions is not None:
            fields[key] = extensions
    legs = checked_legs(request, instrument, now)
    return {**fields, **wire_legs(legs, instrument)}, legs


def _check_client_id(account: Account, extensions: Json | None, old: Order | None) -> None:
    client_id = (extensions or {}).get("id")
    # only pending orders hold their id: a filled market order does not stop a second one with the same id
    if client_id and any(o.client_id == client_id for o in account.pending.values() if o is not old):
        raise Rejected("CLIENT_ORDER_ID_ALREADY_EXISTS")


def _cancel_replaced(batch: Batch, old: Order) -> Json:
    successor = str(len(batch.account.transactions) + 2)
    return cancel_order(batch, old, "CLIENT_REQUEST_REPLACED", replacedByOrderID=successor)


def _enter(desk: Desk, batch: Batch, kind: str, fields: Json, old: Order | None) -> tuple[Order, Json]:
    replaces = {} if old is None else {"replacesOrderID": old.id}
    if old is not None and "clientExtensions" not in fields and old.wire.get("clientExtensions"):
        fields = {**fields, "clientExtensions": old.wire["clientExtensions"]}
    reason = "CLIENT_ORDER" if old is None else "REPLACEMENT"
    transaction = batch.write(f"{kind}_ORDER", **fields, reason=reason, **replaces)
    wire = {"id": transaction["id"], "createTime": batch.time, "type": kind, **fields, **replaces, "state": "PENDING"}
    order = order_from_wire(wire, fields["instrument"], Decimal(fields["units"]))
    quote = desk.market.quote(order.instrument, desk.now)
    if quote is not None and order.level is not None:
        order.rising = order.level > (quote.ask if order.is_buy else quote.bid)
    lag = desk.occasion.take("order_not_found_lag")
    if lag is not None:
        order.hidden_until = wall.time() + lag.params["seconds"]
    desk.account.add_order(order)
    return order, transaction


def _attempt(desk: Desk, batch: Batch, order: Order, legs: dict[str, Json]) -> Json | None:
    forced = desk.occasion.take("cancel_201")
    if forced is not None:
        return cancel_order(batch, order, forced.params["reason"])
    quote = desk.live_quote(order.instrument)
    if order.type != "MARKET":
        return None if quote is None else try_fill(order, batch, desk.market, quote)
    factors = desk.market.factors(INSTRUMENTS[order.instrument].quote, desk.account.currency, desk.now)
    if quote is None or factors is None:
        return cancel_order(batch, order, "MARKET_HALTED")
    size = _fillable(desk, order)
    if size == 0 or (size != order.units and order.wire["timeInForce"] == "FOK"):
        return cancel_order(batch, order, "INSUFFICIENT_LIQUIDITY")
    return fill_entry(Execution(desk.market, batch, order, quote, factors, "MARKET_ORDER", legs), size)


def _fillable(desk: Desk, order: Order) -> Decimal:
    wanted = abs(order.units)
    thin = desk.occasion.take("partial_fill")
    if thin is not None:
        wanted = (wanted * Decimal(str(thin.params["fraction"]))).to_integral_value(rounding="ROUND_DOWN")
    return min(wanted, Decimal(LIQUIDITY)).copy_sign(order.units) + 0


def _create_protection(desk: Desk, batch: Batch, kind: str, request: Json, old: Order | None) -> dict[str, Json | None]:
    trade = desk.account.open_trades.get(str(request.get("tradeID", old.trade_id if old else "")))
    if trade is None:
        raise Rejected("TRADE_DOESNT_EXIST", status=404)
    if kind in trade.dependents and old is None:
        raise Rejected(f"{kind}_ORDER_ALREADY_EXISTS")
    quote = desk.market.quote(trade.instrument, desk.now)
    if quote is None:
        raise Rejected("INSTRUMENT_PRICE_UNKNOWN")
    details = checked_dependent(kind, request, INSTRUMENTS[trade.instrument], desk.now, on_fill=False)
    cancelled = None if old is None else _cancel_replaced(batch, old)
    links = {} if old is None else {"replacesOrderID": old.id}
    reason = "CLIENT_ORDER" if old is None else "REPLACEMENT"
    order, transaction = create_dependent(batch, trade, kind, details, quote, reason, **links)
    return {
        "orderCancelTransaction": cancelled,
        "orderCreateTransaction": transaction,
        "orderFillTransaction": meet_now(desk, batch, order),
    }


def meet_now(desk: Desk, batch: Batch, order: Order) -> Json | None:
    """Let a new protective order see the current quote."""
    quote = desk.live_quote(order.instrument)
    return None if quote is None else try_fill(order, batch, desk.market, quote)


def losing_profit(desk: Desk, order: Order) -> bool:
    """Tell whether a take profit would fill at once and lose."""
    quote, trade = desk.live_quote(order.instrument), desk.account.open_trades.get(order.trade_id or "")
    if quote is None or trade is None or order.level is None or order.type != "TAKE_PROFIT":
        return False
    entry = to_points(trade.price)
    if trade.is_long:
        return order.level <= quote.bid and quote.bid < entry
    return order.level >= quote.ask and quote.ask > entry


def _rejection(batch: Batch, kind: str, request: Json, refusal: Rejected) -> tuple[int, Json]:
    echo = {key: value for key, value in request.items() if key in _ECHOED}
    for key in ("units", "price", "distance", "tradeID", "priceBound"):
        if key in echo:
            echo[key] = str(echo[key])
    fields: Json = {**echo, "reason": "CLIENT_ORDER", "rejectReason": refusal.reason}
    body = batch.reply(orderRejectTransaction=batch.write(f"{kind}_ORDER_REJECT", **fields))
    return refusal.status, {**body, "errorCode": refusal.reason, "errorMessage": explained(refusal.reason)}


def explained(reason: str) -> str:
    """Return the sentence that goes with a reject reason."""
    return f"The request was rejected: {reason.replace('_', ' ').lower()}"
