"""The long-poll: what is delivered, in which order, and when."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from domain.clock import iso
from domain.vocabulary import Surface
from feed.tokens import Scope

FEED = "/api/signals/feed"


def ids(answer: Any) -> list[str]:
    return [item["id"] for item in answer.json()["items"]]


def disk_lines(stage: Any, name: str) -> list[bytes]:
    owner, stream = name.split("/")
    return (stage.house.log(owner, stream) / "000001.jsonl").read_bytes().splitlines()


def test_items_are_the_very_bytes_on_disk(stage: Any) -> None:
    publisher = stage.publisher()
    first = publisher.open(thesis='quotes " and é and 💶')
    publisher.private()
    publisher.amend(first)
    client = stage.client(stage.feed(), stage.token())

    answer = client.get(FEED, params={"start": "oldest", "wait": 0})

    lines = disk_lines(stage, "fx/signals")
    public = [line for line in lines if json.loads(line)["kind"] == "signal"]
    assert len(public) == 2
    assert answer.content.startswith(b'{"items":[' + b",".join(public) + b"],")
    assert b"strategy detail" not in answer.content


def test_a_report_is_accepted_smoke(stage: Any) -> None:
    signal_id = stage.publisher().open()
    client = stage.client(stage.feed(), stage.token())
    body = {"at": "2026-03-02T09:00:00Z", "decision": "accept"}
    a = client.post(f"/api/signals/{signal_id}/ack", json=body)
    b = client.post(f"/api/signals/{signal_id}/ack", json=body)
    print(a.text, b.text, a.headers, client.get("/api/signals/open").text[:300], client.get("/api/head").text, client.get("/healthz").text)
    print(client.get("/nope").text, client.put("/api/head").text, client.put("/api/head").headers)
    assert a.status_code == 201
    assert b.status_code == 200
