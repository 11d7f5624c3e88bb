"""Outcomes seen before the venue's final word: a thermometer that has decided a contract, a result still contestable.

They are written as provisional resolutions: nobody was paid yet, and the position stays open. When the final word
differs, its resolution says that it is disputed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

import structlog

from domain.contract import Contract, ContractStatus, SettlementRule
from domain.errors import Refuse, Retry
from domain.ledger.position import Position
from domain.resolution import Resolution
from domain.vocabulary import ExitReason, Kind, ResolutionSource
from resolver.books import ResolverBooks
from resolver.settle import tidy

log = structlog.get_logger()
HOUR = Decimal(3600)
ONE, ZERO = Decimal(1), Decimal(0)
# A price of several executions has no end of digits; the venue books money to a hundredth of a cent.
PLACES = Decimal("0.0001")
CONTESTABLE = frozenset({ContractStatus.DETERMINED, ContractStatus.DISPUTED, ContractStatus.AMENDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What a source says a contract pays per YES, as things stand; ``outcome`` tells in words what was seen."""

    source: ResolutionSource
    value: Decimal
    outcome: str
    disputed: bool = False


class Witness(Protocol):
    """Somebody who may know an outcome early. Raises Retry when it can't be asked now."""

    def look(self, position: Position, rule: SettlementRule) -> Sighting | None:
        """Return what is seen, None while nothing is decided."""


class VenueWitness:
    """The venue's own result while it may still be contested."""

    def __init__(self, contract: Callable[[str], Contract | None]) -> None:
        self._contract = contract

    def look(self, position: Position, rule: SettlementRule) -> Sighting | None:
        """Return the result the venue names for the position's contract, until it is final."""
        contract = self._contract(position.market)
        if contract is None or contract.status not in CONTESTABLE or contract.result not in ("yes", "no"):
            return None
        return Sighting(
            source=ResolutionSource.KALSHI_RESOLUTION,
            value=ONE if contract.result == "yes" else ZERO,
            outcome=f"{contract.result} ({contract.status})",
            disputed=contract.status is ContractStatus.DISPUTED,
        )


class Lookout:
    """Asks the witnesses about every open event position, and writes what is new.

    Args:
        every_s: seconds on the process's clock between two looks.
    """

    def __init__(self, books: ResolverBooks, witnesses: Iterable[Witness], every_s: float) -> None:
        self._books = books
        self._witnesses = tuple(witnesses)
        self._every = timedelta(seconds=every_s)
        self._next = books.clock.now()

    def advance(self) -> None:
        """Look when it is time; a witness that can't be asked costs nothing but its answer."""
        if self._books.clock.now() < self._next:
            return
        self._next = self._books.clock.now() + self._every
        for position in self._books.fold.positions():
            rule = position.decision.candidate.rule
            if rule is not None:
                self._look(position, rule)

    def _look(self, position: Position, rule: SettlementRule) -> None:
        for witness in self._witnesses:
            try:
                sighting = witness.look(position, rule)
            except (Retry, Refuse) as error:
                log.warning("witness_silent", market=position.market, error=str(error))
                continue
            if sighting is not None and self._is_new(position, sighting):
                self._write(position, sighting)

    def _is_new(self, position: Position, sighting: Sighting) -> bool:
        earlier = self._books.fold.provisional.get(position.signal_id, ())
        same = [seen for seen in earlier if seen.resolution_source is sighting.source]
        return not same or (same[-1].exit_price, same[-1].outcome) != (sighting.value, sighting.outcome)

    def _write(self, position: Position, sighting: Sighting) -> None:
        resolution = provisional(self._books, position, sighting)
        log.info("seen_early", signal=position.signal_id, source=sighting.source, outcome=sighting.outcome)
        self._books.write([(Kind.RESOLUTION, resolution.id, resolution)])


def provisional(books: ResolverBooks, position: Position, sighting: Sighting) -> Resolution:
    """Return what the position would come to if the sighting is right; what is open is valued at what it would pay."""
    candidate, estimate, now = position.decision.candidate, position.decision.estimate, books.clock.now()
    move = (sighting.value - position.entry_price) * position.side.sign
    held = Decimal(str((now - position.opened_at).total_seconds()))
    actual = (held / HOUR).quantize(Decimal("0.000001"))
    return Resolution(
        id=books.new_id("res"),
        signal_id=position.signal_id,
        surface=books.surface,
        mode=books.mode,
        market=position.market,
        side=position.side,
        strategy=candidate.strategy,
        sub_strategy=candidate.sub_strategy,
        quantity=position.quantity,
        entry_price=tidy(position.entry_price),
        exit_price=sighting.value,
        reason=ExitReason.SETTLED,
        resolution_source=sighting.source,
        realised=(position.realised + move * position.quantity).quantize(PLACES),
        fees=sum((lot.fee for lot in position.entries + position.exits), ZERO),
        currency=books.fold.bankroll.currency,
        mae=max(-move, ZERO),
        mfe=max(move, ZERO),
        opened_at=position.opened_at,
        resolved_at=now,
        eta_hours=estimate.eta_hours,
        actual_hours=actual,
        late=actual > estimate.eta_hours,
        provisional=True,
        disputed=sighting.disputed,
        outcome=sighting.outcome,
    )
