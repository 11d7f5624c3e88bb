"""The FX surface put together from its parts."""

import threading
from collections.abc import Mapping

from audit.fold import SurfaceFold
from brokers.connect import connect_oanda
from domain.vocabulary import Mode, Surface
from journal import process
from journal.beat import Heartbeat
from journal.keys import Signer
from market import sessions
from market.recorder import Compaction, Recorder
from surfaces.books import Books
from surfaces.loop import Loop
from surfaces.mirror import MirrorExecutor
from surfaces.oanda_fx.config import FxConfig, load
from surfaces.oanda_fx.desk import FxDesk
from surfaces.stop import stop_reasons

PROGRAM = "oanda-fx"


def run(environ: Mapping[str, str], stop: threading.Event) -> None:
    """Trade until ``stop`` is set.

    Raises:
        Misconfigured: the settings are wrong, the key to sign with is missing, or live trading is not armed.
        Halt: a journal can't be trusted or written any more.
    """
    config = load(environ)
    clock = process.begin(PROGRAM, config.house, Surface.FX, config.surface, config.oanda.order_host)
    fold = SurfaceFold(config.limits.bankroll, config.limits.currency, config.surface.mode)
    signer = Signer.load(config.house.keys, Surface.FX, clock.now())
    files = config.house.stop_files(Surface.FX)
    with Books(config.house, Surface.FX, config.surface.mode, clock, fold, signer) as books:
        data, executor = connect_oanda(
            config.surface.mode,
            config.oanda,
            clock,
            balance=config.limits.bankroll,
            currency=config.limits.currency,
        )
        Loop(
            books=books,
            executor=executor if config.surface.mode is not Mode.DRY_RUN else MirrorExecutor(executor, fold),
            desk=FxDesk(data, config.surface.markets, config.strategy, clock, _recorder(config)),
            limits=config.limits,
            settings=config.surface,
            heartbeat=Heartbeat(config.house.heartbeat(PROGRAM), clock),
            stop_reasons=lambda: stop_reasons(files),
            stop=stop,
        ).run()


def _recorder(config: FxConfig) -> Recorder | None:
    if not config.surface.record_quotes:
        return None
    # A weekend is no gap in what was recorded.
    directory = config.house.log(Surface.FX, "market")
    return Recorder(
        directory,
        open_time=lambda _, since, until: sessions.open_between(since, until),
        compaction=Compaction(keep_days=config.surface.record_days),
    )
