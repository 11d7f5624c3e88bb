"""Signed requests to one account: keep-alive connections, the rate limit, and retries of what may be repeated."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from brokers.kalshi.buckets import Bucket, Buckets
from brokers.kalshi.config import KalshiConfig
from brokers.kalshi.errors import Rejected, of_status
from brokers.kalshi.signing import signer_of
from brokers.kalshi.venue_time import NOISE_S, VenueTime
from brokers.lost import translated, unanswered
from domain.clock import Clock
from domain.errors import Refuse, Retry, TBotError

T = TypeVar("T")
Body = dict[str, Any]
# The most rows a list gives at once. Source: OpenAPI 3.13.0, LimitQuery; /events allows 200.
PAGE = 1000
LIMITS_EVERY_S = 3600.0
LIMITS_AGAIN_S = 60.0


class Wire:
    """Sends requests for one account and hands back what ``parse`` makes of the JSON."""

    def __init__(self, config: KalshiConfig, clock: Clock) -> None:
        self.config = config
        self.clock = clock
        self.signer = signer_of(config)
        self.time = VenueTime()
        self.buckets = Buckets(clock, config.rate_share)
        self._root = urlsplit(config.rest_url).path
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()
        self._limits_due_ns = 0

    def read(self, what: str, path: str, parse: Callable[[Body], T], **params: Any) -> T:
        """Ask with a GET, at most ``read_attempts`` times. Raises Retry, Rejected and the like."""
        self._mind_limits()
        for left in reversed(range(self.config.read_attempts)):
            try:
                return self._once(what, "GET", path, parse, self.buckets.read, params=params, repeatable=True)
            except Retry as error:
                if left == 0 or isinstance(error.__cause__, httpx.TimeoutException):
                    raise  # a second timeout would hold up the caller's loop twice as long
                time.sleep(error.after_s or 0.1)
        raise AssertionError("the loop neither returned nor raised")

    def rows(self, what: str, path: str, key: str, parse: Callable[[Body], T], **params: Any) -> Sequence[T]:
        """Read a list to its last page. Rows may repeat where the venue's pages overlap."""
        found: list[T] = []
        asked, followed = {"limit": PAGE} | params, {""}
        cursor = ""
        while True:
            page, cursor = self._page(what, path, key, parse, {**asked, "cursor": cursor or None})
            found += page
            if not cursor:
                return found
            if cursor in followed:
                raise Retry(f"pages of {what} that move on", "a cursor given twice", "ask again", after_s=0.2)
            followed.add(cursor)

    def _page(
        self, what: str, path: str, key: str, parse: Callable[[Body], T], asked: Mapping[str, Any]
    ) -> tuple[list[T], str]:
        try:
            return self.read(what, path, lambda body: _read_page(body, key, parse), **asked)
        except Rejected as error:
            if asked["cursor"] and error.status in (400, 404):
                raise Retry(f"the next page of {what}", error.found, "ask again from the start") from error
            raise

    def write(
        self,
        what: str,
        method: str,
        path: str,
        parse: Callable[[Body], T],
        body: Mapping[str, Any] | None = None,
        *,
        repeatable: bool = False,
    ) -> T:
        """Send once. Raises Ask when the outcome is unknown, Retry when it is not or the request is ``repeatable``."""
        return self._once(what, method, path, parse, self.buckets.write, body=body, repeatable=repeatable)

    @property
    def late(self) -> timedelta:
        """Return how late an execution may turn up, on the venue's clock."""
        return timedelta(seconds=self.config.late_fill_s / (self.clock.real_seconds(1.0) or 1.0))

    def close(self) -> None:
        """Give all connections back; a later call opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def stamp(self, method: str, path: str) -> dict[str, str]:
        """Return the signature headers for a request made now; ``path`` is the whole one."""
        return self.signer.headers(method, path, self.time.now_ms())

    def _once(
        self,
        what: str,
        method: str,
        path: str,
        parse: Callable[[Body], T],
        bucket: Bucket,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        repeatable: bool,
    ) -> T:
        bucket.wait()
        offset_s, sent_at = self.time.offset_s, time.time()
        with translated(what, repeatable=repeatable):
            answer = self._http().request(
                method, path, params=_given(params), json=body, headers=self.stamp(method, self._root + path)
            )
            self.time.learn(answer.headers.get("Date"), sent_at)
            if answer.status_code >= 300:
                raise self._refusal(what, answer, bucket, offset_s, repeatable)
            return parse(_object(what, answer, repeatable))

    def _refusal(
        self, what: str, answer: httpx.Response, bucket: Bucket, offset_s: float, repeatable: bool
    ) -> TBotError:
        if answer.status_code == 429:
            bucket.drain()
        if answer.status_code == 401 and abs(self.time.offset_s - offset_s) > NOISE_S:
            off = f"this machine's clock {abs(self.time.offset_s):.0f} s off the venue's"
            return Retry(f"a signature of {what} with the venue's time", off, "corrected; set the clock (NTP)")
        try:
            body = answer.json()
        except ValueError:
            body = {}
        return of_status(what, answer.status_code, body if isinstance(body, dict) else {}, repeatable=repeatable)

    def _http(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                config = self.config
                self._client = httpx.Client(
                    base_url=config.rest_url,
                    timeout=httpx.Timeout(config.read_timeout_s, connect=config.connect_timeout_s),
                    headers={"Accept": "application/json", "User-Agent": "tbot"},
                    trust_env=False,  # a proxy of the environment must not see signatures
                    follow_redirects=False,
                )
            return self._client

    def _mind_limits(self) -> None:
        """Learn the account's limits once an hour; without them the smallest tier's hold."""
        now_ns = self.clock.monotonic_ns()
        with self._lock:
            if now_ns < self._limits_due_ns:
                return
            self._limits_due_ns = now_ns + int(LIMITS_AGAIN_S * 1e9)
        try:
            self._once(
                "the rate limits", "GET", "/account/limits", self.buckets.learn, self.buckets.read, repeatable=True
            )
        except (Retry, Refuse):
            return
        self._limits_due_ns = now_ns + int(LIMITS_EVERY_S * 1e9)


def _given(params: Mapping[str, Any] | None) -> dict[str, str]:
    return {name: str(value) for name, value in (params or {}).items() if value is not None}


def _read_page(body: Body, key: str, parse: Callable[[Body], T]) -> tuple[list[T], str]:
    return [parse(row) for row in body[key] or ()], str(body.get("cursor") or "")


def _object(what: str, answer: httpx.Response, repeatable: bool) -> Body:
    if answer.status_code == 204:
        return {}
    body = answer.json()
    if not isinstance(body, dict):
        raise unanswered(what, f"JSON that is no object ({type(body).__name__})", repeatable)
    return body
