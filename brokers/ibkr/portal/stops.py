"""The protective order of a trade that is open: exactly one, of the size that is held."""

from dataclasses import replace
from decimal import Decimal

from brokers.ibkr import references
from brokers.ibkr.portal import tickets
from brokers.ibkr.portal.contracts import Contracts
from brokers.ibkr.portal.holdings import Holdings
from brokers.ibkr.portal.ledger import Ledger
from brokers.ibkr.portal.orders import Orders
from brokers.ibkr.portal.parse import OrderRow
from brokers.ibkr.portal.wire import Wire
from brokers.ibkr.trades import Holding
from domain.errors import Refuse, Retry
from domain.ids import signal_of_order
from domain.order import OrderIntent
from domain.vocabulary import Leg, Mode, OrderState, TimeInForce


class Stops:
    """Puts a stop right: adds the one that is missing, changes the one that differs, takes back the others."""

    def __init__(self, wire: Wire, ledger: Ledger, orders: Orders, holdings: Holdings, contracts: Contracts) -> None:
        self._wire = wire
        self._ledger = ledger
        self._orders = orders
        self._holdings = holdings
        self._contracts = contracts

    def protect(self, trade_id: str, stop: Decimal, distance: Decimal | None) -> None:
        """Make one stop rest at ``stop``, trailing by ``distance`` if given. Raises Retry, Ask, Refuse.

        One that trails by a percentage protects already: it keeps its distance, and gets the right size.
        """
        held = self._held(trade_id)
        level = self._contracts.instrument(held.market).round_price(stop, held.side)
        live = [row for row in self._of_trade(trade_id) if row.is_live]
        kind = "STP" if distance is None else "TRAIL"
        kept = next((row for row in live if row.kind == kind or _is_relative(row)), None)
        for row in live:
            if row is not kept and self._orders.request_cancel(row).is_live:
                # Two stops for one position may sell it twice.
                raise Retry(
                    "one stop for the trade", f"{row.reference} still there", "call again to go on", after_s=1.0
                )
        if kept is None:
            self._place(trade_id, held, level, distance)
        elif not _is_right(kept, held, level, distance):
            wanted = kept if _is_relative(kept) else replace(kept, stop=level, trailing_distance=distance)
            self._orders.modify(kept, tickets.modified(wanted, abs(held.quantity)))

    def _held(self, trade_id: str) -> Holding:
        trade = next((one for one in self._holdings.trades() if one.trade_id == trade_id), None)
        if trade is None:
            raise Refuse("an open trade", f"trade {trade_id}", "read open_trades again")
        quantity = trade.quantity * trade.side.sign
        return Holding(market=trade.market, quantity=quantity, average_cost=trade.price)

    def _of_trade(self, trade_id: str) -> list[OrderRow]:
        signal_id = references.signal_id_of(trade_id)
        return [
            row
            for row in self._ledger.rows()
            if references.leg_of(row.reference) is Leg.STOP and references.signal_id_of(row.reference) == signal_id
        ]

    def _place(self, trade_id: str, held: Holding, stop: Decimal, distance: Decimal | None) -> None:
        parsed = signal_of_order(trade_id)
        if parsed is None:
            raise Refuse("a trade of ours", trade_id, "protect it by hand")
        surface, signal_id, _, _ = parsed
        attempt = 1 + max((references.attempt_of(str(row.reference)) for row in self._of_trade(trade_id)), default=0)
        reference = references.stop_of(trade_id, attempt)
        events = self._orders.submit(
            OrderIntent(
                client_order_id=str(reference),
                signal_id=signal_id,
                surface=surface,
                mode=Mode(self._wire.config.environment),
                market=held.market,
                leg=Leg.STOP,
                attempt=attempt,
                side=held.side.opposite,
                quantity=abs(held.quantity),
                trigger=stop,
                trailing_distance=distance,
                tif=TimeInForce.GTC,
            )
        )
        if events[-1].state in (OrderState.REJECTED, OrderState.CANCELLED):
            raise Refuse(f"a stop for {trade_id} that rests", events[-1].reason or "a refusal", "protect it by hand")


def _is_right(row: OrderRow, held: Holding, level: Decimal, distance: Decimal | None) -> bool:
    """Tell whether a stop is as it should be; where a trailing one stands now is the market's doing."""
    same_price = row.stop == level if distance is None else row.trailing_distance == distance
    return (same_price or _is_relative(row)) and row.remaining == abs(held.quantity)


def _is_relative(row: OrderRow) -> bool:
    return row.trailing_percent is not None
