"""The choice of broker and executor that a mode stands for."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import stamina

from brokers.port import BrokerTrade, Executor, MarketData, RestingExecutor
from domain.clock import Clock
from domain.vocabulary import Mode

if TYPE_CHECKING:
    from brokers.dry_run.executor import DryRunExecutor
    from brokers.ibkr.config import IbkrConfig
    from brokers.kalshi.client import KalshiData
    from brokers.kalshi.config import KalshiConfig
    from brokers.oanda.config import OandaConfig


def connect_oanda(
    mode: Mode, config: "OandaConfig", clock: Clock, *, balance: Decimal, currency: str
) -> tuple[MarketData, Executor]:
    """Return prices from OANDA and an executor: none with a socket in a dry run, OANDA's otherwise.

    Args:
        balance: what a dry run's account starts with, in ``currency``.
    """
    from brokers.oanda.client import connect  # noqa: PLC0415  the SDK costs 30 MiB: only who trades FX pays it

    # Each caller logs a failure once it is final; a line for every repetition would bury it.
    stamina.instrumentation.set_on_retry_hooks([])
    data, executor = connect(config, clock)
    if mode is not Mode.DRY_RUN:
        return data, executor
    from brokers.dry_run.executor import DryRunExecutor  # noqa: PLC0415  not needed beside a real executor

    return data, DryRunExecutor(data, clock, balance=balance, currency=currency)


def connect_kalshi(
    mode: Mode,
    config: "KalshiConfig",
    clock: Clock,
    *,
    balance: Decimal,
    currency: str,
    fee: Callable[[str, Decimal, Decimal], Decimal] | None = None,
) -> tuple["KalshiData", Executor]:
    """Return contracts and prices from Kalshi and an executor: none with a socket in a dry run, Kalshi's otherwise.

    Args:
        balance: what a dry run's account starts with, in ``currency``.
        fee: market, quantity and price -> what a dry run's executions cost; nothing when not given.

    Raises:
        Misconfigured: the private key cannot be read.
    """
    from brokers.kalshi.client import connect  # noqa: PLC0415  an FX process needs neither httpx nor websockets

    data, executor = connect(config, clock)
    if mode is not Mode.DRY_RUN:
        return data, executor
    from brokers.dry_run.executor import DryRunExecutor  # noqa: PLC0415  not needed beside a real executor

    return data, DryRunExecutor(data, clock, balance=balance, currency=currency, fee=fee)


def connect_ibkr(
    mode: Mode,
    config: "IbkrConfig",
    clock: Clock,
    *,
    balance: Decimal,
    currency: str,
    held: Callable[[], Sequence[BrokerTrade]] = lambda: (),
    fee: Callable[[str, Decimal, Decimal], Decimal] | None = None,
    closes_at: Callable[[str, datetime], datetime | None] = lambda market, moment: None,
) -> tuple[MarketData, RestingExecutor]:
    """Return prices from IBKR and an executor at which orders rest, through the connection that the settings choose.

    Args:
        balance: what a dry run's account starts with, in ``currency``.
        held: what our own journals hold open; IBKR tells net positions only, and executions of today only.
        fee: market, quantity and price -> what a dry run's executions cost; nothing when not given.
        closes_at: market and moment -> when the session ends in which a dry run's DAY order rests.
    """
    data, executor = _open_ibkr(config, clock, held)
    if mode is not Mode.DRY_RUN:
        return data, executor
    from brokers.dry_run.executor import DryRunExecutor  # noqa: PLC0415  not needed beside a real executor

    dry = DryRunExecutor(
        data, clock, balance=balance, currency=currency, fee=fee, closes_at=closes_at, stop_orders=True
    )
    return data, dry


def without_socket(executor: Executor) -> "DryRunExecutor":
    """Return a dry run's executor as what it is; raises TypeError for one that could reach a broker."""
    from brokers.dry_run.executor import DryRunExecutor  # noqa: PLC0415  only a dry run needs it

    if not isinstance(executor, DryRunExecutor):
        raise TypeError(f"a dry run needs the executor without a socket, found {type(executor).__name__}")
    return executor


def _open_ibkr(
    config: "IbkrConfig", clock: Clock, held: Callable[[], Sequence[BrokerTrade]]
) -> tuple[MarketData, RestingExecutor]:
    if config.transport == "portal":
        from brokers.ibkr.portal import client as portal  # noqa: PLC0415  only who speaks HTTP needs its client

        return portal.connect(config, clock, held=held)
    from brokers.ibkr.tws import client as tws  # noqa: PLC0415  the SDK costs 20 MiB: only who trades stocks pays it

    return tws.connect(config, clock, held=held)
