"""Records that try to steer the terminal of whoever reads them."""

import dataclasses
import enum
import re
import subprocess
import sys
import types
import typing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from domain.callback import Callback
from domain.clock import FakeClock
from domain.decision import Decision
from domain.operation import Cooldown, StateChange, Suspension
from domain.order import OrderEvent, OrderIntent
from domain.resolution import Resolution
from domain.signal import SignalAmend, SignalClose, SignalOpen
from domain.vocabulary import Stage
from journal import Journal

ESCAPES = "\x1b[31mred\x1b]0;owned\x07\x9b31m\u2028\x7f\x08"
SUBJECT = "sig_01HQ3V5X7Y9Z1A2B3C4D5E6F7G"
STREAMS = {
    "decisions": {"decision": Decision, "cooldown": Cooldown, "suspension": Suspension, "state": StateChange},
    "orders": {"order_intent": OrderIntent, "order_event": OrderEvent},
    "signals": {"signal": (SignalOpen, SignalAmend)},
    "resolutions": {"signal": SignalClose, "resolution": Resolution},
}


def hostile(hint: object, name: str = "") -> object:
    """Make a value of a type in which every text is hostile, the ids that link records apart."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return hostile(next(part for part in inner if part is not type(None)), name)
    if origin is tuple:
        return (hostile(inner[0], name),)
    if origin is not None:
        return {ESCAPES: ESCAPES}
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return {field.name: hostile(hints[field.name], field.name) for field in dataclasses.fields(hint)}
    known = {str: SUBJECT if name == "signal_id" else ESCAPES, bool: False, int: 3, float: 0.5, Decimal: Decimal("0.5")}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return next(iter(hint))
    return datetime(2014, 5, 2, 12, tzinfo=UTC) if hint is datetime else known.get(hint, ESCAPES)


def fields_of(shape: type) -> dict[str, object]:
    return {name: value for name, value in hostile(shape).items() if name not in ("id", "kind", "surface", "mode")}


def fill(logs: Path, clock: FakeClock) -> None:
    for stream, kinds in STREAMS.items():
        with Journal.open(logs / "fx" / stream, clock=clock, durable=False) as log:
            for kind, shapes in kinds.items():
                for shape in shapes if isinstance(shapes, tuple) else (shapes,):
                    log.append(kind, surface="fx", mode="paper", id=ESCAPES, fields=fields_of(shape))
    with Journal.open(logs / "feed" / "callbacks", clock=clock, durable=False) as log:
        for stage in Stage:
            log.append(
                "callback", surface="fx", mode="paper", id=ESCAPES, fields=fields_of(Callback) | {"stage": stage}
            )


@pytest.mark.proves("row 10")
@pytest.mark.parametrize(
    "words",
    [
        ("why", SUBJECT),
        ("why", ESCAPES),
        ("report",),
        ("verify",),
        ("report", "--since", ESCAPES),
        ("repair", "fx/signals"),
    ],
    ids=["why", "why of nonsense", "report", "verify", "since nonsense", "repair"],
)
@pytest.mark.parametrize("is_damaged", [False, True])
def test_no_audit_command_lets_a_record_steer_the_terminal(
    tbot_home: Path, clock: FakeClock, words: tuple[str, ...], is_damaged: bool
) -> None:
    fill(tbot_home / "logs", clock)
    if is_damaged:
        path = tbot_home / "logs/fx/signals/000001.jsonl"
        path.write_bytes(path.read_bytes().replace(b'"log":"fx/signals"', b'"log":"fx/s\\u001b[1m"'))
    command = [str(Path(sys.executable).parent / "audit"), *words, "--home", str(tbot_home)]
    done = subprocess.run(command, capture_output=True, timeout=60)
    shown = (done.stdout + done.stderr).decode("utf-8", "surrogateescape")

    assert shown
    assert re.findall(r"[^\n\x20-\x7e\u00a1-\u2027\u2030-\U0010ffff]", shown) == []
