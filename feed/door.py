"""The door: every request's token is checked here, and whoever comes or is turned away is written down."""

from domain.clock import Clock
from feed.access import Access
from feed.addresses import Addresses, group
from feed.asgi import Scope, header
from feed.guard import Guard
from feed.last_use import LastUse
from feed.limits import Failures
from feed.problems import Problem, too_many_failures
from feed.tokens import Scope as TokenScope
from feed.tokens import Subscriber


class Door:
    """Lets requests in, or says why not."""

    def __init__(
        self, guard: Guard, clock: Clock, access: Access, last_use: LastUse, failures: Failures, addresses: Addresses
    ) -> None:
        self.guard = guard
        self._clock = clock
        self._access = access
        self._last_use = last_use
        self._failures = failures
        self._addresses = addresses

    def admit(self, scope: Scope, needed: TokenScope | None, what: str) -> Subscriber:
        """Return whose request this is; ``what`` is the word it is counted under.

        Raises:
            Problem: 401, 403 or 503 as the guard says; 429 for one wrong token too many from this address.
        """
        now = self._clock.now()
        try:
            subscriber = self.guard.admit(header(scope, b"authorization"), needed, now)
        except Problem as problem:
            if problem.status == 401:
                wait = self._failures.note(group(self._addresses.of(scope)))
                if wait:
                    raise too_many_failures(wait, problem.note) from None
            raise
        self._access.used(subscriber.id, self._addresses.of(scope), what, now)
        self._last_use.note(subscriber.id, now)
        return subscriber

    def refused(self, scope: Scope, problem: Problem) -> None:
        """Take note of a request that was answered with a problem."""
        self._access.refused(scope, problem, self._addresses.of(scope))
