"""Plain questions to a public service over HTTPS: no key, nothing that acts, so everything may be asked again."""

import random
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from brokers.lost import said, unreadable
from domain.errors import Refuse, Retry

_MALFORMED = (ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError)
LONGEST_PENALTY_S = 60.0


class RestReader:
    """Asks one host and no other: addresses in its answers are followed by their path alone.

    Args:
        service: how messages name it.
        attempts: how often a question is asked when it fails at once.
    """

    def __init__(
        self, service: str, url: str, headers: Mapping[str, str], *, connect_s: float, read_s: float, attempts: int
    ) -> None:
        self.service = service
        self._url = url
        self._headers = {"User-Agent": "tbot", **headers}
        self._timeout = httpx.Timeout(read_s, connect=connect_s)
        self._attempts = attempts
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()

    def json(self, what: str, path: str, **params: str) -> Any:
        """Return the JSON of a page.

        Raises:
            Retry: the service cannot answer now.
            Refuse: it says that there is no such page, or that the question is wrong.
        """
        for left in reversed(range(self._attempts)):
            try:
                return self._once(what, path, params)
            except Retry as error:
                if left == 0 or isinstance(error.__cause__, httpx.TimeoutException):
                    raise
                time.sleep(min(error.after_s or 0.1, 2.0) * (0.5 + random.random()))  # noqa: S311  spreads retries
        raise AssertionError("the loop neither returned nor raised")

    def own_path(self, url: str) -> str:
        """Return the path of an absolute address with its query; the host it names is not gone to."""
        parts = urlsplit(url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    def close(self) -> None:
        """Give the connections back; a later call opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _once(self, what: str, path: str, params: Mapping[str, str]) -> Any:
        try:
            answer = self._http().get(path, params=params or None)
            for _ in range(3):
                if answer.status_code not in (301, 302, 307, 308):
                    break
                answer = self._http().get(self.own_path(answer.headers["Location"]))
            if answer.status_code >= 300:
                raise self._refusal(what, answer)
            return answer.json()
        except httpx.HTTPError as error:
            raise Retry(f"{what} from {self.service}", said(error), "try again") from error
        except _MALFORMED as error:
            raise Retry(f"{what} from {self.service}", "an answer that is no JSON", "try again") from error

    def _refusal(self, what: str, answer: httpx.Response) -> Retry | Refuse:
        status = answer.status_code
        if status == 429 or status >= 500 or status in (408, 425):
            after_s = _seconds(answer.headers.get("Retry-After")) if status == 429 else None
            return Retry(f"{what} from {self.service}", f"status {status}", "try again", after_s=after_s)
        return Refuse(f"{what} from {self.service}", f"status {status}", "do not repeat it unchanged")

    def _http(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                self._client = httpx.Client(
                    base_url=self._url,
                    timeout=self._timeout,
                    headers=self._headers,
                    trust_env=False,
                    follow_redirects=False,
                )
            return self._client


def readable(what: str, error: Exception) -> Retry:
    """Return what to raise when a page was read and not understood."""
    return Retry(f"{what} that can be read", unreadable(error)[:200], "ask again")


def _seconds(header: str | None) -> float:
    try:
        return min(max(float(header or 1), 0.1), LONGEST_PENALTY_S)
    except ValueError:
        return 1.0
