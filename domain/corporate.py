"""Corporate actions on what is held: a split makes more shares of each, every one of them cheaper."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from domain.clock import require_utc
from domain.decision import Decision
from domain.ledger.position import Lot


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """``new`` shares for each ``old`` of what ``signal_id`` holds, from ``effective_at`` on (7 for 1 is 7 and 1).

    ``evidence`` says in words what it was concluded from.
    """

    market: str
    signal_id: str
    new: int
    old: int
    effective_at: datetime
    evidence: str = ""

    def __post_init__(self) -> None:
        require_utc(self.effective_at, "Split.effective_at")
        if self.new < 1 or self.old < 1 or self.new == self.old:
            raise ValueError(f"a split needs two different numbers above 0, found {self.new} for {self.old}")

    def quantity(self, before: Decimal) -> Decimal:
        return before * self.new / self.old

    def price(self, before: Decimal) -> Decimal:
        return before * self.old / self.new


def rescale_lot(lot: Lot, splits: Iterable[Split]) -> Lot:
    """Return a fill as it counts after every split that came after it; its profit and fee are money and stay."""
    for split in splits:
        if lot.at < split.effective_at:
            lot = replace(lot, quantity=split.quantity(lot.quantity), price=split.price(lot.price))
    return lot


def rescale_decision(decision: Decision, split: Split) -> Decision:
    """Return the decision in shares and prices of after the split; the quote it was decided on stays as it was."""
    candidate, size = decision.candidate, decision.size
    scaled = replace(
        candidate,
        decision_price=split.price(candidate.decision_price),
        stop_loss=split.price(candidate.stop_loss),
        take_profit=_price(split, candidate.take_profit),
        trailing_distance=_price(split, candidate.trailing_distance),
        trailing_offset=_price(split, candidate.trailing_offset),
        trigger=_price(split, candidate.trigger),
        limit=_price(split, candidate.limit),
        atr=split.price(candidate.atr),
    )
    return replace(decision, candidate=scaled, size=replace(size, quantity=split.quantity(size.quantity)))


def _price(split: Split, price: Decimal | None) -> Decimal | None:
    return None if price is None else split.price(price)
