"""Positions as TWS tells them: all of them once when asked, and each change after that."""

from collections.abc import Collection
from typing import Any

from brokers.ibkr.trades import Holding

# account and contract
Key = tuple[str, int]


class PositionBook:
    """Positions of every account of the login. Times are nanoseconds of our monotonic clock."""

    def __init__(self) -> None:
        self._held: dict[Key, Holding] = {}
        self._told_ns: dict[Key, int] = {}

    def told(self, account: str, contract: Any, holding: Holding, now_ns: int) -> bool:
        """Take a position in; tell whether its quantity is news."""
        key = account, int(contract.conId)
        before = self._held.get(key)
        self._held[key], self._told_ns[key] = holding, now_ns
        return before is None or before.quantity != holding.quantity

    def listed(self, keys: Collection[Key], asked_ns: int) -> None:
        """Drop what a list does not have, but for what was told since it was asked for: that is newer than the list."""
        for key in [key for key, told_ns in self._told_ns.items() if key not in keys and told_ns < asked_ns]:
            del self._held[key], self._told_ns[key]

    def of(self, account: str) -> list[Holding]:
        """Return what an account holds."""
        return [one for (name, _), one in self._held.items() if name == account and one.quantity != 0]
