"""What a client's order means to the venue."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal, cast

from simulators.ibkr.contracts import Contract
from simulators.ibkr.orders import Kind, Terms
from simulators.tws.refusal import Refused
from simulators.tws.wanted import Ticket

_KINDS = ("MKT", "LMT", "STP", "STP LMT", "TRAIL", "TRAIL LIMIT")
# other spellings clients use for the same orders
_ALSO = {"STPLMT": "STP LMT", "TRAILLMT": "TRAIL LIMIT", "TRAILLIMIT": "TRAIL LIMIT"}
_LIMITED = ("LMT", "STP LMT")


def terms_of(ticket: Ticket, contract: Contract, accounts: Sequence[str], parent: int | None) -> Terms:
    """Return the venue's terms of a client's order.

    Raises:
        Refused: it asks for what this gateway does not take, or says it wrongly.
    """
    kind = _ALSO.get(ticket.kind, ticket.kind)
    if kind not in _KINDS:
        raise Refused(ticket.order_id, 387, "Unsupported order type for this exchange and security type.")
    if ticket.side not in ("BUY", "SELL"):
        text = f"Error validating request.-'bO' : cause - Invalid side {ticket.side!r}"
        raise Refused(ticket.order_id, 321, text)
    if ticket.cash_quantity:
        raise Refused(ticket.order_id, 10244, "Cash Quantity cannot be used for this order")
    trails = kind.startswith("TRAIL")
    if kind == "TRAIL LIMIT" and _set(ticket.limit) is not None and _set(ticket.limit_offset) is not None:
        text = "Error validating request:-'bE' : cause - You must specify one value: limit price or limit price offset"
        raise Refused(ticket.order_id, 321, f"{text} value.")
    return Terms(
        conid=contract.conid,
        account=_account(ticket, accounts),
        side=cast(Literal["BUY", "SELL"], ticket.side),
        quantity=ticket.quantity,
        kind=cast(Kind, kind),
        limit=_set(ticket.limit) if kind in (*_LIMITED, "TRAIL LIMIT") else None,
        stop=_set(ticket.stop) if kind in ("STP", "STP LMT") else None,
        trail_amount=_set(ticket.stop) if trails else None,
        trail_percent=_set(ticket.trail_percent) if trails else None,
        trail_stop=_set(ticket.trail_stop) if trails else None,
        limit_offset=_set(ticket.limit_offset) if kind == "TRAIL LIMIT" else None,
        tif=_tif(ticket),
        outside_rth=ticket.outside_rth,
        oca_group=ticket.oca_group,
        oca_type=ticket.oca_type,
        ref=ticket.ref,
        parent=parent,
        transmit=ticket.transmit,
        what_if=ticket.what_if,
    )


def _set(value: Decimal | None) -> Decimal | None:
    # 0 is how some clients leave a price out
    return value or None


def _account(ticket: Ticket, accounts: Sequence[str]) -> str:
    if not ticket.account and len(accounts) == 1:
        return accounts[0]
    if not ticket.account:
        raise Refused(ticket.order_id, 435, "You must specify an account.")
    if ticket.account not in accounts:
        raise Refused(ticket.order_id, 321, "Error validating request.-'bO' : cause - Invalid account code")
    return ticket.account


def _tif(ticket: Ticket) -> Literal["DAY", "GTC"]:
    if ticket.tif not in ("", "DAY", "GTC"):
        text = f"Order rejected - reason:The time-in-force {ticket.tif} is invalid for this simulator."
        raise Refused(ticket.order_id, 201, text)
    return "GTC" if ticket.tif == "GTC" else "DAY"
