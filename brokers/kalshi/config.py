"""Settings of the Kalshi adapter, read from keys that start with ``KALSHI_``."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from brokers.addresses import LOOPBACK
from domain import settings
from domain.settings import Secret
from domain.surface_settings import OrderHost

PREFIX = "KALSHI_"
# Part of every signed path, so a base URL without it would make signatures of something else.
ROOT = "/trade-api/v2"
SOCKET_PATH = "/trade-api/ws/v2"
# What env/st.env.example and env/lt.env.example show.
PLACEHOLDER = "put-your-key-id-here"


class Environment(StrEnum):
    DEMO = "demo"
    PROD = "prod"


class WireChoice(StrEnum):
    """Which generation of order paths is spoken: today's, the one before, or whichever the venue has."""

    CURRENT = "current"
    OLDER = "older"
    AUTO = "auto"


# environment -> its hosts, the first of which is used. Source: servers list of Kalshi's OpenAPI 3.20.0.
HOSTS: Mapping[Environment, tuple[str, ...]] = {
    Environment.DEMO: ("demo-api.kalshi.co", "external-api.demo.kalshi.co", "external-api-ws.demo.kalshi.co"),
    Environment.PROD: ("api.elections.kalshi.com", "external-api.kalshi.com", "external-api-ws.kalshi.com"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KalshiConfig:
    """How to reach one Kalshi account.

    Timeouts, silences and intervals are real seconds, whatever clock the process runs on; ``quote_max_age_s`` alone
    is measured on the process's clock. ``account_id`` is what the journals call the account, the key's id when it is
    not given. ``rate_share`` is this process's part of the account's rate limit, which all its processes share.
    ``fresh_order_grace_s`` must pass before an unknown order is called absent: longer than ``read_timeout_s``, or a
    slow order could still arrive.
    """

    key_id: str
    private_key_file: Path | None = None
    private_key: Secret | None = None
    environment: Environment = Environment.DEMO
    account_id: str | None = None
    api_url: str | None = None
    ws_url: str | None = None
    wire: WireChoice = WireChoice.CURRENT
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 12.0
    read_attempts: int = 3
    rate_share: float = 0.5
    stream_silence_s: float = 25.0
    quote_silence_s: float = 10.0
    quote_max_age_s: float = 300.0
    poll_interval_s: float = 1.0
    listing_refresh_s: float = 30.0
    reconnect_max_s: float = 30.0
    fresh_order_grace_s: float = 15.0
    late_fill_s: float = 30.0

    def __post_init__(self) -> None:
        if not self.key_id or not all("!" <= character <= "~" for character in self.key_id):
            raise ValueError(f"{PREFIX}KEY_ID must be printable ASCII without spaces")
        if self.key_id == PLACEHOLDER:
            raise ValueError(f"{PREFIX}KEY_ID is still the example's; put your API key's id there")
        if (self.private_key_file is None) == (self.private_key is None):
            raise ValueError(f"exactly one of {PREFIX}PRIVATE_KEY_FILE and {PREFIX}PRIVATE_KEY must be given")
        if not self.rest_url.endswith(ROOT):
            raise ValueError(f"{PREFIX}API_URL must end in {ROOT}, found {self.api_url!r}")
        _require_host(f"{PREFIX}API_URL", self.rest_url, self.environment, ("https", "http"))
        _require_host(f"{PREFIX}WS_URL", self.socket_url, self.environment, ("wss", "ws"))
        self._require_sense()

    @property
    def account(self) -> str:
        """Return the account's name in the journals."""
        return self.account_id or self.key_id

    @property
    def rest_url(self) -> str:
        return (self.api_url or f"https://{HOSTS[self.environment][0]}{ROOT}").rstrip("/")

    @property
    def socket_url(self) -> str:
        """Return the WebSocket's URL; where only ``api_url`` is given, that of the same host."""
        if self.ws_url:
            return self.ws_url.rstrip("/")
        parts = urlsplit(self.rest_url)
        return f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}{SOCKET_PATH}"

    @property
    def order_host(self) -> OrderHost:
        return OrderHost(
            account_id=self.account,
            chosen=self.environment,
            key=f"{PREFIX}ENVIRONMENT",
            practice=Environment.DEMO,
            live=Environment.PROD,
        )

    def _require_sense(self) -> None:
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ValueError(f"{PREFIX}{name.upper()} must be above 0, found {getattr(self, name)}")
        if self.rate_share > 1:
            raise ValueError(f"{PREFIX}RATE_SHARE must be at most 1 (the whole limit), found {self.rate_share}")


_POSITIVE = (
    "connect_timeout_s",
    "read_timeout_s",
    "read_attempts",
    "rate_share",
    "stream_silence_s",
    "quote_silence_s",
    "quote_max_age_s",
    "poll_interval_s",
    "listing_refresh_s",
    "reconnect_max_s",
    "fresh_order_grace_s",
    "late_fill_s",
)


def load(environ: Mapping[str, str], *, source: str) -> KalshiConfig:
    """Build the settings from ``KALSHI_…`` keys; raises Misconfigured naming the key and ``source``."""
    return settings.load(KalshiConfig, environ, prefix=PREFIX, source=source)


def _require_host(key: str, url: str, environment: Environment, schemes: tuple[str, str]) -> None:
    """Refuse any host but Kalshi's own of this environment and this machine: orders go wherever this points."""
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(f"{key} must be a plain {schemes[0]}://host[:port]/path")
    if parts.hostname in LOOPBACK and parts.scheme in schemes:
        return
    if parts.hostname not in HOSTS[environment] or parts.scheme != schemes[0]:
        known = ", ".join(HOSTS[environment])
        raise ValueError(f"{key} must be {schemes[0]}:// and one of {known}, or a loopback address; found {url!r}")
