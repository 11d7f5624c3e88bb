"""A model of what cursors promise, and hundreds of random lives of a feed held against it.

The model knows what stands in each log. Every cursor the feed ever gave is kept: asked again it must continue exactly
where it was given, or answer 410 with two cursors from which a client goes on by itself.
"""

import asyncio
import json
import select
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cursor_model import Given, Log, Place
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from domain.clock import FakeClock
from domain.house import House
from domain.settings import Secret
from domain.vocabulary import Surface
from feed.config import FeedConfig
from feed.service import Service
from feed.token_store import TokenStore, load
from feed.tokens import Scope
from journal import Journal, Receipt

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SURFACES = (Surface.FX, Surface.ST)
RETENTION = timedelta(days=2)
STREAMS = ("signals", "resolutions")


class Feed(RuleBasedStateMachine):
    """Publish, poll, crash, expire, restore, change filters and tokens, in any order."""

    def __init__(self, ring_lines: int = 6) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="feed-model-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.house = House(home=self.home)
        self.clock = FakeClock(START)
        self.loop = asyncio.new_event_loop()
        self.store = TokenStore(self.house.subscribers)
        self.ring_lines = ring_lines
        self.journals: dict[str, Journal] = {}
        self.logs: dict[str, Log] = {}
        self.backups: dict[str, Path] = {}
        self.opens: list[str] = []
        self.ended: set[str] = set()
        self.expires: dict[str, datetime] = {}
        self.given: list[Given] = []
        for surface in SURFACES:
            for stream in STREAMS:
                self._open_journal(f"{surface}/{stream}")
        self.token, _ = self.store.add(
            label="t", scopes=(Scope.FEED_READ,), surfaces=SURFACES, now=self.clock.now() - timedelta(days=1)
        )
        self.surfaces: tuple[Surface, ...] = SURFACES
        self.service = self._service()

    # ---------------------------------------------------------------------------------------------------- the world

    def _open_journal(self, name: str) -> None:
        self.journals[name] = Journal.open(self.house.logs / name, clock=self.clock, durable=False)
        self.logs[name] = Log.on_disk(self.house.logs / name)  # the journal has written lines of its own

    def _service(self) -> Service:
        config = FeedConfig(
            cursor_secret=Secret("0123456789abcdef" * 2), surfaces=SURFACES, rate_per_min=1e9, burst=10**9,
            retention_days=RETENTION.days, ring_lines=self.ring_lines,
        )  # fmt: skip
        callbacks, access = (
            partial(Journal.open, self.house.log("feed", stream), clock=self.clock, durable=False)
            for stream in ("callbacks", "access")
        )
        service = Service(config, self.house, self.clock, open_journal=callbacks, open_access=access)
        service.open()
        return service

    def _stop(self) -> None:
        self.loop.run_until_complete(self.service.stop())

    def _append(self, name: str, kind: str, fields: dict[str, Any], record_id: str | None = None) -> Receipt:
        surface = name.partition("/")[0]
        receipt = self.journals[name].append(kind, surface=surface, mode="paper", id=record_id, fields=fields)
        self.logs[name].add(json.loads(receipt.raw), receipt.raw)
        return receipt

    def _notice(self) -> None:
        """Do what inotify and housekeeping make the running feed do, and no more than that."""
        for source in self.service.logs.sources.values():
            if select.select([source.fileno()], [], [], 0)[0]:
                self.service.logs.refresh(source)
        self.loop.run_until_complete(self.service._tidy())
        if self.service.logs.is_broken():  # what cannot be followed is read anew, but not more than every ten seconds
            self.clock.advance(10)
            self.loop.run_until_complete(self.service._tidy())

    def ask(self, **params: Any) -> tuple[int, dict[str, Any], bytes]:
        """Poll through the real route, without a socket."""
        query = "&".join(f"{name}={value}" for name, value in params.items()).encode()
        headers = [(b"authorization", b"Bearer " + self.token.encode())]
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/signals/feed",
            "query_string": query,
            "headers": headers,
            "client": ("127.0.0.1", 1),
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        self.loop.run_until_complete(self.service.poll(scope, receive, send))
        body = sent[1]["body"]
        return sent[0]["status"], json.loads(body), body

    # ------------------------------------------------------------------------------------------------------ the rules

    @initialize()
    def begin(self) -> None:
        self.publish(Surface.FX, "open")
        self.start("oldest", 100, None)

    @rule(surface=st.sampled_from(SURFACES), what=st.sampled_from(["open", "open", "amend", "private", "close"]))
    def publish(self, surface: Surface, what: str) -> None:
        name = f"{surface}/{'resolutions' if what == 'close' else 'signals'}"
        mine = [one for one in self.opens if one.startswith(f"sig_{surface}")]
        if what == "private" or (what != "open" and not mine):
            self._append(name, "order_event", {"secret": "x"})
        elif what == "open":
            signal_id = f"sig_{surface}_{len(self.opens)}_{self.clock.monotonic_ns()}"
            self.opens.append(signal_id)
            self.expires[signal_id] = self.clock.now() + timedelta(seconds=600)
            fields = {
                "signal_id": signal_id,
                "action": "open",
                "expires_at": self.expires[signal_id],
                "thesis": "t" * 20,
            }
            self._append(name, "signal", fields, signal_id)
        else:
            if what == "close":
                self.ended.add(mine[-1])
            self._append(name, "signal", {"signal_id": mine[-1], "action": what})
        self.clock.advance(0.001)

    @rule(number=st.integers(5, 20))
    def burst(self, number: int) -> None:
        for index in range(number):
            self.publish(SURFACES[index % 2], ("open", "private", "amend")[index % 3])

    @rule(
        where=st.sampled_from(["oldest", "head"]),
        limit=st.sampled_from([1, 3, 100]),
        only=st.sampled_from([None, *SURFACES]),
    )
    def start(self, where: str, limit: int, only: Surface | None) -> None:
        self._notice()
        surfaces = self._seen(only)
        if not surfaces:
            return
        extra = {} if only is None else {"surface": only}
        status, answer, _ = self.ask(start=where, wait=0, limit=limit, **extra)
        assert status == 200
        since = self._places(surfaces, oldest=where == "oldest")
        self._check_page(answer, surfaces, since, limit)

    @rule(data=st.data(), limit=st.sampled_from([1, 2, 5, 500]))
    def go_on(self, data: st.DataObject, limit: int) -> None:
        """Any cursor ever given, the newest most often."""
        index = data.draw(st.one_of(st.just(len(self.given) - 1), st.integers(0, len(self.given) - 1)))
        self._notice()
        self._resume(self.given[index], limit)

    @rule(days=st.sampled_from([0.01, 0.5, 1, 3]))
    def time_passes(self, days: float) -> None:
        """Opens expire; with days, records become too old to serve."""
        self.clock.advance(days * 86_400)

    @rule()
    def crash(self) -> None:
        self._stop()
        self.service = self._service()

    @rule(name=st.sampled_from([f"{surface}/{stream}" for surface in SURFACES for stream in STREAMS]))
    def back_up(self, name: str) -> None:
        folder = Path(tempfile.mkdtemp(dir=self.home)) / "copy"
        shutil.copytree(self.house.logs / name, folder)
        self.backups[name] = folder

    @precondition(lambda self: self.backups)
    @rule(data=st.data(), more=st.integers(0, 12), is_noticed=st.booleans())
    def restore(self, data: st.DataObject, more: int, is_noticed: bool) -> None:
        """Put an older copy in the place of a log and let the surface go on writing, before or after anybody looks."""
        name = data.draw(st.sampled_from(sorted(self.backups)))
        folder, live = self.backups[name], self.house.logs / name
        self.journals[name].close()
        live.rename(self.home / f"old-{len(list(self.home.iterdir()))}")
        shutil.copytree(folder, live)
        self._open_journal(name)
        if is_noticed:
            self._notice()
        for _ in range(more):
            self._append(name, "order_event", {"secret": "after the restore"})
        self._notice()

    @rule(surfaces=st.sampled_from([(Surface.FX,), (Surface.ST,), SURFACES]))
    def change_token(self, surfaces: tuple[Surface, ...]) -> None:
        """The operator gives the token other surfaces."""
        everybody = [
            msgspec.structs.replace(one) if False else _with(one, surfaces) for one in load(self.house.subscribers)
        ]
        self.house.subscribers.write_bytes(msgspec.json.encode(everybody))
        self.service.guard._load()
        self.surfaces = surfaces

    # ----------------------------------------------------------------------------------------------------- the checks

    def _seen(self, only: Surface | None) -> tuple[Surface, ...]:
        return tuple(sorted(self.surfaces if only is None else {only} & set(self.surfaces)))

    def _names(self, surfaces: tuple[Surface, ...]) -> list[str]:
        return sorted(f"{surface}/{stream}" for surface in surfaces for stream in STREAMS)

    def _places(self, surfaces: tuple[Surface, ...], *, oldest: bool) -> dict[str, Place]:
        if not oldest:
            return {name: self.logs[name].place for name in self._names(surfaces)}
        return {name: self._place(name, self._oldest(name)) for name in self._names(surfaces)}

    def _place(self, name: str, seq: int) -> Place:
        return (seq, self.logs[name].hs[seq - 1]) if seq else (0, "")

    def _oldest(self, name: str) -> int:
        return (
            self.service.logs.sources[name].oldest(RETENTION).seq
        )  # at most a minute out of date, so asked, not computed

    def _resume(self, given: Given, limit: int) -> None:
        extra = "".join(
            f"&surface={surface}" for surface in given.surfaces if set(given.surfaces) <= set(self.surfaces)
        )
        status, answer, _ = self.ask(cursor=given.cursor, wait=0, limit=f"{limit}{extra}")
        if not set(given.surfaces) <= set(self.surfaces):
            assert (status, answer["code"]) == (400, "cursor_filter")  # asked without ``surface``: other logs now
            return
        is_whole = all(self.logs[name].has(place) for name, place in given.places.items())
        is_young = all(place[0] >= self._oldest(name) for name, place in given.places.items())
        assert status == (200 if is_whole and is_young else 410), answer
        if status == 410:
            self._recover(given, answer, is_whole)
            return
        raws = self._check_page(answer, given.surfaces, given.places, limit)
        assert raws[: len(given.answers.get(limit, b""))] == given.answers.get(limit, b"")  # F4: the same bytes
        if answer["has_more"]:
            given.answers[limit] = raws

    def _recover(self, given: Given, answer: dict[str, Any], is_whole: bool) -> None:
        """Go on from both cursors of a 410, as a client does."""
        assert answer["code"] in (
            ("cursor_expired",) if is_whole else ("cursor_ahead", "epoch_changed", "cursor_expired")
        )
        assert answer["missed_estimate"] >= 0
        extra = "".join(f"&surface={surface}" for surface in given.surfaces)
        for which, oldest in (("oldest_cursor", True), ("head_cursor", False)):
            status, page, _ = self.ask(cursor=answer[which], wait=0, limit=f"500{extra}")
            assert status == 200, (which, page)
            self._check_page(page, given.surfaces, self._places(given.surfaces, oldest=oldest), 500)

    def _check_page(
        self, answer: dict[str, Any], surfaces: tuple[Surface, ...], since: dict[str, Place], limit: int
    ) -> bytes:
        """Hold a page against the model; remember its cursor. Return its items as bytes."""
        by_log: dict[str, list[dict[str, Any]]] = {name: [] for name in since}
        for item in answer["items"]:
            by_log[item["log"]].append(item)
        places = {}
        for name, items in by_log.items():
            expected = self.logs[name].after(since[name][0])
            assert items == [json.loads(raw) for raw in expected[: len(items)]]  # F1, F3, F6: no gap, the very lines
            assert answer["has_more"] or len(items) == len(expected)
            places[name] = self._reached(name, since[name], items, is_all=not answer["has_more"])
        assert len(answer["items"]) <= limit
        assert answer["has_more"] is False or len(answer["items"]) == limit
        self._check_expired(answer)
        assert {name: (head["seq"], head["h"]) for name, head in answer["logs"].items()} == {
            name: self.logs[name].place if self.logs[name].hs else (0, "0" * 64) for name in self._names(self.surfaces)
        }
        self.given.append(Given(answer["next_cursor"], surfaces, places))
        return b"\n".join(json.dumps(item).encode() for item in answer["items"])

    def _reached(self, name: str, since: Place, items: list[dict[str, Any]], *, is_all: bool) -> Place:
        if is_all:
            return self.logs[name].place
        return (items[-1]["seq"], items[-1]["h"]) if items else since

    def _check_expired(self, answer: dict[str, Any]) -> None:
        """F7: exactly the opens that must not be executed any more are named."""
        shown = [item["signal_id"] for item in answer["items"] if item.get("action") == "open"]
        dead = [one for one in shown if self.expires[one] <= self.clock.now() or self._is_ended(one)]
        assert answer["expired"] == dead

    def _is_ended(self, signal_id: str) -> bool:
        name = f"{signal_id.split('_')[1]}/resolutions"
        return any(json.loads(raw).get("signal_id") == signal_id for raw in self.logs[name].raws.values())

    @invariant()
    def nothing_is_broken(self) -> None:
        assert not self.service.logs.is_broken()

    def teardown(self) -> None:
        """F1: whoever pages on from the beginning has everything, whatever happened before."""
        try:
            self._notice()
            self._page_through()
        finally:
            self._stop()
            for journal in self.journals.values():
                journal.close()
            self.loop.close()
            shutil.rmtree(self.home)

    def _page_through(self) -> None:
        seen: dict[str, list[int]] = {}
        params: dict[str, Any] = {"start": "oldest"}
        while True:
            status, answer, _ = self.ask(**params, wait=0, limit=7)
            assert status == 200
            for item in answer["items"]:
                seen.setdefault(item["log"], []).append(item["seq"])
            params = {"cursor": answer["next_cursor"]}
            if not answer["has_more"]:
                break
        for name in self._names(self.surfaces):
            assert seen.get(name, []) == [seq for seq in sorted(self.logs[name].raws) if seq > self._oldest(name)]


def _with(subscriber: Any, surfaces: tuple[Surface, ...]) -> dict[str, Any]:
    return {**{name: getattr(subscriber, name) for name in subscriber.__dataclass_fields__}, "surfaces": surfaces}


@pytest.mark.proves("row 17", "F1", "F2", "F3", "F4", "F6", "F7", "F10")
@pytest.mark.parametrize("ring_lines", [4, 5_000])
def test_every_cursor_ever_given_continues_exactly_or_shows_the_way_on(
    dose: Callable[[int, int], int], ring_lines: int
) -> None:
    run_state_machine_as_test(
        lambda: Feed(ring_lines),
        settings=settings(
            max_examples=dose(10, 2_500), stateful_step_count=30, deadline=None, database=None,
            suppress_health_check=list(HealthCheck), print_blob=True, phases=[Phase.generate],
        ),
    )  # fmt: skip
