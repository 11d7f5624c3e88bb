"""Who is let in, who is turned away, and what is written down about it."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest

from domain.errors import Halt, Retry
from domain.vocabulary import Surface
from feed.addresses import Addresses, group
from feed.limits import Failures
from feed.tokens import Scope, create
from journal import Journal, verify

AT = "2026-03-02T09:00:00Z"
HEAD = "/api/head"


def lines(stage: Any, *kinds: str) -> list[dict[str, Any]]:
    raw = b"".join(path.read_bytes() for path in sorted(stage.house.log("feed", "access").glob("0*.jsonl")))
    found = [json.loads(line) for line in raw.split(b"\n") if line]
    return [line for line in found if not kinds or line["kind"] in kinds]


def until_lines(stage: Any, number: int, *kinds: str) -> list[dict[str, Any]]:
    stage.until(lambda: len(lines(stage, *kinds)) >= number)
    found = lines(stage, *kinds)
    assert len(found) == number, found
    return found


def bearer(running: Any, token: str, path: str = HEAD, **headers: str) -> httpx.Response:
    return httpx.get(running.url + path, headers={"authorization": f"Bearer {token}", **headers})


def test_a_day_of_the_feed_is_written_down_without_a_secret(stage: Any) -> None:
    signal_id = stage.publisher(Surface.ST).open()
    running = stage.feed()
    token = stage.token()
    token_id = stage.store.list()[0].id
    revoked = stage.token()
    stage.store.revoke(stage.store.list()[1].id, now=stage.clock.now())
    running.call(running.service.guard.refresh)
    client = stage.client(running, token)

    for _ in range(3):
        client.get("/api/signals/feed?start=head&wait=0")
    bearer(running, revoked)
    bearer(running, token[:-20] + "A" * 20)
    bearer(running, create()[0], f"/api/signals/feed?start=head&wait=0&{token}")
    client.get("/api/aggregate")
    client.get(f"/no/such/page/{token}")
    client.post(f"/api/signals/{signal_id}/ack", json={"at": AT, "decision": "accept"})
    client.get("/api/signals/feed?cursor=" + "A" * 40)
    client.get("/api/checkpoint?log=st/signals")
    stage.stop(running)

    denied = [(line["status"], line["code"], line["reason"], line["route"]) for line in lines(stage, "access_denied")]
    assert denied == [
        (401, "token", "revoked", "/api/head"),
        (401, "token", "form", "/api/head"),
        (401, "token", "unknown", "/api/signals/feed"),
        (403, "scope", None, "/api/aggregate"),
        (404, "unknown", None, "/api/signals/{id}/ack"),
        (400, "cursor_invalid", None, "/api/signals/feed"),
        (404, "unknown", None, "/api/checkpoint"),
    ]
    (first,) = lines(stage, "access_address")
    assert (first["token"], first["address"]) == (token_id, "127.0.0.1")
    (count,) = lines(stage, "access_count")
    assert {name: count[name] for name in ("token", "polls", "reads", "reports")} == {
        "token": token_id, "polls": 4, "reads": 1, "reports": 1,
    }  # fmt: skip
    kinds = [line["kind"] for line in lines(stage) if line["kind"].startswith("feed_")]
    assert kinds == ["feed_start", "feed_stop"]
    secrets = [part for one in (token, revoked) for part in one.split("_")[2:]]
    text = "".join(map(json.dumps, lines(stage)))
    assert not any(secret in text for secret in secrets)
    assert verify(stage.house.log("feed", "access")).problems == []


def test_polls_are_counted_by_the_minute_and_not_written_one_by_one(stage: Any) -> None:
    running = stage.feed()
    client = stage.client(running, stage.token())
    for _ in range(50):
        client.get("/api/signals/feed?start=head&wait=0")
    assert lines(stage, "access_count") == []

    stage.clock.advance(61)
    (count,) = until_lines(stage, 1, "access_count")

    assert count["polls"] == 50


def test_a_token_that_is_too_fast_is_written_down_once_a_minute(stage: Any) -> None:
    running = stage.feed(rate_per_min=1, burst=1)
    client = stage.client(running, stage.token())

    for _ in range(5):
        client.get(HEAD)
    assert [line["code"] for line in until_lines(stage, 1, "access_denied")] == ["rate"]
    stage.clock.advance(61)
    stage.until(lambda: len(lines(stage, "access_count")) == 1)
    for _ in range(3):
        client.get(HEAD)

    assert len(until_lines(stage, 2, "access_denied")) == 2


def test_a_token_is_new_at_an_address_once_a_day(stage: Any) -> None:
    running = stage.feed(trusted_proxies=("127.0.0.0/8",))
    token = stage.token()

    for address in ("203.0.113.1", "203.0.113.1", "203.0.113.2"):
        bearer(running, token, **{"x-forwarded-for": address})
    stage.clock.advance(86_400)
    bearer(running, token, **{"x-forwarded-for": "203.0.113.1"})

    found = until_lines(stage, 3, "access_address")
    assert [line["address"] for line in found] == ["203.0.113.1", "203.0.113.2", "203.0.113.1"]


class FailingJournal:
    """A journal on a disk that takes nothing while ``error`` is set."""

    def __init__(self, journal: Journal) -> None:
        self.error: Exception | None = None
        self.refused = 0
        self._journal = journal

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        if self.error is not None:
            self.refused += 1
            raise self.error
        return self._journal.submit(*args, **kwargs)

    def close(self) -> None:
        self._journal.close()


@pytest.mark.parametrize("error", [Retry("room", "none", "make some"), Halt("a disk", "none", "mend it")])
def test_a_disk_that_takes_nothing_stops_nobody_and_is_said(stage: Any, error: Exception) -> None:
    made: list[FailingJournal] = []

    def open_access() -> Any:
        made.append(FailingJournal(Journal.open(stage.house.log("feed", "access"), clock=stage.clock)))
        return made[-1]

    running = stage.feed(open_access=open_access)
    client = stage.client(running, stage.token())
    made[0].error = error

    answers = [client.get(HEAD).status_code, bearer(running, "nobody").status_code]

    assert answers == [200, 401]
    assert made[0].refused == 2
    assert client.get("/healthz").json()["problems"] == ["access cannot be written down"]
    made[0].error = None
    stage.clock.advance(61)
    (gap,) = until_lines(stage, 1, "access_dropped")
    assert gap["records"] == 2
    stage.until(lambda: client.get("/healthz").status_code == 200)


@pytest.mark.proves("F8", "row 32")
def test_wrong_tokens_are_turned_away_longer_and_longer_and_a_right_one_comes_in(stage: Any) -> None:
    running = stage.feed(wrong_tokens=10)
    good = stage.token()
    wrong = create()[0]

    before = [bearer(running, wrong).status_code for _ in range(9)]
    waits = []
    for _ in range(8):
        turned_away = bearer(running, wrong)
        assert (turned_away.status_code, turned_away.json()["code"]) == (429, "failures")
        waits.append(int(turned_away.headers["retry-after"]))
        assert bearer(running, good).status_code == 200
        stage.clock.advance(waits[-1])

    assert before == [401] * 9
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]
    stage.clock.advance(301)
    assert bearer(running, wrong).status_code == 401


def test_a_request_without_a_token_counts_as_one_with_a_wrong_token(stage: Any) -> None:
    running = stage.feed(wrong_tokens=2)

    first, second = (httpx.get(running.url + HEAD) for _ in range(2))

    assert (first.status_code, first.json()["code"]) == (401, "token")
    assert (second.status_code, second.json()["code"]) == (429, "failures")


def test_failures_are_forgotten_and_the_list_of_addresses_stays_short() -> None:
    now = [0.0]
    failures = Failures(most=2, seconds=lambda: now[0])
    for number in range(30_000):
        failures.note(str(number))
        now[0] += 0.001

    assert len(failures._known) <= 10_000
    assert failures.note("29999") == 5
    now[0] += 400
    assert failures.note("29999") == 0


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.7", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.8,10.0.0.7", "10.0.0.8"),
        ("10.0.0.1", "6.6.6.6, nonsense", "10.0.0.1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
    ],
)
def test_an_address_is_believed_as_far_as_trusted_proxies_vouch_for_it(
    peer: str, forwarded: str | None, found: str
) -> None:
    headers = [] if forwarded is None else [(b"x-forwarded-for", forwarded.encode())]
    scope = {"client": (peer, 1), "headers": headers}

    assert Addresses(("10.0.0.0/8",)).of(scope) == found
    assert Addresses(()).of(scope) == peer


def test_the_addresses_of_one_network_are_counted_together() -> None:
    assert group("2001:db8:1:2::1") == group("2001:db8:1:2:ffff::9") != group("2001:db8:1:3::1")
    assert group("203.0.113.1") != group("203.0.113.2")


def test_a_second_token_is_the_same_subscriber(stage: Any) -> None:
    signal_id = stage.publisher().open()
    running = stage.feed()
    old = stage.token()
    body = {"at": AT, "decision": "accept"}
    first = stage.client(running, old).post(f"/api/signals/{signal_id}/ack", json=body)
    old_id = stage.store.list()[0].id

    end = stage.clock.now() + timedelta(hours=1)
    fresh, made = stage.store.rotate(old_id, now=stage.clock.now(), old_ends_at=end)
    client = stage.client(running, fresh)
    again = client.post(f"/api/signals/{signal_id}/ack", json=body)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {**first.json(), "duplicate": True}
    assert made.subscriber_id == old_id
    assert len(stage.callback_lines()) == 1
    assert bearer(running, old).status_code == 200
    stage.clock.advance(3600)
    assert (bearer(running, old).status_code, bearer(running, fresh).status_code) == (401, 200)


@pytest.mark.proves("C1")
def test_reports_repeated_with_both_tokens_at_once_are_stored_once(stage: Any) -> None:
    signal_id = stage.publisher().open()
    running = stage.feed()
    tokens = [stage.token()]
    end = stage.clock.now() + timedelta(hours=1)
    tokens.append(stage.store.rotate(stage.store.list()[0].id, now=stage.clock.now(), old_ends_at=end)[0])
    clients = [stage.client(running, token) for token in tokens]
    body = {"at": AT, "decision": "accept"}

    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda n: clients[n % 2].post(f"/api/signals/{signal_id}/ack", json=body).status_code, range(20))
        )

    assert sorted(answers) == [200] * 19 + [201]
    assert len(stage.callback_lines()) == 1


def test_a_poll_that_waits_with_a_token_whose_scope_was_taken_away_ends(stage: Any) -> None:
    running = stage.feed()
    client = stage.client(running, stage.token())
    answers: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: answers.append(client.get("/api/signals/feed?start=head&wait=20")))
    waiting.start()
    running.until_waiting(1)
    content = json.loads(stage.house.subscribers.read_text())
    content[0]["scopes"] = [Scope.CALLBACK_WRITE]
    stage.house.subscribers.write_text(json.dumps(content))

    waiting.join(2)

    assert [answer.status_code for answer in answers] == [403]


def test_the_last_use_of_a_token_is_kept_for_the_list(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from cli import subscribers

    running = stage.feed()
    stage.client(running, stage.token()).get(HEAD)
    stage.stop(running)

    monkeypatch.setenv("TBOT_CLOCK", "real")
    (row,) = subscribers.rows(stage.house.home)
    assert row["last_used_at"] == "2026-03-02T09:00:00.000000Z"
    assert stage.house.last_use.stat().st_mode & 0o777 == 0o600
    stage.house.last_use.write_text("spoilt")
    assert subscribers.rows(stage.house.home)[0]["last_used_at"] is None
