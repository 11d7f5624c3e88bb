"""What clients ask for, read from their fields: contracts and orders."""

from dataclasses import dataclass
from decimal import Decimal

from simulators.tws.framing import Fields, Malformed


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedContract:
    """A contract as a client describes it; every part may be left out."""

    conid: int
    symbol: str
    kind: str
    exchange: str
    primary: str
    currency: str
    local_symbol: str


def read_contract(fields: Fields) -> WantedContract:
    """Read the twelve fields of a contract."""
    conid, symbol, kind = fields.whole(), fields.text(), fields.text()
    fields.skip(4)
    exchange, primary, currency, local_symbol = (fields.text() for _ in range(4))
    fields.skip(1)
    return WantedContract(
        conid=conid,
        symbol=symbol,
        kind=kind,
        exchange=exchange,
        primary=primary,
        currency=currency,
        local_symbol=local_symbol,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """An order as a client sends it. ``parent_id`` is that client's own order number."""

    order_id: int
    contract: WantedContract
    side: str
    quantity: Decimal
    kind: str
    limit: Decimal | None
    stop: Decimal | None
    tif: str
    oca_group: str
    account: str
    ref: str
    transmit: bool
    parent_id: int
    outside_rth: bool
    oca_type: int
    trail_stop: Decimal | None
    trail_percent: Decimal | None
    what_if: bool
    limit_offset: Decimal | None
    cash_quantity: Decimal | None


def read_order(fields: Fields) -> Ticket:
    """Read a placeOrder message after its number.

    Raises:
        Malformed: fields are missing or unreadable, or it is a kind of order with more fields than a stock's has.
    """
    order_id = fields.whole()
    contract = read_contract(fields)
    if contract.kind == "BAG":
        raise Malformed("combination orders are not simulated")
    fields.skip(2)
    side, quantity, kind = fields.text(), fields.decimal(), fields.text()
    limit, stop, tif, oca_group, account = (
        fields.decimal(), fields.decimal(), fields.text(), fields.text(), fields.text()
    )  # fmt: skip
    fields.skip(2)
    ref, transmit, parent_id = fields.text(), fields.flag(), fields.whole()
    fields.skip(4)
    outside_rth = fields.flag()
    fields.skip(13)
    oca_type = fields.whole()
    fields.skip(17)
    _skip_delta_neutral(fields)
    fields.skip(2)
    trail_stop, trail_percent = fields.decimal(), fields.decimal()
    _skip_scale(fields)
    _skip_hedge(fields)
    _skip_algorithm(fields)
    fields.skip(1)
    what_if = fields.flag()
    fields.skip(4)
    if fields.whole():
        raise Malformed("orders with conditions are not simulated")
    fields.skip(2)
    limit_offset = fields.decimal()
    fields.skip(7)
    cash_quantity = fields.decimal()
    return Ticket(
        order_id=order_id,
        contract=contract,
        side=side,
        quantity=quantity or Decimal(0),
        kind=kind,
        limit=limit,
        stop=stop,
        tif=tif,
        oca_group=oca_group,
        account=account,
        ref=ref,
        transmit=transmit,
        parent_id=parent_id,
        outside_rth=outside_rth,
        oca_type=oca_type,
        trail_stop=trail_stop,
        trail_percent=trail_percent,
        what_if=what_if,
        limit_offset=limit_offset,
        cash_quantity=cash_quantity,
    )


def _skip_delta_neutral(fields: Fields) -> None:
    kind = fields.text()
    fields.skip(1)
    if kind not in ("", "None"):
        fields.skip(8)


def _skip_scale(fields: Fields) -> None:
    fields.skip(2)
    increment = fields.decimal()
    if increment is not None and increment > 0:
        fields.skip(7)
    fields.skip(3)


def _skip_hedge(fields: Fields) -> None:
    if fields.text():
        fields.skip(1)
    fields.skip(4)
    if fields.flag():
        fields.skip(3)


def _skip_algorithm(fields: Fields) -> None:
    if fields.text():
        fields.skip(2 * fields.whole())
