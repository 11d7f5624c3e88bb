"""The protective levels of one imaginary trade, and the stop order that stands for them where stops are orders."""

from dataclasses import dataclass, replace
from decimal import Decimal

from brokers.port import BrokerTrade, RestingOrder
from domain.exits.plan import ExitPlan, Target, Trailing
from domain.exits.state import ExitState, replanned, start
from domain.ids import client_order_id, signal_of_order
from domain.order import OrderIntent
from domain.vocabulary import Leg, TimeInForce


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """How a trade ends by itself. ``order_id`` is our id of its stop order, which closes up to ``quantity``."""

    plan: ExitPlan
    state: ExitState
    order_id: str | None
    quantity: Decimal

    @property
    def has_stop(self) -> bool:
        return self.plan.stop is not None or self.plan.trailing is not None

    def reduced(self, left: Decimal) -> "Protection":
        """Return this for a trade of which only so much is left."""
        state = replace(self.state, remaining=left)
        return replace(self, state=state, quantity=min(self.quantity, left))


def protection_of(trade: BrokerTrade, *, stop_orders: bool) -> Protection:
    """Return what protects a trade that has just been opened.

    Args:
        stop_orders: whether its stop is an order of its own: then it is the one sent with the entry.
    """
    plan = plan_of(trade)
    return Protection(
        plan=plan,
        state=start(plan, trade.side, trade.price, trade.quantity, trade.opened_at),
        order_id=first_stop(trade) if stop_orders else None,
        quantity=trade.quantity,
    )


def plan_of(trade: BrokerTrade) -> ExitPlan:
    trailing = None
    if trade.trailing_percent is not None:
        trailing = Trailing(percent=trade.trailing_percent)
    elif trade.trailing_distance is not None:
        trailing = Trailing(distance=trade.trailing_distance)
    targets = () if trade.take_profit is None else (Target(price=trade.take_profit),)
    return ExitPlan(stop=trade.stop_loss, trailing=trailing, targets=targets)


def changed(known: Protection, trade: BrokerTrade, *, best: Decimal | None = None) -> Protection:
    """Return the protection of a trade whose levels were replaced; ``best`` is what a trailing stop starts from."""
    plan = plan_of(trade)
    return replace(known, plan=plan, state=replanned(plan, known.state, best=best))


def resting_stop(trade: BrokerTrade, known: Protection) -> RestingOrder | None:
    """Return the stop order of a trade as its broker would show it."""
    if known.order_id is None or not known.has_stop:
        return None
    return RestingOrder(
        client_order_id=known.order_id,
        broker_order_id=f"{trade.trade_id}-stop",
        market=trade.market,
        side=trade.side.opposite,
        quantity=known.quantity,
        trigger=known.state.stop,
        trailing_percent=trade.trailing_percent,
        trailing_distance=trade.trailing_distance,
        tif=TimeInForce.GTC,
    )


def first_stop(trade: BrokerTrade) -> str | None:
    """Return the id of the stop order sent with the entry of a trade, None when the entry was not ours."""
    parsed = signal_of_order(trade.client_order_id or "")
    return None if parsed is None else client_order_id(parsed[0], parsed[1], Leg.STOP, 1)


def sells_now(intent: OrderIntent) -> bool:
    """Tell whether an order of the leg ``STOP`` has no level to wait for."""
    return intent.trigger is None and intent.trailing_percent is None and intent.trailing_distance is None
