"""Our orders as IBKR wants them: on the tick, with an explicit time in force, an account and our reference."""

from decimal import Decimal
from typing import Any

from brokers.ibkr import references
from brokers.ibkr.config import IbkrConfig
from domain.errors import Refuse
from domain.order import OrderIntent
from domain.quotes import Instrument
from domain.vocabulary import Leg, Side, TimeInForce

# How the other orders of a group end when one fills: 1 takes them back, with protection against both acting.
CANCEL_REST = 1
# A one-cancels-all group's name, and how the others end.
Group = tuple[str, int]
_TIF = {TimeInForce.DAY: "DAY", TimeInForce.GTC: "GTC", None: "DAY"}
_HUNDRED = Decimal(100)


class Tickets:
    """Builds the SDK's orders from intents."""

    def __init__(self, sdk: Any, config: IbkrConfig) -> None:
        self._sdk = sdk
        self._config = config

    def of_intent(self, intent: OrderIntent, instrument: Instrument, *, group: Group | None) -> list[Any]:
        """Return the order of an intent, and behind an entry the order that protects it.

        Args:
            group: of what sells at once, so that it takes the stop back; None for what leaves a rest to protect.

        Raises:
            Refuse: IBKR has no such order.
        """
        if intent.take_profit is not None:
            raise Refuse("an order whose only protection is its stop", "a take_profit", "let the resolver take profits")
        if intent.leg is Leg.ENTRY:
            return self._entry(intent, instrument)
        if intent.leg is Leg.STOP:
            if not has_level(intent):
                # A stop that could not do its work: sold at the market, and the group takes the stop back.
                order = self._order(intent, instrument, intent.side)
                self._kind(order, intent, instrument)
                return [_grouped(order, group)]
            return [self.protective(intent, instrument, intent.side, intent.client_order_id)]
        order = self._order(intent, instrument, intent.side)
        self._kind(order, intent, instrument)
        return [_grouped(order, group)]

    def protective(self, intent: OrderIntent, instrument: Instrument, side: Side, reference: str) -> Any:
        """Return the stop of an intent: trailing by a percentage or a distance, or fixed; good till cancelled."""
        order = self._order(intent, instrument, side, reference)
        order.tif = "GTC"
        if intent.trailing_percent is not None or intent.trailing_distance is not None:
            self._trailing(order, intent, instrument, side)
        else:
            stop = intent.trigger if intent.leg is Leg.STOP else intent.stop_loss
            if stop is None:
                raise Refuse("a stop with a trigger, a percentage or a distance", "none of them", "give it one")
            order.orderType = "STP"
            order.auxPrice = float(instrument.round_price(stop, side.opposite))
        return _grouped(order, own_group(intent))

    def resized(self, terms: Any, quantity: Decimal, *, parent_is_done: bool) -> Any:
        """Return an order with another total quantity, to be sent under its own number."""
        order = terms.sdk_order
        order.totalQuantity = _number(quantity)
        order.transmit = True
        if parent_is_done:
            order.parentId = 0  # IBKR looks for the parent otherwise, and answers 135
        if order.orderType.startswith("TRAIL") and (terms.trailing_percent is not None or not order.auxPrice):
            order.auxPrice = self._sdk.UNSET_DOUBLE
        if order.orderType == "TRAIL LIMIT" and order.lmtPriceOffset not in (0.0, self._sdk.UNSET_DOUBLE):
            order.lmtPrice = self._sdk.UNSET_DOUBLE  # IBKR tells both, and takes one: 321 otherwise
        return order

    def _entry(self, intent: OrderIntent, instrument: Instrument) -> list[Any]:
        entry = self._order(intent, instrument, intent.side)
        self._kind(entry, intent, instrument)
        if not _has_stop(intent):
            return [entry]
        entry.transmit = False
        reference = references.stop_of(intent.client_order_id)
        if reference is None:
            raise Refuse("a client order id of ours", intent.client_order_id, "derive it from the signal")
        return [entry, self.protective(intent, instrument, intent.side.opposite, reference)]

    def _order(self, intent: OrderIntent, instrument: Instrument, side: Side, reference: str | None = None) -> Any:
        quantity = instrument.round_quantity(intent.quantity)
        if quantity <= 0:
            raise Refuse(f"at least {instrument.quantity_min} of {instrument.name}", str(intent.quantity), "size it")
        return self._sdk.Order(
            action=side.upper(),
            totalQuantity=_number(quantity),
            tif=_TIF[intent.tif],
            account=self._config.account,
            orderRef=reference or intent.client_order_id,
            outsideRth=intent.outside_hours,
            transmit=True,
        )

    def _kind(self, order: Any, intent: OrderIntent, instrument: Instrument) -> None:
        """Choose among market, limit, stop and stop limit by what the intent has."""
        limited, triggered = intent.price_bound is not None, intent.trigger is not None
        order.orderType = {(0, 0): "MKT", (1, 0): "LMT", (0, 1): "STP", (1, 1): "STP LMT"}[limited, triggered]
        if intent.price_bound is not None:
            order.lmtPrice = float(instrument.round_price(intent.price_bound, intent.side))
        if intent.trigger is not None:
            order.auxPrice = float(instrument.round_price(intent.trigger, intent.side.opposite))

    def _trailing(self, order: Any, intent: OrderIntent, instrument: Instrument, side: Side) -> None:
        order.orderType = "TRAIL" if intent.trailing_offset is None else "TRAIL LIMIT"
        if intent.trailing_percent is not None:
            order.trailingPercent = float(intent.trailing_percent)
        elif intent.trailing_distance is not None:
            order.auxPrice = float(instrument.round_price(intent.trailing_distance))
        if intent.trailing_offset is not None:
            order.lmtPriceOffset = float(instrument.round_price(intent.trailing_offset))
        stop = intent.trigger if intent.leg is Leg.STOP else intent.stop_loss
        if stop is not None:
            order.trailStopPrice = float(instrument.round_price(stop, side.opposite))


def own_group(intent: OrderIntent) -> Group:
    """Return the group that we give to the stops and exits of a signal."""
    return references.group_of(intent.surface, intent.signal_id), CANCEL_REST


def _grouped(order: Any, group: Group | None) -> Any:
    if group is not None:
        order.ocaGroup, order.ocaType = group
    return order


def _has_stop(intent: OrderIntent) -> bool:
    levels = (intent.stop_loss, intent.trailing_percent, intent.trailing_distance)
    return any(level is not None for level in levels)


def has_level(intent: OrderIntent) -> bool:
    levels = (intent.trigger, intent.trailing_percent, intent.trailing_distance)
    return any(level is not None for level in levels)


def _number(quantity: Decimal) -> float:
    """Return a quantity as IBKR reads it: whole shares without a fraction."""
    return int(quantity) if quantity == quantity.to_integral_value() else float(quantity)
