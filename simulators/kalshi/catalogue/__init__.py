"""Which contracts the simulated venue lists: New York's daily high, hourly bitcoin, questions of prediction markets.

Outcomes are recorded; strikes, hours and the worth of a contract before its outcome are synthetic. Every listing's
``note`` says which is which.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from simulators.kalshi.catalogue import bitcoin, highs, questions
from simulators.kalshi.listing import Catalogue, Listing, Series

_DAY = timedelta(days=1)
# the longest life of a contract, from its opening to its payment
_LONGEST = timedelta(days=3)


class RecordedCatalogue:
    """The contracts made of the bundled recordings."""

    def series(self) -> Sequence[Series]:
        """Return every family of events."""
        return (highs.SERIES, bitcoin.SERIES, *questions.series())

    def listings(self, start: datetime, end: datetime) -> Sequence[Listing]:
        """Return the contracts whose life (open to settled) overlaps ``[start, end)``, ordered by opening."""
        found: list[Listing] = []
        day = (start - _LONGEST).date()
        while day <= (end + _LONGEST).date():
            for family in (highs.of_day, bitcoin.of_day, questions.of_day):
                found += [one for one in family(day) if one.open_time < end and one.settled_at >= start]
            day += _DAY
        return sorted(found, key=lambda one: (one.open_time, one.ticker))


def catalogue(start: datetime) -> Catalogue:
    """Return what the venue lists.

    Args:
        start: where the shared clock begins, aware. It moves nothing here, because the recordings repeat in a fixed
            phase; a catalogue of another recording may need it.
    """
    if start.tzinfo is None:
        raise ValueError(f"start: expected a time with an offset; found {start.isoformat()}")
    return RecordedCatalogue()
