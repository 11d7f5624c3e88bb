"""Reports over HTTP: the table of docs/feed.md, row by row."""

import asyncio
import itertools
import json
from collections import Counter
from functools import partial
from typing import Any

import httpx
import pytest

from domain.ids import new_id
from domain.vocabulary import Surface
from feed.tokens import Scope
from journal import Journal, Syscalls

AT = "2026-03-02T09:00:00Z"
ACK = {"at": AT, "decision": "accept"}
SKIP = {"at": AT, "decision": "skip", "reason": "no margin"}
RESOLVED = {"at": AT, "realised": "12.50", "currency": "USD", "quantity": "100", "price": "1.12", "reason": "tp"}


def fill(fill_id: str = "f1", quantity: str = "100", **changes: Any) -> dict[str, Any]:
    order = {"price": "1.10011", "ordered_quantity": "100"}
    return {"at": AT, "fill_id": fill_id, "quantity": quantity, **order, **changes}


@pytest.fixture
def desk(stage: Any) -> "Desk":
    return Desk(stage)


class Desk:
    """One subscriber, one open signal."""

    def __init__(self, stage: Any, **feed: Any) -> None:
        self.stage = stage
        self.publisher = stage.publisher()
        self.signal_id = self.publisher.open()
        self.running = stage.feed(**feed)
        self.token = stage.token()
        self.client = stage.client(self.running, self.token)

    def post(self, report: str, body: Any, signal_id: str | None = None) -> httpx.Response:
        return self.client.post(f"/api/signals/{signal_id or self.signal_id}/{report}", json=body)

    def restart(self) -> None:
        self.stage.stop(self.running)
        self.running = self.stage.feed()
        self.client = self.stage.client(self.running, self.token)

    def stored(self) -> list[dict[str, Any]]:
        return [line for line in self.stage.callback_lines() if line["kind"] == "callback"]


@pytest.mark.proves("C2")
def test_the_first_report_is_durable_before_it_is_answered(desk: Desk) -> None:
    answer = desk.post("ack", ACK)

    assert answer.status_code == 201
    (line,) = desk.stored()
    assert (line["id"], line["stage"], line["decision"]) == (answer.json()["id"], "ack", "accept")
    assert (line["surface"], line["mode"], line["signal_id"]) == ("fx", "paper", desk.signal_id)
    assert line["subscriber"] == desk.token.split("_")[1]
    assert desk.token not in json.dumps(line)


@pytest.mark.proves("C1")
def test_the_same_report_again_gives_the_original(desk: Desk) -> None:
    first = desk.post("ack", ACK)
    desk.stage.clock.advance(5)

    again = desk.post("ack", ACK)

    assert again.status_code == 200
    assert again.json() == first.json() | {"duplicate": True}
    assert len(desk.stored()) == 1


@pytest.mark.proves("C3")
def test_the_same_key_with_another_body_changes_nothing(desk: Desk) -> None:
    first = desk.post("ack", ACK)

    for _ in range(3):
        other = desk.post("ack", SKIP)
        assert other.status_code == 409
        assert other.json()["existing_sha256"] == first.json()["body_sha256"]
        assert other.json()["existing_ts"] == first.json()["received_at"]

    kinds = Counter(line["kind"] for line in desk.stage.callback_lines())
    assert kinds == {"callback": 1, "callback_conflict": 1}


def test_a_correction_takes_the_next_rev_and_no_other(desk: Desk) -> None:
    desk.post("executed", fill(quantity="40"))

    assert desk.post("executed", fill(quantity="50", rev=2)).json()["expected_rev"] == 1
    assert desk.post("executed", fill(quantity="50", rev=2)).status_code == 409
    assert desk.post("executed", fill(quantity="50", rev=1)).status_code == 201
    assert desk.post("executed", fill(quantity="50", rev=1)).status_code == 200
    assert desk.post("executed", fill("f9", quantity="1", rev=1)).status_code == 409


def test_fills_may_not_exceed_the_order(desk: Desk) -> None:
    assert desk.post("executed", fill("f1", "60")).status_code == 201

    too_much = desk.post("executed", fill("f2", "40.000001"))

    assert too_much.status_code == 422
    assert too_much.json()["filled"] == "100.000001"
    assert desk.post("executed", fill("f2", "40")).status_code == 201
    assert desk.post("executed", fill("f1", "61", rev=1)).status_code == 422
    assert len(desk.stored()) == 2


@pytest.mark.proves("C4")
def test_a_fill_before_its_ack_is_believed(desk: Desk) -> None:
    answer = desk.post("executed", fill())

    assert (answer.status_code, answer.json()["implied"]) == (201, ["ack"])
    assert desk.post("ack", ACK).status_code == 201
    assert desk.post("ack", {**SKIP, "rev": 1}).status_code == 409


@pytest.mark.proves("C4")
def test_a_resolution_before_its_fills_is_parked_until_they_are_reported(desk: Desk) -> None:
    answer = desk.post("resolved", RESOLVED)
    assert (answer.status_code, answer.json()["parked"]) == (202, True)

    assert desk.post("executed", fill("f1", "60")).status_code == 201
    assert desk.post("executed", fill("f2", "40")).status_code == 201  # it holds from here on
    assert desk.post("executed", fill("f3", "1", ordered_quantity="200")).status_code == 409
    assert desk.post("resolved", RESOLVED).status_code == 200


@pytest.mark.proves("C5")
@pytest.mark.parametrize("last", ["skip", "resolution"])
def test_after_the_end_only_repetitions_and_corrections_are_taken(desk: Desk, last: str) -> None:
    if last == "skip":
        sent = [("ack", SKIP)]
        refused = [("executed", fill()), ("resolved", RESOLVED)]
    else:
        sent = [("ack", ACK), ("executed", fill()), ("resolved", RESOLVED)]
        refused = [("executed", fill("f2", "1", ordered_quantity="200")), ("ack", {**ACK, "reason": "again"})]
    assert [desk.post(*one).status_code for one in sent] == [201] * len(sent)

    assert [desk.post(*one).status_code for one in sent] == [200] * len(sent)
    assert [desk.post(*one).status_code for one in refused] == [409] * len(refused)
    stage, body = sent[-1]
    assert desk.post(stage, {**body, "rev": 1, "reason": "corrected"}).status_code == 201


def test_a_late_ack_is_told_not_to_execute(desk: Desk) -> None:
    desk.stage.clock.advance(600)

    answer = desk.post("ack", ACK)

    assert answer.status_code == 200
    assert (answer.json()["late"], answer.json()["do_not_execute"]) == (True, True)
    assert desk.post("ack", ACK).json()["duplicate"] is True
    late_fill = desk.post("executed", fill())
    assert (late_fill.status_code, late_fill.json()["late"]) == (201, True)


def test_a_resolution_is_late_long_after_the_publishers_own(desk: Desk) -> None:
    other = desk.publisher.open()
    for signal_id in (desk.signal_id, other):
        desk.post("executed", fill(), signal_id)
    desk.stage.clock.advance(7200)
    for signal_id in (desk.signal_id, other):
        desk.publisher.resolve(signal_id)
    board = desk.running.service.logs.board
    desk.stage.until(lambda: board.ended_at(other) is not None)

    desk.stage.clock.advance(600)
    timely = desk.post("resolved", RESOLVED)
    desk.stage.clock.advance(1)
    late = desk.post("resolved", RESOLVED, other)

    assert (timely.status_code, timely.json()["late"]) == (201, False)
    assert (late.status_code, late.json()["late"]) == (201, True)


def test_a_clock_that_is_far_off_is_noted_and_ours_counts(desk: Desk) -> None:
    desk.post("ack", {**ACK, "at": "2026-03-02T12:00:00+02:00"})

    (line,) = desk.stored()
    assert (line["skew_s"], line["reported_at"]) == ("3600", "2026-03-02T10:00:00.000000Z")
    assert line["received_at"] == "2026-03-02T09:00:00.000000Z"


@pytest.mark.proves("F8")
def test_unknown_and_unseen_signals_get_the_same_answer(desk: Desk) -> None:
    unseen = desk.stage.publisher(Surface.ST).open()
    other = desk.stage.client(desk.running, desk.stage.token(Surface.ST))
    desk.stage.until(lambda: other.post(f"/api/signals/{unseen}/ack", json=ACK).status_code == 201)

    first = desk.post("ack", ACK, unseen)
    second = desk.post("ack", ACK, new_id("sig", desk.stage.clock.now()))

    assert (first.status_code, first.content) == (404, second.content)


def test_two_subscribers_do_not_get_in_each_others_way(desk: Desk) -> None:
    other = desk.stage.client(desk.running, desk.stage.token())
    desk.post("ack", ACK)

    assert other.post(f"/api/signals/{desk.signal_id}/ack", json=SKIP).status_code == 201


def test_a_token_without_the_scope_may_not_report(desk: Desk) -> None:
    reader = desk.stage.client(desk.running, desk.stage.token(scopes=(Scope.FEED_READ,)))
    writer = desk.stage.client(desk.running, desk.stage.token(scopes=(Scope.CALLBACK_WRITE,)))

    denied = reader.post(f"/api/signals/{desk.signal_id}/ack", json=ACK)
    assert (denied.status_code, denied.json()["code"]) == (403, "scope")
    assert writer.get("/api/signals/open").status_code == 403


async def _together(url: str, token: str, path: str, bodies: list[Any]) -> list[httpx.Response]:
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {token}"}, limits=limits) as client:
        return await asyncio.gather(*(client.post(path, json=body) for body in bodies))


@pytest.mark.proves("C1")
def test_fifty_identical_reports_at_once_are_stored_once(desk: Desk) -> None:
    path = f"/api/signals/{desk.signal_id}/ack"

    answers = asyncio.run(_together(desk.running.url, desk.token, path, [ACK] * 50))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 49}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(desk.stage.callback_lines()) == 1


@pytest.mark.proves("C3")
def test_fifty_different_reports_at_once_leave_one_stored(desk: Desk) -> None:
    bodies = [{**SKIP, "reason": f"reason {number}"} for number in range(50)]

    answers = asyncio.run(_together(desk.running.url, desk.token, f"/api/signals/{desk.signal_id}/ack", bodies))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 49}
    kinds = Counter(line["kind"] for line in desk.stage.callback_lines())
    assert kinds == {"callback": 1, "callback_conflict": 49}


def test_fifty_fills_at_once_never_exceed_the_order(desk: Desk) -> None:
    bodies = [fill(f"f{number}", "3") for number in range(50)]

    answers = asyncio.run(_together(desk.running.url, desk.token, f"/api/signals/{desk.signal_id}/executed", bodies))

    assert Counter(answer.status_code for answer in answers) == {201: 33, 422: 17}


@pytest.mark.proves("C1", "C2")
def test_a_restart_forgets_nothing(desk: Desk) -> None:
    desk.post("executed", fill("f1", "60"))
    desk.post("resolved", RESOLVED)
    before = dict(desk.running.service.inbox.threads)

    desk.restart()

    assert desk.running.service.inbox.threads == before
    assert desk.post("executed", fill("f1", "60")).json()["duplicate"] is True
    assert desk.post("executed", fill("f1", "61")).status_code == 409
    assert desk.post("resolved", RESOLVED).status_code == 200
    assert desk.post("executed", fill("f2", "41")).status_code == 422
    assert desk.post("executed", fill("f2", "40")).status_code == 201


class FailingDisk(Syscalls):
    """A disk that can be told to fail."""

    def __init__(self) -> None:
        self.error: OSError | None = None
        self.on_sync: OSError | None = None

    def write(self, fd: int, data: bytes | memoryview) -> int:
        if self.error is not None:
            raise self.error
        return super().write(fd, data)

    def fdatasync(self, fd: int) -> None:
        if self.on_sync is not None:
            raise self.on_sync
        super().fdatasync(fd)


@pytest.mark.parametrize("kind", ["no room", "the disk fails"])
def test_a_journal_that_cannot_be_written_gives_503_and_recovers(stage: Any, kind: str) -> None:
    disk = FailingDisk()
    folder = stage.house.log("feed", "callbacks")
    desk = Desk(stage, open_journal=partial(Journal.open, folder, clock=stage.clock, syscalls=disk))
    other = desk.publisher.open()
    assert desk.post("ack", ACK).status_code == 201
    if kind == "no room":
        disk.error = OSError(28, "No space left on device")
    else:
        disk.on_sync = OSError(5, "Input/output error")

    for _ in range(2):
        answer = desk.post("ack", ACK, other)
        assert (answer.status_code, answer.json()["code"]) == (503, "journal")
        assert int(answer.headers["retry-after"]) >= 1
    assert desk.client.get("/healthz").status_code == 503
    assert desk.post("ack", ACK).status_code in (200, 503)  # a repetition needs no journal

    disk.error = disk.on_sync = None
    stage.until(lambda: desk.post("ack", ACK, other).status_code in (200, 201))
    assert desk.client.get("/healthz").json() == {"status": "ok"}
    assert [line["signal_id"] for line in desk.stored()].count(other) == 1


@pytest.mark.proves("C4")
def test_the_order_of_arrival_loses_no_fill(desk: Desk) -> None:
    bodies = {"ack": ("ack", ACK), "f1": ("executed", fill("f1", "60")), "f2": ("executed", fill("f2", "40")),
              "resolved": ("resolved", RESOLVED)}  # fmt: skip
    orders = {desk.publisher.open(): order for order in itertools.permutations(bodies)}
    desk.stage.until(lambda: all(desk.running.service.logs.board.signal(one) for one in orders))

    for signal_id, order in orders.items():
        statuses = {name: desk.post(*bodies[name], signal_id).status_code for name in order}
        is_last = order.index("resolved") > max(order.index("f1"), order.index("f2"))
        assert (statuses["f1"], statuses["f2"], statuses["resolved"]) == (201, 201, 201 if is_last else 202)
        assert desk.running.service.inbox.threads[desk.token.split("_")[1], signal_id].is_resolved
