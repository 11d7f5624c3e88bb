"""The FX resolver put together from its parts."""

import threading
from collections.abc import Mapping

from audit.fold import SurfaceFold
from brokers.connect import connect_oanda
from brokers.oanda.config import OandaConfig
from domain import settings
from domain.house import House
from domain.surface_settings import PREFIXES, SurfaceSettings
from domain.vocabulary import Surface
from journal import process
from journal.beat import Heartbeat
from journal.keys import Signer
from resolver.books import ResolverBooks
from resolver.dry_run import advancing
from resolver.loop import Loop
from risk.limits import Limits

PROGRAM = "resolver-fx"
SOURCE = "env/fx.env"


def run(environ: Mapping[str, str], stop: threading.Event) -> None:
    """Resolve until ``stop`` is set.

    Raises:
        Misconfigured: the settings are wrong, or the key to sign with is missing.
        Halt: a journal can't be trusted or written any more.
    """
    settings.refuse_strays(environ, PREFIXES[Surface.FX], source=SOURCE)
    house = settings.load(House, environ, prefix="TBOT_", source=SOURCE)
    surface = settings.load(SurfaceSettings, environ, prefix="FX_", source=SOURCE)
    limits = settings.load(Limits, environ, prefix="RISK_", source=SOURCE)
    oanda = settings.load(OandaConfig, environ, prefix="OANDA_", source=SOURCE)
    clock = process.begin(PROGRAM, house, Surface.FX, surface, oanda.order_host)
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
