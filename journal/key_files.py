"""Making and replacing the keys of a surface, so that a crash at any point leaves something that can be finished.

The new private key first lies beside the old one as ``<surface>.key.new``; `public.json` decides whether it counts;
then it takes the old one's place. Whoever runs the command again goes on from where the last run ended.
"""

import contextlib
import fcntl
import os
import stat
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from domain.clock import Clock, iso, parse_iso
from domain.errors import Misconfigured, Refuse
from journal.checkpoints import last_checkpoint
from journal.keys import Signer, key_id, key_path, read_private_key
from journal.layout import CHECKPOINTS, MARK
from journal.lock import WriterLock
from journal.mark import read_mark
from journal.public_keys import FILE, PublicKey, current_key, encode_public_keys, read_public_keys
from journal.syscalls import sync_directory


def signed_by(logs: Path) -> str | None:
    """Return the id of the key that signed the newest checkpoint below ``logs``, or None if nothing is signed there."""
    found = [last_checkpoint(path.parent) for path in logs.glob(f"*/{CHECKPOINTS}")]
    signed = [one for _, one in filter(None, found) if one.sig]
    return str(max(signed, key=lambda one: one.ts).sig)[:16] if signed else None


def create_key(folder: Path, surface: str, now: datetime, *, signed: str | None = None) -> PublicKey:
    """Make the first key of ``surface`` and return its public entry.

    Args:
        signed: the key that the surface's journals are signed with, if any: it was lost, and with a first key beside
            it nobody could check them any more.

    Raises:
        Refuse: there is one already, or there was.
        Misconfigured: the folder is open to others.
    """
    with _alone(folder):
        keys = read_public_keys(folder)
        done = _finish(folder, surface, keys)
        if done is None and signed is not None and not any(key.surface == surface for key in keys):
            todo = "restore keys/ from your copy; if there is none, run this again with --anew (see the runbook, Keys)"
            raise Refuse(f"the key {signed} that the journals of {surface} are signed with", "no such key", todo)
        return done or _create(folder, surface, keys, iso(now))


def _create(folder: Path, surface: str, keys: list[PublicKey], from_: str) -> PublicKey:
    if key_path(folder, surface).exists() or any(key.surface == surface for key in keys):
        raise Refuse(f"no key of {surface} yet", f"one in {folder}", f"to replace it run tbot keys rotate {surface}")
    entry = _draft(folder, surface, from_, None)
    return _put_in_force(folder, surface, [*keys, entry])


def rotate_key(folder: Path, surface: str, moment: datetime, *, leaked: bool = False) -> PublicKey:
    """Replace the key of ``surface`` and return the new public entry.

    The caller sees to it that nobody writes a log of the surface meanwhile.

    Args:
        moment: the old key's last and the new key's first; not before the last record of any of the surface's logs.
        leaked: the old key is lost or known to others: it does not vouch for the new one, and is not needed.

    Raises:
        Refuse: there is no key to replace.
        Misconfigured: the old key can't be used.
    """
    with _alone(folder):
        keys = read_public_keys(folder)
        return _finish(folder, surface, keys) or _rotate(folder, surface, keys, iso(moment), leaked)


def _rotate(folder: Path, surface: str, keys: list[PublicKey], moment: str, leaked: bool) -> PublicKey:
    old = current_key(keys, surface)
    if old is None:
        if key_path(folder, surface).exists():
            raise Refuse(f"a key of {surface} in {folder / FILE}", "none in use", "restore the file from a copy")
        raise Refuse(f"a key of {surface} to replace", "none in use", f"run tbot keys create {surface}")
    at = max(moment, old.from_)
    entry = _draft(folder, surface, at, None if leaked else _endorser(folder, old))
    ended = [msgspec.structs.replace(key, until=at) if key.key == old.key else key for key in keys]
    return _put_in_force(folder, surface, [*ended, entry])


@contextlib.contextmanager
def logs_at_rest(folder: Path, clock: Clock) -> Iterator[datetime]:
    """Keep every writer out of the logs in ``folder`` meanwhile; yield a moment that is after all they hold.

    Raises:
        LogLocked: somebody writes one of them.
    """
    moment = clock.now()
    with contextlib.ExitStack() as held:
        for directory in sorted(path.parent for path in folder.glob(f"*/{MARK}")):
            lock = WriterLock(directory)
            lock.acquire(clock, 0)
            held.callback(lock.release)
            mark = read_mark(directory)
            moment = max(moment, parse_iso(mark.ts)) if mark else moment
        yield moment


def _endorser(folder: Path, old: PublicKey) -> Signer:
    signer = Signer(old.surface, read_private_key(folder, old.surface))
    if signer.key != old.key:
        todo = f"restore the key from a copy, or run tbot keys rotate {old.surface} --leaked"
        raise Misconfigured(f"key {old.key} in {key_path(folder, old.surface)}", f"key {signer.key}", todo)
    return signer


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Make the folder, and keep everybody else who makes keys out of it."""
    _make_folder(folder)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.geteuid():
        raise Misconfigured(f"{folder} to belong to uid {os.geteuid()}", f"uid {status.st_uid}", f"chown {folder}")
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise Misconfigured(f"{folder} with mode 700", f"mode {mode:o}", f"run chmod 700 {folder}")


def _new_path(folder: Path, surface: str) -> Path:
    return folder / f"{surface}.key.new"


def _finish(folder: Path, surface: str, keys: list[PublicKey]) -> PublicKey | None:
    """End what a crash left half done: put the new key in place if ``public.json`` names it, drop it otherwise."""
    path = _new_path(folder, surface)
    try:
        private = load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError:
        return None
    except ValueError:
        private = None  # cut short by the crash
    current = current_key(keys, surface)
    found = key_id(private.public_key().public_bytes_raw()) if isinstance(private, Ed25519PrivateKey) else None
    if current is None or current.key != found:
        path.unlink()
        return None
    path.replace(key_path(folder, surface))
    sync_directory(folder)
    return current


def _draft(folder: Path, surface: str, from_: str, endorser: Signer | None) -> PublicKey:
    """Write a new private key beside the old one, and return its entry."""
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write_durably(_new_path(folder, surface), pem, 0o600)
    raw = private.public_key().public_bytes_raw()
    key, public = key_id(raw), b64encode(raw).decode()
    return PublicKey(
        key=key,
        surface=surface,
        public=public,
        from_=from_,
        until=None,
        by=endorser.key if endorser else None,
        endorsement=endorser.endorse(key, public, from_) if endorser else None,
    )


def _put_in_force(folder: Path, surface: str, keys: list[PublicKey]) -> PublicKey:
    scratch = folder / f"{FILE}.new"
    _write_durably(scratch, encode_public_keys(keys), 0o644)
    scratch.replace(folder / FILE)
    sync_directory(folder)
    _new_path(folder, surface).replace(key_path(folder, surface))
    sync_directory(folder)
    return keys[-1]


def _write_durably(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
