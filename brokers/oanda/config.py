"""Settings of the OANDA adapter, read from keys that start with ``OANDA_``."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from brokers.addresses import LOOPBACK
from domain import settings
from domain.settings import Secret
from domain.surface_settings import OrderHost

PREFIX = "OANDA_"
# What env/fx.env.example shows.
PLACEHOLDER = "put-your-token-here"


class Environment(StrEnum):
    PRACTICE = "practice"
    LIVE = "live"


# environment -> (REST URL, stream URL). Source: developer.oanda.com, "Development Guide".
URLS: Mapping[Environment, tuple[str, str]] = {
    Environment.PRACTICE: ("https://api-fxpractice.oanda.com", "https://stream-fxpractice.oanda.com"),
    Environment.LIVE: ("https://api-fxtrade.oanda.com", "https://stream-fxtrade.oanda.com"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OandaConfig:
    """How to reach one OANDA account.

    Timeouts, silences and intervals are real seconds, whatever clock the process runs on; ``quote_max_age_s`` alone
    is measured on the process's clock, because it compares with the venue's own time stamps.

    ``stream_silence_s`` without any line (heartbeats come every 5 s) ends a stream connection; ``quote_silence_s``
    without a price ends one instrument's trust in the stream, and it is polled. ``fresh_order_grace_s`` must pass
    before an unknown order is called absent: longer than ``read_timeout_s``, or a slow order could still arrive.
    """

    account_id: str
    token: Secret
    environment: Environment = Environment.PRACTICE
    api_url: str | None = None
    stream_url: str | None = None
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 12.0
    read_attempts: int = 2
    stream_silence_s: float = 10.0
    quote_silence_s: float = 10.0
    quote_max_age_s: float = 300.0
    poll_interval_s: float = 1.0
    home_rate_refresh_s: float = 60.0
    reconnect_max_s: float = 30.0
    fresh_order_grace_s: float = 15.0
    transaction_gap_s: float = 30.0
    requests_per_s: float = 100.0

    def __post_init__(self) -> None:
        if not self.account_id or not set(self.account_id) <= _ACCOUNT_CHARACTERS:
            raise ValueError(f"{PREFIX}ACCOUNT_ID must be letters, digits and dashes, found {self.account_id!r}")
        # requests puts a header it refuses into the text of its error, so a token it would refuse must not reach it.
        if not self.token.reveal() or not all("!" <= character <= "~" for character in self.token.reveal()):
            raise ValueError(f"{PREFIX}TOKEN must be printable ASCII without spaces")
        if self.token.reveal() == PLACEHOLDER:
            raise ValueError(f"{PREFIX}TOKEN is still the example's; put your personal access token there")
        _require_host(f"{PREFIX}API_URL", self.rest_url, URLS[self.environment][0])
        _require_host(f"{PREFIX}STREAM_URL", self.streaming_url, URLS[self.environment][1])
        self._require_sense()

    @property
    def rest_url(self) -> str:
        return (self.api_url or URLS[self.environment][0]).rstrip("/")

    @property
    def streaming_url(self) -> str:
        """Return the stream host's URL; a simulator serves both on one port, so its REST URL will do."""
        return (self.stream_url or self.api_url or URLS[self.environment][1]).rstrip("/")

    @property
    def order_host(self) -> OrderHost:
        return OrderHost(
            account_id=self.account_id,
            chosen=self.environment,
            key=f"{PREFIX}ENVIRONMENT",
            practice=Environment.PRACTICE,
            live=Environment.LIVE,
        )

    def _require_sense(self) -> None:
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ValueError(f"{PREFIX}{name.upper()} must be above 0, found {getattr(self, name)}")
        if self.requests_per_s > 100:
            raise ValueError(
                f"{PREFIX}REQUESTS_PER_S must be at most 100 (OANDA's advice), found {self.requests_per_s}"
            )


_ACCOUNT_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_POSITIVE = (
    "connect_timeout_s",
    "read_timeout_s",
    "read_attempts",
    "stream_silence_s",
    "quote_silence_s",
    "quote_max_age_s",
    "poll_interval_s",
    "home_rate_refresh_s",
    "reconnect_max_s",
    "fresh_order_grace_s",
    "transaction_gap_s",
    "requests_per_s",
)


def load(environ: Mapping[str, str], *, source: str) -> OandaConfig:
    """Build the settings from ``OANDA_…`` keys; raises Misconfigured naming the key and ``source``."""
    return settings.load(OandaConfig, environ, prefix=PREFIX, source=source)


def _require_host(key: str, url: str, official: str) -> None:
    """Refuse any host but OANDA's own of this environment and this machine: the token goes wherever this points."""
    parts, expected = urlsplit(url), urlsplit(official).hostname
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(f"{key} must be a plain scheme://host[:port]")
    if parts.hostname in LOOPBACK and parts.scheme in ("http", "https"):
        return
    if parts.hostname != expected or parts.scheme != "https":
        raise ValueError(f"{key} must be https://{expected} or a loopback address, found {url!r}")
