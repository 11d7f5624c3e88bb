"""Fifty reports at the same moment, and a feed that dies under them."""

import asyncio
import hashlib
import json
from collections import Counter
from typing import Any

import pytest

AT = "2026-03-02T09:00:00Z"
ACK = {"at": AT, "decision": "accept"}
TOGETHER = 50


def skip(reason: str) -> dict[str, Any]:
    return {"at": AT, "decision": "skip", "reason": reason}


def fill(fill_id: str, quantity: str) -> dict[str, Any]:
    return {"at": AT, "fill_id": fill_id, "quantity": quantity, "price": "1.10011", "ordered_quantity": "100"}


async def at_once(lines: list[Any], signal_id: str, stage: str, bodies: list[Any]) -> list[Any]:
    return list(
        await asyncio.gather(*(line.report(signal_id, stage, body) for line, body in zip(lines, bodies, strict=True)))
    )


@pytest.mark.proves("row 22", "C1", "C3")
def test_fifty_at_once_leave_one_stored_whatever_they_say(stage: Any, wire: Any, run: Any, dose: Any) -> None:
    rounds, publisher, token = dose(10, 200), stage.publisher(), stage.token()
    signals = [publisher.open() for _ in range(3 * rounds)]
    feed = stage.feed()

    async def scene() -> list[list[Any]]:
        lines = [wire(feed.port, token) for _ in range(TOGETHER)]
        answers = []
        for index, signal_id in enumerate(signals):
            kind = index % 3
            if kind == 0:
                bodies = [ACK] * TOGETHER
            elif kind == 1:
                bodies = [skip(f"reason {number}") for number in range(TOGETHER)]
            else:
                bodies = [fill(f"f{number}", "3") for number in range(TOGETHER)]
            answers.append(await at_once(lines, signal_id, "executed" if kind == 2 else "ack", bodies))
        return answers

    results = run(scene(), 600)
    counts = [Counter(answer.status for answer in answers) for answers in results]
    stored = Counter(line["signal_id"] for line in stage.stored())

    assert counts[0::3] == [{201: 1, 200: TOGETHER - 1}] * rounds
    assert counts[1::3] == [{201: 1, 409: TOGETHER - 1}] * rounds
    assert counts[2::3] == [{201: 33, 422: 17}] * rounds  # never more than the order
    assert [stored[one] for one in signals] == [1, 1, 33] * rounds
    assert all(len({answer.json["id"] for answer in answers}) == 1 for answers in results[0::3])
    for signal_id, answers in zip(signals[1::3], results[1::3], strict=True):
        (kept,) = [line for line in stage.stored() if line["signal_id"] == signal_id]
        refused = [answer.json for answer in answers if answer.status == 409]
        assert {one["existing_sha256"] for one in refused} == {kept["body_sha256"]}


@pytest.mark.proves("row 22", "row 23", "C1", "C2")
def test_a_feed_killed_under_fifty_reports_keeps_what_it_answered_and_repeats_nothing(
    stage: Any, wire: Any, run: Any, dose: Any
) -> None:
    kills, publisher, token = dose(4, 100), stage.publisher(), stage.token()
    signals = [publisher.open() for _ in range(TOGETHER)]
    feed = stage.feed()
    acknowledged: dict[tuple[str, str], str] = {}
    cut_off = 0

    async def scene(current: Any, round_: int) -> list[Any]:
        lines = [wire(current.port, token) for _ in range(TOGETHER)]
        bodies = [fill(f"f{round_}", "0.1") for _ in signals]
        sends = [
            asyncio.create_task(line.report(one, "executed", body))
            for line, one, body in zip(lines, signals, bodies, strict=True)
        ]
        await asyncio.wait(sends, return_when=asyncio.FIRST_COMPLETED)
        current.kill()
        return list(await asyncio.gather(*sends))

    for round_ in range(kills):
        for signal_id, answer in zip(signals, run(scene(feed, round_)), strict=True):
            assert answer.status in (0, 201)
            cut_off += answer.status == 0
            if answer.status == 201:
                acknowledged[signal_id, f"f{round_}"] = answer.json["id"]
        feed = stage.feed(feed.port)

    before = {(line["signal_id"], line["fill_id"]): line["id"] for line in stage.stored()}

    async def again() -> list[Any]:
        line = wire(feed.port, token)
        return [
            (one, number, await line.report(one, "executed", fill(f"f{number}", "0.1")))
            for one in signals
            for number in range(kills)
        ]

    retried = run(again(), 300)
    stored = Counter((line["signal_id"], line["fill_id"]) for line in stage.stored())
    print(f"{kills} kills: {len(acknowledged)} answered, {cut_off} cut off, {len(before) - len(acknowledged)} stored")

    assert cut_off > 0
    assert before.items() >= acknowledged.items()  # C2: what was answered with 2xx is there
    assert set(stored.values()) == {1}  # C1: exactly one of each, whatever the retries
    assert len(stored) == len(signals) * kills
    for signal_id, number, answer in retried:
        is_known = (signal_id, f"f{number}") in before
        assert answer.status == (200 if is_known else 201)
        assert not is_known or answer.json["id"] == before[signal_id, f"f{number}"]


@pytest.mark.proves("C3", "C5")
def test_a_second_account_of_the_same_fact_changes_nothing(stage: Any, wire: Any, run: Any) -> None:
    publisher, token = stage.publisher(), stage.token()
    signal_id, feed = publisher.open(), None
    resolved = {"at": AT, "realised": "1", "currency": "USD", "quantity": "100", "price": "1.1", "reason": "tp"}
    story = [("ack", ACK), ("executed", fill("f", "100")), ("resolved", resolved)]
    other = [("ack", skip("no")), ("executed", fill("f", "99")), ("resolved", {**resolved, "realised": "2"})]
    late = [("executed", fill("g", "1")), ("ack", {**ACK, "reason": "again"})]
    feed = stage.feed()

    async def scene() -> list[int]:
        line = wire(feed.port, token)
        return [(await line.report(signal_id, *one)).status for one in story + other + late + story]

    statuses = run(scene())

    assert statuses == [201] * 3 + [409] * 3 + [409] * 2 + [200] * 3
    assert [line["body_sha256"] for line in stage.stored()] == [
        hashlib.sha256(json.dumps(body).encode()).hexdigest() for _, body in story
    ]
