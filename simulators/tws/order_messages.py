"""Messages about orders: openOrder, completedOrder, orderStatus, execDetails, commissionReport."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from simulators.ibkr.clock import NEW_YORK
from simulators.ibkr.contracts import Contract
from simulators.ibkr.orders import Commission, Execution, Margins, Order
from simulators.tws.framing import UNSET

Row = Sequence[object]
ZERO = Decimal(0)
UNSET_WHOLE = "2147483647"


def stamp(moment: datetime) -> str:
    """Return a time as the gateway writes it, with the name of its zone."""
    return f"{moment.astimezone(NEW_YORK):%Y%m%d %H:%M:%S} US/Eastern"


def contract_fields(contract: Contract, exchange: str, right: str = "") -> Row:
    """Return the eleven fields of a contract inside another message.

    ``right`` is empty where it means nothing, but orders say "?" and portfolios "0".
    """
    return (
        contract.conid, contract.symbol, contract.kind, "", 0, right, "",
        exchange, contract.currency, contract.symbol, contract.trading_class,
    )  # fmt: skip


def _terms_fields(order: Order, quantity: Decimal) -> Row:
    terms = order.terms
    aux = terms.trail_amount if terms.kind.startswith("TRAIL") else terms.stop
    limit = order.limit_now if order.limit_now is not None else terms.limit
    return (
        terms.side, quantity, terms.kind, limit or ZERO, aux or ZERO, terms.tif,
        terms.oca_group, terms.account, "", 0, terms.ref,
    )  # fmt: skip


def _trail_stop(order: Order) -> object:
    stop = order.stop_now if order.stop_now is not None else order.terms.trail_stop
    return UNSET if stop is None or not order.terms.kind.startswith("TRAIL") else stop


def open_order(
    order: Order, contract: Contract, key: tuple[int, int], parent_id: int, margins: Margins | None = None
) -> Row:
    """Return openOrder; ``key`` is the client and its order number, ``margins`` make it the answer to a what-if."""
    terms, (client, number) = order.terms, key
    return (
        5, number, *contract_fields(contract, contract.exchange, "?"), *_terms_fields(order, terms.quantity),
        client, order.perm_id, terms.outside_rth, False, ZERO, "", "", "", "", "", "", "", "", "", "", "", 0, "", -1,
        0, UNSET, UNSET, UNSET, UNSET, UNSET, 0, False, False, False, UNSET_WHOLE, terms.oca_type, False, False, UNSET,
        parent_id, 0, UNSET, 0, "", UNSET, False, 0, _trail_stop(order), terms.trail_percent or UNSET, UNSET,
        UNSET_WHOLE, "", 0, 0, 0, UNSET_WHOLE, UNSET_WHOLE, UNSET, "", False, "", "IB", False, 0, "", False,
        margins is not None, *_state_fields(order, margins), False, False, 0,
        "None", UNSET, _trail_stop(order), terms.limit_offset or UNSET, UNSET, UNSET, UNSET, 0,
        "", "", "", ZERO, False, False, ZERO, False, UNSET_WHOLE, UNSET_WHOLE, False, UNSET_WHOLE, UNSET_WHOLE, UNSET,
        UNSET, UNSET,
    )  # fmt: skip


def _state_fields(order: Order, margins: Margins | None) -> Row:
    if margins is None:
        return (order.status, *(UNSET,) * 9, UNSET, UNSET, UNSET, "", order.reason)
    before = (margins.initial_before, margins.maintenance_before, margins.equity_before)
    after = (margins.initial_after, margins.maintenance_after, margins.equity_after)
    change = tuple(new - old for new, old in zip(after, before, strict=True))
    cost = margins.commission
    return ("PreSubmitted", *before, *change, *after, cost, cost, cost, margins.commission_currency, "")


def completed_order(order: Order, contract: Contract) -> Row:
    """Return completedOrder: it names no client and no order number, only the permanent id.

    Its quantity is what was left when the order ended: 0 of one that filled.
    """
    terms = order.terms
    done = order.done_at or order.placed_at
    words = "Filled Size: " + f"{order.filled:f}" if order.status == "Filled" else order.reason or "Cancelled by Trader"
    return (
        101, *contract_fields(contract, contract.exchange, "?"), *_terms_fields(order, order.remaining),
        order.perm_id, terms.outside_rth, False, ZERO, "", "", "", "", "", "", "", "", UNSET, "", 0, "", -1,
        UNSET, UNSET, UNSET, UNSET, UNSET, 0, False, False, UNSET_WHOLE, terms.oca_type, 0, UNSET, 0, "", UNSET,
        False, 0, _trail_stop(order), terms.trail_percent or UNSET, "", 0, 0, 0, UNSET_WHOLE, UNSET_WHOLE, UNSET, "",
        "", "IB", False, 0, "", False, order.status, False, False, 0,
        _trail_stop(order), terms.limit_offset or UNSET, ZERO, False, False, "", order.filled, 0, False,
        "Not an insider or substantial shareholder", False, False, terms.parent or 0, stamp(done), words,
        UNSET_WHOLE, UNSET_WHOLE, UNSET, UNSET, UNSET,
    )  # fmt: skip


def order_status(order: Order, key: tuple[int, int], parent_id: int, status: str | None = None) -> Row:
    """Return orderStatus; ``status`` replaces what the order says of itself."""
    client, number = key
    return (
        3, number, status or order.status, order.filled, order.remaining, order.average_price, order.perm_id,
        parent_id, order.last_price or ZERO, client, order.why_held, ZERO,
    )  # fmt: skip


def exec_details(execution: Execution, contract: Contract, key: tuple[int, int], request: int = -1) -> Row:
    """Return execDetails, live or as the answer to a request."""
    client, number = key
    return (
        11, request, number, *contract_fields(contract, execution.exchange), execution.exec_id, stamp(execution.at),
        execution.account, execution.exchange, "BOT" if execution.side == "BUY" else "SLD", execution.quantity,
        execution.price, execution.perm_id, client, 0, execution.cumulative, execution.average,
        execution.order.terms.ref, "", "", "", execution.liquidity,
    )  # fmt: skip


def commission_report(commission: Commission) -> Row:
    """Return commissionReport."""
    realised = UNSET if commission.realised is None else commission.realised
    return 59, 1, commission.exec_id, commission.amount, commission.currency, realised, UNSET, ""
