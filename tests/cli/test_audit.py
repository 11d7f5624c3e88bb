"""The ``audit`` command: what it finds in good and in damaged journals, and what it says when there is nothing."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from audit_home import AUDIT, ORDER, SIGNAL, Writer, audit, decision, verdict

from domain.clock import FakeClock
from journal import Journal
from journal.key_files import create_key
from journal.keys import Signer

GRAMMAR = ("30m", "24h", "7d", "2w", "today", "yesterday", "ISO date", "Unix seconds")


@pytest.fixture
def written(tbot_home: Path) -> Path:
    Writer(tbot_home).trade()
    return tbot_home


@pytest.fixture
def signed(tbot_home: Path) -> Path:
    """A home with a key of fx and five signed signals."""
    clock = FakeClock(datetime(2026, 11, 1, 9, 0, tzinfo=UTC))
    create_key(tbot_home / "keys", "fx", clock.now())
    signer = Signer.load(tbot_home / "keys", "fx", clock.now())
    with Journal.open(
        tbot_home / "logs/fx/signals", clock=clock, durable=False, signer=signer, sign_lines=True
    ) as journal:
        for number in range(5):
            clock.advance(1)
            journal.append("signal", surface="fx", mode="paper", fields={"n": number})
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
            "EUR_USD resolved +12.50 USD by take_profit, 1.00 h of 2.00 h expected (oanda_candles)",
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


def test_verify_shows_head_checkpoints_and_signatures(signed: Path) -> None:
    done = audit(signed, "verify")
    facts = json.loads(audit(signed, "verify", "--json").stdout)["fx/signals"]
    few = json.loads(audit(signed, "verify", "--signatures", "newest", "--json").stdout)["fx/signals"]

    assert done.returncode == 0
    assert f"head 6 {facts['head']['h'][:12]}, 1 checkpoints, 7 signatures" in done.stdout
    assert (facts["records"], facts["checkpoints"], facts["signatures"], facts["unchecked_signatures"]) == (6, 1, 7, 0)
    assert (few["signatures"], few["unchecked_signatures"]) == (2, 5)


def test_verify_names_a_line_that_the_key_did_not_sign(signed: Path) -> None:
    segment = signed / "logs/fx/signals/000001.jsonl"
    lines = segment.read_bytes().splitlines(keepends=True)
    signature = lines[2][-115:]
    segment.write_bytes(lines[0] + lines[1][:-115] + signature + b"".join(lines[2:]))
    done = audit(signed, "verify")

    assert done.returncode == 3
    assert "seq 2: the signature does not match key" in done.stdout


def test_a_journal_under_the_name_of_another_does_not_verify(written: Path) -> None:
    (written / "logs/st").mkdir()
    (written / "logs/fx/signals").rename(written / "logs/st/signals")

    assert "a record of log 'fx/signals', not 'st/signals'" in audit(written, "verify").stdout


def test_a_record_is_proven_and_the_proof_checked(signed: Path) -> None:
    proof = signed / "proof.json"
    made = audit(signed, "prove", "fx/signals", "--seq", "3", "--out", str(proof))
    held = audit(signed, "prove", "--check", str(proof))
    facts = json.loads(audit(signed, "prove", "--check", str(proof), "--json").stdout)
    proof.write_text(proof.read_text().replace("paper", "PAPER"))
    broken = audit(signed, "prove", "--check", str(proof), "--keys", str(signed / "keys/public.json"))

    assert (made.returncode, made.stdout) == (0, "")
    assert (held.returncode, held.stdout.partition(":")[0]) == (0, "holds")
    assert (facts["ok"], facts["seq"], facts["checkpoint"]) == (True, 3, 6)
    assert (broken.returncode, broken.stdout.partition(":")[0]) == (3, "DOES NOT HOLD")


def test_a_proof_needs_a_record_and_a_key(signed: Path) -> None:
    unknown = audit(signed, "prove", "fx/signal", "--seq", "3")
    beyond = audit(signed, "prove", "fx/signals", "--seq", "77")
    neither = audit(signed, "prove")
    (signed / "proof.json").write_text(audit(signed, "prove", "fx/signals", "--seq", "3").stdout)
    keyless = audit(signed, "prove", "--check", str(signed / "proof.json"), "--keys", str(signed / "none.json"))

    assert [done.returncode for done in (unknown, beyond, neither, keyless)] == [2, 2, 2, 2]
    assert "did you mean 'fx/signals'?" in unknown.stderr
    assert "give one from 1 to 6" in beyond.stderr


def test_a_strangers_proof_cannot_steer_the_terminal(signed: Path) -> None:
    found = json.loads(audit(signed, "prove", "fx/signals", "--seq", "3").stdout)
    (signed / "proof.json").write_text(json.dumps(found | {"log": "\x1b[2J", "line": found["line"] + "\x9b"}))
    done = audit(signed, "prove", "--check", str(signed / "proof.json"))

    assert done.returncode == 3
    assert not {"\x1b", "\x9b"} & set(done.stdout + done.stderr)


def test_repair_says_first_and_does_then(written: Path) -> None:
    segment = written / "logs/fx/orders/000001.jsonl"
    whole = segment.read_bytes()
    segment.write_bytes(whole + b'{"ts":"20')
    dry = audit(written, "repair", "fx/orders", "--dry-run")
    after_dry = segment.read_bytes()
    done = audit(written, "repair", "fx/orders")
    facts = json.loads(audit(written, "repair", "fx/orders", "--json").stdout)

    assert (dry.returncode, after_dry) == (0, whole + b'{"ts":"20')
    assert f"would move to torn/ 9 bytes of 000001.jsonl from byte {len(whole)} on" in dry.stdout
    assert (done.returncode, segment.read_bytes()) == (0, whole)
    assert "moved to torn/ 9 bytes" in done.stdout
    assert (facts["moves"], facts["dry_run"]) == ([], False)


def test_repair_refuses_damage_among_committed_records(written: Path) -> None:
    segment = written / "logs/fx/orders/000001.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b'"filled"', b'"filler"'))
    done = audit(written, "repair", "fx/orders")

    assert done.returncode == 70
    assert "segment 1, offset" in done.stderr
    assert "seq 3; open it for reading only" in done.stderr
    assert "from a copy" in done.stderr


@pytest.mark.proves("J12")
def test_a_report_warns_of_times_that_are_not_their_own(written: Path) -> None:
    writer = Writer(written)
    writer.clock.advance(-3600)
    writer.add("fx/decisions", "decision", "dec_late", **decision(admitted=False))
    done = audit(written, "report")
    facts = json.loads(audit(written, "report", "--json").stdout)["fx"]["clock_stepped_back"]

    assert "fx: 1 records were written while the clock was up to 36" in done.stderr
    assert facts["records"] == 1


def test_signatures_without_any_public_key_vouch_for_nothing(signed: Path) -> None:
    (signed / "keys" / "public.json").unlink()
    done, unasked = audit(signed, "verify"), audit(signed, "verify", "--signatures", "none")

    assert (done.returncode, unasked.returncode) == (3, 0)
    assert "names no key; restore it from a copy" in done.stderr
