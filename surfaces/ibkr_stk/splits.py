"""Splits of shares that are held: believed only once something besides the share count says so, then written down."""

from decimal import Decimal
from fractions import Fraction

import structlog

from domain.corporate import Split, rescale_decision
from domain.ledger.position import Position
from domain.signal import SignalAmend
from market.corporate_actions import factors_of
from strategies.stop_entry.facts import Facts
from strategies.stop_entry.levels import down
from strategies.stop_entry.protection import split_of
from strategies.stop_entry.splits import off_scale
from surfaces.books import Books

log = structlog.get_logger()
# How far the price may lie from where a split would put it: what is held has moved since it was bought.
ROOM = 0.2


class SplitDesk:
    """Explains a share count that has changed by the ratio of a split, and rescales what our journals hold."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def explain(self, facts: Facts, position: Position) -> bool:
        """Write a split down if there is one, and tell whether there was."""
        ratio = split_of(facts)
        evidence = None if ratio is None else _evidence(facts, position, ratio)
        if ratio is None or evidence is None:
            return False
        log.error("split", market=facts.symbol, ratio=str(ratio), evidence=evidence)
        split = Split(
            market=facts.symbol,
            signal_id=position.signal_id,
            new=ratio.numerator,
            old=ratio.denominator,
            effective_at=facts.now,
            evidence=evidence,
        )
        # Told before it is written: who dies in between explains it again, and tells it twice rather than never.
        self._amend(position, split, facts.tick)
        self._books.split(split)
        return True

    def _amend(self, position: Position, split: Split, tick: Decimal) -> None:
        """Tell subscribers the levels of after a split."""
        signal_id = position.signal_id
        if signal_id not in self._books.fold.published:
            return
        candidate = rescale_decision(position.decision, split).candidate
        self._books.published(
            SignalAmend(
                id=self._books.new_id("amd"),
                signal_id=signal_id,
                surface=self._books.surface,
                mode=self._books.mode,
                market=position.market,
                stop_loss=down(candidate.stop_loss, tick),
                take_profit=_on_tick(candidate.take_profit, tick),
                trailing_distance=_on_tick(candidate.trailing_distance, tick),
                reason="split",
                published_at=self._books.now(),
            )
        )


def _evidence(facts: Facts, position: Position, ratio: Fraction) -> str | None:
    """Return in words what speaks for a split of this ratio besides the share count, None when nothing does."""
    counts = f"{facts.held} shares became {facts.position}"
    if factors_of(facts.symbol).split_between(position.opened_at.date(), facts.now.date()) == ratio:
        return f"{counts}, as the table of corporate actions says"
    if facts.last is None:
        return None
    expected = position.entry_price * ratio.denominator / ratio.numerator
    if abs(float(facts.last / expected) - 1) <= ROOM or off_scale(facts.last, facts.reference) == ratio:
        return f"{counts}, and {position.entry_price} became {facts.last}"
    return None


def _on_tick(price: Decimal | None, tick: Decimal) -> Decimal | None:
    return None if price is None else down(price, tick)
