"""Order events, read from the transactions that concern one order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from brokers.oanda.errors import Rejected
from brokers.oanda.fills import fee, parts
from brokers.oanda.parse import Json, moment, number
from domain.ids import signal_of_order
from domain.order import OrderEvent, OrderIntent
from domain.vocabulary import Leg, OrderState


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What every event of one order repeats; ``learned_at`` is our time of hearing the news."""

    client_order_id: str
    signal_id: str
    leg: Leg
    currency: str
    learned_at: datetime

    def event(self, state: OrderState, **facts: Any) -> OrderEvent:
        facts = {"happened_at": self.learned_at} | facts
        return OrderEvent(
            client_order_id=self.client_order_id,
            signal_id=self.signal_id,
            leg=self.leg,
            state=state,
            learned_at=self.learned_at,
            currency=self.currency,
            **facts,
        )

    def rejected(self, reason: str) -> OrderEvent:
        return self.event(OrderState.REJECTED, reason=reason)

    def absent(self, reason: str) -> OrderEvent:
        return self.event(OrderState.ABSENT, reason=reason)


def ticket_of_intent(intent: OrderIntent, currency: str, learned_at: datetime) -> Ticket:
    return Ticket(
        client_order_id=intent.client_order_id,
        signal_id=intent.signal_id,
        leg=intent.leg,
        currency=currency,
        learned_at=learned_at,
    )


def ticket_of_id(client_order_id: str, currency: str, learned_at: datetime) -> Ticket:
    """Build a ticket from the id alone; one that is not of our making counts as an entry of no signal."""
    _, signal_id, leg, _ = signal_of_order(client_order_id) or (None, "", Leg.ENTRY, 0)
    return Ticket(
        client_order_id=client_order_id, signal_id=signal_id, leg=leg, currency=currency, learned_at=learned_at
    )


def of_reply(ticket: Ticket, body: Json) -> list[OrderEvent]:
    """Read the 201 of a new order or the 200 of a trade's close: either may hold a cancel instead of a fill."""
    create = body["orderCreateTransaction"]
    fills = [body["orderFillTransaction"]] if body.get("orderFillTransaction") else []
    return events(ticket, create, fills, body.get("orderCancelTransaction"))


def of_rejection(ticket: Ticket, error: Rejected) -> list[OrderEvent]:
    """Read a 400 or 404; the reject transaction gives it OANDA's time and id."""
    facts: dict[str, Any] = {"reason": error.code or f"status {error.status}"}
    for key, row in error.body.items():
        if key.endswith("RejectTransaction") and isinstance(row, dict) and "time" in row:
            facts |= {"happened_at": moment(row["time"]), "transaction_id": row.get("id")}
    return [ticket.event(OrderState.REJECTED, **facts)]


def of_log(ticket: Ticket, rows: Iterable[Json]) -> list[OrderEvent]:
    """Read what the transaction log tells of an order by its client id; empty when it tells nothing.

    A client id may stand on two orders, the second refused because of the first: then the one that filled counts.
    """
    mine = [row for row in rows if _client_id(row) == ticket.client_order_id]
    fills = [row for row in mine if row["type"] == "ORDER_FILL"]
    rejects = [row for row in mine if row["type"].endswith("_REJECT")]
    order_id = fills[0]["orderID"] if fills else next((_order_id(row) for row in reversed(mine)), None)
    create = next((row for row in mine if row["id"] == order_id), None)
    cancel = next((row for row in mine if row["type"] == "ORDER_CANCEL" and row["orderID"] == order_id), None)
    if fills or cancel or (create and create not in rejects):
        return events(ticket, create, [row for row in fills if row["orderID"] == order_id], cancel)
    return [_rejected(ticket, rejects[-1])] if rejects else []


def _client_id(row: Json) -> str | None:
    return row.get("clientOrderID") or (row.get("clientExtensions") or {}).get("id")


def _order_id(row: Json) -> str:
    return str(row.get("orderID") or row["id"])


def events(ticket: Ticket, create: Json | None, fills: Sequence[Json], cancel: Json | None) -> list[OrderEvent]:
    """Return one event a fill, then the cancel if there is one; ACCEPTED when nothing has happened yet.

    A market order cannot rest: when its fill falls short of it, what is left is dead even if no cancel says so.
    """
    wanted, done = abs(number(create["units"])) if create else Decimal(0), Decimal(0)
    found = []
    for fill in fills:
        done += abs(number(fill["units"]))
        found.append(_filled(ticket, fill, whole=done >= wanted))
    if cancel is not None and not (found and done >= wanted):
        found.append(_cancelled(ticket, cancel))
    elif fills and done < wanted:
        found.append(ticket.event(OrderState.CANCELLED, happened_at=moment(fills[-1]["time"]), reason="PARTIAL_FILL"))
    if not found and create is not None:
        found.append(_accepted(ticket, create))
    return found


def _filled(ticket: Ticket, fill: Json, *, whole: bool) -> OrderEvent:
    touched = parts(fill)
    return ticket.event(
        OrderState.FILLED if whole else OrderState.PARTIAL,
        happened_at=moment(fill["time"]),
        quantity=abs(number(fill["units"])),
        price=number(fill["price"]),
        realised=sum((part.realised for part in touched), Decimal(0)),
        fee=fee(fill),
        broker_order_id=fill["orderID"],
        broker_trade_id=touched[-1].trade_id if touched else None,
        transaction_id=fill["id"],
    )


def _cancelled(ticket: Ticket, cancel: Json) -> OrderEvent:
    return ticket.event(
        OrderState.CANCELLED,
        happened_at=moment(cancel["time"]),
        broker_order_id=cancel.get("orderID"),
        transaction_id=cancel["id"],
        reason=cancel.get("reason", ""),
    )


def _accepted(ticket: Ticket, create: Json) -> OrderEvent:
    return ticket.event(
        OrderState.ACCEPTED,
        happened_at=moment(create["time"]),
        broker_order_id=create["id"],
        transaction_id=create["id"],
    )


def _rejected(ticket: Ticket, row: Json) -> OrderEvent:
    return ticket.event(
        OrderState.REJECTED,
        happened_at=moment(row["time"]),
        transaction_id=row["id"],
        reason=row.get("rejectReason", ""),
    )
