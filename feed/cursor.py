"""Cursors: where a subscriber has got to, sealed so that it cannot be forged.

A cursor is base64url over ``version, filter hash, one (epoch, position) per log, MAC``. The names of the logs are not
in it: they follow from the surfaces asked for, which the filter hash pins down.
"""

import base64
import hashlib
import hmac
import re
import struct
from collections.abc import Mapping, Sequence

import msgspec

from domain.settings import Secret
from feed.problems import bad_cursor, other_filter
from journal import Position

_VERSION = 1
_HEAD = struct.Struct(">B8s")
_LOG = struct.Struct(">8sIQQ32s")
_MAC_BYTES = 16
_TEXT = re.compile(r"[A-Za-z0-9_-]{20,2048}")

NO_EPOCH = bytes(8)


class Mark(msgspec.Struct, frozen=True):
    """A place in one log, and which incarnation of that log it belongs to."""

    epoch: bytes
    position: Position


Marks = Mapping[str, Mark]


class Cursors:
    """Seals places into cursors and reads them back."""

    def __init__(self, secret: Secret) -> None:
        self._key = hashlib.sha256(b"tbot feed cursor\0" + secret.reveal().encode()).digest()

    def seal(self, marks: Marks) -> str:
        logs = sorted(marks)
        parts = [_HEAD.pack(_VERSION, _filter_hash(logs))]
        for name in logs:
            at = marks[name].position
            parts.append(_LOG.pack(marks[name].epoch, at.segment, at.offset, at.seq, bytes.fromhex(at.h)))
        plain = b"".join(parts)
        return base64.urlsafe_b64encode(plain + self._mac(plain)).rstrip(b"=").decode()

    def unseal(self, text: str, logs: Sequence[str]) -> Marks:
        """Return the places inside a cursor made for exactly these logs.

        Raises:
            Problem: it is malformed or forged, or was made for other logs.
        """
        sealed = _decode(text)
        plain, mac = sealed[:-_MAC_BYTES], sealed[-_MAC_BYTES:]
        if not hmac.compare_digest(self._mac(plain), mac) or len(plain) < _HEAD.size:
            raise bad_cursor()
        version, made_for = _HEAD.unpack_from(plain)
        if version != _VERSION:
            raise bad_cursor()
        names = sorted(logs)
        if made_for != _filter_hash(names) or len(plain) != _HEAD.size + _LOG.size * len(names):
            raise other_filter()
        return {name: _mark(plain, _HEAD.size + _LOG.size * index) for index, name in enumerate(names)}

    def _mac(self, plain: bytes) -> bytes:
        return hmac.digest(self._key, plain, "sha256")[:_MAC_BYTES]


def _mark(plain: bytes, offset: int) -> Mark:
    epoch, segment, place, seq, h = _LOG.unpack_from(plain, offset)
    return Mark(epoch, Position(segment, place, seq, h.hex()))


def _decode(text: str) -> bytes:
    if not _TEXT.fullmatch(text):
        raise bad_cursor()
    try:
        sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise bad_cursor() from None
    # Spare bits of the last character would give one place many spellings.
    if base64.urlsafe_b64encode(sealed).rstrip(b"=").decode() != text:
        raise bad_cursor()
    return sealed


def _filter_hash(logs: Sequence[str]) -> bytes:
    return hashlib.sha256("\n".join(logs).encode()).digest()[:8]
