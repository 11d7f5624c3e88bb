"""Amounts of money: a Decimal that never travels without its currency."""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

CENT = Decimal("0.01")
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Money:
    """``amount`` of ``currency`` (ISO 4217, three capitals). Arithmetic between currencies is refused."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not self.amount.is_finite():
            raise ValueError(f"money must be finite, found {self.amount}")
        if not _CURRENCY.fullmatch(self.currency):
            raise ValueError(f"currency must be three capitals, found {self.currency!r}")

    def __add__(self, other: "Money") -> "Money":
        return Money(self.amount + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.amount - self._same(other), self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.amount, self.currency)

    def rounded(self, quantum: Decimal = CENT) -> "Money":
        """Return the amount rounded half-even to ``quantum``."""
        return Money(self.amount.quantize(quantum, ROUND_HALF_EVEN), self.currency)

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"

    def _same(self, other: "Money") -> Decimal:
        if other.currency != self.currency:
            raise ValueError(f"cannot mix {self.currency} and {other.currency}; convert first")
        return other.amount
