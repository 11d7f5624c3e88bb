"""Which orders belong to which symbol and trade, as the surface's journals tell."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from domain.vocabulary import Kind, Leg

# Entries of a symbol that may yet turn out to have filled.
REMEMBERED = 8


class OrderLedger:
    """Takes in every record of the surface's journals, the old ones first.

    Attributes:
        entries: symbol -> id of its newest entry order, whatever became of it.
        latest: symbol -> ids of its last few entry orders, oldest first.
        stops: signal -> ids of the protective orders placed for it after its entry, oldest first.
    """

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}
        self.latest: dict[str, deque[str]] = {}
        self.stops: dict[str, list[str]] = {}

    def apply(self, record: Mapping[str, Any]) -> None:
        if record["kind"] != Kind.ORDER_INTENT:
            return
        if record["leg"] == Leg.ENTRY:
            self.entries[record["market"]] = record["client_order_id"]
            self.latest.setdefault(record["market"], deque(maxlen=REMEMBERED)).append(record["client_order_id"])
        elif record["leg"] == Leg.STOP:
            self.stops.setdefault(record["signal_id"], []).append(record["client_order_id"])
