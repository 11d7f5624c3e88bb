"""What an account asks of its orders: create, amend, decrease, cancel."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from simulators.kalshi.account import Account, Position
from simulators.kalshi.contract import Contract
from simulators.kalshi.faults import Occasion
from simulators.kalshi.fees import settle_fill, trade_fee
from simulators.kalshi.intake import invalid_order
from simulators.kalshi.matching import Plan, order_id
from simulators.kalshi.orders import Force, Order, Ticket, unit_cost
from simulators.kalshi.venue import Venue
from simulators.kalshi.wire import CENT, ApiError, refusal


@dataclass(slots=True)
class Desk:
    """One account at one moment."""

    venue: Venue
    account: Account
    now: datetime
    occasion: Occasion

    def create(self, ticket: Ticket) -> Order:
        """Take in an order, match it and let what is left rest or go.

        Raises:
            ApiError: the order is refused; nothing has changed.
        """
        contract = self._tradable(ticket.ticker)
        self._check_terms(contract, ticket)
        key = ticket.client_order_id
        if key and key in self.account.client_ids:
            raise refusal(409, "order_already_exists")
        order = self._new_order(ticket, contract.listing.event_ticker, self._reducible(ticket))
        self._enter(contract, order, self._fillable(order.remaining))
        late = self.occasion.take("late_listing")
        if late is not None:
            order.hidden_until = self.venue.wall() + late.params["seconds"]
        return order

    def _tradable(self, ticker: str) -> Contract:
        contract = self.venue.contracts.get(ticker)
        if contract is None or contract.life.created > self.now:
            raise refusal(404, "market_not_found")
        pause = self.venue.exchange_pause(self.now)
        if pause is not None:
            pause.bend("")
            raise refusal(409, "exchange_is_paused", "exchange is paused")
        status = self.venue.status(contract, self.now)
        if status == "inactive":
            raise refusal(409, "trading_is_paused", "trading is paused")
        if status == "initialized":
            raise refusal(409, "market_not_active", details="the market is not open yet")
        if status != "active":
            raise refusal(409, "market_closed", details=f"the market is {status}")
        contract.refresh(self.now)
        return contract

    def _check_terms(self, contract: Contract, ticket: Ticket) -> None:
        if not contract.on_tick(ticket.price):
            raise refusal(400, "invalid_price", details="price should be from 0.01 to 0.99 in steps of 0.01")
        if ticket.expires is not None and ticket.expires <= self.now:
            raise invalid_order("expiration_time is in the past")
        if ticket.post_only and ticket.force is not Force.GTC:
            raise invalid_order("post only needs good_till_canceled")
        cost = unit_cost(ticket.side, ticket.price) * ticket.count
        if ticket.max_cost is not None and cost > ticket.max_cost:
            raise refusal(409, "fill_or_kill_insufficient_resting_volume")

    def _reducible(self, ticket: Ticket) -> int:
        if not ticket.reduce_only:
            return ticket.count
        held = self.account.positions.get(ticket.ticker)
        count = 0 if held is None else held.closes(ticket.side, ticket.count)
        if count == 0:
            raise invalid_order("reduce only order would not reduce a position")
        return count

    def _new_order(self, ticket: Ticket, event_ticker: str, count: int) -> Order:
        sequence = self.account.orders_made + 1
        return Order(
            id=order_id(self.account.key_id, sequence),
            account=self.account.key_id,
            sequence=sequence,
            event_ticker=event_ticker,
            ticket=ticket,
            price=ticket.price,
            initial=ticket.count,
            remaining=count,
            created=self.now,
            updated=self.now,
            client_order_id=ticket.client_order_id,
        )

    def _fillable(self, count: int) -> int:
        partial = self.occasion.take("partial_fill")
        return count if partial is None else int(count * Decimal(str(partial.params["fraction"])))

    def _enter(self, contract: Contract, order: Order, fillable: int) -> None:
        ticket, clearing = order.ticket, self.venue.clearing
        wanted = order.remaining
        plan = clearing.plan(contract, order, fillable)
        if ticket.post_only and (plan.steps or plan.stopped or plan.yielding):
            raise invalid_order("post only cross")
        if ticket.force is Force.FOK and plan.count < order.remaining:
            raise refusal(409, "fill_or_kill_insufficient_resting_volume")
        self._check_money(contract, order, plan)
        # one run of numbers for all accounts: at one price the older order comes first
        self.account.orders_made += 1
        order.sequence = clearing.next_sequence()
        order.maker_fee = trade_fee(contract.series, 1, order.price, is_taker=False)
        clearing.execute(contract, order, plan, self.now)
        if order.is_resting and (ticket.force is not Force.GTC or plan.stopped or fillable < wanted):
            order.cancel(self.now)
        clearing.file(contract, order)

    def _check_money(self, contract: Contract, order: Order, plan: Plan) -> None:
        """Refuse an order that the balance would not cover at its limit, or at what it would meet."""
        account = self.account
        fee = trade_fee(contract.series, order.remaining, order.price, is_taker=True).quantize(CENT, ROUND_CEILING)
        cost = account.reserved([order]) - account.reserved()
        # netting a whole holding costs nothing but the fee, which its proceeds pay
        if cost > 0 and account.cash - account.reserved([order]) - fee < 0:
            raise insufficient_balance()
        if account.cash - account.reserved() + self._outcome(contract, order, plan) < 0:
            raise insufficient_balance()

    def _outcome(self, contract: Contract, order: Order, plan: Plan) -> Decimal:
        found = self.account.positions.get(contract.ticker)
        held = Position(contract.ticker, "", self.now) if found is None else replace(found)
        change, owed = Decimal(0), order.owed
        for price, count, _ in plan.steps:
            fee = trade_fee(contract.series, count, price, is_taker=True)
            charge = settle_fill(held.revenue(order.side, count, price), fee, owed)
            change, owed = change + charge.change, charge.owed
            held.apply(order.side, count, price, self.now)
        return change

    def find(self, name: str) -> Order:
        """Return an order of the account.

        Raises:
            ApiError: 404, also while a fault hides the order.
        """
        order = self.account.orders.get(name)
        if order is None or order.hidden_until > self.venue.wall():
            raise refusal(404, "not_found", "order not found")
        return order

    def resting(self, name: str) -> Order:
        """Return a resting order of the account.

        Raises:
            ApiError: 404 when there is none, or it no longer rests.
        """
        order = self.account.orders.get(name)
        if order is None or not order.is_resting:
            raise refusal(404, "not_found", "order not found")
        return order

    def cancel(self, order: Order) -> int:
        """Cancel a resting order; return how many contracts that took off the book."""
        return self.venue.clearing.cancel(self.venue.contracts[order.ticker], order, self.now)

    def decrease(self, order: Order, to: int) -> int:
        """Leave ``to`` contracts of a resting order; return how many were taken off."""
        if to >= order.remaining:
            raise invalid_order("an order can only be decreased")
        if to == 0:
            return self.cancel(order)
        reduced = order.remaining - to
        order.remaining, order.updated = to, self.now
        self.venue.clearing.file(self.venue.contracts[order.ticker], order)
        return reduced

    def amend(self, order: Order, price: Decimal, count: int, client_order_id: str) -> None:
        """Change price and number of a resting order; it goes to the back of its level.

        Args:
            order: the order.
            price: of YES.
            count: contracts in all, filled ones included.
            client_order_id: its new name, or empty to keep the old.

        Raises:
            ApiError: the change is refused; nothing has changed.
        """
        contract = self._tradable(order.ticker)
        if not contract.on_tick(price):
            raise refusal(400, "invalid_price", details="price should be from 0.01 to 0.99 in steps of 0.01")
        if count <= order.filled:
            raise invalid_order("count should be above what is filled")
        taken = client_order_id and self.account.client_ids.get(client_order_id, order.id) != order.id
        if taken:
            raise refusal(409, "order_already_exists")
        before = (order.price, order.remaining, order.initial)
        self._take_out(contract, order)
        order.price, order.remaining, order.initial = price, count - order.filled, count
        try:
            self._enter(contract, order, order.remaining)
        except ApiError:
            order.price, order.remaining, order.initial = before
            self.venue.clearing.file(contract, order)
            raise
        order.client_order_id, order.updated = client_order_id or order.client_order_id, self.now
        self.venue.clearing.file(contract, order)

    def _take_out(self, contract: Contract, order: Order) -> None:
        self.account.resting.pop(order.id, None)
        contract.book.resting.pop(order.id, None)


def insufficient_balance() -> ApiError:
    """Return the refusal of an order the balance does not cover."""
    return refusal(400, "insufficient_balance")
