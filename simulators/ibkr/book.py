"""Positions as the fold of fills and splits, so that a fill can be corrected later."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from simulators.ibkr.orders import ZERO

# shares are counted to four decimals
_SHARE = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """Signed shares at a price; ``key`` is the execution id without its issue number."""

    key: str
    quantity: Decimal
    price: Decimal
    commission: Decimal
    at: int

    @property
    def cash(self) -> Decimal:
        return -self.quantity * self.price - self.commission


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitEntry:
    """A split of the shares held."""

    new: int
    old: int
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What older entries, no longer kept, came to."""

    quantity: Decimal
    average: Decimal
    at: int


Entry = Fill | SplitEntry | Carried


@dataclass(slots=True)
class Book:
    """One account's shares of one stock: where it stood, and what happened since."""

    quantity: Decimal = ZERO
    average: Decimal = ZERO
    # key -> realised; None where the fill closed nothing
    by_fill: dict[str, Decimal | None] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Let one more thing happen."""
        if isinstance(entry, Carried):
            self.quantity, self.average = entry.quantity, entry.average
            return
        if isinstance(entry, SplitEntry):
            self.quantity = (self.quantity * entry.new / entry.old).quantize(_SHARE).normalize() + ZERO
            self.average = self.average * entry.old / entry.new
            return
        if not entry.quantity:
            self.by_fill[entry.key] = None
            return
        closing = self._closing(entry.quantity)
        realised = self._close(entry, closing) if closing else None
        self._open(entry, abs(entry.quantity) - closing)
        self.by_fill[entry.key] = realised

    def _closing(self, quantity: Decimal) -> Decimal:
        is_opposite = self.quantity * quantity < 0
        return min(abs(self.quantity), abs(quantity)) if is_opposite else ZERO

    def _close(self, fill: Fill, closing: Decimal) -> Decimal:
        gain = (fill.price - self.average) * closing.copy_sign(self.quantity)
        self.quantity += closing.copy_sign(fill.quantity)
        if not self.quantity:
            self.quantity = self.average = ZERO
        return gain - fill.commission * closing / abs(fill.quantity)

    def _open(self, fill: Fill, opening: Decimal) -> None:
        if not opening:
            return
        cost = fill.commission * opening / abs(fill.quantity)
        # a short sale brings in less for its commission, a purchase costs more
        paid = opening * fill.price + cost.copy_sign(fill.quantity)
        held = abs(self.quantity)
        self.average = (held * self.average + paid) / (held + opening)
        self.quantity += opening.copy_sign(fill.quantity)


def folded(entries: Sequence[Entry]) -> Book:
    """Return the book after all entries."""
    book = Book()
    for entry in entries:
        book.add(entry)
    return book
