"""The long-poll itself: a raw ASGI route, because a framework costs more per woken poll than everything below does."""

import asyncio
import random
from collections.abc import Callable

from domain.clock import Clock
from domain.vocabulary import Surface
from feed import query
from feed.answers import Answer, accepts_gzip, of_problem
from feed.asgi import Receive, Scope, Send, header
from feed.config import FeedConfig
from feed.cursor import Cursors, Marks
from feed.guard import Guard
from feed.limits import Rate
from feed.logs import Logs
from feed.lot import Group, Lot, Parked
from feed.pages import Page, Pages
from feed.problems import Problem, other_filter, too_fast, wrong_method
from feed.tokens import Scope as TokenScope
from feed.tokens import Subscriber

# The protocol calls this when the connection goes, so that a poll nobody waits for any more frees its place.
ON_GONE = "tbot.on_gone"
_DRAIN_SPREAD_MS = 2_000


class Poll:
    """Serves ``/api/signals/feed`` and keeps the polls that wait."""

    def __init__(
        self, config: FeedConfig, clock: Clock, guard: Guard, logs: Logs, pages: Pages, cursors: Cursors, rate: Rate
    ) -> None:
        self._config = config
        self._clock = clock
        self._guard = guard
        self._logs = logs
        self._pages = pages
        self._cursors = cursors
        self._rate = rate
        self.lot = Lot(total=config.parked_total, per_token=config.parked_per_token, empty=self._empty)
        self.is_draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(scope)
        except Problem as problem:
            answer = of_problem(problem)
        await answer.send(send)

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
        self.lot.release_all()

    async def _answer(self, scope: Scope) -> Answer:
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
        return await self._serve(scope, subscriber.id, group, asked.wait_s)

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
            if frozenset(self._admit(scope).surfaces) != group.visible:
                raise other_filter()

    async def _wait(self, scope: Scope, token_id: str, page: Page, group: Group, wait_s: float) -> Answer | None:
        waiting = Group(page.marks, group.limit, group.visible, group.packed)
        key = f"{page.cursor} {group.limit} {group.packed} {','.join(sorted(group.visible))}"
        jitter = wait_s / 16 * random.random()  # noqa: S311  spreads returns, guards nothing
        parked = self.lot.park(token_id, key, waiting, wait_s + jitter)
        scope[ON_GONE] = self._leaver(parked)
        return await parked.future

    def _admit(self, scope: Scope) -> Subscriber:
        return self._guard.admit(header(scope, b"authorization"), TokenScope.FEED_READ, self._clock.now())

    def _leaver(self, parked: Parked) -> Callable[[], None]:
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
            page = Page(b"", (), group.marks, self._cursors.seal(group.marks), False)
        return self._render(page, group.visible, group.packed)

    def _render(self, page: Page, visible: frozenset[Surface], packed: bool) -> Answer:
        after_ms = random.randrange(_DRAIN_SPREAD_MS) if self.is_draining else 0  # noqa: S311  spreads returns
        return Answer(200, self._pages.render(page, visible, after_ms), packed=packed)
