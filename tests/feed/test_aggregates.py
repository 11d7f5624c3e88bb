"""What the operator sees of the subscribers: sums, the same whenever they are computed, and nobody in particular."""

import json
import random
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from domain.vocabulary import Side, Surface
from feed import aggregates
from feed.inbox import records
from feed.lines import Signal
from feed.thread import gather
from feed.tokens import Scope
from journal import read

AT = "2026-03-02T09:00:00Z"


def report(client: httpx.Client, signal_id: str, stage: str, **body: Any) -> int:
    return client.post(f"/api/signals/{signal_id}/{stage}", json={"at": AT, **body}).status_code


def trade(client: httpx.Client, signal_id: str, price: str, realised: str) -> None:
    report(client, signal_id, "ack", decision="accept")
    report(client, signal_id, "executed", fill_id="f", quantity="10", price=price, ordered_quantity="10")
    end = {"realised": realised, "currency": "USD", "quantity": "10", "price": "1.2", "reason": "tp"}
    report(client, signal_id, "resolved", **end)


@pytest.fixture
def crowd(stage: Any) -> Any:
    """Six subscribers who did the same things at different prices."""
    publisher = stage.publisher()
    stage.buy, stage.sell = publisher.open(), publisher.open(side=Side.SELL)
    stage.skipped = publisher.open()
    stage.running_feed = stage.feed(cohort_min=5)
    stage.tokens = [stage.token() for _ in range(6)]
    for number, token in enumerate(stage.tokens):
        client = stage.client(stage.running_feed, token)
        trade(client, stage.buy, f"1.1000{number}", f"{number}.10")
        trade(client, stage.sell, f"1.1000{number}", "-1")
        reason = "no margin" if number < 5 else "my name is Alice"
        report(client, stage.skipped, "ack", decision="skip", reason=reason)
    return stage


def seen(stage: Any) -> Any:
    operator = stage.client(stage.running_feed, stage.token(scopes=(Scope.ADMIN_READ,)))
    return operator.get("/api/aggregate").json()


def test_sums_are_what_was_reported(crowd: Any) -> None:
    (fx,) = seen(crowd)["surfaces"]

    assert (fx["surface"], fx["mode"]) == ("fx", "paper")
    assert {name: fx[name] for name in ("received", "accepted", "executed", "resolved")} == {
        "received": 18, "accepted": 12, "executed": 12, "resolved": 12,
    }  # fmt: skip
    assert fx["realised"] == {"USD": "9.60"}
    assert fx["skipped"] == {"no margin": 5}
    # Buyers paid 0 to 5 pips more, sellers got 0 to 5 pips more: nothing lost over all.
    assert Decimal(fx["slippage_bp"]) == 0


@pytest.mark.proves("C8")
def test_nothing_of_any_one_subscriber_comes_out(crowd: Any) -> None:
    text = json.dumps(seen(crowd))

    assert "Alice" not in text
    assert not any(part in text for token in crowd.tokens for part in token.split("_")[1:])
    assert "sig_" not in text


@pytest.mark.proves("C8")
def test_numbers_of_too_few_are_hidden(crowd: Any) -> None:
    crowd.clock.advance(600)
    alone = crowd.stage_client = crowd.client(crowd.running_feed, crowd.tokens[0])
    signal_id = crowd.publisher().open(mode="live")
    crowd.until(lambda: report(alone, signal_id, "ack", decision="accept") == 201)

    live, paper = seen(crowd)["surfaces"]

    assert live["mode"] == "live"
    assert (live["received"], live["realised"], live["slippage_bp"]) == (None, {}, None)
    assert paper["received"] == 18


@pytest.mark.proves("C6")
def test_aggregates_recomputed_from_the_journal_are_the_same_bytes(crowd: Any) -> None:
    board = crowd.running_feed.service.logs.board
    stored = list(records(read(crowd.house.log("feed", "callbacks"))))

    again = aggregates.of_records(stored, board.signal, cohort_min=5)
    shuffled = list(gather(stored).items())
    random.Random(3).shuffle(shuffled)

    assert json.dumps(again) == json.dumps(seen(crowd))
    assert aggregates.of_threads(dict(shuffled), board.signal, cohort_min=5) == again


def test_late_reports_count_as_late_and_nowhere_else(stage: Any) -> None:
    signal_id = stage.publisher(Surface.FX).open()
    running = stage.feed(cohort_min=1)
    client = stage.client(running, stage.token())
    stage.clock.advance(600)
    trade(client, signal_id, "1.2", "1")
    stage.running_feed = running

    (fx,) = seen(stage)["surfaces"]

    assert (fx["late"], fx["slippage_bp"], fx["executed"]) == (2, None, 1)


@pytest.mark.proves("C8")
def test_only_an_operator_may_look(crowd: Any) -> None:
    client = crowd.client(crowd.running_feed, crowd.tokens[0])

    assert client.get("/api/aggregate").status_code == 403


@pytest.mark.parametrize(("surface", "side", "bp"), [("st", "buy", 100), ("lt", "sell", -100), ("fx", "buy", 2500)])
def test_a_cent_of_an_event_contract_is_100_basis_points_whatever_it_cost(surface: str, side: str, bp: int) -> None:
    signal = Signal("sig_1", surface, "paper", side, Decimal("0.04"), None, None)

    found = aggregates._slippage_bp(SimpleNamespace(price=Decimal("0.05")), signal)

    assert found == bp
