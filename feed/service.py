"""The parts of the feed, put together, and the housekeeping that keeps them true."""

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from domain.clock import Clock
from domain.errors import Halt, Retry, TBotError
from domain.house import House
from feed import keepsake
from feed.access import Access
from feed.addresses import Addresses
from feed.config import FeedConfig
from feed.cursor import Cursors
from feed.door import Door
from feed.guard import Guard
from feed.inbox import Inbox
from feed.keepsake import Keepsake
from feed.last_use import LastUse
from feed.limits import Failures, Rate
from feed.logs import Logs
from feed.pages import Pages
from feed.poll import Poll
from feed.public_keys import PublicKeys
from feed.source import Source
from feed.stream import Streams
from journal import Journal, LogLocked
from journal.beat import Heartbeat

HOUSEKEEPING_S = 0.5
HEARTBEAT_S = 5.0
_REREAD_S = 10.0
_NOTE_USE_S = 60.0
_KEEP_S = 600.0

log = structlog.get_logger("feed")


class Service:
    """Everything the routes need. Make it, `start` it inside the running loop, `drain` it, `stop` it."""

    def __init__(
        self,
        config: FeedConfig,
        house: House,
        clock: Clock,
        *,
        open_journal: Callable[[], Journal] | None = None,
        open_access: Callable[[], Journal] | None = None,
    ) -> None:
        self.config = config
        self.clock = clock
        self.guard = Guard(house.subscribers)
        self.keys = PublicKeys(house.keys)
        self.logs = Logs(config, house, clock)
        self.cursors = Cursors(config.cursor_secret)
        self.pages = Pages(self.logs, self.cursors, clock)
        self._callbacks = house.log("feed", "callbacks")
        self._memory_path = house.feed_memory
        self.inbox = Inbox(self._callbacks, clock, open_journal or partial(Journal.open, self._callbacks, clock=clock))
        self.reading = self._rate()
        self.reporting = self._rate()
        access = house.log("feed", "access")
        self.access = Access(clock, open_access or partial(Journal.open, access, clock=clock))
        self.last_use = LastUse(house.last_use)
        failures = Failures(most=config.wrong_tokens, seconds=self._seconds)
        addresses = Addresses(config.trusted_proxies)
        self.door = Door(self.guard, clock, self.access, self.last_use, failures, addresses)
        self.poll = Poll(config, clock, self.door, self.logs, self.pages, self.cursors, self.reading)
        self.streams = Streams(
            config, clock, self.door, self.logs, self.pages, self.cursors, self.reading, self.poll.lot
        )
        self._beat = Heartbeat(house.heartbeat("feed"), clock, every_s=HEARTBEAT_S)
        self._readers: list[int] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._wake_is_due = False
        self._reread_at_ns = 0
        self._note_use_at = 0.0
        self._keep_at = 0.0
        self._kept_state: tuple[int, int] | None = None

    def _rate(self) -> Rate:
        return Rate(
            per_min=self.config.rate_per_min,
            burst=self.config.burst,
            seconds=self._seconds,
        )

    def _seconds(self) -> float:
        return self.clock.monotonic_ns() / 1e9

    def open(self) -> None:
        """Read the logs and take the callbacks journal; a full disk stops the reports but not the signals.

        Raises:
            TBotError: the callbacks journal is damaged, or somebody else writes it.
        """
        directories = {name: source.directory for name, source in self.logs.sources.items()}
        kept = keepsake.load(self._memory_path, self.config.retention_days, directories, self._callbacks)
        self.logs.open(kept)
        if kept is not None and self.logs.is_broken():
            kept = None
            self.logs.open()
        try:
            self.inbox.open(None if kept is None else kept.reports, self._is_known)
        except LogLocked:  # another feed: two of them would answer the same report twice
            raise
        except Retry as error:
            self.inbox.problem = error
        self._forget()
        self.access.open()

    def start(self) -> None:
        """Begin to follow the logs."""
        self._watch()
        self._tasks = [asyncio.create_task(self._keep_house())]

    def drain(self) -> None:
        """Answer every waiting poll; those to come are answered at once. End every stream."""
        self.poll.drain()
        self.streams.drain()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._unwatch()
        await asyncio.to_thread(self.inbox.close)
        await asyncio.to_thread(self.access.close)
        self._note_use()
        await asyncio.sleep(0)  # lets the last durable reports settle
        await self._keep()
        self.logs.close()
        self._beat.stopped()

    @property
    def problems(self) -> list[str]:
        """What is broken, in words that give nothing away."""
        found = (
            ("a signal log cannot be read", self.logs.is_broken()),
            ("reports cannot be stored", self.inbox.problem is not None),
            ("access cannot be written down", self.access.problem is not None),
            ("subscribers cannot be checked", self.guard.problem is not None),
            ("the publishers' keys cannot be read", self.keys.problem is not None),
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
        self.streams.wake()

    async def _keep_house(self) -> None:
        while True:
            try:
                await self._tidy()
            except Exception as error:  # noqa: BLE001  housekeeping must outlive whatever goes wrong in it
                log.error("housekeeping failed", error=repr(error))
            await asyncio.sleep(HOUSEKEEPING_S)

    async def _tidy(self) -> None:
        self._beat.beat(waiting=len(self.poll.lot), streams=len(self.streams))
        if self.guard.refresh():
            log.info("subscribers read anew", usable=self.guard.problem is None)
        self.keys.refresh()
        self.poll.recheck()
        self.streams.recheck()
        if self.logs.was_replaced() or (self.logs.is_broken() and self._may_reread()):
            self._reread()
        if self.inbox.needs_reopening:
            await self._reopen()
        self._tell_overdue()
        await self.access.tidy()
        if asyncio.get_running_loop().time() >= self._keep_at:
            self._forget()
            await self._keep()
        if self._seconds() >= self._note_use_at:
            self._note_use()

    def _tell_overdue(self) -> None:
        for end in self.inbox.newly_overdue():
            log.warning("a resolution still waits for its fills", signal_id=end.signal_id, surface=end.surface)
            self.access.overdue(end)

    def _is_known(self, signal_id: str) -> bool:
        return self.logs.board.is_known(signal_id)

    def _forget(self) -> None:
        """Let go of the signals that ended too long ago to be served, and of the reports about them."""
        if self.inbox.needs_reopening:  # it has not read the reports that its sums would need
            return
        board = self.logs.board
        needed = self.inbox.taking.keys() | self.inbox.waiting()
        moment = self.clock.now() - self.logs.retention

        def is_kept(signal_id: str) -> bool:
            return board.is_served(signal_id, moment) or (signal_id in needed and board.is_known(signal_id))

        self.inbox.forget(is_kept, board.signal)
        board.forget(moment, needed)

    async def _keep(self) -> None:
        """Write down what need not be read again after a restart, if the reports are at hand."""
        self._keep_at = asyncio.get_running_loop().time() + _KEEP_S
        state = (self.logs.generation, self.inbox.version)
        if state == self._kept_state or self.logs.is_broken() or isinstance(self.inbox.problem, Halt):
            return
        kept = Keepsake(
            keepsake.VERSION, self.config.retention_days, self.logs.keep(), self.logs.board.keep(), self.inbox.keep()
        )
        try:
            await asyncio.to_thread(keepsake.save, self._memory_path, kept)
            self._kept_state = state
        except OSError as error:
            log.warning("the memory for the next start could not be written", error=str(error))

    def _note_use(self) -> None:
        self._note_use_at = self._seconds() + _NOTE_USE_S
        content = self.last_use.snapshot()
        if content is not None:
            self.last_use.write(content)

    def _may_reread(self) -> bool:
        return self.clock.monotonic_ns() >= self._reread_at_ns

    def _reread(self) -> None:
        self._reread_at_ns = self.clock.monotonic_ns() + int(_REREAD_S * 1e9)
        log.warning("a log was replaced or damaged; reading all of them anew")
        self._unwatch()
        self.logs.open()
        self._forget()
        self._watch()
        for group in self.poll.lot.groups():
            self.poll.lot.release(list(group.parked), None)
        self.streams.wake()

    async def _reopen(self) -> None:
        try:
            await self.inbox.reopen()
            log.info("the callbacks journal takes reports again")
        except TBotError as error:
            self.inbox.problem = error
