"""Reports in every order, with the feed dying in between: the table of docs/feed.md row by row, and sums that agree."""

import itertools
import json
import signal
from decimal import Decimal
from typing import Any

import pytest

from domain.ids import new_id
from domain.settings import Secret
from domain.vocabulary import Surface
from feed import aggregates
from feed.config import FeedConfig
from feed.inbox import records
from feed.logs import Logs
from feed.tokens import Scope
from journal import read

AT = "2026-03-02T09:00:00Z"
ORDER = {"price": "1.10011", "ordered_quantity": "100"}
REPORTS: dict[str, tuple[str, dict[str, Any]]] = {
    "ack": ("ack", {"at": AT, "decision": "accept"}),
    "skip": ("ack", {"at": AT, "decision": "skip", "reason": "no margin"}),
    "part": ("executed", {"at": AT, "fill_id": "f1", "quantity": "60", **ORDER}),
    "rest": ("executed", {"at": AT, "fill_id": "f2", "quantity": "40", **ORDER}),
    "corrected": ("executed", {"at": AT, "fill_id": "f1", "quantity": "59.5", "rev": 1, **ORDER}),
    "resolved": ("resolved", {
        "at": AT, "realised": "12.50", "currency": "USD", "quantity": "99", "price": "1.12", "reason": "tp",
    }),
}  # fmt: skip


class Expected:
    """The table, told a second time in the fewest words: what one subscriber may say next about one signal."""

    def __init__(self, *, is_late: bool) -> None:
        self.is_late = is_late
        self.ack: str | None = None
        self.fills: dict[str, Decimal] = {}
        self.is_corrected = self.has_resolved = False

    @property
    def is_final(self) -> bool:
        return self.ack == "skip" or (self.has_resolved and sum(self.fills.values()) >= 99)

    def status(self, name: str) -> int:
        """Return the status of a report that was not sent before, and take it in if it is stored."""
        if name in ("ack", "skip"):
            return self._ack(name)
        if name == "resolved":
            return self._resolved()
        return self._fill(name)

    def _ack(self, name: str) -> int:
        if self.ack is not None or self.is_final or (name == "skip" and (self.fills or self.has_resolved)):
            return 409
        self.ack = name
        return 200 if self.is_late else 201

    def _resolved(self) -> int:
        if self.is_final:
            return 409
        self.has_resolved = True
        return 201 if self.is_final else 202

    def _fill(self, name: str) -> int:
        if name == "corrected":
            if self.is_corrected or "part" not in self.fills:
                return 409
            self.is_corrected = True
            self.fills["part"] = Decimal("59.5")
            return 201
        if self.is_final:
            return 409
        self.fills[name] = Decimal(60 if name == "part" else 40)
        return 201


class Story:
    """One signal, one subscriber, one order of reports."""

    def __init__(self, publisher: Any, token: str, order: tuple[str, ...], *, is_late: bool) -> None:
        self.signal_id = publisher.open(ttl_s=-1 if is_late else 600)
        self.token, self.order = token, order
        self.is_late = is_late
        self.expected = Expected(is_late=is_late)
        self.sent: dict[str, Any] = {}

    async def tell(self, line: Any, name: str) -> None:
        """Send one report and hold the answer against the table."""
        answer = await self._send(line, name)
        if name in self.sent and self.sent[name].status < 300:
            assert answer.status == 200, (self.order, name, answer)
            assert answer.json == self.sent[name].json | {"duplicate": True}
            return
        expected = self.expected.status(name)
        assert answer.status == expected, (self.order, list(self.sent), name, answer)
        if expected < 300:
            assert answer.json["late"] == (self.is_late and name != "resolved")
            assert answer.json.get("do_not_execute", False) == (self.is_late and name in ("ack", "skip"))
            assert answer.json["parked"] == (expected == 202)
        self.sent[name] = answer

    async def _send(self, line: Any, name: str) -> Any:
        stage, body = REPORTS[name]
        return await line.ask("POST", f"/api/signals/{self.signal_id}/{stage}", json.dumps(body).encode(), self.token)

    async def repeat(self, line: Any) -> None:
        """Send again what was stored before, as a client does after a crash."""
        for name, answer in list(self.sent.items()):
            if answer.status < 300:
                await self.tell(line, name)


def orders(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    return list(itertools.permutations(names))


@pytest.mark.proves("row 23", "C1", "C2", "C4", "C5", "C6")
def test_every_order_with_a_crash_anywhere_gives_what_the_table_says(
    stage: Any, wire: Any, run: Any, dose: Any
) -> None:
    plain, corrected = ("ack", "part", "rest", "resolved"), ("ack", "part", "corrected", "rest", "resolved")
    told = orders(plain) + orders(("skip", "part", "rest", "resolved")) + (orders(corrected) if dose(0, 1) else [])
    publisher = stage.publisher()
    tokens = [stage.token() for _ in range(6)]
    operator = stage.token(scopes=(Scope.ADMIN_READ,))
    feed = stage.feed(FEED_COHORT_MIN="1")
    stories, kills = 0, 0

    for crash_at in range(1, dose(3, len(corrected) + 2)):
        batch = [
            Story(publisher, token, order, is_late=bool(index % 5 == 4))
            for (index, order), token in zip(enumerate(told), itertools.cycle(tokens))
        ]

        async def scene(current: Any, begin: int, end: int, batch: list[Story] = batch) -> Any:
            line = wire(current.port)
            for story in batch:
                await story.repeat(line)
                for name in story.order[begin:end]:
                    await story.tell(line, name)
                    await story.tell(line, name) if story.sent[name].status < 300 else None
                unknown = await line.report(new_id("sig", stage.clock.now()), *REPORTS["part"])
                assert unknown.status == 401  # without a token; with one it is 404
                unseen = new_id("sig", stage.clock.now())
                body = json.dumps(REPORTS["part"][1]).encode()
                assert (await line.ask("POST", f"/api/signals/{unseen}/executed", body, story.token)).status == 404
            return (await line.ask("GET", "/api/aggregate", token=operator)).body

        run(scene(feed, 0, crash_at), 300)
        feed.kill()
        feed = stage.feed(feed.port, FEED_COHORT_MIN="1")
        live = run(scene(feed, crash_at, 9), 300)
        stories += len(batch)
        kills += 1
        assert_sums_agree(stage, live)
    feed.signal(signal.SIGTERM)
    feed.process.wait(10)
    fresh = stage.feed(feed.port, FEED_COHORT_MIN="1")

    async def ask() -> bytes:
        return bytes((await wire(fresh.port, operator).ask("GET", "/api/aggregate")).body)

    assert run(ask()) == live  # C6: a process that reads it all anew says the very same
    print(f"{stories} orders, {kills} kills, {len(stage.stored())} reports stored")
    assert stories >= dose(90, 1_000)


def assert_sums_agree(stage: Any, live: bytes) -> None:
    """Hold the live sums against a fold of the journal, and against sums made here without any of our code."""
    logs = Logs(FeedConfig(cursor_secret=Secret("x" * 32), surfaces=(Surface.FX,)), stage.house, stage.clock)
    logs.open()
    folded = aggregates.of_records(records(read(stage.house.log("feed", "callbacks"))), logs.board.signal, cohort_min=1)
    logs.close()
    (shown,) = json.loads(live)["surfaces"]
    lines = stage.stored()
    acks = [line for line in lines if line["stage"] == "ack"]
    filled = {(line["subscriber"], line["signal_id"]) for line in lines if line["stage"] == "executed"}

    assert json.loads(live) == json.loads(json.dumps(folded))
    assert shown["received"] == len(acks)
    assert shown["executed"] == len(filled)
    assert shown["skipped"] == {"no margin": sum(line["decision"] == "skip" for line in acks)}
    keys = [(line["subscriber"], line["signal_id"], line["stage"], line["rev"], line["fill_id"]) for line in lines]
    assert len(keys) == len(set(keys))  # C1


@pytest.mark.proves("C8")
def test_the_operator_sees_nothing_of_any_one_subscriber(stage: Any, wire: Any, run: Any) -> None:
    publisher = stage.publisher()
    signal_id = publisher.open()
    tokens = [stage.token() for _ in range(5)]
    operator = stage.token(scopes=(Scope.ADMIN_READ,))
    feed = stage.feed()

    async def scene() -> list[bytes]:
        line, shown = wire(feed.port), []
        for number, token in enumerate(tokens):
            for name in ("ack", "part", "rest", "resolved"):
                kind, body = REPORTS[name]
                told = json.dumps(body | ({"fill_id": f"fill-{number}-{name}"} if kind == "executed" else {})).encode()
                answer = await line.ask("POST", f"/api/signals/{signal_id}/{kind}", told, token)
                assert answer.status == 201
            shown.append((await line.ask("GET", "/api/aggregate", token=operator)).body)
            shown.append((await line.ask("GET", "/healthz")).body)
        return shown

    shown = run(scene())
    (last,) = json.loads(shown[-2])["surfaces"]

    for text in shown:
        assert not any(secret in text.decode() for secret in (signal_id, "fill-", *(one[4:12] for one in tokens)))
    for text in shown[:-2:2]:
        (early,) = json.loads(text)["surfaces"]
        assert {early[name] for name in ("received", "accepted", "executed", "resolved", "late", "slippage_bp")} == {
            None
        }
        assert early["realised"] == early["skipped"] == {}
    assert (last["received"], last["executed"], last["realised"]) == (5, 5, {"USD": "62.50"})
