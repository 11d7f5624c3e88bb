"""The reports a feed receives: what was decided, what was filled, how it ended.

This module is the single authority for what leaves the machine towards the publisher: a decision with its reason, and
fills and outcomes as numbers. No account number, no balance, no credential has a place in these bodies.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from tbot_client.brokers.port import Opened, Reduced
from tbot_client.clock import iso
from tbot_client.trade import Trade


@dataclass(frozen=True, slots=True)
class Report:
    """One report in the outbox; ``body`` is kept as text, so that a repetition is the same bytes."""

    number: int
    signal_id: str
    stage: str
    body: str


def ack(signal_id: str, at: datetime, reason: str = "", rev: int = 0) -> dict[str, str]:
    """Accept, or skip for ``reason``; a skip after an accept is revision 1."""
    body: dict[str, Any] = {"at": iso(at), "rev": rev, "decision": "skip" if reason else "accept"}
    if reason:
        body["reason"] = _text(reason)
    return _report(signal_id, "ack", body)


def executed(trade: Trade, fill: Opened) -> dict[str, str]:
    body = {
        "at": iso(fill.at),
        "rev": 0,
        "fill_id": fill.id,
        "quantity": plain(fill.units),
        "price": plain(fill.price),
        "ordered_quantity": plain(max(trade.units, fill.units)),
    }
    return _report(trade.signal_id, "executed", body)


def resolved(trade: Trade, last: Reduced) -> dict[str, str]:
    """Report a whole trade once its ``last`` part is closed: total profit, and the average price of all parts."""
    units = trade.closed_units + last.units
    value = trade.closed_value + last.units * last.price
    body = {
        "at": iso(last.at),
        "rev": 0,
        "realised": plain(trade.realised + last.realised),
        "currency": last.currency,
        "quantity": plain(units),
        "price": plain((value / units).quantize(last.price) if units != last.units else last.price),
        "reason": _text(end_reason(trade, last)),
    }
    return _report(trade.signal_id, "resolved", body)


def end_reason(trade: Trade, last: Reduced) -> str:
    """Return the broker's word for its own protective orders, and else why we closed."""
    return last.reason if last.reason != "broker" else trade.end_reason or "broker"


def plain(number: Decimal) -> str:
    """Write a number without an exponent and with at most eight decimals."""
    exponent = number.as_tuple().exponent
    return f"{round(number, 8) if isinstance(exponent, int) and exponent < -8 else number:f}"


def _text(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:200]


def _report(signal_id: str, stage: str, body: dict[str, Any]) -> dict[str, str]:
    return {"signal_id": signal_id, "stage": stage, "body": msgspec.json.encode(body).decode()}
