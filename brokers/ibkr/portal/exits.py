"""The end of a trade by our own hand: first what rests for it is taken back, then what is left is sold.

The portal cannot tie a market order to a stop that was sent before, so that the broker itself takes the stop back.
Were both to fill, the account would be short: the sale waits for proof that the stop cannot fill any more. Whatever
stops the sequence half way, it may be begun again: what is done already is found done.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from brokers.answers import answer_to
from brokers.ibkr import references
from brokers.ibkr.link import LinkState
from brokers.ibkr.portal import tickets
from brokers.ibkr.portal.contracts import Contracts
from brokers.ibkr.portal.holdings import Holdings
from brokers.ibkr.portal.ledger import Ledger
from brokers.ibkr.portal.orders import Orders
from brokers.ibkr.portal.parse import OrderRow
from brokers.ibkr.portal.shares import Shares
from brokers.ibkr.portal.wire import Wire
from domain.errors import Refuse, Retry
from domain.order import OrderEvent, OrderIntent
from domain.vocabulary import Leg, OrderState, Side

LOOK_S = 0.1


class Exits:
    """Closes trades of one account, one at a time."""

    def __init__(
        self,
        wire: Wire,
        ledger: Ledger,
        orders: Orders,
        holdings: Holdings,
        contracts: Contracts,
        state: LinkState,
        shares: Shares,
    ) -> None:
        self._wire = wire
        self._shares = shares
        self._ledger = ledger
        self._orders = orders
        self._holdings = holdings
        self._contracts = contracts
        self._state = state
        self._lock = threading.Lock()

    def submit(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        """Take back what rests for the trade, or as much of it as is sold, then sell.

        Raises:
            Retry: the sale was not sent; call again to go on. Ask: nobody knows whether it was.
        """
        if intent.broker_trade_id is None:
            raise Refuse("an exit that names its trade", "broker_trade_id None", "find the trade in open_trades")
        with self._lock:
            self._state.require_up("an exit")
            # Another process may have put a stop there a moment ago: an older list will not do.
            self._ledger.read_orders(self._ledger.now_ns())
            self._orders.catch_up(intent.client_order_id)
            if self._is_known(intent.client_order_id):
                return self._orders.known(intent)
            held = self._shown(intent)
            rest = self._most(intent, held) - intent.quantity
            rows = self._of_trade(intent)
            sold = self._sold(rows, intent.side)
            if rest <= 0:
                self._clear(rows)
            else:
                self._clear([row for row in rows if references.leg_of(row.reference) is Leg.ENTRY])
                self._shrink(intent, rest)
            # The list of positions may lag behind an execution: what a stop sold meanwhile is not there any more.
            held -= self._sold(rows, intent.side) - sold
            return self._sell(intent, self._most(intent, min(self._shown(intent), held)))

    def _shown(self, intent: OrderIntent) -> Decimal:
        """Return what the list of positions shows of a trade. Raises Retry while it may lack what was bought."""
        held = self._held(intent)
        wanted = self._most(intent, intent.quantity) if self._is_counted(intent) else Decimal(0)
        if held < wanted:
            # Somebody may have sold a part: an older list of executions does not tell.
            self._ledger.read_trades(self._ledger.now_ns())
        self._shares.require_shown(self._signal(intent), intent.market, intent.side, wanted, held)
        return held

    def _most(self, intent: OrderIntent, held: Decimal) -> Decimal:
        """Return what of a position is the trade's: never more than it bought and has not sold yet."""
        if not self._is_counted(intent):
            return held
        return max(min(held, self._shares.left(self._signal(intent))), Decimal(0))

    def _is_counted(self, intent: OrderIntent) -> bool:
        """Tell whether it is known what the trade bought; where more is to be sold, a split or others had a hand in."""
        return self._shares.bought(self._signal(intent)) >= intent.quantity

    def _signal(self, intent: OrderIntent) -> str:
        return references.signal_id_of(intent.broker_trade_id) or intent.signal_id

    def _held(self, intent: OrderIntent) -> Decimal:
        """Return what can be sold now: the broker's whole position, nothing when it is flat or the other way."""
        for one in self._holdings.positions():
            if one.market == intent.market and one.side is not intent.side:
                return abs(one.quantity)
        return Decimal(0)

    def _sold(self, rows: Sequence[OrderRow], side: Side) -> Decimal:
        """Return how much these orders have sold, by their list or by their executions, whichever tells more."""
        return sum((self._filled(self._ledger.latest(row)) for row in rows if row.side is side), Decimal(0))

    def _filled(self, row: OrderRow) -> Decimal:
        executions = self._ledger.book.of_order(row.reference or "")
        return max(row.filled, sum((one.quantity for one in executions), Decimal(0)))

    def _shrink(self, intent: OrderIntent, rest: Decimal) -> None:
        """Let the stop of a trade sold in part protect the rest: both together must not sell more than is held."""
        for row in self._of_trade(intent):
            if row.is_live and references.leg_of(row.reference) is Leg.STOP and row.remaining > rest:
                self._orders.amend(str(row.reference), rest)

    def _is_known(self, client_order_id: str) -> bool:
        has_row = self._ledger.of_reference(client_order_id) is not None
        return has_row or bool(self._ledger.book.of_order(client_order_id))

    def _clear(self, found: Sequence[OrderRow]) -> None:
        """Take back orders that may still fill, and wait for the proof that none does."""
        for row in found:
            if not row.is_live:
                continue
            if references.leg_of(row.reference) is Leg.EXIT:
                raise Retry("no other exit of this trade", f"{row.reference} at work", "wait for it", after_s=1.0)
            self._orders.request_cancel(row)
        rows = [self._ledger.latest(row) for row in found]
        config = self._wire.config
        deadline = time.monotonic() + config.portal_late_fill_s + 2 * config.portal_page_pause_s + 1.0
        while not all(self._orders.ended(row) for row in rows):
            if time.monotonic() > deadline:
                raise Retry("proof that no stop fills any more", "none yet", "call again to go on", after_s=1.0)
            rows = [self._prove(row) for row in rows]

    def _prove(self, row: OrderRow) -> OrderRow:
        """Look at one order again, and once it is over and late fills are told, at the executions."""
        if self._orders.ended(row):
            return row
        time.sleep(LOOK_S)
        seen = self._ledger.read_order(row) or row
        ended_ns = self._ledger.ended_ns(seen)
        if ended_ns is not None and not seen.is_live:
            proven_ns = ended_ns + int(self._wire.config.portal_late_fill_s * 1e9)
            left_s = (proven_ns - self._ledger.now_ns()) / 1e9
            if left_s > 0:
                time.sleep(left_s)
            self._ledger.read_trades(proven_ns)
        return seen

    def _of_trade(self, intent: OrderIntent) -> list[OrderRow]:
        """Return the orders of the trade, but for this exit itself."""
        signal_id = self._signal(intent)
        return [
            row
            for row in self._ledger.rows()
            if row.reference != intent.client_order_id and references.signal_id_of(row.reference) == signal_id
        ]

    def _sell(self, intent: OrderIntent, held: Decimal) -> Sequence[OrderEvent]:
        """Send the market order for what is left: a stop may have sold a part before it was taken back."""
        answer = answer_to(intent, self._wire.config.currency, self._wire.clock.now())
        instrument = self._contracts.instrument(intent.market)
        quantity = instrument.round_quantity(min(intent.quantity, held))
        if quantity <= 0:
            return [answer.event(OrderState.REJECTED, reason="TRADE_DOESNT_EXIST")]
        conid = self._contracts.conids([intent.market])[intent.market]
        self._state.require_up("an exit")
        left = replace(intent, quantity=quantity, take_profit=None)
        request = tickets.of_intent(left, self._wire.config.account, conid, instrument)
        return self._orders.send(answer, request, intent.market)
