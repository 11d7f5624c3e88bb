"""Positions: list, read, close."""

from decimal import Decimal

from simulators.oanda.account import Batch
from simulators.oanda.call import Call
from simulators.oanda.closing import close_units
from simulators.oanda.desk import explained
from simulators.oanda.instruments import INSTRUMENTS
from simulators.oanda.intake import Rejected
from simulators.oanda.trades import ZERO, Trade
from simulators.oanda.views import open_instruments, position_view, side_trades, traded_instruments
from simulators.oanda.wire import ApiError, Json, decimal_or_none, invalid_value


def list_positions(call: Call) -> tuple[int, Json]:
    """List a position for every instrument ever held."""
    return _listed(call, traded_instruments(call.account))


def open_positions(call: Call) -> tuple[int, Json]:
    """List the positions with an open trade."""
    return _listed(call, open_instruments(call.account))


def _listed(call: Call, names: list[str]) -> tuple[int, Json]:
    value = call.value()
    found = [position_view(call.account, name, value) for name in names]
    return 200, {"positions": found, "lastTransactionID": call.account.last_id}


def _instrument(call: Call) -> str:
    name = call.params["instrument"]
    if name not in INSTRUMENTS:
        raise invalid_value("instrument")
    return name


def read(call: Call) -> tuple[int, Json]:
    """Return one position."""
    name = _instrument(call)
    if name not in traded_instruments(call.account):
        raise ApiError(404, "The position requested does not exist", "NO_SUCH_POSITION")
    return 200, {
        "position": position_view(call.account, name, call.value()),
        "lastTransactionID": call.account.last_id,
    }


def close(call: Call) -> tuple[int, Json]:
    """Close one or both sides of a position; without a body, whatever is open."""
    name, request = _instrument(call), call.body()
    held = {side: side_trades(call.account, name, side) for side in ("long", "short")}
    asked = {side: request.get(f"{side}Units", _default(request, held[side])) for side in held}
    batch, parts = call.desk().batch(), dict[str, Json | None]()
    try:
        sizes = {side: _size(asked[side], held[side]) for side in held}
        if not any(sizes.values()):
            raise Rejected("CLOSEOUT_POSITION_DOESNT_EXIST", status=404)
    except Rejected as refusal:
        return _refused(batch, name, asked, refusal)
    for side, size in sizes.items():
        if size:
            parts |= _close_side(call, batch, name, side, held[side], size, str(asked[side]))
    return 200, batch.reply(**parts)


def _default(request: Json, trades: list[Trade]) -> str:
    return "ALL" if trades and not request else "NONE"


def _size(asked: object, trades: list[Trade]) -> Decimal:
    held = sum((abs(trade.current_units) for trade in trades), ZERO)
    if asked == "NONE":
        return ZERO
    if not trades:
        raise Rejected("CLOSEOUT_POSITION_DOESNT_EXIST", status=404)
    if asked == "ALL":
        return held
    size = decimal_or_none(asked)
    if size is None or size <= 0 or size != size.to_integral_value():
        raise Rejected("UNITS_INVALID")
    if size > held:
        raise Rejected("CLOSEOUT_POSITION_UNITS_EXCEED_POSITION_SIZE")
    return size


def _close_side(
    call: Call, batch: Batch, name: str, side: str, trades: list[Trade], size: Decimal, asked: str
) -> dict[str, Json | None]:
    desk = call.desk()
    why = {f"{side}PositionCloseout": {"instrument": name, "units": asked}}
    created, outcome = close_units(batch, desk.market, trades, size, desk.live_quote(name), "POSITION_CLOSEOUT", **why)
    verb = "Fill" if outcome["type"] == "ORDER_FILL" else "Cancel"
    return {f"{side}OrderCreateTransaction": created, f"{side}Order{verb}Transaction": outcome}


def _refused(batch: Batch, name: str, asked: dict[str, str], refusal: Rejected) -> tuple[int, Json]:
    parts = {}
    for side, size in asked.items():
        if size != "NONE":
            parts[f"{side}OrderRejectTransaction"] = batch.write(
                "MARKET_ORDER_REJECT",
                instrument=name,
                reason="POSITION_CLOSEOUT",
                rejectReason=refusal.reason,
                **{f"{side}PositionCloseout": {"instrument": name, "units": str(size)}},
            )
    body = batch.reply(**parts)
    return refusal.status, {**body, "errorCode": refusal.reason, "errorMessage": explained(refusal.reason)}
