"""The words in which a person names a moment: ``--since 7d``, ``--since 2026-11-01``."""

import re
from datetime import UTC, datetime, timedelta

from domain.errors import Refuse

GRAMMAR = (
    "a span (30m, 24h, 7d, 2w), today, yesterday, an ISO date or date-time (UTC unless it says otherwise), "
    "or Unix seconds"
)
_SPAN = re.compile(r"^(\d+)([smhdw])$")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
# Nine or ten digits are Unix seconds; eight are a basic ISO date such as 20261101.
_UNIX = re.compile(r"^\d{9,10}(\.\d+)?$")


def parse_moment(text: str, now: datetime) -> datetime:
    """Return the UTC moment that ``text`` names, relative to ``now`` where it is a span.

    Raises:
        Refuse: the text follows none of the forms in ``GRAMMAR``.
    """
    text = text.strip()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if text in ("today", "yesterday"):
        return midnight if text == "today" else midnight - timedelta(days=1)
    try:
        if found := _SPAN.match(text):
            return now - timedelta(seconds=int(found[1]) * _UNIT_S[found[2]])
        if _UNIX.match(text):
            return datetime.fromtimestamp(float(text), UTC)
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Refuse(GRAMMAR, repr(text), "give one of these forms") from error
