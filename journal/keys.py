"""Who signed what: the key a writer signs with, and the public keys its signatures are checked against.

This module is the single authority for what is signed: which bytes, with which prefix, and in which form a signature
stands on a line (``<key id>:<base64>``). docs/decisions/0007-signed-history.md says why.
"""

import os
import re
import stat
from base64 import b64decode, b64encode
from collections.abc import Collection, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from domain.clock import iso
from domain.errors import Misconfigured
from journal.public_keys import PublicKey, current_key, read_public_keys

SIGNATURE = re.compile(r"([0-9a-f]{16}):([A-Za-z0-9+/]{86}==)")


class BadSignature(Exception):
    """A signature that does not hold; the message says why."""


def key_id(public: bytes) -> str:
    """Return the id of a public key given as its 32 raw bytes."""
    return sha256(public).hexdigest()[:16]


def line_text(h: str) -> bytes:
    """Return what is signed for a line whose hash is ``h``."""
    return b"tbot-line:1:" + h.encode()


def checkpoint_text(unsigned: bytes) -> bytes:
    """Return what is signed for a checkpoint; ``unsigned`` is its line before ``,"sig":"``."""
    return b"tbot-checkpoint:1:" + unsigned


def endorsement_text(key: str, surface: str, public: str, from_: str) -> bytes:
    """Return what an older key signs to vouch for a newer one."""
    return f"tbot-key:1:{key}:{surface}:{public}:{from_}".encode()


def key_path(folder: Path, surface: str) -> Path:
    """Return where the private key of a surface lies."""
    return folder / f"{surface}.key"


class Signer:
    """The private key of one surface, as its writers hold it.

    Attributes:
        key: the key id.
        from_: the earliest time of what it may have signed; empty when that is not known.
    """

    def __init__(self, surface: str, private: Ed25519PrivateKey) -> None:
        self.surface = surface
        self._private = private
        self.public = private.public_key().public_bytes_raw()
        self.key = key_id(self.public)
        self.from_ = ""
        self._before = f"{self.key}:".encode()

    @classmethod
    def load(cls, folder: Path, surface: str, now: datetime) -> "Signer":
        """Read the key of ``surface`` from ``folder``.

        Raises:
            Misconfigured: there is none, others may read it, or ``public.json`` does not name it as the one in use;
                the message names the command to run.
        """
        signer = cls(surface, read_private_key(folder, surface))
        entry = current_key(read_public_keys(folder), surface)
        if entry is None or entry.key != signer.key:
            found = f"key {entry.key}" if entry else "no key"
            todo = f"run tbot keys rotate {surface}, which finishes what was begun, or restore keys/ from a copy"
            raise Misconfigured(f"{folder}/public.json to name key {signer.key} of {surface}", found, todo)
        if iso(now) < entry.from_:
            expected = f"a time after {entry.from_}, since when key {signer.key} of {surface} is valid"
            raise Misconfigured(expected, iso(now), "correct the clock: nobody would accept what it signs")
        signer.from_ = entry.from_
        return signer

    def sign_line(self, h: str) -> bytes:
        """Return ``<key id>:<base64>`` over a line's hash."""
        return self._before + b64encode(self._private.sign(b"tbot-line:1:" + h.encode()))

    def sign_checkpoint(self, unsigned: bytes) -> bytes:
        """Return ``<key id>:<base64>`` over a checkpoint's bytes before ``,"sig":"``."""
        return self._before + b64encode(self._private.sign(checkpoint_text(unsigned)))

    def made(self, unsigned: bytes, sig: str) -> bool:
        """Tell whether ``sig`` on a checkpoint holds; of a signature by another key nothing is known, which counts."""
        return self._holds(checkpoint_text(unsigned), sig)

    def made_line(self, h: str, sig: str, ts: str) -> bool:
        """Tell the same of a line's, which must not be older than the key."""
        return self._holds(line_text(h), sig) and (not sig.startswith(self.key) or ts >= self.from_)

    def _holds(self, text: bytes, sig: str) -> bool:
        found = SIGNATURE.fullmatch(sig)
        if found is None or found[1] != self.key:
            return found is not None
        try:
            self._private.public_key().verify(b64decode(found[2]), text)
        except InvalidSignature:
            return False
        return True

    def endorse(self, key: str, public: str, from_: str) -> str:
        """Return the signature (base64) with which this key vouches for a newer one of its surface."""
        return b64encode(self._private.sign(endorsement_text(key, self.surface, public, from_))).decode()

    def __repr__(self) -> str:
        return f"Signer(surface={self.surface!r}, key={self.key!r})"


def read_private_key(folder: Path, surface: str) -> Ed25519PrivateKey:
    """Return the private key of ``surface``. Raises Misconfigured as `Signer.load`."""
    path = key_path(folder, surface)
    _require_private(path, surface)
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        # The error's own words might quote the file.
        raise _unreadable(path, surface, f"{type(error).__name__} reading it") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _unreadable(path, surface, "a key of another kind")
    return key


def _unreadable(path: Path, surface: str, found: str) -> Misconfigured:
    return Misconfigured(
        f"an Ed25519 key in {path}",
        found,
        f"restore it from a copy, or move it away and run tbot keys create {surface}",
    )


def _require_private(path: Path, surface: str) -> None:
    try:
        status, folder = path.lstat(), path.parent.stat()
    except FileNotFoundError:
        raise Misconfigured(f"the key {path}", "no such file", f"run tbot keys create {surface}") from None
    if not stat.S_ISREG(status.st_mode):
        found = "a link or something else"
        raise Misconfigured(f"{path} to be a plain file", found, f"move it away and run tbot keys create {surface}")
    for place, status_, wanted in ((path.parent, folder, 0o700), (path, status, 0o600)):
        _require_ours(place, status_, wanted, surface)


def _require_ours(path: Path, status: os.stat_result, wanted: int, surface: str) -> None:
    if status.st_uid != os.geteuid():
        todo = f"chown it, or move it away and run tbot keys create {surface}"
        raise Misconfigured(f"{path} to belong to uid {os.geteuid()}", f"uid {status.st_uid}", todo)
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        todo = f"run chmod {wanted:o} {path}; if others may have read the key, run tbot keys rotate {surface} --leaked"
        raise Misconfigured(f"{path} with mode {wanted:o}", f"mode {mode:o}", todo)


class Keyring:
    """The public keys that count, and what each of them may have signed.

    A key that names an older one (``by``) counts only with that key's endorsement. With ``pins`` (key ids) a key
    counts when it is pinned, or endorsed by one that counts; without, every first key counts.
    """

    def __init__(self, keys: Sequence[PublicKey], pins: Collection[str] | None = None) -> None:
        self._known = {key.key: key for key in keys}
        self._accepted: dict[str, Ed25519PublicKey] = {}
        self._why_not: dict[str, str] = {}
        left = list(keys)
        # Oldest first is how the file is written, but a chain of endorsements counts in any order.
        while accepted := [key for key in left if self._accept(key, pins)]:
            left = [key for key in left if key not in accepted]

    @classmethod
    def load(cls, folder: Path, pins: Collection[str] | None = None) -> "Keyring":
        """Read ``public.json`` from ``folder``; an empty ring if there is none.

        Raises:
            Misconfigured: the file can't be read as one.
        """
        return cls(read_public_keys(folder), pins)

    def __bool__(self) -> bool:
        return bool(self._known)

    def keys(self, surface: str | None = None) -> list[PublicKey]:
        """Return the keys that count, all or those of one surface."""
        return [self._known[key] for key in self._accepted if surface in (None, self._known[key].surface)]

    def verify_line(self, h: str, sig: str, ts: str, surface: str) -> None:
        """Check the ``sig`` of a line with hash ``h`` and time ``ts`` in a log of ``surface``.

        Raises:
            BadSignature: it does not hold.
        """
        self._verify(line_text(h), sig, ts, surface)

    def verify_checkpoint(self, unsigned: bytes, sig: str, ts: str, surface: str) -> None:
        """Check the ``sig`` of a checkpoint; ``unsigned`` is its line before ``,"sig":"``. Raises as `verify_line`."""
        self._verify(checkpoint_text(unsigned), sig, ts, surface)

    def _verify(self, text: bytes, sig: str, ts: str, surface: str) -> None:
        found = SIGNATURE.fullmatch(sig)
        if found is None:
            raise BadSignature("the signature is not <key id>:<base64>")
        key = self._accepted.get(found[1])
        if key is None:
            raise BadSignature(f"signed by key {found[1]}, {self._why_not.get(found[1], 'which is not known')}")
        _require_scope(self._known[found[1]], ts, surface)
        try:
            key.verify(b64decode(found[2]), text)
        except InvalidSignature:
            raise BadSignature(f"the signature does not match key {found[1]}") from None

    def _accept(self, entry: PublicKey, pins: Collection[str] | None) -> bool:
        reason = self._fault(entry, pins)
        if reason:
            self._why_not[entry.key] = reason
            return False
        self._accepted[entry.key] = Ed25519PublicKey.from_public_bytes(b64decode(entry.public))
        return True

    def _fault(self, entry: PublicKey, pins: Collection[str] | None) -> str:
        raw = _decode(entry.public)
        if len(raw) != 32 or key_id(raw) != entry.key:
            return "whose public half is not the key of that id"
        if pins is not None and entry.key in pins:
            return ""
        if entry.by is None:
            return "" if pins is None else "which is neither pinned nor endorsed by a key that is"
        return self._endorsement_fault(entry)

    def _endorsement_fault(self, entry: PublicKey) -> str:
        older = self._accepted.get(entry.by or "")
        if older is None:
            return f"endorsed by key {entry.by}, which does not count"
        scope = self._known[entry.by or ""]
        if scope.surface != entry.surface:
            return f"endorsed by key {entry.by} of another surface"
        if scope.until is not None and entry.from_ > scope.until:
            return f"endorsed by key {entry.by}, which was valid only until {scope.until}"
        text = endorsement_text(entry.key, entry.surface, entry.public, entry.from_)
        try:
            older.verify(_decode(entry.endorsement or ""), text)
        except InvalidSignature:
            return f"whose endorsement by key {entry.by} does not hold"
        return ""


def _require_scope(entry: PublicKey, ts: str, surface: str) -> None:
    if entry.surface != surface:
        raise BadSignature(f"signed by key {entry.key}, which is the key of {entry.surface}, not of {surface}")
    if ts < entry.from_:
        raise BadSignature(f"signed by key {entry.key}, which is valid only from {entry.from_}; the record is of {ts}")
    if entry.until is not None and ts > entry.until:
        raise BadSignature(
            f"signed by key {entry.key}, which was valid only until {entry.until}; the record is of {ts}"
        )


def _decode(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""
