"""Settings of both IBKR connections, read from keys that start with ``IBKR_``."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from brokers.addresses import LOOPBACK
from brokers.ibkr.windows import ResetWindow
from domain import settings
from domain.house import House
from domain.surface_settings import OrderHost

PREFIX = "IBKR_"
# What env/stk.env.example shows.
PLACEHOLDER = "put-your-account-here"


class Transport(StrEnum):
    """Which of IBKR's two interfaces is spoken."""

    TWS = "tws"
    PORTAL = "portal"


class Environment(StrEnum):
    PAPER = "paper"
    LIVE = "live"


# environment -> port of IB Gateway as it is installed (TWS itself: 7497 and 7496).
GATEWAY_PORTS: Mapping[Environment, int] = {Environment.PAPER: 4002, Environment.LIVE: 4001}


@dataclass(frozen=True, slots=True, kw_only=True)
class IbkrConfig:
    """How to reach one account at Interactive Brokers.

    Of both connections:
        account: the account that is traded; one login may manage several. Paper accounts begin with D, live ones do
            not, and ``environment`` must agree.
        transport: ``tws`` (socket of TWS or IB Gateway) or ``portal`` (Client Portal Web API).
        currency, exchange: of the stocks traded; SMART lets IBKR route.
        fractional: whether shares may be divided into ten thousandths; IBKR must allow it to the account.
        margin_rate: share of a position's worth that its account must hold; 1 for a cash account.
        quote_max_age_s: a quote whose price is older, on the process's clock, is not given out. Prices are re-read
            before that: ``quote_silence_s`` real seconds without one and a snapshot is asked for, at most every
            ``poll_interval_s``.
        fresh_order_grace_s: what must pass, since it was sent and since TWS was connected to, before an unknown order
            is called absent; more than any answer may take, and than TWS takes after a restart to load its orders.
        commission_wait_s: how long an execution waits for what it cost before it is handed out without.
        reset_windows: when IBKR is known to be away, in New York time: ``[day ]HH:MM-HH:MM``, the day being that on
            which a window begins; ``reset_quiet_s`` before one nothing is sent any more, and being away longer than
            ``reset_longest_s`` in one is no longer explained by it.
    Of the socket (times in real seconds):
        host, port: of TWS or IB Gateway; without a port that of a Gateway of this environment.
        client_id: who we are. Orders belong to the client that sent them, and the resolver takes the next one. When it
            is in use, ``fallback_client_ids`` further ones are tried, each ten higher than the last.
        connect_timeout_s, request_timeout_s: for connecting, and for an answer to a question.
        order_timeout_s: after this long without any status an order's fate is unknown.
        probe_interval_s, probe_timeout_s: how often the link is tried, and how long it may take to answer.
        reconnect_min_s, reconnect_max_s: pause before connecting again; it doubles from one to the other.
        messages_per_s: IBKR ends a connection above 50; an entry and its stop may come on top.
        market_data_lines: how many streams the account's subscriptions allow at once.
    Of the portal:
        portal_url: of the local gateway, up to and with ``/v1/api``. Its certificate must be one the system knows or
            the one in the file ``portal_ca``; ``portal_insecure`` leaves it unchecked, on this machine only.
        portal_tickle_s: how often the session is kept alive. ``portal_requests_per_s``: IBKR allows all who use one
            gateway ten together; ``portal_page_pause_s``: between two looks at the orders, and at the executions, which
            it allows once in five seconds. Only a simulator may be asked more often. ``portal_shared``: a file through
            which the processes that use one gateway take turns; by default ``run/ibkr-portal`` in the house.
        portal_penalty_s: how long nothing is sent after a 429 that names no time.
        portal_confirm: message ids of the questions about an order that are always answered with yes.
        portal_compete: whether the session is taken back when the user signs in elsewhere.
        portal_late_fill_s: how long an order that looks cancelled may still turn out to have filled.
    """

    account: str
    transport: Transport = Transport.TWS
    environment: Environment = Environment.PAPER
    currency: str = "USD"
    exchange: str = "SMART"
    fractional: bool = False
    margin_rate: Decimal = Decimal(1)
    quote_max_age_s: float = 300.0
    quote_silence_s: float = 10.0
    poll_interval_s: float = 1.0
    fresh_order_grace_s: float = 15.0
    commission_wait_s: float = 5.0
    reset_windows: tuple[str, ...] = ("23:45-00:45", "Fri 23:00-03:00")
    reset_quiet_s: float = 60.0
    reset_longest_s: float = 14_400.0

    host: str = "127.0.0.1"
    port: int | None = None
    client_id: int = 1
    fallback_client_ids: int = 3
    connect_timeout_s: float = 4.0
    request_timeout_s: float = 10.0
    order_timeout_s: float = 5.0
    probe_interval_s: float = 10.0
    probe_timeout_s: float = 5.0
    reconnect_min_s: float = 2.0
    reconnect_max_s: float = 60.0
    messages_per_s: int = 40
    market_data_lines: int = 100

    portal_url: str = "https://localhost:5000/v1/api"
    portal_ca: Path | None = None
    portal_insecure: bool = False
    portal_tickle_s: float = 55.0
    portal_requests_per_s: float = 8.0
    portal_page_pause_s: float = 5.25
    portal_shared: Path | None = None
    portal_penalty_s: float = 900.0
    portal_confirm: tuple[str, ...] = ("o163", "o354", "o382", "o383", "o403", "o451", "o10151", "o10331", "p12")
    portal_compete: bool = True
    portal_late_fill_s: float = 2.0

    def __post_init__(self) -> None:
        _require_account(self.account, self.environment)
        _require_portal(self.portal_url, insecure=self.portal_insecure)
        _require_pace(self.portal_url, self.portal_requests_per_s, self.portal_page_pause_s)
        self._require_sense()
        _ = self.windows

    @property
    def windows(self) -> tuple[ResetWindow, ...]:
        """Return the reset windows as times; raises ValueError for a text that is none."""
        return tuple(ResetWindow.parse(text) for text in self.reset_windows)

    @property
    def socket_port(self) -> int:
        return self.port or GATEWAY_PORTS[self.environment]

    @property
    def client_ids(self) -> tuple[int, ...]:
        """Return the client ids to try, in order."""
        return tuple(self.client_id + 10 * number for number in range(self.fallback_client_ids + 1))

    @property
    def quantity_step(self) -> Decimal:
        return Decimal("0.0001") if self.fractional else Decimal(1)

    @property
    def order_host(self) -> OrderHost:
        return OrderHost(
            account_id=self.account,
            chosen=self.environment,
            key=f"{PREFIX}ENVIRONMENT",
            practice=Environment.PAPER,
            live=Environment.LIVE,
        )

    def _require_sense(self) -> None:
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ValueError(f"{PREFIX}{name.upper()} must be above 0, found {getattr(self, name)}")
        if not 0 < self.margin_rate <= 1:
            raise ValueError(f"{PREFIX}MARGIN_RATE must be above 0 and at most 1, found {self.margin_rate}")
        for name, (least, most) in _RANGES.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{PREFIX}{name.upper()} must be {least} to {most}, found {getattr(self, name)}")
        if self.port is not None and not 0 < self.port < 65_536:
            raise ValueError(f"{PREFIX}PORT must be 1 to 65535, found {self.port}")
        if not re.fullmatch(r"[A-Za-z0-9.:\-]+", self.host):
            raise ValueError(f"{PREFIX}HOST must be a host name or an address, found {self.host!r}")
        if self.fresh_order_grace_s < self.order_timeout_s:
            raise ValueError(f"{PREFIX}FRESH_ORDER_GRACE_S must not be less than {PREFIX}ORDER_TIMEOUT_S")


_RANGES: Mapping[str, tuple[float, float]] = {
    "client_id": (0, 900),
    "fallback_client_ids": (0, 9),
    "messages_per_s": (1, 48),
    "market_data_lines": (1, 1000),
    "portal_requests_per_s": (0.1, 1000),
    "reset_quiet_s": (0, 3600),
    "commission_wait_s": (0, 600),
}
_POSITIVE = (
    "quote_max_age_s",
    "quote_silence_s",
    "poll_interval_s",
    "fresh_order_grace_s",
    "reset_longest_s",
    "connect_timeout_s",
    "request_timeout_s",
    "order_timeout_s",
    "probe_interval_s",
    "probe_timeout_s",
    "reconnect_min_s",
    "reconnect_max_s",
    "portal_tickle_s",
    "portal_penalty_s",
    "portal_page_pause_s",
    "portal_late_fill_s",
)


def load(environ: Mapping[str, str], *, source: str) -> IbkrConfig:
    """Build the settings from ``IBKR_…`` keys; raises Misconfigured naming the key and ``source``."""
    return settings.load(IbkrConfig, environ, prefix=PREFIX, source=source)


def shared(config: IbkrConfig, house: House) -> IbkrConfig:
    """Return settings with a place at which the processes of one house take turns at the portal."""
    place = config.portal_shared or house.run / "ibkr-portal"
    return dataclasses.replace(config, portal_shared=place)


def _require_account(account: str, environment: Environment) -> None:
    if account == PLACEHOLDER:
        raise ValueError(f"{PREFIX}ACCOUNT is still the example's; put the account you trade there")
    if not re.fullmatch(r"[A-Z0-9]{2,16}", account):
        raise ValueError(f"{PREFIX}ACCOUNT must be capital letters and digits, found {account!r}")
    if account.startswith("D") is not (environment is Environment.PAPER):
        kind = "begin with D" if environment is Environment.PAPER else "not begin with D"
        raise ValueError(f"{PREFIX}ACCOUNT must {kind} with {PREFIX}ENVIRONMENT={environment}, found {account!r}")


def _require_pace(url: str, per_s: float, pause_s: float) -> None:
    """Refuse a pace that IBKR punishes; plain http is a simulator's."""
    if url.startswith("https") and (per_s > 10 or pause_s < 5):
        raise ValueError(
            f"{PREFIX}PORTAL_REQUESTS_PER_S must be at most 10 and {PREFIX}PORTAL_PAGE_PAUSE_S at least 5: IBKR shuts "
            f"out who asks more often; found {per_s} and {pause_s}"
        )


def _require_portal(url: str, *, insecure: bool) -> None:
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment or not parts.hostname:
        raise ValueError(f"{PREFIX}PORTAL_URL must be a plain scheme://host[:port]/path")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError(f"{PREFIX}PORTAL_URL must be https, or http on this machine, found {url!r}")
    if insecure and parts.hostname not in LOOPBACK:
        raise ValueError(f"{PREFIX}PORTAL_INSECURE is for a gateway on this machine; name its certificate in PORTAL_CA")
