"""Append-only state file: one JSON line for each change of an account."""

import json
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from simulators.oanda.account import Account
from simulators.oanda.orders import order_from_wire
from simulators.oanda.trades import Trade
from simulators.oanda.wire import Json
from simulators.rest.state_file import whole_lines


class Store:
    """The file accounts are kept in between runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written: dict[str, int] = {}

    def load(self, accounts: dict[str, Account]) -> int | None:
        """Bring accounts to their last state; return the simulated time it was written at.

        Raises:
            StateError: a line other than the last is damaged.
        """
        as_of = None
        for line in whole_lines(self.path):
            account = accounts.get(line["account"])
            if account is not None:
                _apply(account, line)
            as_of = line["as_of"]
        for account in accounts.values():
            account.changed_orders.clear()
            account.changed_trades.clear()
            self._written[account.id] = len(account.transactions)
        return as_of

    def save(self, account: Account, as_of: int) -> None:
        """Append what changed, if a transaction was written."""
        start = self._written.get(account.id, 0)
        if start == len(account.transactions):
            return
        line = {"account": account.id, "as_of": as_of, **_changes(account, start)}
        with self.path.open("ab") as file:
            file.write(json.dumps(line, separators=(",", ":"), default=str).encode() + b"\n")
        self._written[account.id] = len(account.transactions)
        account.changed_orders.clear()
        account.changed_trades.clear()


def _changes(account: Account, start: int) -> Json:
    orders = [account.orders[order_id] for order_id in sorted(account.changed_orders, key=int)]
    return {
        "balance": account.balance,
        "realized": account.realized,
        "position_pl": [[name, side, profit] for (name, side), profit in account.position_pl.items()],
        "transactions": account.transactions[start:],
        "orders": [
            {
                "wire": order.wire,
                "instrument": order.instrument,
                "units": order.units,
                "rising": order.rising,
                "lost_legs": order.lost_legs,
            }
            for order in orders
        ],
        "trades": [asdict(account.trades[trade_id]) for trade_id in sorted(account.changed_trades, key=int)],
    }


def _apply(account: Account, line: Json) -> None:
    account.balance = Decimal(line["balance"])
    account.realized = Decimal(line["realized"])
    account.position_pl = {(name, side): Decimal(profit) for name, side, profit in line["position_pl"]}
    account.transactions.extend(line["transactions"])
    for item in line["orders"]:
        order = order_from_wire(item["wire"], item["instrument"], Decimal(item["units"]))
        order.rising, order.lost_legs = item["rising"], tuple(item["lost_legs"])
        account.pending.pop(order.id, None)
        account.add_order(order)
    for item in line["trades"]:
        trade = _trade(item)
        account.add_trade(trade)
        account.note_trade(trade)


def _trade(item: dict[str, Any]) -> Trade:
    money = ("price", "initial_units", "current_units", "initial_margin", "realized", "closed_value")
    return Trade(**{**item, **{name: Decimal(item[name]) for name in money}})
