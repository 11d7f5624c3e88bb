"""Who may sign for the publisher: which keys count, since when, and whether a signature holds.

A key counts when the settings pin it, when it was the first one seen for its surface, or when a key that counts vouches
for it. It counts for its own surface and its own time alone, so that a newer key can't seal an older past anew. This
module is the single authority for what is signed, as docs/decisions/0007-signed-history.md of the publisher's project
writes it down.
"""

import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tbot_client.clock import iso, parse_iso
from tbot_client.errors import Retry

SIGNATURE = re.compile(r"([0-9a-f]{16}):([A-Za-z0-9+/]{86}==)")
_ID = re.compile(r"[0-9a-f]{16}")


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One public key; ``from_`` and ``until`` bound the ``ts`` of what it may have signed, ``by`` vouches for it."""

    key: str
    surface: str
    public: str
    from_: str = msgspec.field(name="from")
    until: str | None = None
    by: str | None = None
    endorsement: str | None = None


class _Served(msgspec.Struct):
    keys: list[Key]


class BadSignature(Exception):
    """A signature that does not hold; the message says why."""


class NotPinned(BadSignature):
    """Signed by a key that the feed serves and the settings' pins do not lead to; ``signer`` names it as a pin does."""

    def __init__(self, message: str, signer: str) -> None:
        super().__init__(message)
        self.signer = signer


class OlderKey(Exception):
    """Signed by a key that ended before any key that counts began: nothing proves or disproves it."""


@dataclass(frozen=True, slots=True)
class Learned:
    """A key that counts from now on, and why: ``pinned``, ``first`` or ``endorsed``."""

    key: Key
    why: str


def parse_keys(body: bytes) -> list[Key]:
    """Read the answer of ``/api/keys``; an entry that is not what its id says is left out.

    Raises:
        Retry: not of the documented form.
    """
    try:
        served = msgspec.json.decode(body, type=_Served).keys
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Retry("the publisher's keys", f"{len(body)} bytes that are none ({error})") from error
    return [key for key in served if _is_sound(key)]


def _is_sound(key: Key) -> bool:
    public = _decode(key.public)
    try:
        moments = [iso(parse_iso(text)) == text for text in (key.from_, key.until) if text is not None]
    except ValueError:
        return False
    is_named = len(public) == 32 and sha256(public).hexdigest()[:16] == key.key
    return is_named and all(moments) and key.surface.isprintable() and len(key.surface) <= 20


class Keyring:
    """The keys that count; `learn` is the only way in."""

    def __init__(self, pins: Iterable[str] = (), remembered: Mapping[str, Key] | None = None) -> None:
        self._pins = {(surface, key) for surface, _, key in (pin.partition(":") for pin in pins)}
        self._keys: dict[str, Key] = {}
        self._public: dict[str, Ed25519PublicKey] = {}
        self._served: dict[str, Key] = {}
        # A pin that is added later takes what was merely first seen out of force.
        for key in (remembered or {}).values():
            if not self._is_pinned(key.surface):
                self._accept(key)
        self.learn((remembered or {}).values())

    def __contains__(self, key_id: str) -> bool:
        return key_id in self._keys

    def is_served(self, key_id: str) -> bool:
        """Tell whether the feed served a key of that id, whether it counts or not."""
        return key_id in self._served

    def of(self, surface: str) -> list[Key]:
        """Return the keys that count for a surface, oldest first."""
        return sorted((key for key in self._keys.values() if key.surface == surface), key=lambda key: key.from_)

    def learn(self, served: Iterable[Key]) -> list[Learned]:
        """Take in what the feed serves; return what counts from now on, and keys whose end is new."""
        keys = sorted(served, key=lambda key: key.from_)
        self._served |= {key.key: key for key in keys}
        firsts = {key.surface for key in keys if not self.of(key.surface) and not self._is_pinned(key.surface)}
        learned = []
        for key in keys:
            if key.key in self._keys:
                learned += self._shorten(key)
            elif why := self._why(key, firsts):
                learned.append(Learned(self._accept(key), why))
                learned += self._end_endorser(key) if why == "endorsed" else []
        return learned

    def _is_pinned(self, surface: str) -> bool:
        return any(pinned == surface for pinned, _ in self._pins)

    def _why(self, key: Key, firsts: set[str]) -> str:
        if (key.surface, key.key) in self._pins:
            return "pinned"
        if key.by is not None:
            return "endorsed" if self._is_endorsed(key) else ""
        return "first" if key.surface in firsts else ""

    def _is_endorsed(self, key: Key) -> bool:
        older = self._keys.get(key.by or "")
        # A key vouches once, for the one that follows it: whoever stole an old key must not name another heir.
        if older is None or older.surface != key.surface or older.until not in (None, key.from_):
            return False
        text = f"tbot-key:1:{key.key}:{key.surface}:{key.public}:{key.from_}".encode()
        return _holds(self._public[older.key], _decode(key.endorsement or ""), text)

    def _end_endorser(self, key: Key) -> list[Learned]:
        older = self._keys[key.by or ""]
        return self._shorten(replace_until(older, key.from_))

    def _shorten(self, key: Key) -> list[Learned]:
        """Take over an end, never a later one: a key that ended must not come back to life."""
        known = self._keys[key.key]
        if key.until is None or (known.until is not None and known.until <= key.until):
            return []
        return [Learned(self._accept(replace_until(known, key.until)), "ended")]

    def _accept(self, key: Key) -> Key:
        self._keys[key.key] = key
        self._public[key.key] = Ed25519PublicKey.from_public_bytes(_decode(key.public))
        return key

    def check(self, surface: str, text: bytes, sig: str, ts: str = "") -> None:
        """Check a signature over ``text`` made for a log of ``surface`` at ``ts`` (empty: not known).

        Raises:
            BadSignature: it does not hold, or its key does not count here and then.
            OlderKey: its key ended before the oldest that counts.
        """
        found = SIGNATURE.fullmatch(sig)
        if found is None:
            raise BadSignature("the signature is not <key id>:<base64>")
        key = self._keys.get(found[1])
        if key is None:
            raise self._not_counting(found[1], surface)
        if key.surface != surface:
            raise BadSignature(f"key {key.key} is of {key.surface}, not of {surface}")
        _check_time(key, ts)
        if not _holds(self._public[key.key], _decode(found[2]), text):
            raise BadSignature(f"the signature does not match key {key.key}")

    def _not_counting(self, key_id: str, surface: str) -> Exception:
        served, counting = self._served.get(key_id), self.of(surface)
        if served is not None and served.until is not None and counting and served.until <= counting[0].from_:
            return OlderKey(f"key {key_id} ended before the first one that counts")
        if served is None:
            return BadSignature(f"signed by key {key_id}, which the feed does not serve")
        why = f"signed by key {key_id}, which nothing we trust vouches for"
        is_unpinned = served.surface == surface and self._is_pinned(surface)
        return NotPinned(why, f"{surface}:{key_id}") if is_unpinned else BadSignature(why)


def line_text(h: str) -> bytes:
    """Return what is signed for a line whose hash is ``h``."""
    return f"tbot-line:1:{h}".encode()


def checkpoint_text(unsigned: bytes) -> bytes:
    """Return what is signed for a checkpoint; ``unsigned`` is its line before ``,"sig":"``."""
    return b"tbot-checkpoint:1:" + unsigned


def replace_until(key: Key, until: str) -> Key:
    return msgspec.structs.replace(key, until=until)


def is_key_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def _check_time(key: Key, ts: str) -> None:
    # Both are written by the same hand, fixed in width, so that they compare as text.
    if ts and (ts < key.from_ or (key.until is not None and ts > key.until)):
        until = key.until or "now"
        raise BadSignature(f"key {key.key} counts from {key.from_} to {until}, and the line says {ts}")


def _holds(public: Ed25519PublicKey, signature: bytes, text: bytes) -> bool:
    try:
        public.verify(signature, text)
    except InvalidSignature:
        return False
    return True


def _decode(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""
