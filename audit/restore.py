"""Positions turned back into a broker's trades, for an executor that has no memory of its own."""

from collections.abc import Iterable

from brokers.port import BrokerTrade
from domain.ids import client_order_id
from domain.ledger.position import Position
from domain.vocabulary import Leg


def trades_of(positions: Iterable[Position]) -> list[BrokerTrade]:
    """Return what a broker would hold open if these positions were its own."""
    return [_trade(position) for position in positions]


def _trade(position: Position) -> BrokerTrade:
    candidate = position.decision.candidate
    return BrokerTrade(
        trade_id=position.broker_trade_id or position.signal_id,
        client_order_id=client_order_id(candidate.surface, position.signal_id, Leg.ENTRY, 1),
        market=position.market,
        side=position.side,
        quantity=position.quantity,
        price=position.entry_price,
        opened_at=position.opened_at,
        stop_loss=candidate.stop_loss,
        take_profit=candidate.take_profit,
        trailing_distance=candidate.trailing_distance,
        trailing_percent=candidate.trailing_percent,
    )
