"""Requests to one Client Portal gateway: a keep-alive session, the paces, and the silence that a 429 asks for."""

import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from brokers.ibkr.config import IbkrConfig
from brokers.ibkr.portal.errors import NoSession, NoTurn, Penalised, is_no_session, message_of, of_status
from brokers.ibkr.portal.pace import Pace, Page
from brokers.lost import said, translated
from domain.clock import Clock
from domain.errors import Misconfigured, Retry, TBotError

# A dropped keep-alive connection is met once: the second attempt opens a new one.
ATTEMPTS = 2
# What a gateway in its reset answers to everything; about one order 503 means only that it is not in the cache.
AWAY, ONE_ORDER = frozenset({502, 503, 504}), "/iserver/account/order/status/"


class Wire:
    """Sends requests and hands back the JSON.

    Attributes:
        on_loss: called with the reason when an answer shows that the session is gone.
        on_doubt: called when an answer may mean that the gateway is away.
    """

    def __init__(self, config: IbkrConfig, clock: Clock) -> None:
        self.config = config
        self.clock = clock
        self.pace = Pace(clock, config)
        self.on_loss: Callable[[str], None] = lambda reason: None
        self.on_doubt: Callable[[], None] = lambda: None
        self._tls = _tls(config)
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()

    def ask(
        self,
        what: str,
        path: str,
        read: Callable[[Any], Any] = lambda body: body,
        *,
        method: str = "GET",
        page: Page = Page.OTHER,
        patience_s: float | None = None,
        body: Any = None,
        tolerant: bool = False,
        **params: Any,
    ) -> Any:
        """Ask for something that changes nothing at the broker, so that a lost answer may be asked for again.

        Args:
            read: makes of the JSON what is handed back; what it cannot read is Retry.
            patience_s: the longest wait for a turn; the read time-out unless given.
            tolerant: hand back a body that says ``error`` instead of raising what it means.

        Raises:
            Retry: no answer now. NoSession and Penalised are Retry.
            Rejected: the portal will not answer this.
        """
        for left in reversed(range(ATTEMPTS)):
            try:
                return self._once(
                    what, method, path, page, patience_s, body, params, read, repeatable=True, tolerant=tolerant
                )
            except Retry as error:
                dropped = isinstance(error.__cause__, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError)
                if left == 0 or not dropped:
                    raise
        raise AssertionError("the loop neither returned nor raised")

    def act(self, what: str, method: str, path: str, body: Any = None, *, repeatable: bool = False) -> Any:
        """Send once, and hand back the body even when it says ``error``.

        Raises:
            Retry: nothing happened, or the request is ``repeatable``.
            Ask: the outcome is unknown.
            Rejected: the portal refused.
        """
        return self._once(
            what, method, path, Page.OTHER, None, body, {}, lambda found: found, repeatable=repeatable, tolerant=True
        )

    def shut_for_s(self) -> float:
        """Return for how many more seconds nothing may be sent."""
        return self.pace.shut_for_s()

    def tls(self) -> ssl.SSLContext | None:
        """Return how the gateway's certificate is checked; None over plain http."""
        return self._tls

    def cookies(self) -> str:
        """Return the session's cookies as one header."""
        with self._lock:
            jar = {} if self._client is None else dict(self._client.cookies)
        return "; ".join(f"{name}={value}" for name, value in jar.items())

    def close(self) -> None:
        """Give all connections back."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _once(
        self,
        what: str,
        method: str,
        path: str,
        page: Page,
        patience_s: float | None,
        body: Any,
        params: Mapping[str, Any],
        read: Callable[[Any], Any],
        *,
        repeatable: bool,
        tolerant: bool,
    ) -> Any:
        self._take_turn(what, page, self.config.request_timeout_s if patience_s is None else patience_s)
        with translated(what, repeatable=repeatable, unreached="see that the gateway runs"):
            try:
                answer = self._http().request(method, path.lstrip("/"), params=_given(params) or None, json=body)
            except httpx.ConnectError as error:
                self.on_loss(said(error))
                raise
            return read(self._read(what, answer, repeatable=repeatable, tolerant=tolerant))

    def _take_turn(self, what: str, page: Page, patience_s: float) -> None:
        try:
            shut_s = self.shut_for_s()
            away_s = 0.0 if shut_s > 0 else self.pace.enter(page, patience_s)
        except OSError as error:
            found = f"{type(error).__name__} at IBKR_PORTAL_SHARED"
            raise Retry(f"a turn for {what}", found, "see that its folder can be written") from error
        if shut_s > 0:
            raise Penalised(what, shut_s)
        if away_s > 0:
            raise NoTurn(what, away_s)

    def _read(self, what: str, answer: httpx.Response, *, repeatable: bool, tolerant: bool) -> Any:
        if answer.status_code == 429:
            raise self._shut(what, answer.headers.get("Retry-After"))
        try:
            body = answer.json()
        except ValueError:
            if answer.status_code < 300:
                raise
            body = {}
        message = message_of(body)
        if answer.status_code in AWAY and ONE_ORDER not in answer.request.url.path:
            self.on_doubt()
        if answer.status_code >= 300:
            raise self._lost(of_status(what, answer.status_code, message, repeatable=repeatable))
        if message and (not tolerant or is_no_session(message)):
            raise self._lost(_said(what, message))
        return body

    def _lost(self, error: TBotError) -> TBotError:
        if isinstance(error, NoSession):
            self.on_loss(error.found)
        return error

    def _shut(self, what: str, header: str | None) -> Penalised:
        """Send nothing for the time the gateway names, or for the whole penalty when it names none."""
        try:
            seconds = max(1.0, float(header or ""))
        except ValueError:
            seconds = self.config.portal_penalty_s
        self.pace.shut(seconds)
        self.on_loss(f"429: asked too often, nothing is sent for {seconds:.0f} s")
        return Penalised(what, seconds)

    def _http(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                config = self.config
                self._client = httpx.Client(
                    base_url=config.portal_url.rstrip("/") + "/",
                    timeout=httpx.Timeout(config.request_timeout_s, connect=config.connect_timeout_s),
                    headers={"Accept": "application/json", "User-Agent": "tbot"},
                    verify=self._tls if self._tls is not None else True,
                    trust_env=False,  # a proxy of the environment must not see the session
                    follow_redirects=False,
                )
            return self._client


def _said(what: str, message: str) -> TBotError:
    return of_status(what, 400, message, repeatable=True)


def _given(params: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in params.items() if value is not None}


def _tls(config: IbkrConfig) -> ssl.SSLContext | None:
    """Return the check of the gateway's certificate: a file, none at all, or the system's."""
    if not config.portal_url.startswith("https"):
        return None
    if config.portal_insecure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    file = config.portal_ca
    try:
        return ssl.create_default_context(cafile=None if file is None else str(file))
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured("a readable IBKR_PORTAL_CA", str(file), "name the gateway's own certificate") from error
