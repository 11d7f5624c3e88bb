"""A resolver of event contracts put together from its parts; the two differ in who sees outcomes early."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from audit.fold import SurfaceFold
from audit.restore import trades_of
from brokers.connect import connect_kalshi, without_socket
from brokers.kalshi.client import KalshiData
from brokers.kalshi.config import KalshiConfig
from brokers.port import Executor
from domain import settings
from domain.clock import Clock
from domain.contract import Contract
from domain.errors import Refuse, Retry
from domain.event_settings import EventSettings
from domain.house import House
from domain.surface_settings import PREFIXES
from domain.vocabulary import Mode, ResolutionSource, Surface
from journal import process
from journal.beat import Heartbeat
from journal.keys import Signer
from resolver.books import ResolverBooks
from resolver.kalshi.sighting import Lookout, VenueWitness, Witness
from resolver.loop import Loop
from risk.event_limits import EventLimits
from strategies.event.fees import fee_of

if TYPE_CHECKING:
    from brokers.dry_run.executor import DryRunExecutor

log = structlog.get_logger()
LOOK_EVERY_S = 300.0
PAYOUT_EVERY_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an event resolver was told: the parts of the env file it shares with its surface."""

    surface: Surface
    house: House
    settings: EventSettings
    limits: EventLimits
    kalshi: KalshiConfig

    @property
    def program(self) -> str:
        return f"resolver-{self.surface}"


def load(environ: Mapping[str, str], surface: Surface, kind: type[EventSettings]) -> Told:
    """Read the settings of one event surface; raises Misconfigured."""
    source, prefix = f"env/{surface}.env", f"{surface.upper()}_"
    settings.refuse_strays(environ, PREFIXES[surface], source=source)
    return Told(
        surface=surface,
        house=settings.load(House, environ, prefix="TBOT_", source=source),
        settings=settings.load(kind, environ, prefix=prefix, source=source),
        limits=settings.load(EventLimits, environ, prefix="RISK_", source=source),
        kalshi=settings.load(KalshiConfig, environ, prefix="KALSHI_", source=source),
    )


def resolve(told: Told, stop: threading.Event, witnesses: Callable[[Clock], Sequence[Witness]]) -> None:
    """Settle what the surface opened until ``stop`` is set.

    Raises:
        Misconfigured: the key to sign with is missing, or live trading is not armed.
        Halt: a journal can't be trusted or written any more.
    """
    clock = process.begin(told.program, told.house, told.surface, told.settings, told.kalshi.order_host)
    with opened(told, clock, stop, witnesses(clock)) as (_, loop):
        loop.run()


@contextmanager
def opened(
    told: Told, clock: Clock, stop: threading.Event, witnesses: Sequence[Witness], look_s: float = LOOK_EVERY_S
) -> Iterator[tuple[ResolverBooks, Loop]]:
    """Open the journals and connect; the loop has not begun, and whoever runs it gives the connection back.

    Args:
        look_s: seconds on the process's clock between two looks whether an outcome can be seen.
    """
    house, surface, mode, limits = told.house, told.surface, told.settings.mode, told.limits
    signer = Signer.load(house.keys, surface, clock.now())
    fold = SurfaceFold(limits.bankroll, limits.currency, mode)
    with ResolverBooks(house, surface, mode, clock, fold, signer, ResolutionSource.KALSHI_RESOLUTION) as books:
        data, executor = connect_kalshi(
            mode, told.kalshi, clock, balance=limits.bankroll, currency=limits.currency, fee=fee_of
        )
        lookout = Lookout(books, [VenueWitness(data.contract), *witnesses], look_s)
        imagined = _imagined(mode, books, data, executor)

        def advance() -> None:
            imagined()
            lookout.advance()

        loop = Loop(
            books=books,
            executor=executor,
            data=data,
            settings=told.settings,
            heartbeat=Heartbeat(house.heartbeat(told.program), clock),
            stop=stop,
            advance=advance,
        )
        yield books, loop


def _imagined(mode: Mode, books: ResolverBooks, data: KalshiData, executor: Executor) -> Callable[[], None]:
    """Return what moves a dry run's account along: it is paid what the venue pays; a real account needs nothing."""
    if mode is not Mode.DRY_RUN:
        return lambda: None
    return Payouts(books, data, without_socket(executor)).advance


class Payouts:
    """Pays an imagined account for every contract whose result is final, looking at each once a minute."""

    def __init__(self, books: ResolverBooks, data: KalshiData, executor: "DryRunExecutor") -> None:
        self._books = books
        self._data = data
        self._executor = executor
        self._next = books.clock.now()

    def advance(self) -> None:
        """Take over positions the surface has opened since, and settle those whose contract is over."""
        positions, now = self._books.fold.positions(), self._books.clock.now()
        self._executor.restore(trades_of(positions))
        if now < self._next:
            return
        self._next = now + timedelta(seconds=PAYOUT_EVERY_S)
        for market in {position.market for position in positions}:
            contract = self._contract(market)
            if contract is not None and contract.is_over:
                self._executor.settle(market, contract.value, now)

    def _contract(self, market: str) -> Contract | None:
        """Return a contract, None while it can't be read: the others are paid all the same."""
        try:
            return self._data.contract(market)
        except (Retry, Refuse) as error:
            log.warning("payout_waits", market=market, error=str(error))
            return None
