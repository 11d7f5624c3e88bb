"""The stock resolver put together from its parts."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

from audit.fold import SurfaceFold
from audit.restore import trades_of
from brokers.connect import connect_ibkr
from brokers.ibkr.config import IbkrConfig, shared
from domain import settings
from domain.clock import Clock
from domain.house import House
from domain.stock_settings import StockSettings
from domain.surface_settings import PREFIXES
from domain.vocabulary import ResolutionSource, Surface
from journal import process
from journal.beat import Heartbeat
from journal.keys import Signer
from market.calendar import DailyCalendar
from resolver.books import ResolverBooks
from resolver.dry_run import advancing
from resolver.loop import Loop
from risk.stock_limits import StockLimits

PROGRAM = "resolver-stk"
SOURCE = "env/stk.env"
# IBKR allows sixty questions for shorter bars in ten minutes.
DRY_RUN_PERIOD_S = 60


def run(environ: Mapping[str, str], stop: threading.Event) -> None:
    """Resolve until ``stop`` is set.

    Raises:
        Misconfigured: the settings are wrong, or the key to sign with is missing.
        Halt: a journal can't be trusted or written any more.
    """
    parts = load(environ)
    clock = process.begin(PROGRAM, parts.house, Surface.STK, parts.surface, parts.ibkr.order_host)
    with opened(parts, clock, stop) as (_, loop):
        loop.run()


class Parts(NamedTuple):
    """What the surface's env file says that concerns its resolver."""

    house: House
    surface: StockSettings
    limits: StockLimits
    ibkr: IbkrConfig


def load(environ: Mapping[str, str]) -> Parts:
    """Read the settings; raises Misconfigured."""
    settings.refuse_strays(environ, PREFIXES[Surface.STK], source=SOURCE)
    house = settings.load(House, environ, prefix="TBOT_", source=SOURCE)
    return Parts(
        house,
        settings.load(StockSettings, environ, prefix="STK_", source=SOURCE),
        settings.load(StockLimits, environ, prefix="RISK_", source=SOURCE),
        shared(settings.load(IbkrConfig, environ, prefix="IBKR_", source=SOURCE), house),
    )


@contextmanager
def opened(parts: Parts, clock: Clock, stop: threading.Event) -> Iterator[tuple[ResolverBooks, Loop]]:
    """Open the journals and connect; the loop has not begun, and whoever runs it gives the connection back."""
    house, surface, limits, ibkr = parts
    signer = Signer.load(house.keys, Surface.STK, clock.now())
    fold = SurfaceFold(limits.bankroll, limits.currency, surface.mode)
    source = ResolutionSource.IBKR_POSITION
    with ResolverBooks(house, Surface.STK, surface.mode, clock, fold, signer, source) as books:
        data, executor = connect_ibkr(
            surface.mode,
            # Two processes are two clients: IBKR lets one id connect once.
            replace(ibkr, client_id=ibkr.client_id + 1),
            clock,
            balance=limits.bankroll,
            currency=limits.currency,
            held=lambda: trades_of(fold.positions()),
        )
        calendar = DailyCalendar(house.state / "calendars", surface.calendar, clock, key="STK_CALENDAR")
        yield (
            books,
            Loop(
                books=books,
                executor=executor,
                data=data,
                settings=surface,
                heartbeat=Heartbeat(house.heartbeat(PROGRAM), clock),
                stop=stop,
                advance=advancing(surface.mode, books, data, executor, DRY_RUN_PERIOD_S),
                tend_s=surface.loop_s,
                # A stop rests outside the session without acting: what those bars show is no failure of the broker's.
                acts_in=lambda bar: calendar.today().is_open(bar.start),
            ),
        )
