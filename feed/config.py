"""The settings of the feed process, and the only place in it that is handed the environment."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from domain import settings
from domain.clock import Clock, parse_clock
from domain.house import House
from domain.settings import Secret
from domain.vocabulary import Surface

PREFIX = "FEED_"
SOURCE = "env/feed.env"
# What env/feed.env.example shows: public, so it seals nothing.
PLACEHOLDER = "at-least-32-random-characters-go-here"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedConfig:
    """Settings read with prefix ``FEED_``.

    ``cursor_secret`` seals cursors: changing it makes every cursor out there invalid. ``rate_per_min`` and ``burst``
    hold for each token, once for reading and once for reporting. ``cohort_min`` is the number of subscribers below
    which an aggregate is hidden. ``ring_lines`` records of each log are kept in memory; older ones are read from disk.
    ``wrong_tokens`` of one address in five minutes are one too many. ``trusted_proxies`` are addresses or networks
    whose ``X-Forwarded-For`` is believed.
    """

    cursor_secret: Secret
    host: str = "127.0.0.1"
    port: int = 8700
    surfaces: tuple[Surface, ...] = (Surface.FX,)
    max_wait_s: float = 55.0
    default_wait_s: float = 25.0
    parked_per_token: int = 2
    parked_total: int = 1000
    rate_per_min: float = 60.0
    burst: int = 20
    body_limit_bytes: int = 16_384
    header_deadline_s: float = 10.0
    body_deadline_s: float = 15.0
    write_deadline_s: float = 30.0
    keep_alive_s: int = 30
    cohort_min: int = 5
    retention_days: int = 30
    ring_lines: int = 5_000
    streams_per_token: int = 2
    wrong_tokens: int = 10
    trusted_proxies: tuple[str, ...] = ()
    docs: bool = False

    def __post_init__(self) -> None:
        _require(len(self.cursor_secret.reveal()) >= 32, "FEED_CURSOR_SECRET must have at least 32 characters")
        _require(
            self.cursor_secret.reveal() != PLACEHOLDER,
            "FEED_CURSOR_SECRET is still the example's; make one of your own",
        )
        _require(0 <= self.port <= 65_535, "FEED_PORT must lie in 0..65535")
        _require(len(self.surfaces) > 0, "FEED_SURFACES must name at least one surface")
        _require(len(set(self.surfaces)) == len(self.surfaces), "FEED_SURFACES must not repeat a surface")
        _require(0 <= self.default_wait_s <= self.max_wait_s <= 55, "0 <= default_wait_s <= max_wait_s <= 55 must hold")
        for proxy in self.trusted_proxies:
            ipaddress.ip_network(proxy)  # raises what says which one is no address
        for name in _POSITIVE:
            _require(getattr(self, name) > 0, f"FEED_{name.upper()} must be positive")


_POSITIVE = (
    "parked_per_token",
    "parked_total",
    "rate_per_min",
    "burst",
    "body_limit_bytes",
    "header_deadline_s",
    "body_deadline_s",
    "write_deadline_s",
    "keep_alive_s",
    "cohort_min",
    "retention_days",
    "ring_lines",
    "streams_per_token",
    "wrong_tokens",
)


def load(environ: Mapping[str, str]) -> tuple[FeedConfig, House, Clock]:
    """Read everything the feed needs to know from ``environ``.

    Raises:
        Misconfigured: a key is unknown, missing, or does not fit.
    """
    settings.refuse_strays(environ, (PREFIX, "TBOT_"), source=SOURCE)
    config = settings.load(FeedConfig, environ, prefix=PREFIX, source=SOURCE)
    house = settings.load(House, environ, prefix="TBOT_", source=SOURCE)
    return config, house, parse_clock(house.clock)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)
