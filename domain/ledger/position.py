"""Positions with structural linking: every exit belongs to one entry and can't exceed it."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from domain.decision import Decision
from domain.quotes import Quote
from domain.vocabulary import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """One fill. ``realised`` and ``fee`` are in home currency, ``price`` in the instrument's quote currency.

    Of one ``transaction_id`` the highest ``revision`` counts: a broker corrects what it told before.
    """

    transaction_id: str
    quantity: Decimal
    price: Decimal
    at: datetime
    realised: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What one signal opened: the decision behind it, its entries, and the exits taken so far."""

    signal_id: str
    decision: Decision
    broker_trade_id: str | None
    entries: tuple[Lot, ...]
    exits: tuple[Lot, ...] = ()

    @property
    def market(self) -> str:
        return self.decision.candidate.market

    @property
    def side(self) -> Side:
        return self.decision.candidate.side

    @property
    def opened_at(self) -> datetime:
        return self.entries[0].at

    @property
    def quantity_in(self) -> Decimal:
        return sum((lot.quantity for lot in self.entries), Decimal(0))

    @property
    def quantity_out(self) -> Decimal:
        return sum((lot.quantity for lot in self.exits), Decimal(0))

    @property
    def quantity(self) -> Decimal:
        """Return what is still open, in units, never negative."""
        return self.quantity_in - self.quantity_out

    @property
    def entry_price(self) -> Decimal:
        return vwap(self.entries)

    @property
    def realised(self) -> Decimal:
        """Return the profit booked so far after fees, in home currency."""
        return sum((lot.realised - lot.fee for lot in self.entries + self.exits), Decimal(0))

    def with_entry(self, lot: Lot) -> "Position":
        """Return the position with one more entry fill; a fill already booked changes nothing."""
        if self._has(lot):
            return self
        return replace(self, entries=(*self.entries, lot))

    def with_exit(self, lot: Lot) -> "Position":
        """Return the position with one more exit fill, or with a correction in place of what it corrects.

        Raises:
            ValueError: the exit would close more than is open.
        """
        before = self.exit(lot.transaction_id)
        if self._has(lot) and (before is None or before.revision >= lot.revision):
            return self
        rest = self.without(before)
        if lot.quantity > rest.quantity:
            raise ValueError(f"exit of {lot.quantity} exceeds the {rest.quantity} open in {self.signal_id}")
        return replace(rest, exits=(*rest.exits, lot))

    def exit(self, transaction_id: str) -> Lot | None:
        """Return the exit fill booked under an id."""
        return next((lot for lot in self.exits if lot.transaction_id == transaction_id), None)

    def without(self, exit_: Lot | None) -> "Position":
        """Return the position as it was without one of its exits."""
        return self if exit_ is None else replace(self, exits=tuple(lot for lot in self.exits if lot != exit_))

    def marked(self, quote: Quote | None) -> Decimal | None:
        """Return the open profit in home currency at the price it could be closed at, None when that is unknown."""
        if quote is None or quote.home_rate is None:
            return None
        move = (quote.exit_price(self.side) - self.entry_price) * self.side.sign
        return move * self.quantity * quote.home_rate

    def _has(self, lot: Lot) -> bool:
        return any(lot.transaction_id == known.transaction_id for known in self.entries + self.exits)


def vwap(lots: tuple[Lot, ...]) -> Decimal:
    """Return the volume-weighted average price of at least one lot."""
    quantity = sum((lot.quantity for lot in lots), Decimal(0))
    return sum((lot.quantity * lot.price for lot in lots), Decimal(0)) / quantity
