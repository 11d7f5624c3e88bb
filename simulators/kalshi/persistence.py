"""Append-only state file: one JSON line for each change of the accounts."""

import json
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulators.kalshi.account import Account, Fill, Position, Settlement
from simulators.kalshi.contract import Trade
from simulators.kalshi.orders import Force, Order, Prevention, Side, Status, Ticket
from simulators.kalshi.wire import Json, parse_time
from simulators.rest.state_file import whole_lines

if TYPE_CHECKING:  # the venue owns its store
    from simulators.kalshi.venue import Venue

_MONEY = frozenset(
    {
        "price",
        "maker_fee",
        "taker_cost",
        "maker_cost",
        "taker_fees",
        "maker_fees",
        "owed",
        "max_cost",
        "fee",
        "cost",
        "realized",
    }
    | {"fees", "traded", "revenue"}
)
_TIMES = frozenset({"created", "updated", "expires", "time"})
_WORDS = {"side": Side, "force": Force, "prevention": Prevention, "status": Status, "taker": Side}


class Store:
    """The file accounts are kept in between runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fills: dict[str, int] = {}
        self._settlements: dict[str, int] = {}
        self._trades = 0

    def as_of(self) -> datetime | None:
        """Return the simulated time the file ends at."""
        lines = whole_lines(self.path)
        return parse_time(lines[-1]["as_of"]) if lines else None

    def load(self, venue: "Venue") -> None:
        """Bring the venue's accounts to their last state.

        Raises:
            StateError: a line other than the last is damaged.
        """
        for line in whole_lines(self.path):
            for key_id, change in line["accounts"].items():
                if key_id in venue.accounts:
                    _apply(venue.accounts[key_id], change)
            _apply(venue.clearing.synthetic, line["synthetic"])
            venue.clearing.fees = Decimal(line["fees"])
            venue.clearing.trades_made = line["trades_made"]
            for item in line["trades"]:
                contract = venue.contracts.get(item["ticker"])
                if contract is not None:
                    contract.trades.append(Trade(**_read(item)))
        for account in venue.accounts.values():
            self._mark(account)
            for order in account.resting.values():
                venue.contracts[order.ticker].book.resting[order.id] = order
            made = [order.sequence for order in account.orders.values()]
            venue.clearing.sequence = max(venue.clearing.sequence, *made, 0)
        self._trades = venue.clearing.trades_made

    def _mark(self, account: Account) -> None:
        account.changed_orders.clear()
        account.changed_positions.clear()
        self._fills[account.key_id] = len(account.fills)
        self._settlements[account.key_id] = len(account.settlements)

    def save(self, venue: "Venue") -> None:
        """Append what changed, if anything did."""
        changed = [account for account in venue.accounts.values() if self._is_changed(account)]
        if not changed:
            return
        clearing = venue.clearing
        synthetic = clearing.synthetic
        trades = [
            trade for contract in venue.contracts.values() for trade in contract.trades if trade.number > self._trades
        ]
        line = {
            "as_of": venue.position.isoformat(),
            "accounts": {account.key_id: self._changes(account) for account in changed},
            "synthetic": {
                "cash": synthetic.cash,
                "positions": _positions(synthetic, set(synthetic.positions)),
                "whole": True,
            },
            "fees": clearing.fees,
            "trades_made": clearing.trades_made,
            "trades": [asdict(trade) for trade in trades],
        }
        with self.path.open("ab") as file:
            file.write(json.dumps(line, separators=(",", ":"), default=_write).encode() + b"\n")
        self._trades = clearing.trades_made
        for account in changed:
            self._mark(account)

    def _is_changed(self, account: Account) -> bool:
        return bool(account.changed_orders or account.changed_positions)

    def _changes(self, account: Account) -> Json:
        return {
            "cash": account.cash,
            "orders_made": account.orders_made,
            "orders": [asdict(account.orders[name]) for name in sorted(account.changed_orders)],
            "positions": _positions(account, account.changed_positions),
            "fills": [asdict(fill) for fill in account.fills[self._fills.get(account.key_id, 0) :]],
            "settlements": [asdict(item) for item in account.settlements[self._settlements.get(account.key_id, 0) :]],
        }


def _write(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _positions(account: Account, names: set[str]) -> Json:
    held = account.positions
    return {name: asdict(held[name]) if name in held else None for name in sorted(names)}


def _apply(account: Account, change: Json) -> None:
    account.cash = Decimal(change["cash"])
    if change.get("whole"):
        account.positions.clear()
    for ticker, item in change["positions"].items():
        if item is None:
            account.positions.pop(ticker, None)
        else:
            account.positions[ticker] = Position(**_read(item))
    account.orders_made = change.get("orders_made", 0)
    for item in change.get("orders", []):
        # a wall-clock moment of an earlier run means nothing now
        account.keep(Order(**{**_read(item), "ticket": Ticket(**_read(item["ticket"])), "hidden_until": 0.0}))
    account.fills.extend(Fill(**_read(item)) for item in change.get("fills", []))
    account.settlements.extend(Settlement(**_read(item)) for item in change.get("settlements", []))


def _read(item: Json) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in item.items()}


def _value(name: str, value: Any) -> Any:
    if value is None or isinstance(value, dict):
        return value
    if name in _MONEY:
        return Decimal(value)
    if name in _TIMES:
        return parse_time(value)
    return _WORDS[name](value) if name in _WORDS else value
