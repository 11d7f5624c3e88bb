"""Interactive Brokers' Client Portal over HTTP: one session, its paces, and every answer as JSON or an error to act on.

The gateway runs on the subscriber's own machine and holds the login; no secret passes through here.
"""

import json
import time
from typing import Any
from urllib.parse import urlsplit

import httpx

from tbot_client import __version__
from tbot_client.config import LOOPBACK
from tbot_client.config import Broker as Settings
from tbot_client.deadline import within
from tbot_client.errors import Ask, Refused, Retry, Unreachable
from tbot_client.feed import certificates

ORDERS, TRADES = "/iserver/account/orders", "/iserver/account/trades"
ACCOUNTS, TICKLE = "/portfolio/accounts", "/tickle"
# Pages that may be asked once in five seconds. Everything together may be asked ten times a second.
RARE = frozenset({ORDERS, TRADES, ACCOUNTS})
REQUESTS_A_PAUSE = 42
TICKLE_APART = 0.2
CONNECT_S, READ_S, WHOLE_S = 3.0, 12.0, 20.0
LOGIN = "log in to your gateway in a browser (user name, password, second factor); what rests at IBKR stays there"
_NO_SESSION = ("no session", "not authenticated", "not logged in", "unauthorized", "session expired", "access denied")


class NoSession(Retry):
    """The gateway has no session: nothing was done."""

    def __init__(self, found: str, todo: str = LOGIN) -> None:
        super().__init__("a session at the Client Portal gateway", found, todo)


class IbkrWire:
    """One keep-alive connection, used by one thread; redirects are not followed.

    ``is_lost`` is set when an answer shows that the session is gone, and unset by whoever brings it back.
    """

    def __init__(self, settings: Settings) -> None:
        self._url = settings.api_url.rstrip("/")
        self._is_unchecked = settings.insecure
        self._pause_s = settings.page_pause_s
        self._penalty_s = settings.penalty_s
        self._due: dict[str, float] = {}
        self._shut_until = 0.0
        self.is_lost = True
        self._http = self._connect()

    def _connect(self) -> httpx.Client:
        parts = urlsplit(self._url)
        is_here = parts.hostname in LOOPBACK
        is_checked = parts.scheme == "https" and not (self._is_unchecked and is_here)
        return httpx.Client(
            headers={"User-Agent": f"tbot-client/{__version__}", "Accept": "application/json"},
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
            verify=certificates() if is_checked else False,
            trust_env=not is_here,
            follow_redirects=False,
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **query: str | int) -> Any:
        """Return an answer; asking again does no harm.

        Raises:
            Retry: none that can be used.
            Refused: no, for good.
        """
        return self._asked("GET", path, None, Retry, query)

    def ask(self, path: str, body: Any = None) -> Any:
        """Post a question that changes nothing that trades; errors as of `get`."""
        return self._asked("POST", path, body, Retry, {})

    def act(self, method: str, path: str, body: Any = None) -> Any:
        """Send, change or cancel an order.

        Raises:
            Retry: nothing happened.
            Ask: it left, and nothing clear came back.
            Refused: no; the message stays on this machine, because it may name a balance.
        """
        return self._asked(method, path, body, Ask, {})

    def wait_s(self, path: str) -> float:
        """Return how many seconds away the next turn of a page is."""
        return max(0.0, self._due.get(path, 0.0) - time.monotonic())

    def _asked(self, method: str, path: str, body: Any, unclear: type[Retry | Ask], query: dict[str, str | int]) -> Any:
        self._take_turn(path)
        http = self._http
        try:
            answer = within(WHOLE_S, lambda: http.request(method, self._url + path, json=body, params=query or None))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            self._reconnect()
            raise _no_connection(error) from error
        except (httpx.HTTPError, httpx.InvalidURL, Retry) as error:
            self._reconnect()
            raise unclear("the gateway to answer", type(error).__name__, "asking what happened") from error
        return self._read(answer, unclear)

    def _take_turn(self, path: str) -> None:
        """Wait for a turn: who asks too often is shut out for a quarter of an hour, address and all."""
        shut_s = self._shut_until - time.monotonic()
        if shut_s > 0:
            raise Retry("room under the rate limit", f"a 429 {shut_s:.0f} s before its end", after_s=shut_s)
        away_s = max(self.wait_s(path), self.wait_s(""))
        if away_s > 0:
            time.sleep(away_s)
        now = time.monotonic()
        self._due[""] = now + self._pause_s / REQUESTS_A_PAUSE
        if path in RARE:
            self._due[path] = now + self._pause_s
        elif path == TICKLE:
            self._due[path] = now + self._pause_s * TICKLE_APART

    def _read(self, answer: httpx.Response, unclear: type[Retry | Ask]) -> Any:
        status = answer.status_code
        body = _json(answer)
        words = _words(body)
        if status == 429:
            self._shut_until = time.monotonic() + _seconds(answer.headers.get("Retry-After"), self._penalty_s)
            self.is_lost = True
            left_s = self._shut_until - time.monotonic()
            raise Retry("room under the rate limit", f"429: nothing is sent for {left_s:.0f} s", after_s=left_s)
        if status == 401 or any(part in words.lower() for part in _NO_SESSION):
            self.is_lost = True
            raise NoSession(f"{status} {words}".strip())
        if status == 403:
            raise Unreachable("the gateway to let this machine in", "403", "see allowed addresses in its conf.yaml")
        is_unprepared = "/accounts first" in words
        self.is_lost = self.is_lost or is_unprepared
        if is_unprepared:
            raise Retry("a session that is prepared", words)
        if status >= 500 or status == 408:
            raise unclear("the gateway to be ready", f"{status} {words}".strip(), "asking what happened")
        if words:
            raise _refusal(words, status)
        if status >= 300 or body is None:
            raise unclear("an answer of the documented form", f"{status} that is none", "asking again")
        return body

    def _reconnect(self) -> None:
        """Begin the next question on a new connection, which no late bytes can reach."""
        self._http.close()
        self._http = self._connect()


def _no_connection(error: Exception) -> Retry:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        todo = "set insecure = true in [broker] for a gateway on this machine, which signs its own certificate"
        return Retry("a certificate of the gateway that is trusted", "one that is not", todo)
    return Retry("the gateway to answer", "no connection", "see that the Client Portal gateway runs; trying again")


def _refusal(words: str, status: int) -> Exception:
    if "Local order ID=" in words:
        # An earlier attempt of ours is there: what became of it, the lists will tell.
        return Ask("an order id that is new", "one that was used", "asking for the order that has it")
    return Refused("NOT_THERE" if status == 404 else "REJECTED", "IBKR to accept it", words, "not done")


def _json(answer: httpx.Response) -> Any:
    try:
        return json.loads(answer.content, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _words(body: Any) -> str:
    """Return what an error says; refusals come with status 200 too, alone or in a list.

    A list that has receipts as well says of some orders that they were taken: whoever sent them has to look.
    """
    rows = body if isinstance(body, list) else [body]
    if any(isinstance(row, dict) and row.get("order_id") for row in rows):
        return ""
    for row in rows:
        found = row.get("error") if isinstance(row, dict) else None
        if found:
            return "".join(letter for letter in str(found) if letter.isprintable())[:300]
    return ""


def _seconds(header: str | None, otherwise: float) -> float:
    try:
        return min(max(1.0, float(header or "")), 3600.0)
    except ValueError:
        return otherwise
