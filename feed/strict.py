"""JSON as it is taken from strangers: one meaning only, and bounded work.

Pydantic's own parser takes the last of two equal keys, NaN, and nesting far deeper than any report has.
"""

import json
import re
from typing import Any, NoReturn

from feed.problems import Problem, invalid

DEPTH_MAX = 32
NUMBER_MAX = 40

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


def check(body: bytes) -> None:
    """Refuse what is no JSON text in UTF-8 with one meaning.

    Raises:
        Problem: 422, saying what is wrong; what was sent is not repeated.
    """
    if _depth(body) > DEPTH_MAX:
        raise _wrong(f"nested deeper than {DEPTH_MAX}")
    try:
        # As text: given bytes, json takes UTF-16 and a byte order mark as well.
        text = body.decode("utf-8")
        _DECODER.decode(text)
    except UnicodeDecodeError:
        raise _wrong("not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise _wrong(str(error) if isinstance(error, _Refused) else "not JSON") from None


class _Refused(ValueError):
    """What is JSON to others, but not here."""


def _depth(body: bytes) -> int:
    """Return how deep brackets are nested; counting them first spares every ordinary report the closer look."""
    if body.count(b"[") + body.count(b"{") <= DEPTH_MAX:
        return 0
    deepest = depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("a key that stands twice")
    return found


def _number(text: str) -> int:
    if len(text) > NUMBER_MAX:
        raise _Refused(f"a number of more than {NUMBER_MAX} characters")
    return 0  # its value is the business of whoever parses it next


def _constant(text: str) -> NoReturn:
    raise _Refused("NaN or infinity")


def _wrong(found: str) -> Problem:
    return invalid([{"field": "body", "found": found}])


# Made once: `json.loads` with hooks of one's own makes a decoder for each text.
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_number, parse_float=_number, parse_constant=_constant)
