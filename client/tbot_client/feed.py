"""The feed over HTTP: pages, snapshot and reports, with every answer turned into a page or an error to act on."""

import functools
import ssl
import time
from collections.abc import Callable
from typing import NoReturn, TypeAlias
from urllib.parse import urlsplit

import httpx
import msgspec

from tbot_client import __version__
from tbot_client.clock import ticks
from tbot_client.config import LOOPBACK, Config
from tbot_client.deadline import within
from tbot_client.errors import ClientError, NotThere, Resync, Retry, Unreachable
from tbot_client.wire import Page, parse_page

Query: TypeAlias = list[tuple[str, str | int | float | bool | None]]
LINE_BYTES = 64 * 1024
CONNECT_S = 5.0
BODY_S = 30.0


class Answer(msgspec.Struct, frozen=True):
    """What the feed said to a report; ``text`` is the start of its body."""

    status: int
    text: str
    do_not_execute: bool = False


class _Told(msgspec.Struct):
    """What an answer to a report must say to be one: which report was taken, or why it was not."""

    signal_id: str = ""
    stage: str = ""
    code: str = ""
    do_not_execute: bool = False


class _Problem(msgspec.Struct):
    code: str = ""
    detail: msgspec.Raw = msgspec.Raw(b"null")


@functools.cache
def certificates() -> ssl.SSLContext:
    """Return the authorities whose word is taken for who a feed is."""
    return httpx.create_ssl_context()


class FeedClient:
    """One keep-alive connection to the feed; not shared between threads."""

    def __init__(self, config: Config) -> None:
        self._surfaces = config.feed.surfaces
        self._limit = config.poll.limit
        self._url = config.feed.url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {config.feed.token}", "User-Agent": f"tbot-client/{__version__}"}
        self._http = self._connect()

    def _connect(self) -> httpx.Client:
        parts = urlsplit(self._url)
        # Reading the certificates takes longer than an answer: once a program, and never for plain http.
        verify = certificates() if parts.scheme == "https" else False
        # Never followed, said once more here: a redirect would take the token to an address nobody chose.
        return httpx.Client(
            base_url=self._url,
            headers=self._headers,
            verify=verify,
            trust_env=parts.hostname not in LOOPBACK,
            follow_redirects=False,
        )

    def close(self) -> None:
        self._http.close()

    def page(self, cursor: str, wait_s: int) -> Page:
        """Return what follows ``cursor``, waiting up to ``wait_s`` for news."""
        return self._poll({"cursor": cursor}, wait_s)

    def begin(self, start: str, wait_s: int) -> Page:
        """Return the first page from ``head``, ``oldest`` or an ISO moment."""
        return self._poll({"start": start}, wait_s)

    def _poll(self, place: dict[str, str], wait_s: int) -> Page:
        query: Query = [*place.items(), ("wait", str(wait_s)), ("limit", str(self._limit))]
        query += self._filter()
        # The server adds up to a sixteenth to the wait; a socket that gave up earlier would throw the answer away.
        return self._page("/api/signals/feed", query, wait_s + wait_s / 16 + 10)

    def _page(self, path: str, query: Query, read_s: float) -> Page:
        asked = ticks()
        body = self._get(path, query, read_s)
        return msgspec.structs.replace(parse_page(body), asked_s=asked, got_s=ticks())

    def snapshot(self) -> Page:
        """Return all signals open now, and the cursor that follows them."""
        return self._page("/api/signals/open", self._filter(), 15)

    def _filter(self) -> Query:
        """A cursor holds for the filter it was made with, so the snapshot's must be the poll's."""
        return [("surface", surface) for surface in self._surfaces]

    def head(self) -> bytes:
        """Return the raw heads, for a check of address and token."""
        return self._get("/api/head", [], 10)

    def keys(self) -> bytes:
        """Return the publisher's keys as served; an empty list from a feed that has none."""
        try:
            return self._get("/api/keys", [], 10)
        except NotThere:
            return b'{"keys":[]}'

    def _get(self, path: str, query: Query, read_s: float) -> bytes:
        timeout = httpx.Timeout(CONNECT_S, read=read_s)
        most = self._limit * LINE_BYTES + (1 << 20)
        http = self._http

        def ask() -> tuple[httpx.Response, bytes]:
            with http.stream("GET", path, params=query, timeout=timeout) as response:
                return response, _read(response, most, read_s + BODY_S)

        response, body = self._bounded(read_s + BODY_S + CONNECT_S, ask)
        if response.status_code != 200:
            _refuse(response, body)
        return body

    def _bounded(self, seconds: float, ask: Callable[[], tuple[httpx.Response, bytes]]) -> tuple[httpx.Response, bytes]:
        """Ask; on any trouble begin the next question on a new connection, which no late bytes can reach."""
        try:
            return within(seconds, ask)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._reconnect()
            raise Retry("an answer of the feed", type(error).__name__) from error
        except Retry:
            self._reconnect()
            raise

    def _reconnect(self) -> None:
        self._http.close()
        self._http = self._connect()

    def report(self, signal_id: str, stage: str, body: str, timeout_s: float = 10.0) -> Answer:
        """Send one report and return the feed's own answer, whatever its status below 500.

        What does not speak as the feed does (a proxy's page, another report's answer) is no answer: believing it would
        lose the report.

        Raises:
            Retry: no answer, or one that says later.
            Unreachable: the token is not accepted.
        """
        timeout = httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s))
        http, path = self._http, f"/api/signals/{signal_id}/{stage}"
        kind = {"Content-Type": "application/json"}

        def send() -> tuple[httpx.Response, bytes]:
            with http.stream("POST", path, content=body.encode(), headers=kind, timeout=timeout) as response:
                return response, _read(response, LINE_BYTES, timeout_s)

        response, answer = self._bounded(timeout_s + CONNECT_S, send)
        status, told = response.status_code, _told(answer)
        is_taken = 200 <= status < 300 and (told.signal_id, told.stage) == (signal_id, stage)
        is_refused = 400 <= status < 500 and status not in (401, 403, 408, 429) and told.code
        if not is_taken and not is_refused:
            _refuse(response, answer)
        return Answer(status, answer[:300].decode(errors="replace"), told.do_not_execute)


def _read(response: httpx.Response, most: int, within_s: float) -> bytes:
    """Read a body of bounded size in bounded time: a timeout between two bytes alone bounds neither."""
    chunks, size, end = [], 0, time.monotonic() + within_s
    for chunk in response.iter_bytes():
        chunks.append(chunk)
        size += len(chunk)
        if size > most or time.monotonic() > end:
            raise Retry(
                f"at most {most} bytes within {within_s:.0f} s", f"{size} bytes so far", "the rest was not read"
            )
    return b"".join(chunks)


def _refuse(response: httpx.Response, body: bytes) -> NoReturn:
    status, code = response.status_code, _code(body)
    found = f"{status} {code}".strip()
    if not code and status not in (408, 429):
        # Whatever stands in between speaks for itself: it may refuse, redirect or apologise, but it is not the feed.
        raise Retry("the feed's own answer", f"{found} from something that is not the feed")
    if status in (401, 403):
        scope = "it lacks a permission" if status == 403 else "it is wrong, expired or revoked"
        raise Unreachable("the feed to accept the token", found, f"{scope}: ask the publisher for a new one")
    if status == 404:
        raise NotThere("a signal feed at [feed] url", found, "correct the address in config.toml")
    if status == 410 or code in ("cursor_invalid", "cursor_filter"):
        raise Resync("the feed to know our cursor", found, "starting again from the snapshot")
    if status in (408, 429) or status >= 500:
        raise Retry("the feed to be ready", found, after_s=_retry_after(response))
    raise ClientError(
        "the feed to understand the request", found, "check [feed] in config.toml, and for a newer client"
    )


def _code(body: bytes) -> str:
    try:
        problem = msgspec.json.decode(body, type=_Problem)
        return problem.code or msgspec.json.decode(problem.detail, type=_Problem).code
    except (msgspec.MsgspecError, RecursionError):
        return ""


def _told(body: bytes) -> _Told:
    try:
        return msgspec.json.decode(body, type=_Told)
    except (msgspec.MsgspecError, RecursionError):
        return _Told()


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return min(float(text), 300.0) if text.isdigit() else None
