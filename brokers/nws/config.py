"""Settings of the weather adapter, read from keys that start with ``NWS_``."""

from dataclasses import dataclass

from brokers.addresses import require_address

PREFIX = "NWS_"
# What env/st.env.example shows.
PLACEHOLDER = "put-your-mail-address-here"


@dataclass(frozen=True, slots=True, kw_only=True)
class NwsConfig:
    """How to reach api.weather.gov, which wants to know who asks: ``user_agent`` names you, a mail address will do.

    Timeouts are real seconds; the ages, of what may still be trusted, are measured on the process's clock.
    """

    user_agent: str
    url: str = "https://api.weather.gov"
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 10.0
    read_attempts: int = 3
    observation_max_age_s: float = 7200.0
    forecast_max_age_s: float = 43_200.0

    def __post_init__(self) -> None:
        if not self.user_agent.strip() or not all(" " <= character <= "~" for character in self.user_agent):
            raise ValueError(f"{PREFIX}USER_AGENT must be printable ASCII that names you, found {self.user_agent!r}")
        if PLACEHOLDER in self.user_agent:
            raise ValueError(f"{PREFIX}USER_AGENT is still the example's; put your own mail address there")
        require_address(f"{PREFIX}URL", self.url)
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ValueError(f"{PREFIX}{name.upper()} must be above 0, found {getattr(self, name)}")


_POSITIVE = (
    "connect_timeout_s",
    "read_timeout_s",
    "read_attempts",
    "observation_max_age_s",
    "forecast_max_age_s",
)
