"""A resolver of event contracts put together from its parts; the two differ in who sees outcomes early."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from audit.fold import SurfaceFold
from audit.restore import trades_of
from brokers.connect import connect_kalshi
from brokers.kalshi.client import KalshiData
from brokers.kalshi.config import Environment, KalshiConfig
from brokers.port import Executor
from domain import settings
from domain.clock import Clock, parse_clock
from domain.contract import Contract
from domain.errors import Refuse, Retry
from domain.event_settings import EventSettings
from domain.house import House
from domain.surface_settings import require_armed
from domain.vocabulary import Mode, ResolutionSource, Surface
from journal import process_log
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
# How often, on the process's clock, somebody looks whether an outcome can be seen.
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


def load(environ: Mapping[str, str], surface: Surface, kind: type[EventSettings], prefixes: tuple[str, ...]) -> Told:
    """Read the settings of one event surface, and refuse real money that is not armed.

    Raises:
        Misconfigured: a key is unknown, missing or wrong, or live trading is not armed.
    """
    source, prefix = f"env/{surface}.env", f"{surface.upper()}_"
    settings.refuse_strays(environ, ("TBOT_", prefix, "RISK_", "KALSHI_", *prefixes), source=source)
    told = Told(
        surface=surface,
        house=settings.load(House, environ, prefix="TBOT_", source=source),
        settings=settings.load(kind, environ, prefix=prefix, source=source),
        limits=settings.load(EventLimits, environ, prefix="RISK_", source=source),
        kalshi=settings.load(KalshiConfig, environ, prefix="KALSHI_", source=source),
    )
    _require_armed(told)
    return told


def resolve(told: Told, stop: threading.Event, witnesses: Callable[[Clock], Sequence[Witness]]) -> None:
    """Settle what the surface opened until ``stop`` is set.

    Raises:
        Misconfigured: the key to sign with is missing.
        Halt: a journal can't be trusted or written any more.
    """
    house, surface, mode, limits = told.house, told.surface, told.settings.mode, told.limits
    program = f"resolver-{surface}"
    clock = parse_clock(house.clock)
    process_log.configure(program, clock)
    signer = Signer.load(house.keys, surface, clock.now())
    fold = SurfaceFold(limits.bankroll, limits.currency, mode)
    with ResolverBooks(house, surface, mode, clock, fold, signer, ResolutionSource.KALSHI_RESOLUTION) as books:
        data, executor = connect_kalshi(
            mode, told.kalshi, clock, balance=limits.bankroll, currency=limits.currency, fee=fee_of
        )
        lookout = Lookout(books, [VenueWitness(data.contract), *witnesses(clock)], LOOK_EVERY_S)
        imagined = _imagined(mode, books, data, executor)

        def advance() -> None:
            imagined()
            lookout.advance()

        Loop(
            books=books,
            executor=executor,
            data=data,
            settings=told.settings,
            heartbeat=Heartbeat(house.heartbeat(program), clock),
            stop=stop,
            advance=advance,
        ).run()


def _require_armed(told: Told) -> None:
    arm_file = told.house.state / f"{told.surface}.armed"
    require_armed(
        told.settings,
        told.surface,
        is_real=told.kalshi.environment is Environment.PROD,
        account_id=told.kalshi.account,
        arm_text=arm_file.read_text() if arm_file.is_file() else None,
        prefix=f"{told.surface.upper()}_",
        host_key="KALSHI_ENVIRONMENT",
        hosts=(Environment.DEMO, Environment.PROD),
    )


def _imagined(mode: Mode, books: ResolverBooks, data: KalshiData, executor: Executor) -> Callable[[], None]:
    """Return what moves a dry run's account along: it is paid what the venue pays; a real account needs nothing."""
    if mode is not Mode.DRY_RUN:
        return lambda: None
    from brokers.dry_run.executor import DryRunExecutor  # noqa: PLC0415  only a dry run needs it

    if not isinstance(executor, DryRunExecutor):
        raise TypeError(f"a dry run needs the executor without a socket, found {type(executor).__name__}")
    return Payouts(books, data, executor).advance


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
