"""Who is asking: the feed's own view of the subscribers, refreshed when their file changes."""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from domain.vocabulary import Surface
from feed import tokens
from feed.problems import Problem, forbidden, not_ready, unauthorised
from feed.token_store import Unreadable, load
from feed.tokens import Scope, Subscriber

_Stamp = tuple[int, int, int]


class Guard:
    """Lets a bearer token in, or says why not.

    A file that cannot be read lets nobody in: serving on from memory would keep a revoked token alive.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: _Stamp | None = None
        self._known: Mapping[str, Subscriber] = {}
        self.problem: Unreadable | None = None
        self._load()

    def refresh(self) -> bool:
        """Read the file again if it has changed; tell whether it had."""
        if _stamp(self._path) == self._stamp and self.problem is None:
            return False
        self._load()
        return True

    def admit(self, authorization: str | None, scope: Scope | None, now: datetime) -> Subscriber:
        """Return whose token this is. One that is not known is looked up in the file first: it may be seconds old.

        Raises:
            Problem: 401 for a token that is not valid now, 403 for a missing scope if one is needed, 503 when nobody
                can be checked.
        """
        if self.problem is not None:
            raise not_ready("subscribers")
        subscriber = self._identify(authorization)
        state = subscriber.state(now)
        if state != "valid":
            raise unauthorised(state)
        if scope is not None and scope not in subscriber.scopes:
            raise forbidden(scope)
        return subscriber

    def recheck(self, token_id: str, now: datetime) -> Problem | None:
        """Return why a reader who was let in before would be refused now, or None."""
        if self.problem is not None:
            return not_ready("subscribers")
        subscriber = self._known.get(token_id)
        if subscriber is None or not subscriber.is_valid(now):
            return unauthorised()
        return None if Scope.FEED_READ in subscriber.scopes else forbidden(Scope.FEED_READ)

    def surfaces(self, token_id: str) -> frozenset[Surface]:
        """Return the surfaces of a subscriber as the file has them now."""
        subscriber = self._known.get(token_id)
        return frozenset() if subscriber is None else frozenset(subscriber.surfaces)

    def _identify(self, authorization: str | None) -> Subscriber:
        """Return whose token this is, valid or not.

        A wrong secret costs the same look at the file and the same two comparisons as an id nobody has.
        """
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        token_id = tokens.parse(token) if scheme.lower() == "bearer" else None
        if token_id is None:
            raise unauthorised("form" if authorization else "none")
        subscriber = self._known.get(token_id)
        if not tokens.verify(token, subscriber):
            self.refresh()
            if self.problem is not None:
                raise not_ready("subscribers")
            subscriber = self._known.get(token_id)
            if not tokens.verify(token, subscriber):
                raise unauthorised("unknown" if subscriber is None else "secret")
        assert subscriber is not None  # nobody's token verifies
        return subscriber

    def _load(self) -> None:
        self._stamp = _stamp(self._path)
        try:
            self._known = {one.id: one for one in load(self._path)}
            self.problem = None
        except Unreadable as error:
            self.problem = error


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
