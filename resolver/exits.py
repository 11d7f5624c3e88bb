"""The exits a resolver makes by itself: time is up, a flatten was ordered, or the broker's own stop did not act."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from brokers.port import BrokerTrade, Executor, MarketData
from domain.errors import Ask, Refuse, Retry
from domain.ids import client_order_id
from domain.ledger.position import Position
from domain.order import TERMINAL, OrderEvent, OrderIntent
from domain.surface_settings import SurfaceSettings
from domain.vocabulary import ExitReason, Kind, Leg, OrderState, State
from journal import failpoints
from resolver.books import ResolverBooks
from strategies.exits import first_exit

log = structlog.get_logger()
# How long the broker may take to act on a crossed level before we do it: two closed one-minute bars.
GRACE = timedelta(seconds=120)
CHECK_PERIOD_S = 60
# Between two attempts to close an event contract that found nobody.
FIRST_PAUSE, LONGEST_PAUSE, MOST_DOUBLINGS = timedelta(seconds=60), timedelta(hours=1), 10


class ExitDesk:
    """Keeps every position protected and closes those that should be closed and are not."""

    def __init__(self, books: ResolverBooks, executor: Executor, data: MarketData, settings: SurfaceSettings) -> None:
        self._books = books
        self._executor = executor
        self._data = data
        self._settings = settings

    def tend(self, position: Position, trade: BrokerTrade) -> None:
        """Look after one open position. In HALT nothing but looking is done."""
        fold = self._books.fold
        if fold.state.state is State.HALT or not self._settle_earlier(position):
            return
        reason = self._due(position, self._books.clock.now())
        if reason is not None:
            if self._may_close_now(position):
                self._close(position, trade, reason)
        elif trade.stop_loss is None and trade.trailing_distance is None:
            self._protect(position, trade)

    def _due(self, position: Position, now: datetime) -> ExitReason | None:
        fold = self._books.fold
        is_tripped = fold.day is not None and fold.day.tripped
        if fold.state.flatten or (is_tripped and self._settings.flatten_on_breaker):
            return ExitReason.FLATTEN
        longest = self._settings.max_holding_hours
        if longest is not None and now - position.opened_at >= timedelta(hours=float(longest)):
            return ExitReason.TIME
        return self._overdue(position, now)

    def _may_close_now(self, position: Position) -> bool:
        """Tell whether an exit is worth an order: an event contract nobody bids for is tried ever more seldom.

        Its market ends by itself; after the close only the settlement is left to wait for.
        """
        closes_at, now, fold = position.decision.candidate.closes_at, self._books.clock.now(), self._books.fold
        tried = fold.attempts(position.signal_id, Leg.EXIT)
        if closes_at is None or not tried:
            return closes_at is None or now < closes_at
        last = client_order_id(self._books.surface, position.signal_id, Leg.EXIT, tried)
        pause = min(FIRST_PAUSE * 2 ** min(tried - 1, MOST_DOUBLINGS), LONGEST_PAUSE)
        return now < closes_at and now - fold.intended_at.get(last, now - pause) >= pause

    def _overdue(self, position: Position, now: datetime) -> ExitReason | None:
        """Return the level that the market crossed so long ago that the broker should have acted."""
        candidate = position.decision.candidate
        # The levels of an event contract are the bounds of its price: no order rests there, and none is needed.
        if now - position.opened_at < GRACE or candidate.closes_at is not None:
            return None
        bars = self._data.bars(position.market, CHECK_PERIOD_S, start=position.opened_at, end=now - GRACE)
        for bar in bars:
            exit_ = first_exit(
                side=position.side, stop_loss=candidate.stop_loss, take_profit=candidate.take_profit, bar=bar
            )
            if exit_ is not None and bar.start >= position.opened_at:
                return exit_.reason
        return None

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

    def _write_without_fills(self, events: Sequence[OrderEvent]) -> None:
        rows = [(Kind.ORDER_EVENT, None, event) for event in events if event.quantity == 0]
        if rows:
            self._books.write(rows)

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
            quantity=trade.quantity,
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
