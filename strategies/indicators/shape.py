"""The shape every indicator has."""

from typing import ClassVar, Protocol

# TA-Lib's own epsilon (ta_utility.h): below it a range or a sum of moves counts as zero.
NEGLIGIBLE = 1e-14


class Indicator(Protocol):
    """What a registry needs to know of an indicator.

    ``update`` takes the bar's fields named in ``inputs``, in that order, and returns the new ``value``: None until
    enough bars were seen. Indicators with several lines keep the others beside it (``upper``, ``signal``, …).
    """

    inputs: ClassVar[tuple[str, ...]]

    @property
    def value(self) -> float | None: ...

    @property
    def ready(self) -> bool: ...


def require_period(period: int, least: int = 1) -> int:
    """Return ``period``; one below ``least`` is a programming error."""
    if period < least:
        raise ValueError(f"a period must be at least {least}, found {period}")
    return period
