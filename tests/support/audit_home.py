"""A home with the journals of one surface, and the command that reads them."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import warm_start

from domain.clock import FakeClock
from journal import Journal

AUDIT = Path(sys.executable).parent / "audit"


SIGNAL = "sig_01J0000000000000000000000A"


ORDER = "tb-fx-01J0000000000000000000000A-entry-1"


Done = subprocess.CompletedProcess[str]


def audit(home: Path, *words: str, **env: str) -> Done:
    kept = {"PATH": os.environ["PATH"], "HOME": str(home), "COLUMNS": "200", **env}
    return warm_start.command("audit", *words, "--home", str(home), env=kept)


def verdict(gate: str, passed: bool | None, value: str, limit: str, code: str | None = None) -> dict[str, Any]:
    return {"gate": gate, "passed": passed, "code": code, "value": value, "limit": limit, "unit": "bp"}


def decision(*, admitted: bool, **changes: Any) -> dict[str, Any]:
    verdicts = [verdict("stop_file", True, "0", "0")]
    if not admitted:
        verdicts += [verdict("edge", False, "1.5", "2", "EDGE"), verdict("confidence", False, "0", "1", "CONFIDENCE")]
    return {
        "candidate": {"id": "cnd_1", "side": "buy", "market": "EUR_USD", "sub_strategy": "breakout"},
        "admitted": admitted,
        "code": None if admitted else "EDGE",
        "verdicts": verdicts,
        "size": {"quantity": "100"},
        "signal_id": SIGNAL if admitted else None,
    } | changes


class Writer:
    """Writes the journals of one surface, a second apart."""

    def __init__(self, home: Path) -> None:
        self.logs = home / "logs"
        self.clock = FakeClock(datetime(2026, 11, 1, 9, 0, tzinfo=UTC))

    def add(self, log: str, kind: str, record_id: str | None = None, surface: str = "fx", **fields: Any) -> None:
        self.clock.advance(1)
        with Journal.open(self.logs / log, clock=self.clock, durable=False) as journal:
            journal.append(kind, surface=surface, mode="paper", id=record_id, fields=fields)

    def trade(self) -> "Writer":
        """Write one refusal and one whole trade."""
        self.add("fx/decisions", "decision", "dec_refused", **decision(admitted=False))
        self.add("fx/decisions", "decision", "dec_admitted", **decision(admitted=True))
        order = {"client_order_id": ORDER, "signal_id": SIGNAL, "leg": "entry"}
        self.add("fx/orders", "order_intent", ORDER, **order, side="buy", quantity="100", market="EUR_USD")
        self.add("fx/orders", "order_event", **order, state="filled", quantity="100", price="1.1", reason="")
        self.add(
            "fx/signals", "signal", SIGNAL, signal_id=SIGNAL, action="open", side="buy", market="EUR_USD",
            quantity=Decimal(100), reference_price="1.1", expires_at="2026-11-01T09:10:00.000000Z",
        )  # fmt: skip
        self.add("feed/callbacks", "callback", signal_id=SIGNAL, stage="ack", rev=0, decision="skip", reason="drift",
                 late=False)  # fmt: skip
        self.add(
            "fx/resolutions", "resolution", signal_id=SIGNAL, market="EUR_USD", reason="take_profit",
            resolution_source="oanda_candles",
            realised=Decimal("12.50"), fees=Decimal(0), currency="USD", eta_hours="2", actual_hours="1", late=False,
        )  # fmt: skip
        return self
