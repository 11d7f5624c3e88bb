"""The desk of an event surface: open contracts in, a proposal for each whose estimate is due."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import structlog

from domain.clock import Clock
from domain.contract import Contract, ContractStatus, SettlementRule, Unread
from domain.errors import Refuse, Retry
from domain.event_settings import EVERY, EventSettings
from domain.outcome import Outcome
from domain.quotes import Instrument, Quote
from domain.vocabulary import Side, Surface
from market.recorder import Recorder
from strategies.event.fees import is_known
from strategies.event.rules import read_rule
from surfaces.kalshi.belief import Belief, Estimator
from surfaces.kalshi.learning import Learner
from surfaces.kalshi.pricing import Pricing, candidate_of, instrument_of, outcome_of
from surfaces.proposal import Finish, Judged, Proposal, blank

log = structlog.get_logger()
# Kalshi's day, in which its fees, limits and statements are counted.
NEW_YORK = ZoneInfo("America/New_York")
# Quotes are asked for several times a turn; for a quarter of a second of real time the first answer holds.
QUOTES_HOLD_NS = 250_000_000
# Each takes a request of its own; the rest waits for the next listing.
ENDS_A_TIME = 50
# Each may be refused and written down, which takes a millisecond or, on a slow disk, five; positions wait for the turn.
PROPOSALS_A_TURN = 200

LOOK_AGAIN_S = 900.0


class EventData(Protocol):
    """What the desk asks the venue. Every call raises Retry when the venue cannot answer now."""

    def contracts(
        self, series: Sequence[str] | None, *, closing_before: datetime | None = None
    ) -> Sequence[Contract]: ...

    def contract(self, ticker: str) -> Contract | None: ...

    def quotes(self, markets: Sequence[str]) -> Mapping[str, Quote]: ...

    def close(self) -> None: ...


class EventDesk:
    """Follows what the venue lists and proposes each contract when its estimate is due, the soonest to close first.

    Args:
        estimators: asked in this order; the first that takes a contract's kind works out the belief.
        recorder: keeps every quote the decisions were made on; None keeps none.
        note: writes down how a contract ended that was estimated before.
    """

    def __init__(
        self,
        data: EventData,
        surface: Surface,
        settings: EventSettings,
        estimators: Sequence[Estimator],
        learner: Learner,
        clock: Clock,
        recorder: Recorder | None,
        note: Callable[[Outcome], None],
    ) -> None:
        self._data = data
        self._surface = surface
        self._settings = settings
        self._estimators = tuple(estimators)
        self._learner = learner
        self._pricing = Pricing(surface, settings, learner)
        self._clock = clock
        self._recorder = recorder
        self._note = note
        self._contracts: dict[str, Contract] = {}
        self._rules: dict[str, tuple[Contract, SettlementRule | Unread]] = {}
        self._due: dict[str, datetime] = {}
        self._next_list: datetime | None = None
        self._looked_up: dict[str, int] = {}
        self._look_ups = 0
        self._wanted: frozenset[str] = frozenset()
        self._told: dict[str, str] = {}
        self._quotes: Mapping[str, Quote] = {}
        self._quoted_ns: int | None = None

    def startup(self) -> None:
        """Read what is listed; may be called again after a failure."""
        self._list(self._clock.now())

    def instrument(self, market: str) -> Instrument | None:
        contract = self._contract(market)
        return None if contract is None else instrument_of(contract)

    def quotes(self) -> Mapping[str, Quote]:
        if self._quoted_ns is None or self._clock.monotonic_ns() - self._quoted_ns >= QUOTES_HOLD_NS:
            self._quotes = self._data.quotes(tuple(self._contracts))
            # Counted from the answer: thousands of markets take seconds, and each candidate would ask for all anew.
            self._quoted_ns = self._clock.monotonic_ns()
            if self._recorder is not None:
                self._recorder.quotes(self._quotes.values())
        return self._quotes

    def scan(self, now: datetime) -> Iterator[Proposal]:
        """Yield a proposal for every open contract whose estimate is due, so many a turn."""
        self._list_when_due(now)
        quotes = self.quotes()
        proposed = 0
        wanted = [c for ticker in self._wanted if (c := self._contracts.get(ticker)) is not None]
        waiting = [c for c in wanted if c.is_open(now) and self._due.get(c.ticker, now) <= now]
        for contract in sorted(waiting, key=lambda contract: (contract.close_at, contract.ticker)):
            quote = quotes.get(contract.ticker)
            if quote is None or not self._is_worth_a_look(quote):
                continue
            self._due[contract.ticker] = now + timedelta(seconds=self._settings.ask_s)
            proposal = self._proposal(contract, quote, now)
            if proposal is not None:
                yield proposal
                proposed += 1
                if proposed == PROPOSALS_A_TURN:
                    return

    def is_open(self, market: str, now: datetime) -> bool:
        contract = self._contracts.get(market)
        return contract is not None and contract.is_open(now)

    def trading_day(self, now: datetime) -> date:
        return now.astimezone(NEW_YORK).date()

    def day_start(self, day: date) -> datetime:
        return datetime.combine(day, time(), NEW_YORK).astimezone(self._clock.now().tzinfo)

    def trouble(self) -> str:
        """Return in words why there is nothing to do; empty when there is something."""
        if self._wanted or self._next_list is None:
            return ""
        categories = f" of the categories {', '.join(self._settings.categories)}" if self._settings.categories else ""
        hours = self._settings.horizon_hours
        return f"no open contract in {', '.join(self._settings.markets)}{categories} that closes within {hours} h"

    def close(self) -> None:
        self._data.close()
        if self._recorder is not None:
            self._recorder.close()

    def _contract(self, market: str) -> Contract | None:
        """Return a contract, asking the venue about one that is listed no more: a position in it may be held."""
        if market not in self._contracts:
            try:
                found = self._data.contract(market)
            except Retry as error:
                log.warning("contract_waits", market=market, error=str(error))
                return None
            if found is None:
                return None
            self._contracts[market] = found
        return self._contracts[market]

    def _list_when_due(self, now: datetime) -> None:
        if self._next_list is not None and now < self._next_list:
            return
        try:
            self._list(now)
        except Retry as error:
            log.warning("listing_waits", error=str(error))

    def _list(self, now: datetime) -> None:
        """Read the open contracts anew, and let go of those that are over."""
        settings = self._settings
        series = None if EVERY in settings.markets else settings.markets
        horizon = now + timedelta(hours=float(settings.horizon_hours))
        found = self._data.contracts(series, closing_before=horizon)
        wanted = [c for c in found if not settings.categories or c.category in settings.categories]
        listed = {contract.ticker: contract for contract in wanted}
        # What was estimated or is held stays known beside it; only what the settings ask for is proposed.
        self._wanted = frozenset(listed)
        self._contracts |= listed
        self._learn([t for t in {**self._contracts, **dict.fromkeys(self._learner.awaited)} if t not in listed])
        self._contracts = listed | {t: c for t, c in self._contracts.items() if t not in listed and not c.is_over}
        for forgotten in self._rules.keys() - self._contracts.keys():
            del self._rules[forgotten]
            self._due.pop(forgotten, None)
            self._told.pop(forgotten, None)
        self._next_list = now + timedelta(seconds=settings.list_s)

    def _learn(self, gone: Sequence[str]) -> None:
        """Read how contracts ended that are not open any more; what was estimated of them can be judged then.

        Those asked longest ago come first: fifty that are in no hurry to end, or one that can't be read, must not keep
        the others from it, nor the listing from being taken over.
        """
        self._looked_up = {ticker: self._looked_up.get(ticker, 0) for ticker in gone}
        for ticker in sorted(gone, key=self._looked_up.__getitem__)[:ENDS_A_TIME]:
            self._look_ups += 1
            self._looked_up[ticker] = self._look_ups
            try:
                fresh = self._data.contract(ticker)
            except (Retry, Refuse) as error:
                log.warning("end_waits", market=ticker, error=str(error))
                return
            self._ended(ticker, fresh)

    def _ended(self, ticker: str, fresh: Contract | None) -> None:
        if fresh is None:
            self._contracts.pop(ticker, None)
            return
        self._contracts[ticker] = fresh
        if fresh.is_over and fresh.value is not None and self._learner.awaits(ticker):
            self._note(outcome_of(fresh))

    def _is_worth_a_look(self, quote: Quote) -> bool:
        return quote.ask >= self._settings.min_price and quote.bid <= self._settings.max_price

    def _rule(self, contract: Contract) -> SettlementRule | Unread:
        """Return the reading of a contract's text, read again when the venue has changed anything in it."""
        terms, known = terms_of(contract), self._rules.get(contract.ticker)
        if known is None or known[0] != terms:
            known = self._rules[contract.ticker] = (terms, self._read(contract))
        return known[1]

    def _read(self, contract: Contract) -> SettlementRule | Unread:
        if not is_known(contract.fee_type):
            # Nobody should pay for an estimate of what can't be priced.
            return Unread(reason=f"the fee of kind {contract.fee_type[:40]!r} has no known formula")
        return read_rule(contract, void_in_terms=self._settings.void_in_terms)

    def _proposal(self, contract: Contract, quote: Quote, now: datetime) -> Proposal | None:
        """Return a proposal; None for a contract of a kind that is another surface's business."""
        rule = self._rule(contract)
        if isinstance(rule, Unread):
            # A text that stays the same stays unread: once told is enough until it changes or we start anew.
            is_news = self._told.get(contract.ticker) != rule.reason
            self._told[contract.ticker] = rule.reason
            return self._unread(contract, quote, rule.reason) if is_news else None
        estimator = next((one for one in self._estimators if one.takes(rule)), None)
        if estimator is None:
            log.debug("not_ours", market=contract.ticker, kind=rule.kind)
            return None
        candidates = tuple(candidate_of(contract, side, quote, self._surface, now, rule=rule) for side in Side)
        chosen = estimator

        def predict() -> Finish:
            belief = chosen.believe(contract, rule, now)
            return lambda: self._finish(contract, rule, belief)

        costs = estimator.costs_usd(contract, rule)
        return Proposal(
            candidates=candidates,
            predict=predict,
            is_slow=True,
            costs_usd=costs,
            refused=lambda: self._look_again(contract.ticker, now),
        )

    def _look_again(self, market: str, now: datetime) -> None:
        """Ask soon about a contract that was refused before anything was paid: a stop or a full budget passes."""
        self._due[market] = now + timedelta(seconds=min(self._settings.ask_s, LOOK_AGAIN_S))

    def _finish(self, asked: Contract, rule: SettlementRule, belief: Belief) -> Judged | None:
        """Price a belief at the newest quote; None when the contract is closed, or says something else by now."""
        market, now = asked.ticker, self._clock.now()
        contract, quote = self._contracts.get(market), self.quotes().get(market)
        if contract is None or quote is None or not contract.is_open(now):
            return None
        if terms_of(contract) != terms_of(asked):
            log.warning("terms_changed", market=market)
            self._due.pop(market, None)
            return None
        side, estimate = self._pricing.judge(contract, quote, belief, now)
        return candidate_of(contract, side, quote, self._surface, now, rule=rule, method=belief.method), estimate

    def _unread(self, contract: Contract, quote: Quote, reason: str) -> Proposal:
        candidate = candidate_of(contract, Side.BUY, quote, self._surface, self._clock.now(), unread=reason)
        return Proposal(candidates=(candidate,), predict=lambda: lambda: (candidate, blank(candidate)))


def terms_of(contract: Contract) -> Contract:
    """Return what a contract says, whatever has become of it: two that compare equal may share a reading."""
    return replace(contract, status=ContractStatus.ACTIVE, result="", value=None, expiration_value="")
