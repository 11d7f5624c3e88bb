"""Settings of the event surfaces, each read once from its own env file."""

from collections.abc import Mapping
from dataclasses import dataclass

from brokers.coinbase.config import CoinbaseConfig
from brokers.kalshi.config import KalshiConfig
from brokers.nws.config import NwsConfig
from domain import settings
from domain.errors import Misconfigured
from domain.event_settings import EventSettings, LtSettings, StSettings
from domain.house import House
from domain.surface_settings import PREFIXES
from domain.vocabulary import Surface
from forecast.config import ModelsConfig
from risk.event_limits import EventLimits, PanelLimits

ST_SOURCE, LT_SOURCE = "env/st.env", "env/lt.env"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventConfig:
    """What every event surface was told, by part."""

    surface: Surface
    program: str
    house: House
    settings: EventSettings
    limits: EventLimits
    kalshi: KalshiConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class StConfig(EventConfig):
    """The short-term surface's: with a thermometer and a price."""

    settings: StSettings
    nws: NwsConfig
    coinbase: CoinbaseConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class LtConfig(EventConfig):
    """The long-term surface's: with a panel of models."""

    settings: LtSettings
    models: ModelsConfig


def load_st(environ: Mapping[str, str]) -> StConfig:
    """Read the settings of the short-term surface.

    Raises:
        Misconfigured: a key is unknown, missing or wrong, or two of them don't fit together.
    """
    settings.refuse_strays(environ, PREFIXES[Surface.ST], source=ST_SOURCE)
    return StConfig(
        surface=Surface.ST,
        program="kalshi-st",
        house=settings.load(House, environ, prefix="TBOT_", source=ST_SOURCE),
        settings=settings.load(StSettings, environ, prefix="ST_", source=ST_SOURCE),
        limits=settings.load(EventLimits, environ, prefix="RISK_", source=ST_SOURCE),
        kalshi=settings.load(KalshiConfig, environ, prefix="KALSHI_", source=ST_SOURCE),
        nws=settings.load(NwsConfig, environ, prefix="NWS_", source=ST_SOURCE),
        coinbase=settings.load(CoinbaseConfig, environ, prefix="COINBASE_", source=ST_SOURCE),
    )


def load_lt(environ: Mapping[str, str]) -> LtConfig:
    """Read the settings of the long-term surface. Raises as `load_st`."""
    settings.refuse_strays(environ, PREFIXES[Surface.LT], source=LT_SOURCE)
    config = LtConfig(
        surface=Surface.LT,
        program="kalshi-lt",
        house=settings.load(House, environ, prefix="TBOT_", source=LT_SOURCE),
        settings=settings.load(LtSettings, environ, prefix="LT_", source=LT_SOURCE),
        limits=settings.load(PanelLimits, environ, prefix="RISK_", source=LT_SOURCE),
        kalshi=settings.load(KalshiConfig, environ, prefix="KALSHI_", source=LT_SOURCE),
        models=settings.load(ModelsConfig, environ, prefix="MODELS_", source=LT_SOURCE),
    )
    seats, quorum = len(config.models.models), config.limits.min_quorum
    if quorum > seats:
        raise Misconfigured(
            f"RISK_MIN_QUORUM of at most {seats}, the models in MODELS_PANEL",
            str(quorum),
            f"lower it or add models in {LT_SOURCE}; every answer would be paid for and none traded on",
        )
    return config
