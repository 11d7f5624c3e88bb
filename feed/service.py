"""The parts of the feed, put together, and the housekeeping that keeps them true."""

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from domain.clock import Clock
from domain.errors import Retry, TBotError
from domain.house import House
from feed.config import FeedConfig
from feed.cursor import Cursors
from feed.guard import Guard
from feed.inbox import Inbox
from feed.limits import Rate
from feed.logs import Logs
from feed.pages import Pages
from feed.poll import Poll
from feed.source import Source
from journal import Journal, LogLocked
from journal.beat import Heartbeat

HOUSEKEEPING_S = 0.5
HEARTBEAT_S = 5.0
_REREAD_S = 10.0

log = structlog.get_logger("feed")


class Service:
    """Everything the routes need. Make it, `start` it inside the running loop, `drain` it, `stop` it."""

    def __init__(
        self, config: FeedConfig, house: House, clock: Clock, *, open_journal: Callable[[], Journal] | None = None
    ) -> None:
        self.config = config
        self.clock = clock
        self.guard = Guard(house.subscribers)
        self.logs = Logs(config, house, clock)
        self.cursors = Cursors(config.cursor_secret)
        self.pages = Pages(self.logs, self.cursors, clock)
        callbacks = house.log("feed", "callbacks")
        self.inbox = Inbox(callbacks, clock, open_journal or partial(Journal.open, callbacks, clock=clock))
        self.reading = self._rate()
        self.reporting = self._rate()
        self.poll = Poll(config, clock, self.guard, self.logs, self.pages, self.cursors, self.reading)
        self._beat = Heartbeat(house.heartbeat("feed"), clock, every_s=HEARTBEAT_S)
        self._readers: list[int] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._wake_is_due = False
        self._reread_at_ns = 0

    def _rate(self) -> Rate:
        return Rate(
            per_min=self.config.rate_per_min,
            burst=self.config.burst,
            seconds=lambda: self.clock.monotonic_ns() / 1e9,
        )

    def open(self) -> None:
        """Read the logs and take the callbacks journal; a full disk stops the reports but not the signals.

        Raises:
            TBotError: the callbacks journal is damaged, or somebody else writes it.
        """
        self.logs.open()
        try:
            self.inbox.open()
        except LogLocked:  # another feed: two of them would answer the same report twice
            raise
        except Retry as error:
            self.inbox.problem = error

    def start(self) -> None:
        """Begin to follow the logs."""
        self._watch()
        self._tasks = [asyncio.create_task(self._keep_house())]

    def drain(self) -> None:
        """Answer every waiting poll; those to come are answered at once."""
        self.poll.drain()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._unwatch()
        await asyncio.to_thread(self.inbox.close)
        await asyncio.sleep(0)  # lets the last durable reports settle
        self.logs.close()
        self._beat.stopped()

    @property
    def problems(self) -> list[str]:
        """What is broken, in words that give nothing away."""
        found = (
            ("a signal log cannot be read", self.logs.is_broken()),
            ("reports cannot be stored", self.inbox.problem is not None),
            ("subscribers cannot be checked", self.guard.problem is not None),
        )
        return [words for words, is_so in found if is_so]

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        for source in self.logs.sources.values():
            descriptor = source.fileno()
            if descriptor is not None:
                loop.add_reader(descriptor, self._grown, source)
                self._readers.append(descriptor)

    def _unwatch(self) -> None:
        loop = asyncio.get_running_loop()
        for descriptor in self._readers:
            loop.remove_reader(descriptor)
        self._readers = []

    def _grown(self, source: Source) -> None:
        if self.logs.refresh(source) and not self._wake_is_due:
            self._wake_is_due = True  # several logs that grow together wake everybody once
            asyncio.get_running_loop().call_soon(self._wake)

    def _wake(self) -> None:
        self._wake_is_due = False
        self.poll.wake()

    async def _keep_house(self) -> None:
        while True:
            try:
                await self._tidy()
            except Exception as error:  # noqa: BLE001  housekeeping must outlive whatever goes wrong in it
                log.error("housekeeping failed", error=repr(error))
            await asyncio.sleep(HOUSEKEEPING_S)

    async def _tidy(self) -> None:
        self._beat.beat(waiting=len(self.poll.lot))
        if self.guard.refresh():
            log.info("subscribers read anew", usable=self.guard.problem is None)
        self.poll.recheck()
        if self.logs.was_replaced() or (self.logs.is_broken() and self._may_reread()):
            self._reread()
        if self.inbox.needs_reopening:
            await self._reopen()

    def _may_reread(self) -> bool:
        return self.clock.monotonic_ns() >= self._reread_at_ns

    def _reread(self) -> None:
        self._reread_at_ns = self.clock.monotonic_ns() + int(_REREAD_S * 1e9)
        log.warning("a log was replaced or damaged; reading all of them anew")
        self._unwatch()
        self.logs.open()
        self._watch()
        for group in self.poll.lot.groups():
            self.poll.lot.release(list(group.parked), None)

    async def _reopen(self) -> None:
        try:
            await self.inbox.reopen()
            log.info("the callbacks journal takes reports again")
        except TBotError as error:
            self.inbox.problem = error
