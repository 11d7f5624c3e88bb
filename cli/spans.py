"""Spans of time as a person types them: ``60s``, ``5m``, ``2h``."""

import math
import re

from domain.errors import Refuse

_SPAN = re.compile(r"^(\d+(?:\.\d+)?)(s|m|h|)$")
_UNIT_S = {"": 1, "s": 1, "m": 60, "h": 3600}


def parse_span(text: str) -> float:
    """Return the seconds that ``text`` names.

    Raises:
        Refuse: it is no such span, or none at all.
    """
    found = _SPAN.match(text.strip())
    if found is None or not 0 < float(found[1]) < math.inf:
        raise Refuse("a span such as 60s, 5m or 2h", repr(text), "give one")
    return float(found[1]) * _UNIT_S[found[2]]
