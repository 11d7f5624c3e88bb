"""The FX resolver put together from its parts."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from audit.fold import SurfaceFold
from audit.restore import trades_of
from brokers.connect import connect_oanda
from brokers.oanda.config import Environment, OandaConfig
from brokers.port import Executor, MarketData
from domain import settings
from domain.clock import parse_clock
from domain.house import House
from domain.surface_settings import SurfaceSettings, require_armed
from domain.vocabulary import Mode, Surface
from journal import process_log
from journal.beat import Heartbeat
from journal.keys import Signer
from resolver.books import ResolverBooks
from resolver.loop import Loop
from risk.limits import Limits

if TYPE_CHECKING:
    from brokers.dry_run.executor import DryRunExecutor

PROGRAM = "resolver-fx"
SOURCE = "env/fx.env"
PREFIXES = ("TBOT_", "FX_", "RISK_", "STRATEGY_", "OANDA_")
DRY_RUN_PERIOD_S = 5


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
            advance=_advance(surface.mode, books, data, executor),
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


def _advance(mode: Mode, books: ResolverBooks, data: MarketData, executor: Executor) -> Callable[[], None]:
    """Return what moves a dry run's account along; a real account needs nothing."""
    if mode is not Mode.DRY_RUN:
        return lambda: None
    from brokers.dry_run.executor import DryRunExecutor  # noqa: PLC0415  only a dry run needs it

    if not isinstance(executor, DryRunExecutor):
        raise TypeError(f"a dry run needs the executor without a socket, found {type(executor).__name__}")
    return DryRunClock(books, data, executor).advance


class DryRunClock:
    """Hands the closed bars of every open position's life to the executor, each once and in order."""

    def __init__(self, books: ResolverBooks, data: MarketData, executor: "DryRunExecutor") -> None:
        self._books = books
        self._data = data
        self._executor = executor
        # signal id -> where its bars go on; a market has no single place, for a trade may join it later
        self._next: dict[str, datetime] = {}

    def advance(self) -> None:
        """Take over positions the surface has opened since, and play their bars up to now."""
        positions = self._books.fold.positions()
        self._executor.restore(trades_of(positions))
        for market in {position.market for position in positions}:
            here = [position for position in positions if position.market == market]
            start = min(self._next.get(position.signal_id, position.opened_at) for position in here)
            for bar in self._data.bars(market, DRY_RUN_PERIOD_S, start=start):
                self._executor.on_bar(bar)
                self._next |= {position.signal_id: bar.end for position in here}
