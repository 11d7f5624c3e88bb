"""The exits a resolver makes by itself: time is up, a flatten was ordered, or the broker's own stop did not act."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from brokers.port import BrokerTrade, Executor, MarketData
from domain.errors import Ask, Refuse, Retry
from domain.ids import client_order_id
from domain.ledger.position import Position
from domain.order import TERMINAL, OrderEvent, OrderIntent
from domain.quotes import Bar
from domain.surface_settings import SurfaceSettings
from domain.vocabulary import ExitReason, Kind, Leg, OrderState, State, Surface
from journal import failpoints
from resolver.books import ResolverBooks
from resolver.overdue import Crossed, Watch
from strategies.exits import ExitPlan, on_quote, plan_of, start

log = structlog.get_logger()
# Between two attempts to close an event contract that found nobody.
FIRST_PAUSE, LONGEST_PAUSE, MOST_DOUBLINGS = timedelta(seconds=60), timedelta(hours=1), 10
# Between two attempts to close a stock: a broker that refuses an order every second shuts its sender out.
FIRST_REST, LONGEST_REST = timedelta(seconds=1), timedelta(seconds=15)


class ExitDesk:
    """Keeps every position protected and closes those that should be closed and are not.

    Args:
        acts_in: tells of a bar whether the broker's stops act while it lasts: those of stocks rest outside the session.
    """

    def __init__(
        self,
        books: ResolverBooks,
        executor: Executor,
        data: MarketData,
        settings: SurfaceSettings,
        acts_in: Callable[[Bar], bool] = lambda bar: True,
    ) -> None:
        self._books = books
        self._executor = executor
        self._settings = settings
        self._watch = Watch(data, acts_in)

    def tend(self, position: Position, trade: BrokerTrade) -> None:
        """Look after one open position. In HALT nothing but looking is done."""
        fold = self._books.fold
        self._watch.keep_only([held.signal_id for held in fold.positions()])
        if fold.state.state is State.HALT or not self._settle_earlier(position) or self._is_being_sold(position):
            return
        reason = self._due(position, trade, self._books.clock.now())
        if reason is not None:
            if self._may_close_now(position):
                self._close(position, trade, reason)
        elif _is_bare(trade) and self._books.surface is not Surface.STK:  # stocks: the surface sends their stops
            self._protect(position, trade)

    def crossed(self, position: Position) -> Crossed | None:
        """Return the level of a position that the market met, None when it met none."""
        splits = self._books.fold.splits.get(position.signal_id, ())
        return self._watch.crossed(position, splits, self._books.clock.now())

    def _due(self, position: Position, trade: BrokerTrade, now: datetime) -> ExitReason | None:
        fold = self._books.fold
        is_tripped = fold.day is not None and fold.day.tripped
        if fold.state.flatten or (is_tripped and self._settings.flatten_on_breaker):
            return ExitReason.FLATTEN
        plan, splits = self._plan(position), fold.splits.get(position.signal_id, ())
        state = start(plan, position.side, position.entry_price, position.quantity, position.opened_at)
        # Without a quote only the clock decides.
        _, due = on_quote(plan, state, None, now)
        return due[0].reason if due else self._watch.overdue(position, trade, splits, now, self._known_at(position))

    def _known_at(self, position: Position) -> datetime:
        """Return when the surface learned that a position was opened."""
        opened = self._books.fold.events.get(client_order_id(self._books.surface, position.signal_id, Leg.ENTRY, 1), ())
        return min((event.learned_at for event in opened if event.quantity), default=position.opened_at)

    def _plan(self, position: Position) -> ExitPlan:
        """Return what ends a position: its own levels, our longest holding time, and the end of its session.

        The end of an event contract's trading is no exit: its settlement is.
        """
        candidate, longest = position.decision.candidate, self._settings.max_holding_hours
        return plan_of(
            candidate,
            time_limit=None if longest is None else timedelta(hours=float(longest)),
            flat_at=None if candidate.is_event else candidate.closes_at,
        )

    def _may_close_now(self, position: Position) -> bool:
        """Tell whether an exit is worth an order: what came to nothing is tried ever more seldom.

        The market of an event contract ends by itself; after the close only the settlement is left to wait for.
        """
        candidate, now, fold = position.decision.candidate, self._books.clock.now(), self._books.fold
        closes_at = candidate.closes_at if candidate.is_event else None
        tried = fold.attempts(position.signal_id, Leg.EXIT)
        is_over = closes_at is not None and now >= closes_at
        if is_over or not tried or (closes_at is None and self._books.surface is not Surface.STK):
            return not is_over
        last = client_order_id(self._books.surface, position.signal_id, Leg.EXIT, tried)
        first, longest = (FIRST_REST, LONGEST_REST) if closes_at is None else (FIRST_PAUSE, LONGEST_PAUSE)
        pause = min(first * (1 << min(tried - 1, MOST_DOUBLINGS)), longest)
        return abs(now - fold.intended_at.get(last, now - pause)) >= pause

    def _protect(self, position: Position, trade: BrokerTrade) -> None:
        candidate = position.decision.candidate
        log.error("position_without_stop", signal=position.signal_id, trade=trade.trade_id)
        if failpoints.armed:
            failpoints.reach("before_order")
        self._executor.protect(
            trade.trade_id,
            stop_loss=candidate.stop_loss,
            take_profit=candidate.take_profit,
            trailing_distance=candidate.trailing_distance,
        )
        if failpoints.armed:
            failpoints.reach("after_order")

    def _close(self, position: Position, trade: BrokerTrade, reason: ExitReason) -> None:
        intent = self._intent(position, trade, reason)
        log.warning("closing", signal=position.signal_id, reason=reason, order=intent.client_order_id)
        self._books.write([(Kind.ORDER_INTENT, intent.client_order_id, intent)])
        # Both write before they look, so that of two sales at the same moment one is seen by the other.
        self._books.follow()
        if self._is_being_sold(position):
            self._note(intent, OrderState.ABSENT, "not sent: the surface sells these shares")
            return
        try:
            events = self._submit(intent)
        except Ask as error:
            self._note(intent, OrderState.UNKNOWN, str(error))
        except Retry as error:
            self._note(intent, OrderState.ABSENT, str(error))
        except Refuse as error:
            self._note(intent, OrderState.REJECTED, str(error))
        else:
            # Fills are booked from the broker's transactions alone, so that none is booked twice.
            self._write_without_fills(events)

    def _submit(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        if failpoints.armed:
            failpoints.reach("before_order")
        events = self._executor.submit(intent)
        if failpoints.armed:
            failpoints.reach("after_order")
        return events

    def _settle_earlier(self, position: Position) -> bool:
        """Return whether no earlier exit order is still on its way; ask the broker about those that are."""
        fold = self._books.fold
        clear = True
        for intent in fold.unfinished(Leg.EXIT):
            if intent.signal_id != position.signal_id:
                continue
            since = fold.intended_at[intent.client_order_id]
            try:
                self._write_without_fills(self._executor.find(intent.client_order_id, since=since))
            except (Retry, Ask) as error:
                log.warning("exit_still_unknown", order=intent.client_order_id, error=str(error))
            clear = clear and fold.order_state(intent.client_order_id) in TERMINAL
        return clear

    def _is_being_sold(self, position: Position) -> bool:
        """Tell whether the surface sells a position at the market, as it does with what no stop can protect.

        The broker is asked how that stands: whoever wrote the intent may have died before it was sent.
        """
        sales = [intent for intent in self._books.fold.unfinished(Leg.STOP) if intent.sells_at_once]
        return not all(self._is_over(intent) for intent in sales if intent.signal_id == position.signal_id)

    def _is_over(self, intent: OrderIntent) -> bool:
        since = self._books.fold.intended_at[intent.client_order_id]
        try:
            events = self._executor.find(intent.client_order_id, since=since)
        except (Retry, Ask) as error:
            log.warning("sale_still_unknown", order=intent.client_order_id, error=str(error))
            return False
        return bool(events) and events[-1].state in TERMINAL and self._are_booked(events)

    def _write_without_fills(self, events: Sequence[OrderEvent]) -> None:
        if not self._are_booked(events):
            return
        rows = [(Kind.ORDER_EVENT, None, event) for event in events if event.quantity == 0]
        if rows:
            self._books.write(rows)

    def _are_booked(self, events: Sequence[OrderEvent]) -> bool:
        """Tell whether the fills among these are in our journals.

        A stock's fill waits for its fee: an order that ended after a part of it filled is not over before that part is
        booked, or the next exit would be as large as if nothing had been sold.
        """
        known = {
            one.transaction_id for event in events for one in self._books.fold.events.get(event.client_order_id, ())
        }
        fills = [event for event in events if event.quantity]
        return self._books.surface is not Surface.STK or all(event.transaction_id in known for event in fills)

    def _intent(self, position: Position, trade: BrokerTrade, reason: ExitReason) -> OrderIntent:
        attempt = self._books.fold.attempts(position.signal_id, Leg.EXIT) + 1
        return OrderIntent(
            client_order_id=client_order_id(self._books.surface, position.signal_id, Leg.EXIT, attempt),
            signal_id=position.signal_id,
            surface=self._books.surface,
            mode=self._books.mode,
            market=position.market,
            leg=Leg.EXIT,
            attempt=attempt,
            side=position.side.opposite,
            quantity=_to_close(position, trade),
            decision_id=position.decision.id,
            broker_trade_id=trade.trade_id,
            reason=reason,
        )

    def _note(self, intent: OrderIntent, state: OrderState, reason: str) -> None:
        now = self._books.clock.now()
        event = OrderEvent(
            client_order_id=intent.client_order_id,
            signal_id=intent.signal_id,
            leg=intent.leg,
            state=state,
            happened_at=now,
            learned_at=now,
            reason=reason,
        )
        self._books.write([(Kind.ORDER_EVENT, None, event)])


def _is_bare(trade: BrokerTrade) -> bool:
    return trade.stop_loss is None and trade.trailing_distance is None and trade.trailing_percent is None


def _to_close(position: Position, trade: BrokerTrade) -> Decimal:
    """Return how much to close: all the broker holds, which after a part was sold may be a count of before that."""
    return min(trade.quantity, position.quantity) if position.exits else trade.quantity
