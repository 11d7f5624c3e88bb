"""The feed and the subscriber's client, each as the process it is, against each other over HTTP."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from domain.clock import RealClock
from feed.tokens import Scope, parse

pytestmark = pytest.mark.contract


@contextmanager
def running(subscriber: Any) -> Iterator["subprocess.Popen[bytes]"]:
    process = subscriber.start()
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def test_a_trade_goes_from_open_to_resolved_and_all_of_it_is_reported(stage: Any) -> None:
    subscriber = stage.subscriber()
    signal_id = stage.publisher.open()

    assert subscriber.run("run", "--once").returncode == 0
    assert stage.stages(signal_id) == ["ack", "executed"]
    stage.publisher.amend(signal_id)
    assert subscriber.run("run", "--once").returncode == 0
    (position,) = subscriber.status()["positions"]
    assert Decimal(position["resting"]["stop"]) == Decimal("1.095")
    stage.publisher.end(signal_id, "1.12000")
    assert subscriber.run("run", "--once").returncode == 0

    ack, executed, resolved = stage.reports(signal_id)
    assert (ack["decision"], ack["late"]) == ("accept", False)
    assert (executed["quantity"], executed["price"], executed["ordered_quantity"]) == ("1000", "1.10000", "1000")
    assert Decimal(resolved["realised"]) == 20
    assert (resolved["currency"], resolved["reason"], resolved["parked"]) == ("USD", "take_profit", False)
    counts = subscriber.status()["counts"]
    assert counts == {"received": 1, "accepted": 1, "executed": 1, "resolved": 1, "reported": 3}


def test_the_operator_sees_the_sum_of_what_was_reported_and_no_more(stage: Any) -> None:
    subscriber, operator = stage.subscriber(), stage.token(Scope.ADMIN_READ)
    signal_id = stage.publisher.open()
    subscriber.run("run", "--once")
    stage.publisher.end(signal_id)
    subscriber.run("run", "--once")

    url, headers = f"{stage.feed.url}/api/aggregate", {"authorization": f"Bearer {operator}"}
    stage.until("the token to be known", lambda: httpx.get(url, headers=headers).status_code == 200)
    answer = httpx.get(url, headers=headers)

    (row,) = answer.json()["surfaces"]
    assert (row["received"], row["accepted"], row["executed"], row["resolved"]) == (1, 1, 1, 1)
    assert Decimal(row["realised"]["USD"]) == 20
    assert Decimal(row["slippage_bp"]) == 0
    assert str(parse(subscriber.token)) not in answer.text
    assert signal_id not in answer.text


def test_a_run_twice_over_the_same_signals_does_nothing_twice(stage: Any) -> None:
    subscriber = stage.subscriber()
    signal_ids = [stage.publisher.open() for _ in range(3)]

    for _ in range(3):
        assert subscriber.run("run", "--once").returncode == 0

    assert [stage.stages(one) for one in signal_ids] == [["ack", "executed"]] * 3


def test_each_reason_to_skip_reaches_the_publisher(stage: Any) -> None:
    subscriber = stage.subscriber("--instrument=EUR_USD", "--max-open=1", "--max-age-s=600")
    publisher, now = stage.publisher, datetime.now(UTC)
    # So that there is a place from which everything below is news.
    assert subscriber.run("run", "--once").returncode == 0
    taken = publisher.open()
    one_too_many = publisher.open()
    unwanted = publisher.open(market="USD_JPY")
    passed = publisher.open(stop_loss=Decimal("1.11000"))
    old = now - timedelta(seconds=900)
    expired = publisher.open(published_at=old, opened_at=old, expires_at=old + timedelta(seconds=600))
    closed = publisher.open()
    publisher.end(closed)

    assert subscriber.run("run", "--once").returncode == 0

    reasons = {one: stage.reports(one)[0].get("reason") for one in (one_too_many, unwanted, expired, closed)}
    assert stage.stages(taken) == ["ack", "executed"]
    assert reasons == {
        one_too_many: "max_open",
        unwanted: "filter:instrument",
        expired: "expired",
        closed: "closed",
    }
    assert stage.reports(passed)[0]["decision"] == "skip"
    assert stage.stages(unwanted) == ["ack"]


def test_a_stop_file_skips_entries_and_still_closes_what_is_held(stage: Any) -> None:
    subscriber = stage.subscriber()
    held = stage.publisher.open()
    assert subscriber.run("run", "--once").returncode == 0
    (subscriber.home / "STOP").touch()
    refused = stage.publisher.open()
    stage.publisher.end(held)

    assert subscriber.run("run", "--once").returncode == 5

    assert stage.stages(held) == ["ack", "executed", "resolved"]
    (ack,) = stage.reports(refused)
    assert (ack["decision"], ack["reason"]) == ("skip", "stopped")


@pytest.mark.parametrize("secret", ["the same secret, at least 32 long", "another secret, also 32 characters long"])
def test_a_feed_that_was_away_costs_nothing_and_doubles_nothing(stage: Any, secret: str) -> None:
    """With another secret every cursor out there is void, and the client starts again from the snapshot."""
    stage.feed.stop()
    stage.feed.start("the same secret, at least 32 long")
    subscriber = stage.subscriber()
    with running(subscriber) as process:
        before = stage.publisher.open()
        stage.until("a first fill to be reported", lambda: stage.stages(before) == ["ack", "executed"])
        stage.feed.stop(signal.SIGKILL)
        meanwhile = [stage.publisher.open() for _ in range(3)]
        stage.publisher.end(before)
        stage.feed.start(secret)
        stage.until("what happened meanwhile", lambda: all(len(stage.reports(one)) == 2 for one in meanwhile))
        stage.until("the end that happened meanwhile", lambda: len(stage.reports(before)) == 3)
        after = stage.publisher.open()
        stage.until("what happened afterwards", lambda: len(stage.reports(after)) == 2)
        for one in (*meanwhile, after):
            stage.publisher.end(one)
        stage.until("all ends", lambda: all(len(stage.reports(one)) == 3 for one in (*meanwhile, after)))
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0

    everything = (before, *meanwhile, after)
    assert [stage.stages(one) for one in everything] == [["ack", "executed", "resolved"]] * 5
    assert subscriber.status()["counts"]["received"] == 5
    assert subscriber.status()["distrust"] == ""


def test_a_client_killed_between_two_runs_loses_and_doubles_nothing(stage: Any) -> None:
    subscriber = stage.subscriber()
    with running(subscriber) as process:
        first = stage.publisher.open()
        stage.until("a first fill to be reported", lambda: stage.stages(first) == ["ack", "executed"])
        process.kill()
        process.wait()
    second = stage.publisher.open()
    stage.publisher.end(first)
    with running(subscriber) as process:
        stage.until("both to be reported", lambda: len(stage.reports(first)) == 3 and len(stage.reports(second)) == 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 130

    assert stage.stages(first) == ["ack", "executed", "resolved"]
    assert stage.stages(second) == ["ack", "executed"]


def test_a_revoked_token_ends_the_client_with_4_while_it_waits_and_ever_after(stage: Any) -> None:
    subscriber = stage.subscriber()
    with running(subscriber) as process:
        signal_id = stage.publisher.open()
        stage.until("a first fill to be reported", lambda: len(stage.reports(signal_id)) == 2)
        stage.store.revoke(parse(subscriber.token), now=datetime.now(UTC))
        assert process.wait(15) == 4

    again = subscriber.run("run", "--once")
    assert again.returncode == 4
    assert "ask the publisher" in again.stderr
    assert subscriber.token not in again.stderr + (subscriber.home / "said").read_text()


def test_a_feed_that_cannot_be_reached_is_4(stage: Any) -> None:
    subscriber = stage.subscriber()
    stage.feed.stop()

    assert subscriber.run("run", "--once").returncode == 4
    assert subscriber.run("check").returncode == 4


def test_check_finds_everything_well(stage: Any) -> None:
    done = stage.subscriber().run("check")

    assert done.returncode == 0, done.stdout
    assert "fx/signals" in done.stdout
    assert "FAIL" not in done.stdout


def test_listen_prints_the_journals_own_bytes(stage: Any) -> None:
    subscriber = stage.subscriber()
    signal_id = stage.publisher.open(thesis='a \u2028 quote " and a \\ backslash')
    stage.publisher.amend(signal_id)
    stage.publisher.end(signal_id)

    done = subscriber.run("listen", "--print-json", "--start", "oldest", "--for", "2")

    streams = [stage.house.log("fx", name) / "000001.jsonl" for name in ("signals", "resolutions")]
    lines = [line for path in streams for line in path.read_text().splitlines() if '"segment_start"' not in line]
    assert done.returncode == 0
    assert sorted(done.stdout.splitlines()) == sorted(lines)


def test_a_rewritten_past_is_noticed_nothing_is_entered_and_what_is_held_is_closed(stage: Any) -> None:
    subscriber = stage.subscriber()
    held = stage.publisher.open()
    assert subscriber.run("run", "--once").returncode == 0
    stage.feed.stop()
    stage.publisher.shut()
    logs = stage.house.logs / "fx"
    logs.rename(stage.house.home / "the-true-past")
    stage.publisher = type(stage.publisher)(stage.house.logs, RealClock())
    forged = [stage.publisher.open() for _ in range(2)]
    stage.publisher.end(held)
    stage.feed.start()

    done = subscriber.run("run", "--once")

    assert done.returncode == 1
    assert "HistoryChanged" in done.stderr
    assert subscriber.status()["positions"] == [], done.stderr
    assert subscriber.status()["counts"]["resolved"] == 1
    accepted = [one for name in forged for one in stage.reports(name) if one.get("decision") != "skip"]
    assert accepted == []
    assert subscriber.status()["counts"]["executed"] == 1


def test_a_home_shows_its_secrets_to_nobody_and_its_reports_hold_none(stage: Any) -> None:
    subscriber = stage.subscriber()
    signal_id = stage.publisher.open()
    subscriber.run("run", "--once")
    stage.publisher.end(signal_id)
    subscriber.run("run", "--once")

    assert (subscriber.home / "config.toml").stat().st_mode & 0o077 == 0
    logs = [path for path in stage.house.logs.rglob("*") if path.is_file()]
    assert [str(path) for path in logs if subscriber.token.encode() in path.read_bytes()] == []
