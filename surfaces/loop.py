"""The trading loop: scan, research, predict, decide, execute, publish.

A desk's ``scan`` proposes; a proposal's own ``predict`` researches and estimates, beside the loop when that takes time
and not at all when the gates would refuse anyway; deciding is pure; everything that is decided is written down before
it is done.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Protocol

import structlog

from audit.costs import NOTHING_SPENT, Spent
from brokers.port import Executor
from domain.candidate import Candidate, Estimate
from domain.decision import Decision
from domain.errors import Ask, Refuse, Retry
from domain.order import OrderIntent
from domain.quotes import Instrument, Quote
from domain.surface_settings import SurfaceSettings
from domain.vocabulary import Leg, OrderState, State
from journal.beat import Heartbeat
from risk.chain import Outcome, decide, look
from risk.limits import Limits
from risk.state import RiskState
from surfaces.ailments import Ailments
from surfaces.asking import Asking
from surfaces.books import Books
from surfaces.day import close_the_day, cool_down, mind_the_day
from surfaces.entry import EntryDesk
from surfaces.proposal import Proposal, blank
from surfaces.reconcile import reconcile
from surfaces.snapshot import NO_RULES, AccountRules, Valuation, risk_state

log = structlog.get_logger()
FAILED_PAUSE_S = 1.0
NOTHING = Decimal(0)
STARTUP_PAUSE_S = 5.0


class Desk(Protocol):
    """What differs between surfaces: where candidates come from and when the market is open."""

    def startup(self) -> None:
        """Load instruments and history. Raises Retry when the venue can't answer yet."""

    def instrument(self, market: str) -> Instrument | None:
        """Return the instrument, None when the venue does not list it."""

    def quotes(self) -> Mapping[str, Quote]:
        """Return market -> quote for every market that has a live one."""

    def scan(self, now: datetime) -> Iterable[Proposal]:
        """Return what is worth judging now; nothing twice."""

    def is_open(self, market: str, now: datetime) -> bool: ...

    def trading_day(self, now: datetime) -> date: ...

    def day_start(self, day: date) -> datetime:
        """Return when a trading day begins."""

    def trouble(self) -> str:
        """Return in words what keeps the desk from finding anything; empty when nothing does."""

    def close(self) -> None: ...


class Loop:
    """One surface's life: ``run`` until ``stop`` is set; tests call ``on_tick``.

    Args:
        workers: how many slow predictions run at once.
        spent: tells what paid estimates have cost so far.
        cancel_all: takes back every resting order of the account, once, when a halt is ordered. Not for a broker at
            which protective orders rest: those stay.
        concerns: tells of a market whether positions there that nobody knows of are this surface's business; in an
            account that a person uses too, only some are.
        keep: called in each turn before the scan, for orders that rest at the broker.
        account_rules: tells what the account's own rules allow now, such as day trades.
        can_value: tells of a market whether what is held there can be valued at a quote.
    """

    def __init__(
        self,
        *,
        books: Books,
        executor: Executor,
        desk: Desk,
        limits: Limits,
        settings: SurfaceSettings,
        heartbeat: Heartbeat,
        stop_reasons: Callable[[], Sequence[str]],
        stop: threading.Event,
        workers: int = 1,
        spent: Callable[[], Spent] = lambda: NOTHING_SPENT,
        cancel_all: Callable[[], None] = lambda: None,
        concerns: Callable[[str], bool] = lambda market: True,
        keep: Callable[[EntryDesk], object] = lambda entries: None,
        account_rules: Callable[[], AccountRules] = lambda: NO_RULES,
        can_value: Callable[[str, Quote], bool] = lambda market, quote: True,
    ) -> None:
        self._books = books
        self._executor = executor
        self._desk = desk
        self._ailments = Ailments()
        self._asking = Asking(workers, self._ailments)
        self._room = 2 * workers
        self._spent = spent
        self._cancel_all = cancel_all
        self._concerns = concerns
        self._keep = keep
        self._account_rules = account_rules
        self._can_value = can_value
        self._has_cancelled = False
        self._limits = limits
        self._settings = settings
        self._heartbeat = heartbeat
        self._stop_reasons = stop_reasons
        self._stop = stop
        self._entries = EntryDesk(books, executor, settings, stop_reasons)
        self._valuation = Valuation()
        self._next_reconcile = books.now()
        self._next_query = books.now()
        self._has_turned = False
        self._trouble = ""

    def run(self) -> None:
        """Start up, turn until told to stop, and give everything back."""
        try:
            if self.startup():
                self.main_loop()
        finally:
            self.shutdown()
        # Only an end on purpose says so: after a crash the launcher must see one.
        self._heartbeat.stopped()

    def startup(self) -> bool:
        """Reconcile before the first scan, however long the broker takes to answer; return False when stopped."""
        pause_s = 0.5
        while not self._stop.is_set():
            try:
                self._desk.startup()
                self._reconcile()
                self._trouble = ""
                return True
            except (Retry, Ask, Refuse) as error:
                log.warning("startup_waits", error=str(error))
                self._trouble = str(error)
                self._beat("starting")
                self._stop.wait(pause_s)
                pause_s = min(pause_s * 1.5, STARTUP_PAUSE_S)
        return False

    def main_loop(self) -> None:
        period = self._books.clock.real_seconds(self._settings.loop_s)
        while not self._stop.is_set():
            began = time.monotonic()
            pause_s = period if self.on_tick() else max(period, FAILED_PAUSE_S)
            self._stop.wait(max(0.01, pause_s - (time.monotonic() - began)))

    def on_tick(self) -> bool:
        """Turn once; return False when the venue did not answer, which costs this turn and never the process."""
        # How the last turn went: the file is written once a second, and whoever reads it wants the reason too.
        self._beat("degraded" if self._trouble else "ready")
        try:
            self._books.follow()
            self._cancel_when_halted()
            cool_down(self._books, self._limits, self._settings)
            self._mind_the_day(self._desk.quotes())
            self._look_after_orders()
            proposals = iter(self._desk.scan(self._books.now()))
            while len(self._asking) < self._room and (proposal := next(proposals, None)) is not None:
                self._propose(proposal)
            for finish in self._asking.ready():
                self._consider(finish())
        except (Retry, Ask, Refuse) as error:
            # A refusal (a locked account) ends no position: what rests at the broker goes on, and so do we.
            log.warning("turn_failed", error=str(error))
            self._trouble = str(error)
            return False
        self._trouble = ""
        return True

    def shutdown(self) -> None:
        self._asking.close()
        self._desk.close()
        self._executor.close()
        log.info("stopped")

    def _cancel_when_halted(self) -> None:
        is_halted = self._books.fold.state.state is State.HALT
        if is_halted and not self._has_cancelled:
            self._cancel_all()
        self._has_cancelled = is_halted

    def _equity(self, quotes: Mapping[str, Quote], *, unpriced_at_stop: bool) -> Decimal:
        usable = {market: quote for market, quote in quotes.items() if self._can_value(market, quote)}
        return self._valuation.equity(self._books, usable, unpriced_at_stop=unpriced_at_stop)

    def _mind_the_day(self, quotes: Mapping[str, Quote]) -> None:
        books = self._books
        equity = self._equity(quotes, unpriced_at_stop=False)
        today = self._desk.trading_day(books.now())
        began = self._desk.day_start(today)
        close_the_day(books, today, equity, quotes, self._desk.day_start)
        mind_the_day(books, self._limits, today, equity, began=None if self._has_turned else began)
        self._has_turned = True

    def _look_after_orders(self) -> None:
        """Ask about orders and keep what rests right, that also where the account could not be read."""
        try:
            self._chase_unknown()
        except (Retry, Ask, Refuse):
            # A page of the account that fails must leave no position without its stop.
            self._keep(self._entries)
            raise
        self._keep(self._entries)

    def _chase_unknown(self) -> None:
        """Reconcile when due, and sooner ask again about orders whose outcome is unknown.

        An order that rests is looked at each turn: its executor knows without asking the broker.
        """
        now = self._books.now()
        resting = [intent for intent in self._books.fold.unfinished(Leg.ENTRY) if self._rests(intent)]
        news = [self._entries.ask(intent) for intent in resting]
        if any(news):
            self._publish_recovered()
        if _is_due(self._next_reconcile, now, self._settings.reconcile_s):
            self._reconcile()
        elif _is_due(self._next_query, now, self._settings.unknown_query_s):
            self._next_query = now + timedelta(seconds=self._settings.unknown_query_s)
            orders = [intent for intent in self._books.fold.unfinished(Leg.ENTRY) if not self._rests(intent)]
            known = [self._entries.settle_unknown(intent) for intent in orders]
            self._publish_recovered()
            if any(known):
                # What is known now may be all that kept the surface in REDUCE, and an order called absent may yet show
                # as a position: before anything else is decided.
                self._reconcile()

    def _rests(self, intent: OrderIntent) -> bool:
        state = self._books.fold.order_state(intent.client_order_id)
        return intent.trigger is not None and state in (OrderState.ACCEPTED, OrderState.PARTIAL)

    def _reconcile(self) -> None:
        reconcile(self._books, self._executor, self._entries, self._concerns)
        self._next_reconcile = self._books.now() + timedelta(seconds=self._settings.reconcile_s)
        self._publish_recovered()

    def _publish_recovered(self) -> None:
        # The resolver may have ended a position since: nobody is invited into what is over.
        self._books.follow()
        for position in self._books.fold.unpublished():
            instrument = self._desk.instrument(position.market)
            if instrument is not None:
                self._entries.publish_fills(instrument)

    def _propose(self, proposal: Proposal) -> None:
        """Begin what takes its time, unless the gates would refuse it anyway; judge the rest at once."""
        if proposal.costs_usd and self._is_refused_already(proposal):
            return
        if proposal.is_slow:
            self._asking.ask(proposal)
        else:
            self._consider(proposal.predict()())

    def _is_refused_already(self, proposal: Proposal) -> bool:
        """Tell, and write down, that no side of a proposal has a chance: then no estimate is paid for."""
        refusals = []
        for candidate in proposal.candidates:
            nothing = blank(candidate)
            outcome = look(candidate, nothing, self._state(candidate, next_usd=proposal.costs_usd), self._limits)
            if outcome.admitted:
                return False
            refusals.append((candidate, nothing, outcome))
        self._books.decided(self._decision(*refusals[0]))
        proposal.refused()
        return True

    def _consider(self, judged: tuple[Candidate, Estimate] | None) -> None:
        if judged is None:
            return
        candidate, estimate = judged
        self._mind_the_panel(estimate)
        outcome = decide(candidate, estimate, self._state(candidate), self._limits)
        decision = self._decision(candidate, estimate, outcome)
        self._books.decided(decision)
        instrument = self._desk.instrument(candidate.market)
        if decision.admitted and instrument is not None:
            self._entries.execute(decision, instrument)

    def _mind_the_panel(self, estimate: Estimate) -> None:
        if estimate.missing:
            seats = len(estimate.votes) + len(estimate.missing)
            who = ", ".join(f"{one.model} ({one.reason})" for one in estimate.missing)
            self._ailments.failed("panel", f"{len(estimate.votes)} of {seats} models answered, missing {who}")
        elif estimate.votes:
            self._ailments.well("panel")

    def _state(self, candidate: Candidate, *, next_usd: Decimal = NOTHING) -> RiskState:
        books, quotes = self._books, self._desk.quotes()
        return risk_state(
            books,
            market=candidate.market,
            equity=self._equity(quotes, unpriced_at_stop=True),
            quotes=quotes,
            instrument=self._desk.instrument(candidate.market),
            market_open=self._desk.is_open(candidate.market, books.now()),
            stop_reasons=self._stop_reasons(),
            spent=self._spent(),
            next_usd=next_usd,
            account=self._account_rules(),
        )

    def _decision(self, candidate: Candidate, estimate: Estimate, outcome: Outcome) -> Decision:
        books = self._books
        return Decision(
            id=books.new_id("dec"),
            surface=books.surface,
            mode=books.mode,
            candidate=candidate,
            estimate=estimate,
            size=outcome.size,
            verdicts=outcome.verdicts,
            admitted=outcome.admitted,
            code=outcome.code,
            signal_id=books.new_id("sig") if outcome.admitted else None,
        )

    def _beat(self, phase: str) -> None:
        fold = self._books.fold
        stopped = list(self._stop_reasons())
        self._heartbeat.beat(
            phase=phase,
            trouble=self._trouble or "; ".join(filter(None, (self._desk.trouble(), self._ailments.text()))),
            state=fold.state.state,
            reason=fold.state.reason,
            stopped=stopped,
            open=len(fold.positions()),
        )


def _is_due(at: datetime, now: datetime, every_s: float) -> bool:
    """Tell whether a moment has come, or lies so far ahead that the clock was set back since it was chosen."""
    return now >= at or (at - now).total_seconds() > every_s
