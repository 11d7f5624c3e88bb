"""The access journal: who was turned away and why, who came from where, how often; never a secret.

Serving goes first: records are queued and written together, and what a full or failing disk does not take is counted
and given up.
"""

import asyncio
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import date, datetime
from typing import Any

from domain.callback import Callback
from domain.clock import Clock, iso
from domain.errors import Halt, TBotError
from domain.ids import is_id
from domain.vocabulary import Kind, Stage
from feed import tokens
from feed.asgi import Scope, header
from feed.problems import Problem
from journal import Journal, Receipt

OpenJournal = Callable[[], Journal]

_PENDING_MAX = 1_000
_SEEN_MAX = 100_000
_MINUTE_S = 60.0
_REOPEN_S = 10.0
_STAGES = frozenset(stage.value for stage in Stage)
_ROUTES = frozenset(
    ("/api/signals/feed", "/api/signals/stream", "/api/signals/open", "/api/head", "/api/keys", "/api/checkpoint",
     "/api/aggregate")
)  # fmt: skip
_SCOPED_404 = ("/api/checkpoint", *(f"/api/signals/{{id}}/{stage}" for stage in Stage))


class Access:
    """Writes ``feed/access``. ``problem`` says why it cannot, while it cannot; ``dropped`` is what was given up."""

    def __init__(self, clock: Clock, open_journal: OpenJournal) -> None:
        self._clock = clock
        self._open_journal = open_journal
        self._journal: Journal | None = None
        self._guard = threading.Lock()
        self._pending = 0
        self._unsaid = 0
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._seen: set[tuple[str, str]] = set()
        self._day: date | None = None
        self._limited: set[str] = set()
        self._flush_at = self._seconds() + _MINUTE_S
        self._reopen_at = 0.0
        self.dropped = 0
        self.problem: TBotError | None = None

    def open(self) -> None:
        """Take the journal; one that cannot be had is tried again later, and stops nothing."""
        self._take_journal()
        self._write(Kind.FEED_START, {})

    def close(self) -> None:
        """Write what was counted, and the end."""
        self._flush()
        self._write(Kind.FEED_STOP, {})
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()

    async def tidy(self) -> None:
        """Write the counts of a minute that is over; take the journal again if it failed."""
        now = self._seconds()
        if now >= self._flush_at:
            self._flush()
        if (self._journal is None or isinstance(self.problem, Halt)) and now >= self._reopen_at:
            self._reopen_at = now + _REOPEN_S
            await asyncio.to_thread(self._reopen)

    def used(self, token_id: str, address: str, what: str, now: datetime) -> None:
        """Count one request that was let in; a token's first of the day from an address is written down."""
        self._counts[token_id][what] += 1
        if (token_id, address) not in self._seen or self._day != now.date():
            self._first(token_id, address, now.date())

    def refused(self, scope: Scope, problem: Problem, address: str) -> None:
        """Write down a request that was turned away, if it is one of those that say something about its sender."""
        route = route_of(scope["path"])
        if not _is_telling(problem, route):
            return
        authorization = header(scope, b"authorization") or ""
        token_id = tokens.parse(authorization.partition(" ")[2].strip())
        if problem.status == 429:
            who = token_id if problem.body["code"] == "rate" and token_id else address
            if who in self._limited or len(self._limited) >= _SEEN_MAX:
                return
            self._limited.add(who)
        self._write(Kind.ACCESS_DENIED, {
            "status": problem.status, "code": problem.body["code"], "reason": problem.note or None, "token": token_id,
            "address": address, "method": scope["method"][:10], "route": route, "signal_id": _signal(scope["path"]),
        })  # fmt: skip

    def overdue(self, end: Callback) -> None:
        """Write down a resolution whose fills were never reported."""
        fields = {"subscriber": end.subscriber, "signal_id": end.signal_id, "received_at": end.received_at}
        self._write(Kind.CALLBACK_PARKED_OVERDUE, fields, surface=end.surface, mode=end.mode)

    def _first(self, token_id: str, address: str, today: date) -> None:
        if self._day != today or len(self._seen) >= _SEEN_MAX:
            self._day = today
            self._seen.clear()
        if (token_id, address) not in self._seen:
            self._seen.add((token_id, address))
            self._write(Kind.ACCESS_ADDRESS, {"token": token_id, "address": address})

    def _flush(self) -> None:
        self._flush_at = self._seconds() + _MINUTE_S
        self._limited.clear()
        counts, self._counts = self._counts, defaultdict(Counter)
        for token_id, count in counts.items():
            self._write(Kind.ACCESS_COUNT, {"token": token_id, "until": iso(self._clock.now()), **count})
        with self._guard:
            unsaid, self._unsaid = self._unsaid, 0
        if unsaid:
            self._write(Kind.ACCESS_DROPPED, {"records": unsaid})

    def _reopen(self) -> None:
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()
        self._take_journal()

    def _take_journal(self) -> None:
        try:
            self._journal = self._open_journal()
            self.problem = None
        except TBotError as error:
            self.problem = error

    def _write(self, kind: Kind, fields: Mapping[str, Any], *, surface: str = "feed", mode: str = "journal") -> None:
        if self._journal is None or self._pending >= _PENDING_MAX:
            self._drop(None)
            return
        with self._guard:
            self._pending += 1
        try:
            future = self._journal.submit(kind, surface=surface, mode=mode, fields=fields)
        except TBotError as error:
            with self._guard:
                self._pending -= 1
            self._drop(error)
        else:
            future.add_done_callback(self._done)

    def _done(self, future: "Future[Receipt]") -> None:
        """Runs in the journal's own thread."""
        error = future.exception()
        with self._guard:
            self._pending -= 1
        if error is None:
            self.problem = None
        else:
            self._drop(error if isinstance(error, TBotError) else Halt("a journal", str(error), "open it again"))

    def _drop(self, error: TBotError | None) -> None:
        with self._guard:
            self.dropped += 1
            self._unsaid += 1
        if error is not None:
            self.problem = error

    def _seconds(self) -> float:
        return self._clock.monotonic_ns() / 1e9


def route_of(path: str) -> str:
    """Return the route a path belongs to. The path itself may hold anything, a mistyped token included."""
    if path in _ROUTES:
        return path
    stage = path.rpartition("/")[2]
    return f"/api/signals/{{id}}/{stage}" if path.startswith("/api/signals/") and stage in _STAGES else "other"


def _signal(path: str) -> str | None:
    parts = path.split("/")
    return parts[3] if len(parts) == 5 and is_id(parts[3], "sig") else None


def _is_telling(problem: Problem, route: str) -> bool:
    if problem.status == 400:
        return bool(problem.body["code"] == "cursor_invalid")
    return problem.status in (401, 403, 409, 429) or (problem.status == 404 and route in _SCOPED_404)
