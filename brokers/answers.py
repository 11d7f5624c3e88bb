"""The events with which an order is answered, built from what is known of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from brokers.port import BrokerTrade, Fill
from domain.ids import signal_of_order
from domain.order import OrderEvent, OrderIntent
from domain.vocabulary import Leg, OrderState


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What every event of one order repeats."""

    client_order_id: str
    signal_id: str
    leg: Leg
    currency: str
    at: datetime

    def event(self, state: OrderState, **facts: Any) -> OrderEvent:
        return OrderEvent(
            client_order_id=self.client_order_id,
            signal_id=self.signal_id,
            leg=self.leg,
            state=state,
            learned_at=self.at,
            currency=self.currency,
            **({"happened_at": self.at} | facts),
        )

    def filled(self, fill: Fill, state: OrderState = OrderState.FILLED, order_id: str | None = None) -> OrderEvent:
        """Return the event of one execution; ``order_id`` is the broker's, where it is not the execution's own."""
        return self.event(
            state,
            happened_at=fill.happened_at,
            quantity=fill.quantity,
            price=fill.price,
            realised=fill.realised,
            fee=fill.fee,
            broker_order_id=order_id or fill.transaction_id,
            broker_trade_id=fill.trade_id,
            transaction_id=fill.transaction_id,
        )

    def restored(self, trade: BrokerTrade) -> OrderEvent:
        return self.event(
            OrderState.FILLED,
            happened_at=trade.opened_at,
            quantity=trade.quantity,
            price=trade.price,
            broker_trade_id=trade.trade_id,
            transaction_id=trade.trade_id,
        )


def answer_to(intent: OrderIntent, currency: str, at: datetime) -> Answer:
    return Answer(
        client_order_id=intent.client_order_id,
        signal_id=intent.signal_id,
        leg=intent.leg,
        currency=currency,
        at=at,
    )


def answer_to_id(client_order_id: str, currency: str, at: datetime) -> Answer:
    """Build an answer from the id alone; one that is not of our making counts as an entry of no signal."""
    _, signal_id, leg, _ = signal_of_order(client_order_id) or (None, "", Leg.ENTRY, 0)
    return Answer(client_order_id=client_order_id, signal_id=signal_id, leg=leg, currency=currency, at=at)
