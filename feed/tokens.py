"""Subscriber tokens: their form, their checksum and who they stand for.

A token reads ``tbs_<8 id>_<32 random>_<6 crc32>``, all base62. The prefix and the checksum let a secret scanner find
one and reject a look-alike offline; 32 base62 characters are 190 random bits, so a plain SHA-256 is enough to store.
"""

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.vocabulary import Surface

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TOKEN = re.compile(r"tbs_(?P<id>[0-9A-Za-z]{8})_[0-9A-Za-z]{32}_(?P<crc>[0-9A-Za-z]{6})")
_NOBODY = hashlib.sha256(b"nobody").hexdigest()


class Scope(StrEnum):
    """What a token may do."""

    FEED_READ = "feed:read"
    CALLBACK_WRITE = "cb:write"
    ADMIN_READ = "admin:read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """What is stored about one token: never the token itself.

    A subscriber whose token was changed has two for a while. ``first_id`` is the id of the first one: reports are
    kept under it, so that a report repeated with the new token is known as the old one.
    """

    id: str
    sha256: str
    label: str
    scopes: tuple[Scope, ...]
    surfaces: tuple[Surface, ...]
    created_at: datetime
    not_before: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    first_id: str | None = None

    @property
    def subscriber_id(self) -> str:
        """Return who this is, whichever of its tokens is used."""
        return self.first_id or self.id

    def is_valid(self, now: datetime) -> bool:
        """Tell whether the token may be used at ``now``; ``expires_at`` is the first moment at which it may not."""
        return self.state(now) == "valid"

    def state(self, now: datetime) -> str:
        """Return ``valid``, or why it is not: ``revoked``, ``early`` or ``expired``."""
        if self.revoked_at is not None:
            return "revoked"
        if self.not_before is not None and now < self.not_before:
            return "early"
        return "valid" if self.expires_at is None or now < self.expires_at else "expired"


def create() -> tuple[str, str]:
    """Return a new token and its id."""
    token_id = _random(8)
    stem = f"tbs_{token_id}_{_random(32)}"
    return f"{stem}_{_checksum(stem)}", token_id


def parse(token: str) -> str | None:
    """Return the id inside ``token``, or None when its form or checksum is wrong."""
    found = _TOKEN.fullmatch(token)
    if found is None or _checksum(token[:-7]) != found["crc"]:
        return None
    return found["id"]


def digest(token: str) -> str:
    """Return what is stored instead of the token: its SHA-256 in hex."""
    return hashlib.sha256(token.encode("ascii", "replace")).hexdigest()


def verify(token: str, subscriber: Subscriber | None) -> bool:
    """Compare in constant time; an unknown subscriber costs the same as a known one."""
    stored = _NOBODY if subscriber is None else subscriber.sha256
    return hmac.compare_digest(digest(token), stored) and subscriber is not None


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(stem: str) -> str:
    value = zlib.crc32(stem.encode("ascii"))
    digits = []
    for _ in range(6):
        value, digit = divmod(value, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
