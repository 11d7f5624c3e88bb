"""Settings of the Coinbase adapter, read from keys that start with ``COINBASE_``."""

from dataclasses import dataclass

from brokers.addresses import require_address

PREFIX = "COINBASE_"


@dataclass(frozen=True, slots=True, kw_only=True)
class CoinbaseConfig:
    """How to reach Coinbase Exchange's public market data. Seconds are real seconds, ``price_max_age_s`` excepted."""

    url: str = "https://api.exchange.coinbase.com"
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 8.0
    read_attempts: int = 2
    price_max_age_s: float = 300.0

    def __post_init__(self) -> None:
        require_address(f"{PREFIX}URL", self.url)
        for name in ("connect_timeout_s", "read_timeout_s", "read_attempts", "price_max_age_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{PREFIX}{name.upper()} must be above 0, found {getattr(self, name)}")
