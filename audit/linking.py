"""Exits linked to the entries they closed: by the signal both belong to, never by which share came first.

An entry and an exit that carry the same signal are one trade, whatever else was bought and sold of the same market
meanwhile. Inside a trade, fills are taken in the order of their times and transaction ids, so that the order in which
they became known changes nothing. What carries no signal is linked first in, first out, and says so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from domain.ledger.position import Lot

Link = Literal["structural", "inferred"]
NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """``quantity`` of one entry fill closed by one exit fill; ``fees`` are both fills' own, by quantity.

    ``gross`` is the difference of the prices times quantity, in the instrument's quote currency.
    """

    entry: Lot
    exit: Lot
    quantity: Decimal
    gross: Decimal
    fees: Decimal
    link: Link = "structural"

    @property
    def net(self) -> Decimal:
        return self.gross - self.fees


def pairs(entries: Iterable[Lot], exits: Iterable[Lot], sign: int, link: Link = "structural") -> tuple[Pair, ...]:
    """Return which part of which entry each exit closed; an exit beyond what was entered closes nothing.

    Args:
        sign: 1 when the entries bought, -1 when they sold.
    """
    found: list[Pair] = []
    entered = in_order(entries)
    open_ = {lot.transaction_id: lot.quantity for lot in entered}
    for lot in in_order(exits):
        left = lot.quantity
        for entry in entered:
            taken = min(open_[entry.transaction_id], left)
            if taken > 0:
                found.append(_pair(entry, lot, taken, sign, link))
                open_[entry.transaction_id] -= taken
                left -= taken
    return tuple(found)


def in_order(lots: Iterable[Lot]) -> Sequence[Lot]:
    """Return fills by time and transaction id, each once and as last corrected: a replay brings some twice."""
    once: dict[str, Lot] = {}
    for lot in lots:
        known = once.get(lot.transaction_id)
        if known is None or lot.revision > known.revision:
            once[lot.transaction_id] = lot
    return sorted(once.values(), key=lambda lot: (lot.at, lot.transaction_id))


def _pair(entry: Lot, exit_: Lot, quantity: Decimal, sign: int, link: Link) -> Pair:
    fees = _share(entry, quantity) + _share(exit_, quantity)
    gross = (exit_.price - entry.price) * quantity * sign
    return Pair(entry=entry, exit=exit_, quantity=quantity, gross=gross, fees=fees, link=link)


def _share(lot: Lot, quantity: Decimal) -> Decimal:
    return lot.fee * quantity / lot.quantity if lot.quantity else NOTHING
