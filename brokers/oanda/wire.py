"""Requests to one account: a session a thread, a shared rate limit, and retries of what may be repeated."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import requests
import stamina

from brokers.oanda import sdk
from brokers.oanda.config import OandaConfig
from brokers.oanda.errors import translated
from brokers.oanda.limiter import Limiter
from domain.clock import Clock
from domain.errors import Retry

T = TypeVar("T")
Body = dict[str, Any]


class Wire:
    """Sends SDK requests for one account and hands back what ``parse`` makes of the JSON."""

    def __init__(self, config: OandaConfig, clock: Clock) -> None:
        self.config = config
        self.clock = clock
        self.limiter = Limiter(clock, config.requests_per_s)
        self._own = threading.local()
        self._opened: list[Any] = []
        self._lock = threading.Lock()
        self._silent_until_ns = 0

    def read(self, what: str, make: Callable[[], Any], parse: Callable[[Body], T]) -> T:
        """Ask with a GET, at most ``read_attempts`` times. Raises Retry, Rejected and the like."""
        attempts = stamina.retry_context(
            on=_worth_repeating, attempts=self.config.read_attempts, wait_initial=0.1, wait_max=0.5, wait_jitter=0.1
        )
        for attempt in attempts:
            with attempt:
                return self.write(what, make(), parse, repeatable=True)
        raise AssertionError("retry_context neither returned nor raised")

    def write(self, what: str, request: Any, parse: Callable[[Body], T], *, repeatable: bool = False) -> T:
        """Send once. Raises Ask when the outcome is unknown, Retry when it is not or the request is ``repeatable``."""
        self._respect_penalty(what)
        self.limiter.wait()
        try:
            with translated(what, repeatable=repeatable, token=self.config.token):
                return parse(self._send(request))
        except Retry as error:
            self._note_penalty(error)
            raise

    def close(self) -> None:
        """Give all connections back; a later call opens new ones."""
        with self._lock:
            opened, self._opened = self._opened, []
            self._own = threading.local()
        for api in opened:
            api.close()

    def _send(self, request: Any) -> Body:
        try:
            body = self._api().request(request)
        except sdk.V20Error as error:
            error.retry_after = self._own.retry_after
            raise
        if not isinstance(body, dict):
            raise TypeError(f"expected a JSON object, found {type(body).__name__}")
        return body

    def _api(self) -> Any:
        if not hasattr(self._own, "api"):
            api = sdk.open_api(self.config, read_timeout_s=self.config.read_timeout_s)
            api.client.hooks["response"].append(self._note_header)
            self._own.api, self._own.retry_after = api, None
            with self._lock:
                self._opened.append(api)
        return self._own.api

    def _note_header(self, response: requests.Response, *_args: Any, **_kwargs: Any) -> None:
        """Keep Retry-After, which the SDK's exception leaves out."""
        self._own.retry_after = response.headers.get("Retry-After")

    def _note_penalty(self, error: Retry) -> None:
        if error.after_s is not None:
            self._silent_until_ns = self.clock.monotonic_ns() + int(error.after_s * 1e9)

    def _respect_penalty(self, what: str) -> None:
        """Refuse to call during a 429's penalty: calling again lengthens it."""
        left_s = (self._silent_until_ns - self.clock.monotonic_ns()) / 1e9
        if left_s > 0:
            raise Retry(f"room for {what} under the rate limit", "a 429 just before", "wait", after_s=left_s)


def _worth_repeating(error: Exception) -> bool:
    """Repeat at once only what failed at once: a second timeout would hold up the caller's loop twice as long."""
    slow = isinstance(error.__cause__, requests.exceptions.Timeout)
    return isinstance(error, Retry) and error.after_s is None and not slow
