"""The running client: start from the snapshot, then pages, broker and reports in turn until told to stop."""

import signal
from collections.abc import Callable
from types import FrameType

from tbot_client import errors, gap
from tbot_client.backoff import Backoff
from tbot_client.book import Book, say
from tbot_client.booking import Booking
from tbot_client.brokers.port import Broker
from tbot_client.clock import Clock
from tbot_client.config import Config
from tbot_client.contact import Contact, last_heard
from tbot_client.deadman import DeadMan
from tbot_client.distrust import told
from tbot_client.errors import Ask, ClientError, Refused, Resync, Retry, Stale, Unreachable
from tbot_client.feed import FeedClient
from tbot_client.heads import Evidence
from tbot_client.home import Home
from tbot_client.intake import Intake
from tbot_client.journal import is_full
from tbot_client.outbox import Outbox
from tbot_client.past import Past
from tbot_client.poller import Poller
from tbot_client.trade import Phase
from tbot_client.trader import Trader
from tbot_client.wire import Page
from tbot_client.witness import Witness

# A hole in a log is looked into at most this often.
HOLE_S = 10.0
TICK_S = 0.25
ONCE_LIMIT_S = 30.0


class Loop:
    """One client on one home; it owns the journal, and its thread is the only one that writes or trades."""

    def __init__(self, config: Config, home: Home, clock: Clock, book: Book, broker: Broker, *, is_dry: bool) -> None:
        poll = config.poll
        self._config, self._home, self._clock, self._book, self._broker = config, home, clock, book, broker
        self._feed = FeedClient(config)
        self._witness = Witness(
            book, config.feed, clock, Evidence(home.heads), self._feed.keys, home.keys, last_heard(home)
        )
        self._intake = Intake(book, config.feed.surfaces, clock, self._witness)
        self._contact = Contact(home, clock, book)
        self._booking = Booking(book, broker, clock, config)
        outward = None if is_dry else self._feed
        self._outbox = Outbox(book, outward, clock, Backoff(poll.retry_s, poll.retry_max_s))
        self._trader = Trader(config, home, clock, book, broker, self._booking, self._outbox)
        self._dead_man = DeadMan(config.limits, book, broker, self._contact.silent_s)
        self._poller = self._new_poller()
        self._unfinished: Page | None = None
        self._page_due = 0.0
        self._hole_due = 0.0
        self._adopted: set[str] = set()
        self._adopted_due = 0.0
        self._snapshot_s = 0.0
        self._full_due = 0.0
        self._backoff = Backoff(poll.retry_s, poll.retry_max_s)
        self._broker_backoff = Backoff(max(poll.broker_s, poll.retry_s), poll.retry_max_s)
        self._broker_due = 0.0
        self._was_interrupted = False
        self._is_stopping = False

    def _new_poller(self) -> Poller:
        poll = self._config.poll
        return Poller(FeedClient(self._config), poll.wait_s, Backoff(poll.retry_s, poll.retry_max_s), say)

    def run(self, *, once: bool, for_s: float | None) -> int:
        """Work until told to stop; return the exit code."""
        self._listen_to_signals()
        limit = ONCE_LIMIT_S if once else for_s
        deadline = None if limit is None else self._clock.monotonic() + limit
        try:
            if self._startup(once, deadline):
                self._drain(deadline) if once else self._main_loop(deadline)
        finally:
            self._shutdown()
        return self._exit_code(once)

    def _listen_to_signals(self) -> None:
        def stop(number: int, frame: FrameType | None) -> None:
            self._was_interrupted = number == signal.SIGINT
            self._is_stopping = True

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)

    def _startup(self, once: bool, deadline: float | None) -> bool:
        """Compare journal, broker and snapshot; try until they can be reached, or fail at once when run once."""
        while not self._is_over(deadline):
            try:
                self._synchronise()
            except OSError as error:
                if once or not is_full(error):
                    raise
                say(f"! no room for the journal ({error}): nothing is entered; positions are still closed")
                self._pause(self._backoff.next(), deadline)
            except (Retry, Ask) as error:
                if once:
                    raise Unreachable(error.expected, error.found, "check the network and config.toml") from error
                say(str(error))
                self._protect_alone()
                self._pause(self._backoff.next(getattr(error, "after_s", None)), deadline)
            else:
                self._backoff.reset()
                return True
        return False

    def _protect_alone(self) -> None:
        """Look after what is held while the feed can't be reached; nothing is begun."""
        self._dead_man.look()
        self._guarded(self._trader.tend)

    def _synchronise(self, *, lost_place: bool = False) -> None:
        adopted = self._reconciled()
        page = self._feed.snapshot()
        named = self._note(page, is_snapshot=True, why="lost place" if lost_place else "")
        self._end_absent(page, named, adopted, lost_place=lost_place)
        self._trader.work()
        if lost_place or not self._book.state.cursor:
            self._intake.require_room()
            self._intake.keep(page.cursor)
            self._tell_gap()
        else:
            # What found no room is told again after the cursor, and so is every end: that must not wait.
            self._guarded(lambda: self._intake.keep(self._book.state.cursor))

    def _reconciled(self) -> set[str]:
        try:
            return self._booking.reconcile()
        except OSError as error:
            # What is held is known from the journal; comparing can wait, closing can't.
            if not is_full(error):
                raise
            say(f"! no room for the journal ({error}): the broker's positions are compared later")
            return set()

    def _end_absent(self, page: Page, named: set[str], adopted: set[str], *, lost_place: bool) -> None:
        """Want those of our positions closed that the publisher does not list as open any more."""
        state = self._book.state
        for trade in list(state.trades.values()):
            # With a cursor of our own the feed will tell of every end; without one the snapshot is all there is.
            is_ours_to_judge = trade.signal_id in adopted or lost_place or not state.cursor
            served = not trade.surface or any(log.startswith(f"{trade.surface}/") for log in page.logs)
            if is_ours_to_judge and served and trade.signal_id not in named and not trade.end_reason:
                self._booking.end(trade, "closed")

    def _note(self, page: Page, *, is_snapshot: bool = False, why: str = "") -> set[str]:
        self._contact.correct(page)
        self._contact.note_absence(why)
        named = self._intake.take(page, is_snapshot=is_snapshot)
        heads = {log: head.seq for log, head in page.logs.items()}
        self._contact.heard(is_genuine=self._witness.is_genuine, heads=heads)
        return named

    def _act(self, page: Page) -> None:
        """Write a page down, act on it, and only then remember the place after it."""
        self._note(page)
        self._trader.work()
        self._intake.require_room()
        self._intake.keep(page.after, later=not page.items)
        self._backoff.reset()
        if not page.has_more:
            self._tell_gap()

    def _tell_gap(self) -> None:
        """Say in one line what happened during an absence, once all of it was acted on."""
        since = self._contact.absence
        window = gap.last_absence(self._book.state)
        if since is None or window is None or self._book.state.cursor == "":
            return
        self._contact.absence = None
        try:
            past = Past(self._feed, self._witness.ring, is_required=self._config.feed.require_signatures, attempts=1)
            found = gap.report(window, past.since(window.since), self._book.state)
            say(f"{gap.summary(found)}; `tbot-client gap` shows each")
        except ClientError as error:
            say(f"what happened meanwhile could not be read now ({error}); ask `tbot-client gap` later")

    def _main_loop(self, deadline: float | None) -> None:
        self._poller.start(self._book.state.cursor)
        while not self._is_over(deadline) and not self._on_tick():
            pass

    def _on_tick(self) -> bool:
        """Do what is due; return whether to stop."""
        self._guarded(self._take_page)
        self._guarded(self._look_into_holes)
        self._guarded(self._ask_broker)
        self._guarded(self._take_over)
        self._dead_man.look()
        self._guarded(self._trader.work)
        self._guarded(self._outbox.flush)
        return bool(self._book.state.distrust) and not self._book.state.trades

    def _guarded(self, step: Callable[[], None]) -> None:
        """Take a step; a full disk stops entries by itself, and must not stop the rest."""
        try:
            step()
        except OSError as error:
            if not is_full(error):
                raise
            if self._clock.monotonic() >= self._full_due:
                say(f"! no room for the journal ({error}): nothing is entered; positions are still closed")
                self._full_due = self._clock.monotonic() + self._config.poll.retry_max_s
            self._page_due = self._clock.monotonic() + self._config.poll.retry_s

    def _take_page(self) -> None:
        """Act on the next page; one that could not be finished comes first, and again."""
        try:
            page = self._unfinished or self._poller.next(TICK_S)
            if page is None:
                return
            self._unfinished = page
            if self._clock.monotonic() < self._page_due:
                return self._clock.sleep(TICK_S)
            self._act(page)
        except Resync as error:
            self._resync(error)
        except Stale as error:
            self._leave_out(self._unfinished, error)
        except Retry as error:
            say(f"feed: {error}")
            self._page_due = self._clock.monotonic() + self._backoff.next(error.after_s)
            return
        self._unfinished = None

    def _leave_out(self, page: Page | None, error: Stale) -> None:
        """Pass an old answer over; one that waited here while the snapshot was asked for tells less than that did."""
        if page is None or page.asked_s >= self._snapshot_s:
            say(f"feed: {error}")

    def _look_into_holes(self) -> None:
        """Ask the snapshot what is open, when lines of a log did not come by."""
        now = self._clock.monotonic()
        if now < self._hole_due or not self._intake.is_missing_something():
            return
        self._hole_due = now + HOLE_S
        try:
            page = self._feed.snapshot()
            self._snapshot_s = page.got_s
            self._end_absent(page, self._note(page, is_snapshot=True), set(), lost_place=True)
        except Retry as error:
            say(f"feed: {error}")

    def _resync(self, error: Resync) -> None:
        say(str(error))
        self._poller.stop()
        named_s = None
        try:
            self._guarded(lambda: self._synchronise(lost_place=True))
        except (Retry, Ask) as problem:
            say(str(problem))
            named_s = getattr(problem, "after_s", None)
        self._pause(self._backoff.next(named_s), None)
        self._poller = self._new_poller()
        self._poller.start(self._book.state.cursor)

    def _ask_broker(self) -> None:
        """Read the broker's transactions on a steady schedule: our own stops fill without any signal."""
        if self._clock.monotonic() < self._broker_due:
            return
        try:
            self._booking.catch_up()
            self._broker_backoff.reset()
            pause = self._config.poll.broker_s
        except (Retry, Ask, Refused, Unreachable) as error:
            say(f"broker: {error}")
            pause = self._broker_backoff.next(getattr(error, "after_s", None))
        self._broker_due = self._clock.monotonic() + pause

    def _take_over(self) -> None:
        """Take over what was filled after it counted as not traded; its end is wanted unless its signal is open."""
        try:
            if self._booking.has_stray:
                self._adopted |= self._booking.take_over(self._broker.positions())
            if self._adopted and self._clock.monotonic() >= self._adopted_due:
                self._adopted_due = self._clock.monotonic() + self._config.poll.retry_max_s
                page = self._feed.snapshot()
                self._snapshot_s = page.got_s
                self._end_absent(page, self._note(page, is_snapshot=True), self._adopted, lost_place=False)
                self._adopted = set()
        except (Retry, Ask, Refused, Unreachable) as error:
            say(f"what was filled late is looked into again later ({error})")

    def _drain(self, deadline: float | None) -> None:
        """Act on all there is now, then end: no waiting for news, only for answers still owed."""
        has_more = True
        while has_more and not self._is_over(deadline):
            try:
                page = self._feed.page(self._book.state.cursor, 0)
            except Resync as error:
                say(str(error))
                self._synchronise(lost_place=True)
                self._pause(self._backoff.next(), deadline)
                continue
            except Retry as error:
                raise Unreachable(error.expected, error.found, "check the network and config.toml") from error
            has_more = self._acted(page)
        while not self._is_over(deadline):
            self._ask_broker()
            self._trader.work()
            self._outbox.flush()
            if not self._is_owing():
                return
            self._pause(TICK_S, deadline)

    def _acted(self, page: Page) -> bool:
        """Act on a page; return whether more is to be asked for."""
        try:
            self._act(page)
        except Stale as error:
            say(f"feed: {error}")
            return True
        except Retry as error:
            raise Unreachable(error.expected, error.found, "check the network and config.toml") from error
        return page.has_more

    def _is_owing(self) -> bool:
        state = self._book.state
        undecided = any(trade.phase is not Phase.OPEN or trade.end_reason for trade in state.trades.values())
        return undecided or bool(state.outbox)

    def _is_over(self, deadline: float | None) -> bool:
        return self._is_stopping or (deadline is not None and self._clock.monotonic() >= deadline)

    def _pause(self, seconds: float, deadline: float | None) -> None:
        end = self._clock.monotonic() + seconds
        while self._clock.monotonic() < end and not self._is_over(deadline):
            self._clock.sleep(min(TICK_S, max(0.0, end - self._clock.monotonic())))

    def _shutdown(self) -> None:
        self._poller.stop()
        self._guarded(self._intake.save)
        self._feed.close()

    def _exit_code(self, once: bool) -> int:
        state = self._book.state
        if self._was_interrupted:
            return errors.INTERRUPTED
        if state.distrust:
            say(f"HistoryChanged: {told(state, self._config.feed)}")
            return errors.FAILURE
        if once and self._home.is_stopped():
            return errors.STOPPED
        return errors.DEGRADED if once and (state.disputed or self._is_owing()) else errors.OK
