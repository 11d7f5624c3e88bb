"""The choice of broker and executor that a mode stands for."""

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

import stamina

from brokers.port import Executor, MarketData
from domain.clock import Clock
from domain.vocabulary import Mode

if TYPE_CHECKING:
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
