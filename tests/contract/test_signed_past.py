"""A publisher that rewrites its past, rotates its key or loses its place, as its subscribers find it out."""

import base64
import json
import shutil
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.clock import iso
from journal.key_files import create_key

pytestmark = pytest.mark.contract
ROOT = Path(__file__).parents[2]


def reseal(stage: Any, change: Any) -> None:
    """Write both logs anew with the publisher's own key, as who holds it and the disk can; ``change`` alters a line."""
    stage.feed.stop()
    publisher = stage.publisher
    publisher.shut()
    logs, past = stage.house.logs / "fx", stage.house.home / "the-true-past"
    logs.rename(past)
    publisher.begin()
    for stream, journal in (("signals", publisher.signals), ("resolutions", publisher.resolutions)):
        for raw in (past / stream / "000001.jsonl").read_bytes().splitlines():
            record = json.loads(raw)
            if record["kind"] in ("signal", "resolution"):
                fields = {name: value for name, value in record.items() if name not in OF_THE_JOURNAL}
                journal.append(record["kind"], surface="fx", mode="paper", id=record["id"], fields=change(fields))
    stage.feed.start()


OF_THE_JOURNAL = frozenset(
    {"ts", "v", "log", "seq", "id", "boot", "mono_ns", "pid", "kind", "surface", "mode", "prev", "h", "sig"}
)


@pytest.mark.proves("F10", "J11", "row 11")
def test_a_past_sealed_anew_with_the_true_key_is_proven_by_what_a_subscriber_kept(stage: Any) -> None:
    subscriber = stage.subscriber()
    signal_ids = [stage.publisher.open() for _ in range(3)]
    assert subscriber.run("run", "--once").returncode == 0
    stage.publisher.end(signal_ids[0])
    assert subscriber.run("run", "--once").returncode == 0
    assert subscriber.run("verify").returncode == 0
    was = (stage.house.log("fx", "signals") / "000001.jsonl").read_text()

    def better(fields: dict[str, Any]) -> dict[str, Any]:
        return fields | {"reference_price": "1.05000"} if fields["signal_id"] == signal_ids[1] else fields

    reseal(stage, better)
    done = subscriber.run("verify", "--json")
    told = subscriber.run("verify").stdout

    found = json.loads(done.stdout)
    assert done.returncode == 1
    row = next(row for row in found["rewritten"] if row["log"] == "fx/signals" and row["seq"] == 3)
    assert row["seen"]["h"] in was
    assert row["seen"]["sig"] in was
    assert row["served"]["sig"][:16] == row["seen"]["sig"][:16]
    assert row["served"]["h"] != row["seen"]["h"]
    for name in ("seen", "served"):
        assert row[name]["h"] in told
        assert row[name]["sig"] in told


@pytest.mark.proves("F10", "row 11")
def test_a_past_sealed_by_another_key_stops_entries_over_restarts_until_told_to_trust(stage: Any) -> None:
    subscriber = stage.subscriber()
    held = stage.publisher.open()
    assert subscriber.run("run", "--once").returncode == 0
    stage.feed.stop()
    stage.publisher.shut()
    shutil.rmtree(stage.house.logs / "fx")
    shutil.rmtree(stage.publisher.keys)
    create_key(stage.publisher.keys, "fx", stage.publisher.clock.now())
    stage.publisher.begin()
    stage.feed.start()
    forged = stage.publisher.open()
    stage.publisher.end(held)

    first, second = (subscriber.run("run", "--once") for _ in range(2))
    status = subscriber.status()

    assert (first.returncode, second.returncode) == (1, 1)
    assert "No more entries" in first.stderr
    assert status["entries"] == "off: history"
    assert status["counts"]["executed"] == 1
    # 3: what was reported about signals that are gone can't be delivered.
    assert subscriber.run("run", "--once", "--trust-new-history").returncode in (0, 3)
    later = stage.publisher.open()
    assert subscriber.run("run", "--once").returncode in (0, 3)
    assert stage.stages(later) == ["ack", "executed"]
    assert len(list(subscriber.home.glob("heads-before-*.jsonl"))) == 1
    assert forged


def test_a_rotated_key_is_followed_by_who_pinned_the_old_one(stage: Any) -> None:
    old = json.loads((stage.publisher.keys / "public.json").read_text())["keys"][0]["key"]
    subscriber = stage.subscriber(f"--publisher-key=fx:{old}")
    before = stage.publisher.open()
    assert subscriber.run("run", "--once").returncode == 0
    new = stage.publisher.rotate()
    after = stage.publisher.open()

    assert subscriber.run("run", "--once").returncode == 0

    assert [stage.stages(one) for one in (before, after)] == [["ack", "executed"]] * 2
    keys = subscriber.status()["signatures"]["keys"]
    assert [(key["key"], key["until"] is None) for key in keys] == [(old, False), (new, True)]
    assert subscriber.run("verify").returncode == 0


def test_a_pin_of_somebody_elses_key_follows_nothing(stage: Any) -> None:
    subscriber = stage.subscriber("--publisher-key=fx:0123456789abcdef")
    stage.publisher.open()

    assert subscriber.run("check").returncode == 78
    assert subscriber.run("run", "--once").returncode == 1

    assert subscriber.status()["counts"]["accepted"] == 0


def test_whoever_breaks_into_the_feed_can_forge_nothing(stage: Any) -> None:
    """Everything the feed holds is at hand here, its disk included, but not the surface's key."""
    subscriber = stage.subscriber()
    stage.publisher.open()
    assert subscriber.run("run", "--once").returncode == 0
    stage.feed.stop()
    path = stage.house.log("fx", "signals") / "000001.jsonl"
    *rest, line = path.read_bytes().splitlines()
    sig = base64.b64encode(Ed25519PrivateKey.generate().sign(b"x")).decode()
    forged = line[: line.index(b'","sig":"') + 9 + 17] + sig.encode() + b'"}'
    path.write_bytes(b"\n".join([*rest, forged]) + b"\n")
    stage.feed.start()
    (subscriber.home / "journal.jsonl").unlink()
    (subscriber.home / "paper.jsonl").unlink()

    assert subscriber.run("run", "--once").returncode == 1

    assert subscriber.status()["counts"]["executed"] == 0


@pytest.mark.proves("J11")
def test_a_proof_made_by_the_publisher_is_checked_by_a_subscriber_who_sees_nothing_else(
    stage: Any, tmp_path: Path
) -> None:
    subscriber = stage.subscriber()
    for _ in range(5):
        stage.publisher.open()
    assert subscriber.run("run", "--once").returncode == 0
    stage.publisher.shut()
    proof = tmp_path / "proof.json"
    command = [sys.executable, "-c", "from cli.audit import main; main()", "prove", "fx/signals", "--seq", "3"]
    subprocess.run([*command, "--out", str(proof), "--home", str(stage.house.home)], check=True, cwd=ROOT, timeout=60)
    good = subscriber.run("verify", "--proof", str(proof), "--json")
    whole = json.loads(proof.read_text())
    proof.write_text(json.dumps(whole | {"seq": 4}))
    bad = subscriber.run("verify", "--proof", str(proof))
    stage.publisher.begin()

    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)["proven"]["seq"] == 3
    assert json.loads(good.stdout)["compared"] >= 1
    assert bad.returncode == 1
    assert "HistoryChanged" in bad.stderr


@pytest.mark.proves("F3")
@pytest.mark.parametrize("is_lost", [False, True], ids=["cursor kept", "cursor lost"])
def test_the_gap_report_equals_the_difference_in_the_publishers_journals(stage: Any, is_lost: bool) -> None:
    subscriber = stage.subscriber("--max-open=9")
    held = stage.publisher.open()
    assert subscriber.run("run", "--once").returncode == 0
    if is_lost:
        stage.feed.stop()
    left = stage.publisher.clock.now()
    contact = subscriber.home / "contact.json"
    contact.write_text(json.dumps(json.loads(contact.read_text()) | {"at": iso(left - timedelta(seconds=200))}))
    old = left - timedelta(seconds=900)
    expired = [
        stage.publisher.open(published_at=old, opened_at=old, expires_at=old + timedelta(seconds=600)) for _ in range(3)
    ]
    gone = stage.publisher.open()
    stage.publisher.end(gone, "1.11100")
    stage.publisher.end(held)
    fresh = stage.publisher.open()
    if is_lost:
        stage.feed.start("another secret, also 32 characters long")

    run = subscriber.run("run", "--once")
    found = json.loads(subscriber.run("gap", "--json").stdout)

    assert run.returncode == 0
    opens, ends = published(stage, found["since"], found["until"])
    assert {row["signal_id"] for row in found["missed"]} == {*expired, gone} == opens - {held, fresh}
    assert {row["signal_id"] for row in found["entered"]} >= {fresh}
    assert {row["signal_id"] for row in found["closed"]} == {held} == ends - {gone}
    assert set(found["open"]) == {*expired, fresh} == opens - ends
    assert found["why"] == "restart"
    bp = next(row["hypothetical_bp"] for row in found["missed"] if row["signal_id"] == gone)
    assert Decimal(bp) == Decimal("100.0")
    assert "4 opens missed" in run.stderr


def published(stage: Any, since: str, until: str) -> tuple[set[str], set[str]]:
    """Return the signals opened and ended between two moments, as the publisher's own files say."""
    first, last = (moment.replace("+00:00", "Z") for moment in (since, until))
    lines = [
        json.loads(raw)
        for stream in ("signals", "resolutions")
        for raw in (stage.house.log("fx", stream) / "000001.jsonl").read_bytes().splitlines()
    ]
    within = [line for line in lines if first <= line["ts"] <= last and "signal_id" in line]
    opens = {line["signal_id"] for line in within if line.get("action") == "open"}
    return opens, {line["signal_id"] for line in within if line.get("action") == "close"}
