"""Accounts: cash, positions and what happened to them."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from simulators.ibkr.book import Book, Carried, Entry, Fill, SplitEntry, folded
from simulators.ibkr.orders import ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSpec:
    """An account as the simulator is started with it."""

    id: str
    cash: Decimal = Decimal(100_000)
    kind: Literal["CASH", "MARGIN"] = "CASH"
    currency: str = "USD"
    fractional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Shares of one stock in one account; quantity is signed."""

    account: str
    conid: int
    symbol: str
    quantity: Decimal
    average_cost: Decimal
    market_price: Decimal | None
    market_value: Decimal
    unrealised: Decimal
    realised: Decimal


@dataclass(slots=True)
class Account:
    """Cash, and the entries behind each stock's position."""

    spec: AccountSpec
    cash: Decimal
    # conid -> everything that happened to its shares, oldest first
    entries: dict[int, list[Entry]] = field(default_factory=dict)
    books: dict[int, Book] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def is_cash(self) -> bool:
        return self.spec.kind == "CASH"

    def held(self, conid: int) -> Decimal:
        """Return the signed shares of a stock."""
        book = self.books.get(conid)
        return ZERO if book is None else book.quantity

    def add(self, conid: int, entry: Entry) -> Book:
        """Book a fill or a split."""
        self.entries.setdefault(conid, []).append(entry)
        if isinstance(entry, Fill):
            self.cash += entry.cash
        book = self.books.setdefault(conid, Book())
        book.add(entry)
        return book

    def replace(self, conid: int, fill: Fill) -> Book:
        """Put a corrected fill in the place of the one with its key."""
        entries = self.entries[conid]
        index = next(i for i, each in enumerate(entries) if isinstance(each, Fill) and each.key == fill.key)
        before = entries[index]
        assert isinstance(before, Fill)
        self.cash += fill.cash - before.cash
        entries[index] = fill
        self.books[conid] = folded(entries)
        return self.books[conid]

    def split(self, conid: int, new: int, old: int, at: int) -> bool:
        """Split the shares held; tell whether there were any."""
        if not self.held(conid):
            return False
        self.add(conid, SplitEntry(new=new, old=old, at=at))
        return True

    def realised_since(self, ms: int) -> Decimal:
        """Return the profit of all fills since a time."""
        return sum((self.realised_of(conid, ms) for conid in self.books), ZERO)

    def realised_of(self, conid: int, ms: int) -> Decimal:
        """Return the profit of the fills of one stock since a time."""
        recent = [each.key for each in self.entries[conid] if isinstance(each, Fill) and each.at >= ms]
        by_fill = self.books[conid].by_fill
        return sum((by_fill[key] or ZERO for key in recent), ZERO)

    def forget(self, before: int) -> None:
        """Keep of everything older than a time only what it came to."""
        for conid, entries in self.entries.items():
            recent = [each for each in entries if each.at >= before]
            if len(recent) == len(entries):
                continue
            book = folded([each for each in entries if each.at < before])
            carried = Carried(quantity=book.quantity, average=book.average, at=before)
            self.entries[conid] = [carried, *recent] if book.quantity else [*recent]
            self.books[conid] = folded(self.entries[conid])
