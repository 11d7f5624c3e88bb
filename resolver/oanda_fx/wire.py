"""The FX resolver put together from its parts."""

import threading
from collections.abc import Mapping

from audit.fold import SurfaceFold
from brokers.connect import connect_oanda
from brokers.oanda.config import Environment, OandaConfig
from domain import settings
from domain.clock import parse_clock
from domain.house import House
from domain.surface_settings import SurfaceSettings, require_armed
from domain.vocabulary import Surface
from journal import process_log
from journal.beat import Heartbeat
from journal.keys import Signer
from resolver.books import ResolverBooks
from resolver.dry_run import advancing
from resolver.loop import Loop
from risk.limits import Limits

PROGRAM = "resolver-fx"
SOURCE = "env/fx.env"
PREFIXES = ("TBOT_", "FX_", "RISK_", "STRATEGY_", "OANDA_")


def run(environ: Mapping[str, str], stop: threading.Event) -> None:
    """Resolve until ``stop`` is set.

    Raises:
        Misconfigured: the settings are wrong, or the key to sign with is missing.
        Halt: a journal can't be trusted or written any more.
    """
    settings.refuse_strays(environ, PREFIXES, source=SOURCE)
    house = settings.load(House, environ, prefix="TBOT_", source=SOURCE)
    surface = settings.load(SurfaceSettings, environ, prefix="FX_", source=SOURCE)
    limits = settings.load(Limits, environ, prefix="RISK_", source=SOURCE)
    oanda = settings.load(OandaConfig, environ, prefix="OANDA_", source=SOURCE)
    _require_armed(house, surface, oanda)
    clock = parse_clock(house.clock)
    process_log.configure(PROGRAM, clock)
    signer = Signer.load(house.keys, Surface.FX, clock.now())
    fold = SurfaceFold(limits.bankroll, limits.currency, surface.mode)
    with ResolverBooks(house, Surface.FX, surface.mode, clock, fold, signer) as books:
        data, executor = connect_oanda(surface.mode, oanda, clock, balance=limits.bankroll, currency=limits.currency)
        Loop(
            books=books,
            executor=executor,
            data=data,
            settings=surface,
            heartbeat=Heartbeat(house.heartbeat(PROGRAM), clock),
            stop=stop,
            advance=advancing(surface.mode, books, data, executor),
        ).run()


def _require_armed(house: House, surface: SurfaceSettings, oanda: OandaConfig) -> None:
    arm_file = house.state / "fx.armed"
    require_armed(
        surface,
        Surface.FX,
        is_real=oanda.environment is Environment.LIVE,
        account_id=oanda.account_id,
        arm_text=arm_file.read_text() if arm_file.is_file() else None,
        prefix="FX_",
    )
