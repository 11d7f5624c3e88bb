"""Kalshi over HTTP: signed requests, whole lists page by page, and every answer as JSON or as an error to act on."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import httpx

from tbot_client import __version__
from tbot_client.brokers.kalshi_sign import Signer
from tbot_client.config import LOOPBACK
from tbot_client.deadline import within
from tbot_client.errors import Ask, Refused, Retry, Unreachable
from tbot_client.feed import certificates

Json = dict[str, Any]
Send: TypeAlias = Callable[[httpx.Client, dict[str, str]], httpx.Response]
CONNECT_S, READ_S, WHOLE_S = 3.0, 12.0, 20.0
PAGE = 200
# A list longer than this is not one we asked for; reading on would never end.
MOST_PAGES = 500
# A decision takes a dozen questions, and the smallest accounts may ask twenty a second; giving up at the last of them,
# and beginning with the first again, would never come to an end.
PAUSES_S = (0.3, 0.6, 1.2)
NOT_FOUND = "not_found"


class KalshiWire:
    """One keep-alive connection, used by one thread; redirects are not followed."""

    def __init__(self, url: str, signer: Signer) -> None:
        self._url = url.rstrip("/")
        self._root = urlsplit(self._url).path
        self._signer = signer
        self._http = self._connect()

    def _connect(self) -> httpx.Client:
        parts = urlsplit(self._url)
        return httpx.Client(
            headers={"User-Agent": f"tbot-client/{__version__}", "Accept": "application/json"},
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
            verify=certificates() if parts.scheme == "https" else False,
            trust_env=parts.hostname not in LOOPBACK,
            follow_redirects=False,
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **query: str | int | None) -> Json:
        """Return one answer.

        Raises:
            Retry: none that can be used; asking again does no harm.
            Refused: no, with the venue's word; ``not_found`` for what it does not have.
            Unreachable: the key is not accepted.
        """
        given = {name: value for name, value in query.items() if value is not None}
        return self._asked("GET", path, lambda http, headers: http.get(self._url + path, params=given, headers=headers))

    def pages(self, path: str, key: str, **query: str | int | None) -> Iterator[Json]:
        """Yield the entries of a list, following its cursor to the end."""
        cursor: str | None = None
        seen: set[str | None] = {None}
        while True:
            answer = self.get(path, limit=PAGE, cursor=cursor, **query)
            yield from _entries(answer, key)
            cursor = answer.get("cursor") or None
            if cursor is None:
                return
            if cursor in seen or len(seen) > MOST_PAGES:
                raise Retry(f"a list that ends, at {path}", f"page {len(seen)} leading to one before it, or on and on")
            seen.add(cursor)

    def post(self, path: str, body: Json) -> Json:
        """Send an order.

        Raises:
            Retry: it never left, or the venue said that it is too busy.
            Ask: it left, and nothing clear came back.
            Refused: no, with the venue's word.
            Unreachable: the key is not accepted.
        """
        text = json.dumps(body).encode()
        kind = {"Content-Type": "application/json"}
        return self._asked(
            "POST", path, lambda http, headers: http.post(self._url + path, content=text, headers=headers | kind)
        )

    def _asked(self, method: str, path: str, send: Send) -> Json:
        response = self._answer(method, path, send)
        # What is refused for its signature did nothing, so that it may be sent again under the venue's own time.
        if response.status_code == 401 and self._signer.heed(response.headers.get("Date", "")):
            response = self._answer(method, path, send)
        for pause_s in PAUSES_S if method == "GET" else ():
            if response.status_code != 429:
                break
            time.sleep(pause_s)
            response = self._answer(method, path, send)
        if response.status_code >= 400:
            raise _refusal(response, is_write=method != "GET")
        return _object(response, Retry if method == "GET" else Ask)

    def _answer(self, method: str, path: str, send: Send) -> httpx.Response:
        unclear = Retry if method == "GET" else Ask
        http, headers = self._http, self._signer.headers(method, self._root + path)
        try:
            return within(WHOLE_S, lambda: send(http, headers))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            self._reconnect()
            raise Retry("the broker to answer", "no connection") from error
        except (httpx.HTTPError, httpx.InvalidURL, Retry) as error:
            # Also an answer that only drips: whether an order was taken in is then as unknown as with none.
            self._reconnect()
            raise unclear("the broker to answer", type(error).__name__, "asking what happened") from error

    def _reconnect(self) -> None:
        """Begin the next question on a new connection, which no late bytes can reach."""
        self._http.close()
        self._http = self._connect()


def _object(response: httpx.Response, unclear: type[Retry | Ask]) -> Json:
    try:
        body = json.loads(response.content, parse_constant=_no_constant) if response.status_code < 300 else None
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise unclear("an answer of the documented form", f"{response.status_code} that is none", "asking again")
    return body


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _entries(answer: Json, key: str) -> list[Json]:
    entries = answer.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Retry(f"a list of {key}", "an answer without one")
    return entries


def _refusal(response: httpx.Response, *, is_write: bool) -> Exception:
    """Tell a status and its code apart by what is to be done about it.

    Source: docs.kalshi.com/getting_started/order_errors and /rate_limits; a 429 names no time to wait.
    """
    status, code = response.status_code, _code(response)
    found = f"{status} {code}".strip()
    if status in (401, 403):
        todo = "check account_id (the key's id), key_file and api_url in [broker], and this machine's clock"
        return Unreachable("the broker to accept the key", found, todo)
    if status == 429:
        return Retry("the broker to be ready", found)
    if status >= 500 or status == 408:
        return (Ask if is_write else Retry)("the broker to be ready", found, "asking what happened")
    if is_write and status == 409 and any(word in code + _text(response) for word in ("already", "duplicate")):
        # An earlier attempt of ours is there: which one, and what became of it, its lists will tell.
        return Ask("an order id that is new", found, "asking for the order that has it")
    return Refused(
        code or (NOT_FOUND if status == 404 else str(status)), "the broker to accept the request", found, "not done"
    )


def _code(response: httpx.Response) -> str:
    """Return the code under ``error``, or at the top level where a request could not be read at all."""
    try:
        body = json.loads(response.content)
        error = body.get("error", body)
        code = error.get("code", "") if isinstance(error, dict) else ""
    except (ValueError, AttributeError, RecursionError):
        return ""
    return "".join(letter for letter in str(code) if letter.isprintable())[:60]


def _text(response: httpx.Response) -> str:
    return response.text[:500].lower()
