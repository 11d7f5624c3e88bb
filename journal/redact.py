"""The cleaning of whatever is written: known secret values, and what looks like one, become ``[redacted]``.

A value is found as it is, escaped for JSON, percent-encoded, and in the base64 of ``user:secret``. Patterns find the
forms of tokens this process was never handed. A plain hash (64 hex digits) matches none of them.
"""

import base64
import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

import msgspec

from domain import known_secrets
from journal.codec import to_ascii_json

REDACTED = "[redacted]"

# Of a Bearer or Basic header the word stays: it says what was there.
_PATTERNS = re.compile(
    r"(?:"
    r"(?<![0-9A-Za-z])tbs_[0-9A-Za-z]{8}_[0-9A-Za-z]{32}_[0-9A-Za-z]{6}"  # a subscriber's token
    r"|(?<=[Bb]earer )[0-9A-Za-z._~+/=-]{16,}"
    r"|(?<=[Bb]asic )(?=[0-9A-Za-z+/]*[0-9+/=])[0-9A-Za-z+/]{12,}={0,2}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?<![0-9A-Za-z])[0-9a-f]{32}-[0-9a-f]{32}(?![0-9A-Za-z])"  # OANDA
    r"|(?<![0-9A-Za-z])sk-[0-9A-Za-z_-]{20,}"  # OpenAI, Anthropic, DeepSeek
    r"|(?<![0-9A-Za-z])AKIA[0-9A-Z]{16}(?![0-9A-Za-z])"  # AWS
    r")",
    re.DOTALL,
)
# What the patterns have in common, in tests that are cheap on some 500 bytes: each starts with a byte that C looks for.
# One alternation of all would take ten times as long, because it has no first byte to skip to.
_TOKEN = re.compile(rb"tbs_").search
_SPACED = re.compile(rb" (?:(?<=earer )|(?<=asic ))[0-9A-Za-z._~+/=-]{12}").search

# The rest of the patterns and all known values are looked for at once. Each holds one of a few bytes, rare in records,
# that are all made into `_STAND_IN` first; so the search has a single byte to skip to, however many values are known.
_STAND_IN = b"\x01"
_ALWAYS_RARE = frozenset(b"-K")
# From rare to frequent in records; every other byte is more frequent still.
_RARENESS = b"~|^`@#$&*!?<>;'%+=/()jqXJQWzVYHkGxwFBMNZCTLIOUPADSRE\\ "


class _Known(NamedTuple):
    """How to find the known values: with ``search`` in encoded bytes after ``table``, with ``cut`` in text."""

    version: int
    table: bytes
    search: Callable[[bytes], object]
    cut: "re.Pattern[str] | None"


def text(content: str) -> str:
    """Return ``content`` without secrets."""
    cut = _current().cut
    return _PATTERNS.sub(REDACTED, cut.sub(REDACTED, content) if cut else content)


def record(members: bytes, id_: str) -> tuple[bytes, str]:
    """Return a record's id and its members (what stands between the braces, as ASCII) without secrets.

    An ordinary record comes back as it was given, quickly: every append passes here.
    """
    if not may_hold_secrets(members + id_.encode() if id_ else members):
        return members, id_
    plain = msgspec.json.decode(b"{%b}" % members)
    cleaned = value(plain)
    return members if cleaned == plain else to_ascii_json(cleaned)[1:-1], text(id_)


def line(content: str) -> str:
    """Return one line of JSON without secrets."""
    is_suspect = may_hold_secrets(content.encode("utf-8", "replace"))
    return json.dumps(value(json.loads(content))) if is_suspect else content


def value(plain: Any) -> Any:
    """Return a plain JSON value whose texts, keys included, hold no secrets."""
    if type(plain) is str:
        return text(plain)
    if type(plain) is dict:
        return _mapping(plain)
    if type(plain) is list:
        return [value(item) for item in plain]
    return plain


def _mapping(plain: dict[str, Any]) -> dict[str, Any]:
    cleaned: dict[str, Any] = {}
    for key, item in plain.items():
        name = text(key)
        while name in cleaned:  # two secrets as keys: both members stay
            name += "'"
        cleaned[name] = value(item)
    return cleaned


def may_hold_secrets(encoded: bytes) -> bool:
    """Tell whether ``encoded`` may hold a secret; False is certain."""
    known = _known if known_secrets.version == _known.version else _current()
    return (
        known.search(encoded.translate(known.table)) is not None
        or _TOKEN(encoded) is not None
        or _SPACED(encoded) is not None
    )


def _current() -> _Known:
    global _known
    version = known_secrets.version
    if version != _known.version:
        _known = _learn(version, frozenset(known_secrets.values))
    return _known


def _learn(version: int, secrets: frozenset[str]) -> _Known:
    forms = sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True)
    # The same text has several encodings: with \\u escapes in journals, as UTF-8 in a log line of somebody else.
    needles = {encode(form) for form in forms for encode in (_escaped, _quoted, str.encode)}
    cut = re.compile("|".join(map(re.escape, forms))) if forms else None
    return _Known(version, *_searcher(needles), cut)


def _searcher(needles: set[bytes]) -> tuple[bytes, Callable[[bytes], object]]:
    """Return a table for `bytes.translate`, and what finds each needle, and most patterns, in the outcome.

    A byte stands for a byte, so a needle in the original is there in the outcome too. The opposite does not hold.
    """
    rare = _in_each(needles)
    table = bytes(_STAND_IN[0] if byte in rare else byte for byte in range(256))
    ends = {needle.translate(table).partition(_STAND_IN)[2] for needle in needles}
    pattern = b"|".join([*_pattern_ends(table), *map(re.escape, sorted(ends))])
    return table, re.compile(_STAND_IN + b"(?:%b)" % pattern).search


def _pattern_ends(table: bytes) -> tuple[bytes, ...]:
    """Return what follows a dash, or the K of AKIA, where a pattern matches; any byte may be one replaced."""
    begin, openai, aws, aws_end = (word.translate(table) for word in (b"----BEGIN", b"sk-", b"AK", b"IA"))
    return (
        rb"[\x010-9a-f]{32}",
        begin,
        rb"(?<=%b)[\x010-9A-Za-z_]{20}" % openai,
        rb"(?<=%b)%b[\x010-9A-Z]{16}" % (aws, aws_end),
    )


def _in_each(needles: set[bytes]) -> set[int]:
    """Return few and rare bytes of which each needle has one, and at least four bytes after it."""
    chosen, left = set(_ALWAYS_RARE), needles
    while left := {needle for needle in left if chosen.isdisjoint(needle[:-4])}:
        held = Counter(byte for needle in left for byte in set(needle[:-4]))
        # Cheap for how many needles it serves; the byte itself decides between equals, so that each run does the same.
        chosen.add(min(held, key=lambda byte: (_price(byte) / held[byte], byte)))
    return chosen


def _price(byte: int) -> int:
    place = _RARENESS.find(byte)
    return 10 + (place if place >= 0 else 200)


_ENCODINGS: tuple[Callable[[str], str], ...] = (
    str,
    lambda secret: json.dumps(secret)[1:-1],
    lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    lambda secret: quote(secret, safe=""),
    quote_plus,
)


def _forms(secret: str) -> set[str]:
    """Return the ways in which ``secret`` may stand in a text."""
    clean = secret.encode("utf-8", "replace").decode()
    return {encode(clean) for encode in _ENCODINGS} | _inside_base64(clean.encode())


def _inside_base64(secret: bytes) -> set[str]:
    """Return the characters that base64 makes of ``secret`` alone, whatever stands before and after it."""
    found = set()
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + secret).decode().rstrip("=")
        # A character holds 6 bits: the first ones also hold what stands before, the last one what comes after.
        whole = encoded[(0, 2, 3)[before] : (before + len(secret)) * 8 // 6]
        if len(whole) >= known_secrets.SHORTEST:
            found |= {whole, whole.translate(_URL_SAFE)}
    return found


_URL_SAFE = str.maketrans("+/", "-_")


def _escaped(form: str) -> bytes:
    return to_ascii_json(form)[1:-1]


def _quoted(form: str) -> bytes:
    return json.dumps(form, ensure_ascii=False)[1:-1].encode()


_known = _learn(0, frozenset())
