"""The file of subscribers: written by the operator's commands, read by the feed.

The file holds hashes only, has mode 600 and is replaced whole, so a reader sees the old list or the new one.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import filelock
import msgspec

from domain.errors import Halt, Refuse, Retry
from domain.vocabulary import Surface
from feed import tokens
from feed.tokens import Scope, Subscriber

_LOCK_S = 5.0


class Unreadable(Halt):
    """The file of subscribers cannot be used; nobody is let in until a person mends it."""


class TokenStore:
    """Add, list and revoke subscribers; several processes may do so at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(
        self,
        *,
        label: str,
        scopes: tuple[Scope, ...],
        surfaces: tuple[Surface, ...],
        now: datetime,
        not_before: datetime | None = None,
        expires_at: datetime | None = None,
    ) -> tuple[str, Subscriber]:
        """Store a new subscriber and return the token, which is shown here and never again.

        Raises:
            Refuse: it would be good for nothing, or would end before it begins.
        """
        _require_useful(scopes, surfaces, not_before, expires_at)
        token, token_id = tokens.create()
        subscriber = Subscriber(
            id=token_id,
            sha256=tokens.digest(token),
            label=label,
            scopes=scopes,
            surfaces=surfaces,
            created_at=now,
            not_before=not_before,
            expires_at=expires_at,
        )
        with self._locked():
            self._write((*load(self._path), subscriber))
        return token, subscriber

    def rotate(
        self, token_id: str, *, now: datetime, old_ends_at: datetime, expires_at: datetime | None = None
    ) -> tuple[str, Subscriber]:
        """Give a subscriber a second token, with the scopes and surfaces of the first, and let the first end.

        Raises:
            Refuse: nobody has this id, it is not valid now, or the subscriber has two tokens already.
        """
        with self._locked():
            everybody = load(self._path)
            old = _found(everybody, token_id)
            live = [one for one in everybody if one.subscriber_id == old.subscriber_id and one.is_valid(now)]
            if old not in live:
                raise Refuse("a token that is valid now", f"{token_id}, which is {old.state(now)}", "add a new one")
            if len(live) > 1:
                other = next(one.id for one in live if one.id != token_id)
                raise Refuse("one live token to replace", f"two: {token_id} and {other}", "revoke one of them first")
            _require_useful(old.scopes, old.surfaces, now, expires_at)
            token, fresh_id = tokens.create()
            fresh = replace(
                old, id=fresh_id, sha256=tokens.digest(token), created_at=now, not_before=None, expires_at=expires_at,
                first_id=old.subscriber_id,
            )  # fmt: skip
            end = old_ends_at if old.expires_at is None else min(old_ends_at, old.expires_at)
            ending = replace(old, expires_at=end)
            self._write((*(ending if one.id == token_id else one for one in everybody), fresh))
        return token, fresh

    def list(self) -> tuple[Subscriber, ...]:
        return load(self._path)

    def revoke(self, token_id: str, *, now: datetime) -> Subscriber:
        """Mark a subscriber as revoked for good; a second time changes nothing.

        Raises:
            Refuse: nobody has this id.
        """
        with self._locked():
            everybody = load(self._path)
            found = _found(everybody, token_id)
            if found.revoked_at is not None:
                return found
            revoked = replace(found, revoked_at=now)
            self._write(tuple(revoked if one.id == token_id else one for one in everybody))
        return revoked

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with filelock.FileLock(f"{self._path}.lock", timeout=_LOCK_S, mode=0o600):
                yield
        except filelock.Timeout as error:
            raise Retry("the lock of the subscribers file", "another command holding it", "try again") from error

    def _write(self, everybody: tuple[Subscriber, ...]) -> None:
        text = msgspec.json.format(msgspec.json.encode(everybody), indent=1)
        fd, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")  # mkstemp makes it mode 600
        with os.fdopen(fd, "wb") as file:
            file.write(text + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, self._path)


def load(path: Path) -> tuple[Subscriber, ...]:
    """Read the file; a missing one means that nobody was added yet.

    Raises:
        Unreadable: it is no list of subscribers, or may not be read.
    """
    try:
        everybody = msgspec.json.decode(path.read_bytes(), type=tuple[Subscriber, ...])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    moments = [m for one in everybody for m in (one.created_at, one.not_before, one.expires_at, one.revoked_at)]
    if any(moment is not None and moment.tzinfo is None for moment in moments):
        raise _unreadable(path, "a time without its offset")
    if len({one.id for one in everybody}) != len(everybody):
        raise _unreadable(path, "an id that stands twice")
    return everybody


def _found(everybody: tuple[Subscriber, ...], token_id: str) -> Subscriber:
    found = next((one for one in everybody if one.id == token_id), None)
    if found is None:
        raise Refuse("the id of a token", repr(token_id), "list the subscribers to see their ids")
    return found


def _unreadable(path: Path, found: str) -> Unreadable:
    return Unreadable(f"a list of subscribers in {path.name}", found, "restore the file from its backup")


def _require_useful(
    scopes: tuple[Scope, ...],
    surfaces: tuple[Surface, ...],
    not_before: datetime | None,
    expires_at: datetime | None,
) -> None:
    if not scopes or not surfaces:
        raise Refuse("at least one scope and one surface", "none", "name them")
    if not_before is not None and expires_at is not None and expires_at <= not_before:
        raise Refuse("an end after the beginning", f"{expires_at} <= {not_before}", "correct the dates")
