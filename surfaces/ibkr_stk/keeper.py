"""What the state machine asks for, carried out: entries taken back, one right stop for every position, splits.

Every order placed here is written down before it is sent, like an entry's, under an id that a restart derives again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial, singledispatchmethod

import structlog

from brokers.port import RestingExecutor
from domain.clock import Clock
from domain.errors import Ask, Refuse, Retry
from domain.ids import client_order_id
from domain.ledger.position import Position
from domain.operation import Suspension
from domain.order import TERMINAL, OrderEvent, OrderIntent
from domain.quotes import Instrument, Quote
from domain.vocabulary import ExitReason, Leg, OrderState, State, TimeInForce
from market.calendar import Calendar
from risk.gates.category import market_name
from strategies.stop_entry.actions import (
    Action,
    ArmEntry,
    CancelEntry,
    CancelStop,
    Escalate,
    Freeze,
    FreezeReason,
    PlaceStop,
    ResizeStop,
    Wait,
)
from strategies.stop_entry.arming import elapsed
from strategies.stop_entry.facts import Facts
from strategies.stop_entry.machine import Event, step
from strategies.stop_entry.params import StopEntryParams
from strategies.stop_entry.splits import off_scale
from surfaces.books import Books
from surfaces.entry import EntryDesk
from surfaces.ibkr_stk.ledger import OrderLedger
from surfaces.ibkr_stk.picture import ATTACHED, GONE, NOTHING, Asked, Observer, Picture
from surfaces.ibkr_stk.returned import Returned
from surfaces.ibkr_stk.splits import SplitDesk
from surfaces.ibkr_stk.unheeded import Unheeded

log = structlog.get_logger()
# For how long after a split the last session's close may still be one of before it.
REFERENCE_AGE = timedelta(days=4)
DOUBTS = frozenset({Event.FROZEN, Event.SHORT, Event.SPLIT_SUSPECTED, Event.UNEXPLAINED})


class Keeper:
    """Looks at every symbol in turn and does what its machine asks for.

    Args:
        markets: the symbols watched; those that something is held of, or an entry rests in, are looked after too.
    """

    def __init__(
        self,
        books: Books,
        executor: RestingExecutor,
        observer: Observer,
        asked: Asked,
        ledger: OrderLedger,
        params: StopEntryParams,
        clock: Clock,
        *,
        markets: Sequence[str],
        arms: bool,
        keep_s: float,
    ) -> None:
        self._books = books
        self._executor = executor
        self._observer = observer
        self._asked = asked
        self._ledger = ledger
        self._entries_of = ledger.entries
        self._params = params
        self._clock = clock
        self._markets = tuple(markets)
        self._minded: dict[str, None] = dict.fromkeys(markets)
        self._arms = arms
        self._keep_s = keep_s
        self._kept_at: datetime | None = None
        self._heard_at: datetime | None = None
        self._asked_at: dict[str, datetime] = {}
        self._splits = SplitDesk(books)
        self.returned = Returned(books, executor, params)
        self.unheeded = Unheeded(asked, params.retry_s)
        self._proposed: dict[str, str | None] = {}
        self._doubts: dict[str, bool] = {}
        self._uneven: set[str] = set()
        self.armable: dict[str, ArmEntry] = {}
        self.waits: dict[str, str] = {}

    def keep(
        self,
        entries: EntryDesk,
        *,
        calendar: Calendar,
        instruments: Mapping[str, Instrument],
        quotes: Mapping[str, Quote],
        stop_reasons: Sequence[str],
    ) -> None:
        """Look at every symbol once, if it is time to."""
        now = self._clock.now()
        if not _is_time(self._kept_at, now, self._keep_s):
            return
        self._kept_at = now
        self._rest_refused()
        self.armable.clear()
        picture = Picture.taken(self._executor)
        self.unheeded.look(picture, now)
        may_open = self._books.fold.state.state is State.RUN and not stop_reasons
        self._settle_stops(picture)
        self._hear_corrections(entries, calendar)
        self._withdraw_lingering(picture, entries)
        for market in self._looked_at():
            instrument = instruments.get(market)
            self._ask_given_up(market, picture, entries, calendar, instrument)
            facts = self._observer.facts(
                market,
                picture,
                calendar,
                instrument=instrument,
                quote=quotes.get(market),
                may_open=may_open and self._is_wanted(market),
                tick=Decimal("0.01") if instrument is None else instrument.tick,
            )
            self._tend(facts, entries)
            self.returned.tend(facts, picture, entries)

    def proposed(self, market: str) -> None:
        """Note that the gates were asked about an entry; one they refuse is proposed again only after a while."""
        self._proposed[market] = self._entries_of.get(market)

    def doubts(self, market: str) -> bool:
        """Tell whether the account does not hold what the journals explain: then nothing may be bought of it."""
        return self._doubts.get(market, False)

    def can_value(self, market: str, quote: Quote) -> bool:
        """Tell whether a price and the shares our journals hold are on one scale: around a split they are not."""
        position = self._position(market)
        # Of one not looked at yet the price decides: a day that began without its marks would begin wrong.
        if position is None or market in self._uneven:
            return False
        splits = self._books.fold.splits.get(position.signal_id, ())
        if splits and self._clock.now() - splits[-1].effective_at < REFERENCE_AGE:
            return True
        return off_scale(quote.last, self._observer.reference(market) or position.entry_price) is None

    def kept(self) -> tuple[str, ...]:
        """Return the symbols that shares are held of or an entry of ours rests in, watched or not."""
        held = [position.market for position in self._books.fold.positions()]
        return (*held, *(intent.market for intent in self._books.fold.unfinished(Leg.ENTRY)))

    def _is_wanted(self, market: str) -> bool:
        """Tell whether an entry may wait in a symbol: the operator watches it, and has this strategy do so."""
        entry = self._entries_of.get(market)
        rests = entry is not None and self._books.fold.order_state(entry) not in TERMINAL
        return market in self._markets and (self._arms or not rests)

    def _looked_at(self) -> tuple[str, ...]:
        # For good: what was taken back or sold a moment ago may yet turn out to have filled.
        self._minded |= dict.fromkeys(self.kept())
        return tuple(self._minded)

    def _rest_refused(self) -> None:
        until = self._clock.now() + timedelta(seconds=self._params.rearm_s)
        for market, before in self._proposed.items():
            if self._entries_of.get(market) == before:
                self._asked.rearm[market] = until
        self._proposed.clear()

    def _tend(self, facts: Facts, entries: EntryDesk) -> None:
        position = self._position(facts.symbol)
        (self._uneven.discard if facts.position == facts.held else self._uneven.add)(facts.symbol)
        if position is not None and self._splits.explain(facts, position):
            return
        self._thaw(facts)
        found = step(facts, self._params)
        self._doubts[facts.symbol] = not DOUBTS.isdisjoint(found.events)
        waits = "; ".join(a.reason for a in found.actions if isinstance(a, Wait))
        if waits != self.waits.get(facts.symbol):
            # Whoever asks why a symbol is not traded finds it in the log, once for each change.
            log.info("symbol_waits", market=facts.symbol, state=found.state, reason=waits)
            self.waits[facts.symbol] = waits
        for action in found.actions:
            if self._is_allowed(action):
                self._carry_out(action, facts, position, entries)

    def _is_allowed(self, action: Action) -> bool:
        """Tell whether the operating state lets an action be carried out: in HALT nothing but cancels is."""
        if isinstance(action, ArmEntry):
            return self._arms
        is_placing = isinstance(action, PlaceStop | ResizeStop | Escalate)
        return not (is_placing and self._books.fold.state.state is State.HALT)

    def _position(self, market: str) -> Position | None:
        return next((p for p in self._books.fold.positions() if p.market == market), None)

    @singledispatchmethod
    def _carry_out(self, action: object, facts: Facts, position: Position | None, entries: EntryDesk) -> None:
        """Do what an action asks for; waiting is done by doing nothing."""

    @_carry_out.register
    def _(self, action: ArmEntry, facts: Facts, position: Position | None, entries: EntryDesk) -> None:
        self.armable[facts.symbol] = action

    @_carry_out.register
    def _(self, action: CancelEntry, facts: Facts, position: Position | None, entries: EntryDesk) -> None:
        self._asked.cancels[action.order_id] = facts.now
        intent = self._books.fold.intents.get(action.order_id)
        if intent is not None:
            entries.withdraw(intent, action.reason)

    @_carry_out.register
    def _(self, action: CancelStop, facts: Facts, position: Position | None, entries: EntryDesk) -> None:
        self._asked.cancels[action.order_id] = facts.now
        log.warning("stop_cancelled", market=facts.symbol, order=action.order_id, reason=action.reason)
        self._try(lambda: self._executor.cancel(action.order_id), action.order_id)

    @_carry_out.register
    def _(self, action: ResizeStop, facts: Facts, position: Position | None, entries: EntryDesk) -> None:
        self._asked.sizes[action.order_id] = action.quantity, facts.now
        log.warning("stop_resized", market=facts.symbol, order=action.order_id, quantity=str(action.quantity))
        self._try(lambda: self._executor.amend(action.order_id, quantity=action.quantity), action.order_id)

    @_carry_out.register
    def _(self, action: PlaceStop, facts: Facts, position: Position | None, entries: EntryDesk) -> None:
        if position is not None and self._is_still(position):
            log.warning("stop_placed", market=facts.symbol, quantity=str(action.quantity))
            entries.protect(self._stop(position, action), partial(self._is_still, position))

    @_carry_out.register
    def _(self, action: Escalate, facts: Facts, position: Position | None, entries: EntryDesk) -> None:
        if position is not None and self._is_still(position):
            log.error("sold_at_market", market=facts.symbol, reason=action.reason, quantity=str(action.quantity))
            entries.protect(self._intent(position, action.quantity), partial(self._is_still, position))

    @_carry_out.register
    def _(self, action: Freeze, facts: Facts, position: Position | None, entries: EntryDesk) -> None:
        what = f"{action.ratio} for 1" if action.reason is FreezeReason.SPLIT else f"{facts.position} shares"
        log.error("symbol_frozen", market=facts.symbol, reason=action.reason, what=what)
        self._suspend(facts.symbol, f"{action.reason}: {what}, journals hold {facts.held}", lifted=False)

    def _is_still(self, position: Position) -> bool:
        """Tell whether the journals, read again, still hold a position like this, and nobody is selling it.

        The resolver may have written its exit since this turn began: both would sell the same shares. Asked once more
        when the intent is written: the resolver too looks at ours after it wrote its own, so that never both are sent.
        """
        self._books.follow()
        is_leaving = any(one.signal_id == position.signal_id for one in self._books.fold.unfinished(Leg.EXIT))
        return not is_leaving and self._books.fold.position(position.signal_id) == position

    def _stop(self, position: Position, action: PlaceStop) -> OrderIntent:
        """Return the protective order of a position: of its own kind, the strategy's trail for those that have one."""
        candidate = position.decision.candidate
        if candidate.trailing_percent is not None:
            return self._intent(
                position, action.quantity, trailing_percent=action.percent, trailing_offset=action.offset
            )
        if candidate.trailing_distance is not None:
            return self._intent(position, action.quantity, trailing_distance=candidate.trailing_distance)
        return self._intent(position, action.quantity, trigger=candidate.stop_loss)

    def _intent(self, position: Position, quantity: Decimal, **levels: Decimal | None) -> OrderIntent:
        # Attempt 1 went with the entry.
        attempt = self._books.fold.attempts(position.signal_id, Leg.STOP) + ATTACHED + 1
        is_trailing = "trailing_percent" in levels or "trailing_distance" in levels
        return OrderIntent(
            client_order_id=client_order_id(self._books.surface, position.signal_id, Leg.STOP, attempt),
            signal_id=position.signal_id,
            surface=self._books.surface,
            mode=self._books.mode,
            market=position.market,
            leg=Leg.STOP,
            attempt=attempt,
            side=position.side.opposite,
            quantity=quantity,
            decision_id=position.decision.id,
            broker_trade_id=position.broker_trade_id,
            reason=ExitReason.TRAILING_STOP if is_trailing else ExitReason.STOP_LOSS,
            tif=TimeInForce.GTC if levels else TimeInForce.DAY,
            **levels,  # type: ignore[arg-type]  # names of prices only
        )

    def _hear_corrections(self, entries: EntryDesk, calendar: Calendar) -> None:
        """Ask again about the entries of open positions: an execution may be corrected long after its order is done."""
        now, fold = self._clock.now(), self._books.fold
        if not _is_time(self._heard_at, now, self._params.settle_s):
            return
        self._heard_at = now
        for position in fold.positions():
            intent = fold.intents.get(client_order_id(self._books.surface, position.signal_id, Leg.ENTRY, 1))
            # IBKR tells the executions of the day only.
            if intent is not None and calendar.trading_day(position.opened_at) == calendar.trading_day(now):
                entries.ask(intent)

    def _ask_given_up(
        self,
        market: str,
        picture: Picture,
        entries: EntryDesk,
        calendar: Calendar,
        instrument: Instrument | None,
    ) -> None:
        """Ask again about the session's entries that were given up where shares are held that nobody explains.

        An order may fill after its cancel was confirmed.
        """
        now, fold = self._clock.now(), self._books.fold
        held = sum((one.quantity for one in fold.positions() if one.market == market), NOTHING)
        is_odd = picture.position(market) not in (None, held)
        if not (is_odd and _is_time(self._asked_at.get(market), now, self._params.retry_s)):
            return
        self._asked_at[market] = now
        given_up = [key for key in self._ledger.latest.get(market, ()) if fold.order_state(key) in GONE]
        today = [
            fold.intents[key]
            for key in given_up
            if key in fold.intents and calendar.trading_day(fold.intended_at[key]) == calendar.trading_day(now)
        ]
        news = [entries.ask(intent) for intent in today]
        if any(news) and instrument is not None:
            log.warning("filled_after_the_end", market=market)
            self._books.follow()  # nobody is invited into what the resolver has ended since
            entries.publish_fills(instrument)

    def _withdraw_lingering(self, picture: Picture, entries: EntryDesk) -> None:
        """Take back entries that were to fill at once and rest, and those that rest although they were given up.

        The machine minds entries with a trigger that are known to live; any other would outlast every STOP and close.
        """
        fold = self._books.fold
        resting = {order.client_order_id for order in picture.resting}
        for key, intent in [(key, fold.intents[key]) for key in resting if key in fold.intents]:
            state = fold.order_state(key)
            is_meant = intent.trigger is not None and state not in GONE
            if intent.leg is not Leg.ENTRY or is_meant or not self._is_due(key, fold.intended_at[key]):
                continue
            self._asked.cancels[key] = self._clock.now()
            log.warning("entry_lingers", order=key, state=state)
            entries.withdraw(intent, "rests and should not")

    def _is_due(self, order_id: str, intended_at: datetime) -> bool:
        """Tell whether an order may be asked to go, and was not a moment ago."""
        return elapsed(self._asked.cancels.get(order_id, intended_at), self._clock.now(), self._params.retry_s)

    def _settle_stops(self, picture: Picture) -> None:
        """Ask about protective orders whose fate is not known; what they sold is the resolver's to write."""
        listed = {order.client_order_id for order in picture.resting}
        fold = self._books.fold
        for intent in fold.unfinished(Leg.STOP):
            state = fold.order_state(intent.client_order_id)
            if state is OrderState.ACCEPTED and intent.client_order_id in listed:
                continue
            since = fold.intended_at[intent.client_order_id]
            self._try(partial(self._executor.find, intent.client_order_id, since=since), intent.client_order_id)

    def _try(self, ask: Callable[[], Sequence[OrderEvent]], order_id: str) -> None:
        try:
            events = ask()
        except (Retry, Ask, Refuse) as error:
            log.warning("stop_not_changed", order=order_id, error=str(error))
            return
        known = self._books.fold.intents
        news = [e for e in map(self._told, events) if e.client_order_id in known and not e.quantity]
        news = [event for event in news if self._books.fold.is_news(event)]
        self._books.happened(news)

    def _told(self, event: OrderEvent) -> OrderEvent:
        """Return what an order of a signal that is resolved came to, without its fill: no trade is left to count it."""
        if event.signal_id not in self._books.fold.resolutions or event.state not in TERMINAL or not event.quantity:
            return event
        log.warning("sold_after_the_end", order=event.client_order_id, quantity=str(event.quantity))
        return replace(
            event, quantity=NOTHING, price=None, realised=NOTHING, fee=NOTHING, transaction_id=None, revision=0
        )

    def _thaw(self, facts: Facts) -> None:
        """Lift a freeze once broker and journals count the same again."""
        if facts.frozen and facts.is_comparable and facts.position == facts.held:
            log.warning("symbol_thawed", market=facts.symbol)
            self._suspend(facts.symbol, "explained", lifted=True)

    def _suspend(self, market: str, reason: str, *, lifted: bool) -> None:
        until = self._clock.now() if lifted else None
        self._books.suspended(Suspension(name=market_name(market), reason=reason, until=until))


def _is_time(last: datetime | None, now: datetime, seconds: float) -> bool:
    """Tell whether something that is done every so often is due; what was never done is."""
    return last is None or elapsed(last, now, seconds)
