"""The ``audit`` command: what it finds in good and in damaged journals, and what it says when there is nothing."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from domain.clock import FakeClock
from journal import Journal

AUDIT = Path(sys.executable).parent / "audit"
SIGNAL = "sig_01J0000000000000000000000A"
ORDER = "tb-fx-01J0000000000000000000000A-entry-1"
GRAMMAR = ("30m", "24h", "7d", "2w", "today", "yesterday", "ISO date", "Unix seconds")
Done = subprocess.CompletedProcess[str]


def audit(home: Path, *words: str, **env: str) -> Done:
    kept = {"PATH": os.environ["PATH"], "HOME": str(home), "COLUMNS": "200", **env}
    line = [str(AUDIT), *words, "--home", str(home)]
    return subprocess.run(line, env=kept, capture_output=True, text=True, timeout=30)


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
            "fx/resolutions", "resolution", signal_id=SIGNAL, reason="take_profit", resolution_source="oanda_candles",
            realised=Decimal("12.50"), fees=Decimal(0), currency="USD", eta_hours="2", actual_hours="1", late=False,
        )  # fmt: skip
        return self


@pytest.fixture
def written(tbot_home: Path) -> Path:
    Writer(tbot_home).trade()
    return tbot_home


def test_whole_journals_verify(written: Path) -> None:
    done = audit(written, "verify")
    facts = json.loads(audit(written, "verify", "--json").stdout)

    assert done.returncode == 0
    assert done.stdout.count("ok") == 5
    assert facts.keys() == {"fx/decisions", "fx/orders", "fx/signals", "fx/resolutions", "feed/callbacks"}
    assert all(one["ok"] and one["problems"] == [] for one in facts.values())


def test_a_changed_line_is_named_by_its_seq(written: Path) -> None:
    segment = written / "logs" / "fx" / "resolutions" / "000001.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b'"12.50"', b'"92.50"'))

    done = audit(written, "verify")
    facts = json.loads(audit(written, "verify", "--json").stdout)["fx/resolutions"]

    assert done.returncode == 3
    assert "BROKEN  fx/resolutions" in done.stdout
    assert "seq 2" in done.stdout
    assert done.stdout.count("BROKEN") == 1
    assert not facts["ok"]
    assert facts["problems"][0]["seq"] == 2


def test_a_line_taken_out_is_named_by_its_seq(written: Path) -> None:
    segment = written / "logs" / "fx" / "orders" / "000001.jsonl"
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(lines[:1] + lines[2:]))

    done = audit(written, "verify")

    assert done.returncode == 3
    assert "BROKEN  fx/orders" in done.stdout
    assert "seq 3" in done.stdout


def test_verify_writes_nothing(written: Path) -> None:
    before = {path: path.read_bytes() for path in written.rglob("*") if path.is_file()}

    audit(written, "verify")
    audit(written, "report")
    audit(written, "why", SIGNAL)

    assert {path: path.read_bytes() for path in written.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("wanted", [SIGNAL, ORDER, "dec_admitted"])
def test_why_tells_a_whole_trade_from_any_of_its_ids(written: Path, wanted: str) -> None:
    done = audit(written, "why", wanted)
    lines = done.stdout.splitlines()

    assert done.returncode == 0
    assert len(lines) == 6
    for line, said in zip(
        lines,
        (
            "buy EUR_USD (breakout) admitted by all ten gates, size 100",
            f"order {ORDER} intended: buy 100 EUR_USD",
            f"order {ORDER} filled 100 at 1.1",
            "published open: buy 100 EUR_USD at 1.1",
            "a subscriber acknowledged: skip (drift)",
            "resolved +12.50 USD by take_profit, 1.00 h of 2.00 h expected (oanda_candles)",
        ),
        strict=True,
    ):
        assert said in line


def test_why_names_the_gate_that_refused_with_both_numbers(written: Path) -> None:
    done = audit(written, "why", "dec_refused")

    assert done.returncode == 0
    assert "refused: EDGE at gate edge (1.5 against 2 bp), passed 1 of 3; also CONFIDENCE" in done.stdout


def test_why_as_json_gives_the_records_themselves(written: Path) -> None:
    records = json.loads(audit(written, "why", SIGNAL, "--json").stdout)

    assert [record["kind"] for record in records] == [
        "decision", "order_intent", "order_event", "signal", "callback", "resolution"
    ]  # fmt: skip
    assert all(len(record["h"]) == 64 for record in records)


@pytest.mark.parametrize("wanted", ["sig_0000000000000000000000000Z", "nonsense", "", '{"', "paper", "EUR_USD", "fx"])
def test_why_about_what_is_no_id_of_a_record_is_refused(written: Path, wanted: str) -> None:
    done = audit(written, "why", wanted)

    assert (done.returncode, done.stdout) == (2, "")
    assert "an id" in done.stderr


def test_what_strangers_wrote_cannot_steer_the_terminal(written: Path) -> None:
    nasty = "no \x1b[2J\x9b2J funds"
    Writer(written).add("fx/orders", "order_event", client_order_id=ORDER, signal_id=SIGNAL, leg="entry",
                        state="rejected", quantity="0", price=None, reason=nasty)  # fmt: skip

    shown = audit(written, "why", SIGNAL).stdout

    assert "funds" in shown
    assert not {"\x1b", "\x9b"} & set(shown)


def test_report_counts_candidates_refusals_and_outcomes(written: Path) -> None:
    text = audit(written, "report").stdout
    facts = json.loads(audit(written, "report", "--json").stdout)["fx"]

    assert "fx: 2 candidates, 1 admitted" in text
    assert "EUR_USD 1.5 against 2 bp (dec_refused)" in text
    assert (facts["candidates"], facts["admitted"]) == (2, 1)
    (outcome,) = facts["outcomes"]
    assert (outcome["trades"], outcome["realised"], outcome["resolution_source"]) == (1, "12.50", "oanda_candles")
    assert len(facts["funnel"]) == 10


def test_report_rounds_its_nearest_misses_and_has_none_for_a_gate_that_says_yes_or_no(tbot_home: Path) -> None:
    stopped = verdict("stop_file", False, "1", "0", "STOPPED") | {"unit": "reasons"}
    thin = verdict("edge", False, "3.553069680281036350195132295", "4", "EDGE")
    for n, one in enumerate((stopped, thin)):
        fields = decision(admitted=False, code=one["code"], verdicts=[one])
        Writer(tbot_home).add("fx/decisions", "decision", f"dec_{n}", **fields)

    text = audit(tbot_home, "report").stdout

    assert "EUR_USD 3.55307 against 4 bp (dec_1)" in text
    assert "against 0 reasons" not in text


def test_since_leaves_out_what_came_before_and_says_which_moment_it_means(written: Path) -> None:
    done = audit(written, "report", "--since", "2026-11-01T09:00:02Z", "--json")

    assert json.loads(done.stdout)["fx"]["candidates"] == 1
    assert "since 2026-11-01T09:00:02+00:00" in done.stderr


def test_since_counts_back_from_the_clock_of_the_fleet(written: Path) -> None:
    clock = "sim:2026-11-01T09:30:00Z@1"

    near = json.loads(audit(written, "report", "--since", "10m", "--json", TBOT_CLOCK=clock).stdout)
    far = json.loads(audit(written, "report", "--since", "1h", "--json", TBOT_CLOCK=clock).stdout)

    assert near["fx"]["candidates"] == 0
    assert far["fx"]["candidates"] == 2


@pytest.mark.parametrize("since", ["soon", "7x", "2026-13-01", "01/02/2026", "99999999999999d"])
def test_a_moment_that_is_none_is_refused_with_the_grammar(written: Path, since: str) -> None:
    done = audit(written, "report", "--since", since)

    assert (done.returncode, done.stdout) == (2, "")
    assert since in done.stderr
    for form in GRAMMAR:
        assert form in done.stderr


def test_a_surface_that_does_not_exist_is_refused_with_a_hint(written: Path) -> None:
    done = audit(written, "report", "--surface", "stkk")

    assert done.returncode == 2
    assert "did you mean 'stk'?" in done.stderr


def test_a_surface_without_journals_has_an_empty_report(written: Path) -> None:
    done = audit(written, "report", "--surface", "stk")

    assert done.returncode == 0
    assert "stk: no decisions in this period" in done.stdout


@pytest.mark.parametrize("words", [("verify",), ("report",), ("why", SIGNAL)], ids=" ".join)
def test_a_folder_without_logs_is_refused_with_what_to_do(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = audit(tmp_path, *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert "--home" in done.stderr
    assert "tbot demo" in done.stderr


def test_logs_without_a_journal_verify_but_say_that_there_was_nothing(tbot_home: Path) -> None:
    done = audit(tbot_home, "verify")

    assert done.returncode == 0
    assert "no journal" in done.stdout + done.stderr
    assert json.loads(audit(tbot_home, "verify", "--json").stdout) == {}


def test_a_report_on_damaged_journals_says_so_instead_of_a_traceback(written: Path) -> None:
    segment = written / "logs" / "fx" / "decisions" / "000001.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b'"kind":"decision"', b'"kind":decision"'))

    for words in (("report",), ("why", SIGNAL)):
        done = audit(written, *words)
        assert done.returncode not in (0, 1)
        assert "Traceback" not in done.stderr
        assert "error:" in done.stderr


def test_output_may_be_cut_short_by_a_pager(written: Path) -> None:
    line = f"{AUDIT} why {SIGNAL} --home {written} | head -n 1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30)

    assert done.stderr == ""
