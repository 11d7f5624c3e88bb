"""The long-poll itself: a raw ASGI route, because a framework costs more per woken poll than everything below does."""

import asyncio
import random
from collections.abc import Callable

import msgspec

from domain.clock import Clock
from domain.vocabulary import Surface
from feed import query
from feed.answers import Answer, accepts_gzip, of_problem
from feed.asgi import Receive, Scope, Send, header
from feed.config import FeedConfig
from feed.cursor import Cursors, Marks
from feed.door import Door
from feed.limits import Rate
from feed.logs import Logs
from feed.lot import Awaited, Group, Lot, Parked
from feed.pages import Page, Pages
from feed.problems import Problem, other_filter, too_fast, wrong_method
from feed.tokens import Scope as TokenScope
from feed.tokens import Subscriber

# The protocol calls this when the connection goes, so that a poll nobody waits for any more frees its place.
ON_GONE = "tbot.on_gone"
# A poll that was let in already, on its way to the part that may wait for the disk.
_ASKED = "tbot.asked"
# Whoever comes back after a restart asks twice: for what it missed, and again. A thousand of them, spread over 15 s,
# stay below 200 requests a second; the first second belongs to the restart itself.
_RESTART_MS = 1_000
_DRAIN_MS_PER_POLL = 15
# A poll is promised an answer within two seconds of its wait, so a sixteenth of a long one would be too much.
_JITTER_MAX_S = 1.0


class Asked(msgspec.Struct, frozen=True):
    """A poll whose token and query are in order."""

    token_id: str
    group: Group
    wait_s: float


class Poll:
    """Serves ``/api/signals/feed`` and keeps the polls that wait."""

    def __init__(
        self, config: FeedConfig, clock: Clock, door: Door, logs: Logs, pages: Pages, cursors: Cursors, rate: Rate
    ) -> None:
        self._config = config
        self._clock = clock
        self._door = door
        self._guard = door.guard
        self._logs = logs
        self._pages = pages
        self._cursors = cursors
        self._rate = rate
        self.lot = Lot(total=config.parked_total, per_token=config.parked_per_token, empty=self._empty)
        self.is_draining = False
        self._drain_spread_ms = _RESTART_MS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            asked = scope.get(_ASKED) or self._ask(scope)
            answer = await self._serve(scope, asked.token_id, asked.group, asked.wait_s)
        except Problem as problem:
            self._door.refused(scope, problem)
            answer = of_problem(problem)
        await answer.send(send)

    def begin(self, scope: Scope, parked: Parked) -> Answer | Parked | None:
        """Do the same without a task: return the answer, or ``parked``, which will be told.

        None means that the answer lies on the disk: the caller goes on as with any request, and none of what was
        checked and counted here is done twice.
        """
        try:
            asked = self._ask(scope)
            group = asked.group
            self._pages.require_servable(group.marks)
            page = self._pages.recent(group.marks, group.limit)
            if page is None:
                scope[_ASKED] = asked
                return None
            if not page.is_empty or asked.wait_s <= 0 or self.is_draining:
                return self._render(page, group.visible, group.packed)
            self.lot.enter(parked, asked.token_id, *self._place(page, group, asked.wait_s))
        except Problem as problem:
            self._door.refused(scope, problem)
            return of_problem(problem)
        return parked

    async def resume(self, scope: Scope, parked: Parked, wait_s: float) -> Answer:
        """Look for one that was told to look for itself."""
        try:
            self._require_same(parked.token_id, parked.group)
            return await self._serve(scope, parked.token_id, parked.group, wait_s)
        except Problem as problem:
            return of_problem(problem)

    def wake(self) -> None:
        """Answer every poll for which there is a page now."""
        for group in self.lot.groups():
            page = self._pages.recent(group.marks, group.limit)
            if page is None:
                self.lot.release(list(group.parked), None)
            elif not page.is_empty:
                self.lot.release(list(group.parked), self._render(page, group.visible, group.packed))

    def recheck(self) -> None:
        """End the polls whose token has become invalid, or sees other surfaces than when they began."""
        now = self._clock.now()
        for token_id in self.lot.token_ids():
            problem = self._guard.recheck(token_id, now)
            for parked in self.lot.of_token(token_id):
                if problem is not None:
                    self.lot.release([parked], of_problem(problem))
                elif self._guard.surfaces(token_id) != parked.group.visible:
                    self.lot.release([parked], None)

    def drain(self) -> None:
        """Answer everybody, now and from now on without waiting: this process is about to end."""
        self.is_draining = True
        self._drain_spread_ms = max(_RESTART_MS, _DRAIN_MS_PER_POLL * len(self.lot))
        self.lot.release_all()

    def _ask(self, scope: Scope) -> Asked:
        if scope["method"] != "GET":
            raise wrong_method("GET")
        subscriber = self._admit(scope)
        wait = self._rate.wait(subscriber.id)
        if wait:
            raise too_fast(wait)
        visible = frozenset(subscriber.surfaces)
        config = self._config
        asked = query.poll(
            scope["query_string"], visible, default_wait_s=config.default_wait_s, max_wait_s=config.max_wait_s
        )
        group = Group(self._marks(asked), asked.limit, visible, accepts_gzip(header(scope, b"accept-encoding")))
        return Asked(subscriber.id, group, asked.wait_s)

    async def _serve(self, scope: Scope, token_id: str, group: Group, wait_s: float) -> Answer:
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        while True:
            page = await self._pages.at(group.marks, group.limit)
            left = until - loop.time()
            if not page.is_empty or left <= 0 or self.is_draining:
                return self._render(page, group.visible, group.packed)
            answer = await self._wait(scope, token_id, page, group, left)
            if answer is not None:
                return answer
            self._require_same(token_id, group)

    async def _wait(self, scope: Scope, token_id: str, page: Page, group: Group, wait_s: float) -> Answer | None:
        parked = self.lot.park(token_id, *self._place(page, group, wait_s))
        scope[ON_GONE] = self._leaver(parked)
        return await parked.future

    def _place(self, page: Page, group: Group, wait_s: float) -> tuple[str, Group, float]:
        """Return which polls wait for the same, what for, and for how long."""
        waiting = Group(page.marks, group.limit, group.visible, group.packed)
        key = f"{page.cursor} {group.limit} {group.packed} {','.join(sorted(group.visible))}"
        jitter = min(wait_s / 16, _JITTER_MAX_S) * random.random()  # noqa: S311  spreads returns, guards nothing
        return key, waiting, wait_s + jitter

    def _require_same(self, token_id: str, group: Group) -> None:
        """Raise the Problem that ends a poll whose token was changed while it waited."""
        problem = self._guard.recheck(token_id, self._clock.now())
        if problem is not None:
            raise problem
        if self._guard.surfaces(token_id) != group.visible:
            raise other_filter()

    def _admit(self, scope: Scope) -> Subscriber:
        return self._door.admit(scope, TokenScope.FEED_READ, "polls")

    def _leaver(self, parked: Awaited) -> Callable[[], None]:
        return lambda: self.lot.release([parked], self._empty(parked.group))

    def _marks(self, asked: query.Query) -> Marks:
        names = self._logs.names(asked.surfaces)
        if asked.cursor is not None:
            return self._cursors.unseal(asked.cursor, names)
        assert asked.start is not None  # query.poll lets exactly one of the two through
        return self._pages.start(names, asked.start)

    def _empty(self, group: Group) -> Answer:
        """Answer a poll whose time is up with the newest cursor that skips nothing."""
        page = self._pages.recent(group.marks, group.limit)
        if page is None:
            page = Page(b"", (), (), group.marks, self._cursors.seal(group.marks), False)
        return self._render(page, group.visible, group.packed)

    def _render(self, page: Page, visible: frozenset[Surface], packed: bool) -> Answer:
        after_ms, headers = 0, None
        if self.is_draining:
            headers = {"connection": "close"}
            after_ms = _RESTART_MS + random.randrange(self._drain_spread_ms)  # noqa: S311  spreads returns
        return Answer(200, self._pages.render(page, visible, after_ms), headers, packed=packed)
