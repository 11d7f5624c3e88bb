"""Settings of the FX surface, read once from its own env file."""

from collections.abc import Mapping
from dataclasses import dataclass

from brokers.oanda.config import OandaConfig
from brokers.oanda.granularity import GRANULARITY
from domain import settings
from domain.errors import Misconfigured
from domain.house import House
from domain.surface_settings import PREFIXES, SurfaceSettings
from domain.vocabulary import Surface
from risk.limits import Limits
from strategies.fx.params import FxParams

SOURCE = "env/fx.env"


@dataclass(frozen=True, slots=True, kw_only=True)
class FxConfig:
    """Everything the FX surface was told, by part."""

    house: House
    surface: SurfaceSettings
    limits: Limits
    strategy: FxParams
    oanda: OandaConfig


def load(environ: Mapping[str, str]) -> FxConfig:
    """Read the settings.

    Raises:
        Misconfigured: a key is unknown, missing or wrong, or two of them don't fit together.
    """
    settings.refuse_strays(environ, PREFIXES[Surface.FX], source=SOURCE)
    config = FxConfig(
        house=settings.load(House, environ, prefix="TBOT_", source=SOURCE),
        surface=settings.load(SurfaceSettings, environ, prefix="FX_", source=SOURCE),
        limits=settings.load(Limits, environ, prefix="RISK_", source=SOURCE),
        strategy=settings.load(FxParams, environ, prefix="STRATEGY_", source=SOURCE),
        oanda=settings.load(OandaConfig, environ, prefix="OANDA_", source=SOURCE),
    )
    if config.strategy.period_s not in GRANULARITY:
        lengths = ", ".join(map(str, GRANULARITY))
        raise Misconfigured(
            f"STRATEGY_PERIOD_S among {lengths}", str(config.strategy.period_s), f"correct it in {SOURCE}"
        )
    return config
