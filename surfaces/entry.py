"""The way of an admitted decision to a published signal: intent, last look, socket, events, signal."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal

import structlog

from brokers.port import Executor
from domain.decision import Decision
from domain.errors import Ask, Refuse, Retry
from domain.ids import client_order_id
from domain.ledger.position import Position
from domain.order import OrderEvent, OrderIntent
from domain.quotes import Instrument
from domain.signal import SignalOpen
from domain.surface_settings import SurfaceSettings
from domain.vocabulary import Leg, OrderState, Surface
from journal import failpoints
from surfaces.books import Books

log = structlog.get_logger()
BP = Decimal(10_000)


class EntryDesk:
    """Sends entry orders, each at most once, and publishes what filled.

    Args:
        stop_reasons: asked last before the socket; any reason it returns keeps the order in.
    """

    def __init__(
        self, books: Books, executor: Executor, settings: SurfaceSettings, stop_reasons: Callable[[], Sequence[str]]
    ) -> None:
        self._books = books
        self._executor = executor
        self._settings = settings
        self._stop_reasons = stop_reasons

    def execute(self, decision: Decision, instrument: Instrument) -> None:
        """Write the intent, look at the STOP files once more, send the order and publish its fill."""
        intent = self._intent(decision, instrument)
        self._books.intended(intent)
        if reasons := self._stop_reasons():
            self._note(intent, OrderState.ABSENT, f"stopped before sending: {', '.join(reasons)}")
            return
        self._send(intent)
        self.publish_fills(instrument)

    def protect(self, intent: OrderIntent, is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Write the intent of a protective order and send it; a STOP file does not keep it in.

        Args:
            is_wanted: asked last before the socket, when whoever might sell the same can see the intent.
        """
        self._books.intended(intent)
        if is_wanted():
            self._send(intent, protects=True)
        else:
            self._note(intent, OrderState.ABSENT, "not sent: the position is being closed, or is another by now")

    def settle_unknown(self, intent: OrderIntent) -> bool:
        """Ask the broker about an order whose outcome is not known; return whether it is known now."""
        return self.ask(intent) is not None

    def ask(self, intent: OrderIntent) -> bool | None:
        """Ask the broker about an order; return whether it said anything new, None when it could not tell."""
        since = self._books.fold.intended_at[intent.client_order_id]
        try:
            events = self._executor.find(intent.client_order_id, since=since)
        except (Retry, Ask) as error:
            log.warning("order_still_unknown", order=intent.client_order_id, error=str(error))
            return None
        news = [event for event in events if self._books.fold.is_news(event)]
        self._books.happened(news)
        return bool(news)

    def withdraw(self, intent: OrderIntent, reason: str) -> None:
        """Ask the broker to take a resting order back; that it did is only known once ``ask`` says so."""
        log.info("withdrawing", order=intent.client_order_id, reason=reason)
        try:
            events = self._executor.cancel(intent.client_order_id)
        except (Retry, Ask, Refuse) as error:
            log.warning("not_withdrawn", order=intent.client_order_id, error=str(error))
            return
        self._books.happened([event for event in events if self._books.fold.is_news(event)])

    def publish_fills(self, instrument: Instrument) -> None:
        """Publish every open position of this instrument whose signal is not in the journal yet."""
        for position in self._books.fold.unpublished():
            if position.market == instrument.name:
                self._publish(position, instrument)

    def _send(self, intent: OrderIntent, *, protects: bool = False) -> None:
        try:
            events = self._submit(intent)
        except Ask as error:
            # Never resent: the market stays blocked until a query by our id answers (brokers.md 5, row 1).
            self._note(intent, OrderState.UNKNOWN, str(error))
        except Retry as error:
            self._note(intent, OrderState.ABSENT, f"not taken: {error}")
        except Refuse as error:
            self._note(intent, OrderState.REJECTED, str(error))
        else:
            # What a protective order sells is an exit, and exits are the resolver's to write.
            self._books.happened([event for event in events if not (protects and event.quantity)])

    def _submit(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        if failpoints.armed:
            failpoints.reach("before_order")
        events = self._executor.submit(intent)
        if failpoints.armed:
            failpoints.reach("after_order")
        return events

    def _note(self, intent: OrderIntent, state: OrderState, reason: str) -> None:
        now = self._books.now()
        log.warning("order_not_filled", order=intent.client_order_id, state=state, reason=reason)
        self._books.happened(
            [
                OrderEvent(
                    client_order_id=intent.client_order_id,
                    signal_id=intent.signal_id,
                    leg=intent.leg,
                    state=state,
                    happened_at=now,
                    learned_at=now,
                    reason=reason,
                )
            ]
        )

    def _intent(self, decision: Decision, instrument: Instrument) -> OrderIntent:
        candidate = decision.candidate
        if decision.signal_id is None:
            raise ValueError(f"decision {decision.id} was not admitted")
        attempt = self._books.fold.attempts(decision.signal_id, Leg.ENTRY) + 1
        return OrderIntent(
            client_order_id=client_order_id(self._books.surface, decision.signal_id, Leg.ENTRY, attempt),
            signal_id=decision.signal_id,
            surface=decision.surface,
            mode=decision.mode,
            market=candidate.market,
            leg=Leg.ENTRY,
            attempt=attempt,
            side=candidate.side,
            quantity=decision.size.quantity,
            decision_id=decision.id,
            price_bound=self._bound(decision, instrument) if candidate.trigger is None else candidate.limit,
            stop_loss=candidate.stop_loss,
            # Stocks rest under one protective order, and two would have to be kept from selling the shares twice: the
            # resolver takes their profits.
            take_profit=None if self._books.surface is Surface.STK else candidate.take_profit,
            trailing_distance=candidate.trailing_distance,
            trigger=candidate.trigger,
            trailing_percent=candidate.trailing_percent,
            trailing_offset=candidate.trailing_offset,
            tif=candidate.tif,
            outside_hours=candidate.outside_hours,
        )

    def _bound(self, decision: Decision, instrument: Instrument) -> Decimal:
        """Return the worst acceptable entry, rounded towards the market so that it is never looser than asked."""
        candidate = decision.candidate
        price = candidate.quote.entry_price(candidate.side)
        slip = instrument.basis(price) * self._settings.max_slip_bp / BP
        bound = price + candidate.side.sign * slip
        return instrument.round_price(bound, candidate.side)

    def _publish(self, position: Position, instrument: Instrument) -> None:
        now = self._books.now()
        age = (now - position.opened_at).total_seconds()
        if age > self._settings.signal_ttl_s:
            log.warning("fill_too_old_to_publish", signal=position.signal_id, age_s=age)
            return
        self._books.published(_signal(position, instrument, self._books, self._settings))


def _signal(position: Position, instrument: Instrument, books: Books, settings: SurfaceSettings) -> SignalOpen:
    decision, candidate, now = position.decision, position.decision.candidate, books.now()
    return SignalOpen(
        id=position.signal_id,
        signal_id=position.signal_id,
        surface=books.surface,
        mode=books.mode,
        market=candidate.market,
        side=candidate.side,
        strategy=candidate.strategy,
        sub_strategy=candidate.sub_strategy,
        thesis=candidate.thesis,
        reference_price=position.entry_price,
        stop_loss=candidate.stop_loss,
        take_profit=candidate.take_profit,
        trailing_distance=candidate.trailing_distance,
        trailing_percent=candidate.trailing_percent,
        quantity=position.quantity_in,
        quote_currency=instrument.quote_currency,
        edge_bp=decision.estimate.edge_bp,
        confidence=decision.estimate.confidence,
        eta_hours=decision.estimate.eta_hours,
        decision_id=decision.id,
        opened_at=position.opened_at,
        published_at=now,
        expires_at=now + timedelta(seconds=settings.signal_ttl_s),
        dead_man=settings.dead_man,
    )
