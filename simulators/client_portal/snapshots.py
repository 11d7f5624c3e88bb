"""One row of a snapshot: fields by number, spelled as the gateway spells them."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from simulators.client_portal.call import Call
from simulators.client_portal.session import NEW_YORK
from simulators.client_portal.wire import Json, price_text, size_text, unix_ms
from simulators.ibkr.accounts import Position
from simulators.ibkr.contracts import Contract
from simulators.ibkr.quotes import Quote

LIVE, DELAYED, NOT_SUBSCRIBED = "RpB", "DPB", "NpB"
SERVER = "q1"
# fields about what the selected account holds
_HELD = frozenset({"73", "74", "75", "76", "79"})


def snapshot_row(call: Call, contract: Contract, fields: list[str]) -> Json:
    """Return the fields asked for that have a value, and what every row has."""
    quote, availability = bent_quote(call, contract)
    return fields_of(call, contract, quote, availability, fields)


def bent_quote(call: Call, contract: Contract) -> tuple[Quote | None, str]:
    """Return a quote as the faults in force let it be seen, and how it is to be labelled."""
    quote, label = call.venue.quote(contract.conid), LIVE
    if quote is None:
        return None, NOT_SUBSCRIBED
    if _meets(call, contract, "delayed_quotes"):
        quote, label = call.venue.prices.delayed(quote, unix_ms(call.now)), DELAYED
    if _meets(call, contract, "frozen_quotes"):
        # nothing in the reply tells: the prices and their time just stay
        quote = call.gateway.frozen.setdefault(contract.conid, quote)
    else:
        call.gateway.frozen.pop(contract.conid, None)
    return (replace(quote, halted=True) if _meets(call, contract, "halted_quote") else quote), label


def _meets(call: Call, contract: Contract, action: str) -> bool:
    fault = call.fault(action)
    return fault is not None and fault.get("conid", contract.conid) == contract.conid


def fields_of(call: Call, contract: Contract, quote: Quote | None, availability: str, fields: list[str]) -> Json:
    """Return the fields asked for, those without a value left out."""
    known = _contract_fields(contract)
    if _HELD.intersection(fields):
        known |= _holding_fields(call, contract)
    at = call.now
    if quote is not None:
        known |= _price_fields(quote, call.now)
        at = quote.at
    row: Json = {name: known[name] for name in fields if known.get(name) is not None}
    return {"6509": availability, "6119": SERVER, **row, "_updated": unix_ms(at), "server_id": SERVER}


def _price_fields(quote: Quote, now: datetime) -> Json:
    change = None if quote.last is None or quote.close is None else quote.last - quote.close
    return {
        "31": _last(quote, now),
        "70": _price(quote.high),
        "71": _price(quote.low),
        "82": None if change is None else f"{change:+.2f}",
        "83": None if change is None or not quote.close else float(round(change / quote.close * 100, 2)),
        "84": _price(quote.bid),
        "85": size_text(quote.ask_size) if quote.ask is not None else None,
        "86": _price(quote.ask),
        "87": size_text(quote.volume),
        "88": size_text(quote.bid_size) if quote.bid is not None else None,
        "7059": size_text(quote.last_size),
        "7295": _price(quote.open),
        "7296": _price(quote.close),
        "7741": _price(quote.close),
        "7762": f"{quote.volume.normalize():f}",
    }


def _price(value: Decimal | None) -> str | None:
    return None if value is None else price_text(value)


def _last(quote: Quote, now: datetime) -> str | None:
    """Spell the last price: ``C`` before one of an earlier day, ``H`` before one of a halted stock."""
    if quote.last is None:
        return None if quote.close is None else f"C{price_text(quote.close)}"
    if quote.halted:
        return f"H{price_text(quote.last)}"
    is_old = quote.at.astimezone(NEW_YORK).date() < now.astimezone(NEW_YORK).date()
    return f"C{price_text(quote.last)}" if is_old else price_text(quote.last)


def _contract_fields(contract: Contract) -> Json:
    return {
        "55": contract.symbol,
        "58": contract.name,
        "6004": contract.exchange,
        "6008": contract.conid,
        "6070": "STK",
        "7051": contract.name,
        "7094": f"{contract.conid}@{contract.exchange}",
        "7184": "1",
        "7219": str(contract.conid),
        "7220": contract.symbol,
        "7221": contract.primary,
    }


def _holding_fields(call: Call, contract: Contract) -> Json:
    held = _held(call, contract)
    if held is None:
        return {}
    return {
        "73": price_text(held.market_value),
        "74": price_text(held.average_cost),
        "75": price_text(held.unrealised),
        "76": size_text(held.quantity),
        "79": price_text(held.realised),
    }


def _held(call: Call, contract: Contract) -> Position | None:
    every = call.venue.positions(call.gateway.selected)
    return next((held for held in every if held.conid == contract.conid), None)
