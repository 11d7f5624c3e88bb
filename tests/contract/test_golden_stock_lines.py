"""The lines of a trade in stocks, without a target and with a trailing stop in percent, as subscribers know them.

``golden_stocks/*.jsonl`` are what ``lines`` wrote once, as in `test_golden_lines`; keys may be added, none may change.
"""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from domain.clock import FakeClock
from domain.signal import SignalClose, SignalOpen
from domain.vocabulary import ExitReason, Mode, Side, Surface
from journal import Journal
from journal.key_files import create_key
from journal.keys import Signer
from tbot_client.keys import Keyring, line_text, parse_keys
from tbot_client.wire import hash_matches, parse_item

pytestmark = pytest.mark.contract

GOLDEN = Path(__file__).parent / "golden_stocks"
NAMES = ("open", "close")
START = datetime(2026, 3, 2, 15, 30, 0, 123_456, tzinfo=UTC)
SIGNAL, CLOSE, DECISION = (f"{prefix}_01KJQ9ZDG00000000000000{n:03d}" for n, prefix in enumerate(("sig", "cls", "dec")))
# What depends on the machine and the moment; `prev` and `h` follow from it.
OF_THE_MACHINE = {"boot", "pid", "prev", "h", "sig", "mono_ns"}


def written(logs: Path) -> dict[str, bytes]:
    """Write both lines with the domain's values and the journal's own hand; the keys are left beside the logs."""
    clock = FakeClock(START)
    create_key(logs / "keys", "stk", clock.now())
    signer = Signer.load(logs / "keys", "stk", clock.now())
    found = {}
    for name, stream, value in (("open", "signals", opened()), ("close", "resolutions", closed())):
        journal = Journal.open(logs / "stk" / stream, clock=clock, durable=False, signer=signer, sign_lines=True)
        journal.append("signal", surface=value.surface, mode=value.mode, id=value.id, fields=value)
        journal.close()
        raws = (logs / "stk" / stream / "000001.jsonl").read_bytes().splitlines()
        found[name] = next(raw for raw in raws if json.loads(raw)["kind"] == "signal")
    return found


def opened() -> SignalOpen:
    return SignalOpen(
        id=SIGNAL, signal_id=SIGNAL, surface=Surface.STK, mode=Mode.PAPER, market="AIG", side=Side.BUY,
        strategy="stop_entry", sub_strategy="stop_entry", thesis="stop_entry:above_high",
        reference_price=Decimal("48.82"), stop_loss=Decimal("43.94"), take_profit=None, trailing_distance=None,
        quantity=Decimal(20), quote_currency="USD", edge_bp=Decimal("2.5"), confidence=Decimal("0.5"),
        eta_hours=Decimal(24), decision_id=DECISION, opened_at=START, published_at=START,
        expires_at=START + timedelta(seconds=600), trailing_percent=Decimal(10),
    )  # fmt: skip


def closed() -> SignalClose:
    return SignalClose(
        id=CLOSE, signal_id=SIGNAL, surface=Surface.STK, mode=Mode.PAPER, market="AIG", side=Side.BUY,
        exit_price=Decimal("49.10"), reason=ExitReason.STALE, closed_at=START, published_at=START,
    )  # fmt: skip


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return written(tmp_path_factory.mktemp("stocks"))


def golden(name: str) -> bytes:
    (line,) = (GOLDEN / f"{name}.jsonl").read_bytes().splitlines()
    return line


@pytest.mark.parametrize("name", NAMES)
def test_every_field_of_a_stock_line_is_still_there_with_the_same_meaning(name: str, lines: dict[str, bytes]) -> None:
    before, now = json.loads(golden(name)), json.loads(lines[name])

    same: dict[str, Any] = {field: value for field, value in before.items() if field not in OF_THE_MACHINE}
    assert {field: now[field] for field in same} == same
    assert [field for field in now if field in before] == list(before)


@pytest.mark.parametrize("name", NAMES)
def test_the_client_knows_each_stock_line_by_its_hash_and_signature(name: str) -> None:
    raw, ring = golden(name), Keyring()
    ring.learn(parse_keys((GOLDEN / "keys.json").read_bytes()))
    item = parse_item(raw)

    assert hash_matches(raw)
    ring.check("stk", line_text(item.h), item.sig, item.ts)


def test_the_client_reads_a_stock_without_target_and_an_end_for_a_reason_of_its_own() -> None:
    first, last = parse_item(golden("open")), parse_item(golden("close"))

    assert (first.market, first.take_profit, first.trailing_percent) == ("AIG", None, Decimal(10))
    assert (first.stop_loss, first.trailing_distance) == (Decimal("43.94"), None)
    assert (last.is_end, last.reason, last.exit_price) == (True, "stale", Decimal("49.10"))
