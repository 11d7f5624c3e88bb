"""What became of each signal on this machine, in a few words each, for the report on what happened while away."""

from collections.abc import Callable
from typing import Any

from tbot_client.journal import Record

KEPT = 5_000
Outcomes = dict[str, dict[str, Any]]


def note(outcomes: Outcomes, record: Record) -> None:
    """Take one record in."""
    if (told := _TOLD.get(record["kind"])) is None:
        return
    signal_id = record["signal"]["signal_id"] if "signal" in record else record["signal_id"]
    entry = outcomes.setdefault(signal_id, {"what": "unknown"})
    entry |= told(record)
    while len(outcomes) > KEPT:
        del outcomes[next(iter(outcomes))]


def _received(record: Record) -> dict[str, Any]:
    return {"what": "pending", "received_at": record.get("at", "")}


def _opened(record: Record) -> dict[str, Any]:
    return {"what": "held", "units": record["units"], "price": record["price"], "opened_at": record.get("at", "")}


def _adopted(record: Record) -> dict[str, Any]:
    signal = record["signal"]
    return {"what": "held", "units": record["units"], "price": signal["reference"], "opened_at": record.get("at", "")}


def _reduced(record: Record) -> dict[str, Any]:
    return {"exit_price": record["price"], "end_reason": record["reason"], "currency": record["currency"]}


_TOLD: dict[str, Callable[[Record], dict[str, Any]]] = {
    "received": _received,
    "skipped": lambda record: {"what": "skipped", "reason": record["reason"]},
    "intended": lambda record: {"what": "ordered"},
    "failed": lambda record: {"what": "not traded", "reason": record["reason"]},
    "opened": _opened,
    "adopted": _adopted,
    "reduced": _reduced,
    "closed": lambda record: {"what": "closed", "closed_at": record.get("at", "")},
    "lost": lambda record: {"what": "lost"},
}
