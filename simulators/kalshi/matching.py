"""Matching: what an order meets in a book, and what each fill does to the accounts."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from simulators.kalshi.account import Account, Fill
from simulators.kalshi.contract import Contract, Trade
from simulators.kalshi.fees import settle_fill, trade_fee
from simulators.kalshi.orders import Order, Prevention, Side, Status, unit_cost

_IDS = uuid.uuid5(uuid.NAMESPACE_URL, "simulators.kalshi")
# the other side of every trade no account took; its name is no key id
SYNTHETIC = "(synthetic)"


@dataclass(slots=True)
class Plan:
    """What an order would meet: (price, contracts, owner) in order; ``stopped`` at an own order.

    ``yielding`` are own resting orders that give way.
    """

    steps: list[tuple[Decimal, int, Order | None]] = field(default_factory=list)
    yielding: list[Order] = field(default_factory=list)
    stopped: bool = False

    @property
    def count(self) -> int:
        return sum(count for _, count, _ in self.steps)


class Clearing:
    """The accounts, the synthetic side of their trades, and the fees taken."""

    def __init__(self, accounts: dict[str, Account]) -> None:
        self.accounts = accounts
        self.synthetic = Account(SYNTHETIC, "", Decimal(0))
        self.fees = Decimal(0)
        self.trades_made = 0
        self.sequence = 0

    def next_sequence(self) -> int:
        """Return the next number of an order's arrival."""
        self.sequence += 1
        return self.sequence

    def plan(self, contract: Contract, order: Order, fillable: int) -> Plan:
        """Work out what an order would meet, without doing it."""
        plan = Plan()
        for price, count, owner in contract.book.opposite(order.side, order.price):
            if fillable <= 0 or plan.stopped:
                break
            if owner is not None and owner.account == order.account:
                self._meet_own(plan, order, owner)
                continue
            taken = min(fillable, count if owner is None else self._offered(owner))
            if taken:
                plan.steps.append((price, taken, owner))
                fillable -= taken
        return plan

    def _meet_own(self, plan: Plan, order: Order, owner: Order) -> None:
        if order.ticket.prevention is Prevention.MAKER:
            plan.yielding.append(owner)
        else:
            plan.stopped = True

    def _offered(self, owner: Order) -> int:
        if not owner.ticket.reduce_only:
            return owner.remaining
        held = self.accounts[owner.account].positions.get(owner.ticker)
        return 0 if held is None else held.closes(owner.side, owner.remaining)

    def execute(self, contract: Contract, order: Order, plan: Plan, now: datetime) -> None:
        """Do what was planned."""
        for yielding in plan.yielding:
            self.cancel(contract, yielding, now)
        for price, count, owner in plan.steps:
            trade = self._trade(contract, order.side, count, price, now)
            self._fill(contract, order, trade, is_taker=True)
            if owner is None:
                self._use_quotes(contract, order.side.other, count, price)
                self._fill_synthetic(contract, order.side.other, trade)
            else:
                self._fill(contract, owner, trade, is_taker=False)

    def meet_redraw(self, contract: Contract, now: datetime) -> None:
        """Fill resting orders that a redrawn synthetic book has come to, at their own price."""
        quotes = contract.book.quotes
        if quotes is None:
            return
        for order in sorted(
            contract.book.resting.values(), key=lambda o: (unit_cost(o.side.other, o.price), o.sequence)
        ):
            for price in sorted(quotes.side(order.side.other), reverse=order.side is Side.ASK):
                if not order.is_resting or (price > order.price if order.side is Side.BID else price < order.price):
                    break
                count = min(self._offered(order), quotes.side(order.side.other)[price])
                if not count:
                    continue
                trade = self._trade(contract, order.side.other, count, order.price, now)
                self._use_quotes(contract, order.side.other, count, price)
                self._fill_synthetic(contract, order.side.other, trade)
                self._fill(contract, order, trade, is_taker=False)

    def _use_quotes(self, contract: Contract, side: Side, count: int, price: Decimal) -> None:
        quotes = contract.book.quotes
        if quotes is None:
            return
        left = quotes.side(side)[price] - count
        if left > 0:
            quotes.side(side)[price] = left
        else:
            del quotes.side(side)[price]

    def _trade(self, contract: Contract, taker: Side, count: int, price: Decimal, now: datetime) -> Trade:
        self.trades_made += 1
        name = f"trade/{self.trades_made}/{now.timestamp()}"
        trade = Trade(str(uuid.uuid5(_IDS, name)), contract.ticker, count, price, taker, now, self.trades_made)
        contract.trades.append(trade)
        contract.updated = now
        return trade

    def _fill_synthetic(self, contract: Contract, side: Side, trade: Trade) -> None:
        held = self.synthetic.position(contract.ticker, contract.listing.event_ticker, trade.time)
        self.synthetic.cash += held.revenue(side, trade.count, trade.price)
        held.apply(side, trade.count, trade.price, trade.time)

    def _fill(self, contract: Contract, order: Order, trade: Trade, *, is_taker: bool) -> None:
        account = self.accounts[order.account]
        held = account.position(contract.ticker, contract.listing.event_ticker, trade.time)
        revenue = held.revenue(order.side, trade.count, trade.price)
        fee = trade_fee(contract.series, trade.count, trade.price, is_taker=is_taker)
        charge = settle_fill(revenue, fee, order.owed)
        account.cash += charge.change
        self.fees += charge.fee
        held.apply(order.side, trade.count, trade.price, trade.time)
        held.fees += charge.fee
        account.changed_positions.add(contract.ticker)
        order.owed = charge.owed
        _book_on_order(order, trade, charge.fee, is_taker=is_taker)
        account.fills.append(_fill_record(order, trade, charge.fee, held.count, is_taker=is_taker))
        self.file(contract, order)

    def file(self, contract: Contract, order: Order) -> None:
        """Put an order where its status says it belongs, with its account and in the book."""
        self.accounts[order.account].keep(order)
        if order.is_resting:
            contract.book.resting[order.id] = order
        else:
            contract.book.resting.pop(order.id, None)

    def cancel(self, contract: Contract, order: Order, now: datetime) -> int:
        """Cancel a resting order; return how many contracts that took off the book."""
        reduced = order.cancel(now)
        self.file(contract, order)
        return reduced


def order_id(account: str, sequence: int) -> str:
    """Return the id of an account's order; the same run gives the same ids."""
    return str(uuid.uuid5(_IDS, f"order/{account}/{sequence}"))


def _book_on_order(order: Order, trade: Trade, fee: Decimal, *, is_taker: bool) -> None:
    cost = unit_cost(order.side, trade.price) * trade.count
    order.filled += trade.count
    order.remaining -= trade.count
    order.updated = trade.time
    if is_taker:
        order.taker_cost += cost
        order.taker_fees += fee
    else:
        order.maker_cost += cost
        order.maker_fees += fee
    if order.remaining == 0:
        order.status = Status.EXECUTED


def _fill_record(order: Order, trade: Trade, fee: Decimal, position: int, *, is_taker: bool) -> Fill:
    return Fill(
        id=trade.id,
        order_id=order.id,
        client_order_id=order.client_order_id,
        ticker=trade.ticker,
        side=order.side,
        outcome=order.ticket.outcome,
        action=order.ticket.action,
        count=trade.count,
        price=trade.price,
        fee=fee,
        is_taker=is_taker,
        position=position,
        time=trade.time,
    )
