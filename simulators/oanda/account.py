"""Accounts: balance, consecutive transactions, orders and trades."""

import time as wall
from decimal import Decimal
from typing import Any

from simulators.oanda.orders import Order
from simulators.oanda.trades import ZERO, Trade
from simulators.oanda.wire import Json, amount, rfc3339

USER_ID = 1


class Account:
    """One account; everything a client can see of it follows from these fields."""

    def __init__(self, account_id: str, token: str, currency: str, balance: Decimal) -> None:
        self.id = account_id
        self.token = token
        self.currency = currency
        self.balance = balance
        self.realized = ZERO
        self.transactions: list[Json] = []
        self.orders: dict[str, Order] = {}
        self.pending: dict[str, Order] = {}
        self.trades: dict[str, Trade] = {}
        self.open_trades: dict[str, Trade] = {}
        # (instrument, "long" or "short") -> realised profit
        self.position_pl: dict[tuple[str, str], Decimal] = {}
        # transaction index -> wall-clock time before which readers do not see it
        self.hidden: dict[int, float] = {}
        self.changed_orders: set[str] = set()
        self.changed_trades: set[str] = set()

    def open(self, now: int) -> None:
        """Write the transactions every account begins with."""
        batch = Batch(self, now, None)
        batch.write(
            "CREATE", divisionID=1, siteID=1, accountUserID=USER_ID, accountNumber=1, homeCurrency=self.currency
        )
        batch = Batch(self, now, None)
        batch.write(
            "TRANSFER_FUNDS",
            amount=amount(self.balance),
            fundingReason="CLIENT_FUNDING",
            accountBalance=amount(self.balance),
        )

    @property
    def last_id(self) -> str:
        return str(len(self.transactions))

    def visible(self) -> int:
        """Return how many transactions readers see: all before the first that is still late."""
        now = wall.time()
        late = [index for index, until in self.hidden.items() if until > now]
        return min(late, default=len(self.transactions))

    def add_order(self, order: Order) -> None:
        """Register an order."""
        self.orders[order.id] = order
        if order.is_pending:
            self.pending[order.id] = order
        self.changed_orders.add(order.id)

    def settle_order(self, order: Order, **wire: Any) -> None:
        """Take an order out of the book with its final wire fields."""
        order.wire.update(wire)
        self.pending.pop(order.id, None)
        self.changed_orders.add(order.id)
        trade = self.trades.get(order.trade_id or "")
        if trade is not None and trade.dependents.get(order.type) == order.id:
            del trade.dependents[order.type]
            self.changed_trades.add(trade.id)

    def add_trade(self, trade: Trade) -> None:
        """Register an open trade."""
        self.trades[trade.id] = trade
        self.open_trades[trade.id] = trade
        self.changed_trades.add(trade.id)

    def note_trade(self, trade: Trade) -> None:
        """Register a change of a trade."""
        self.changed_trades.add(trade.id)
        if not trade.is_open:
            self.open_trades.pop(trade.id, None)

    def book_profit(self, instrument: str, side: str, profit: Decimal) -> None:
        """Add a realised profit or loss."""
        self.balance += profit
        self.realized += profit
        key = (instrument, side)
        self.position_pl[key] = self.position_pl.get(key, ZERO) + profit

    def find_order(self, specifier: str) -> Order | None:
        """Return the order named by id or ``@clientID``: of several a pending one, else the newest."""
        if not specifier.startswith("@"):
            return self.orders.get(specifier)
        named = [order for order in self.orders.values() if order.client_id == specifier[1:]]
        return max(named, key=lambda order: (order.is_pending, int(order.id)), default=None)

    def find_trade(self, specifier: str) -> Trade | None:
        """Return the trade named by id or ``@clientID``; an open one before the newest."""
        if not specifier.startswith("@"):
            return self.trades.get(specifier)
        named = [trade for trade in self.trades.values() if trade.client_id == specifier[1:]]
        return max(named, key=lambda trade: (trade.is_open, int(trade.id)), default=None)


class Batch:
    """Transactions that belong together: one time, one batch id, one request id."""

    def __init__(self, account: Account, now: int, request_id: str | None) -> None:
        self.account = account
        self.time = rfc3339(now)
        self.now = now
        self.request_id = request_id
        self.written: list[Json] = []

    def write(self, kind: str, **fields: Any) -> Json:
        """Append a transaction; fields that are None stay off the wire."""
        transaction_id = str(len(self.account.transactions) + 1)
        first = self.written[0]["id"] if self.written else transaction_id
        transaction: Json = {
            "id": transaction_id,
            "accountID": self.account.id,
            "userID": USER_ID,
            "batchID": first,
            "time": self.time,
            "type": kind,
        }
        if self.request_id is not None:
            transaction["requestID"] = self.request_id
        transaction.update((key, value) for key, value in fields.items() if value is not None)
        self.account.transactions.append(transaction)
        self.written.append(transaction)
        return transaction

    @property
    def ids(self) -> list[str]:
        return [str(transaction["id"]) for transaction in self.written]

    def reply(self, **parts: Json | None) -> Json:
        """Return a write reply: the named transactions that exist, all ids, the last id."""
        body: Json = {key: value for key, value in parts.items() if value is not None}
        body["relatedTransactionIDs"] = self.ids
        body["lastTransactionID"] = self.account.last_id
        return body
