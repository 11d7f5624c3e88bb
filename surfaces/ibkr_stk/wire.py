"""The stock surface put together from its parts."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from audit.fold import SurfaceFold
from audit.restore import trades_of
from brokers.connect import connect_ibkr
from brokers.port import RestingExecutor
from domain.clock import Clock
from domain.stock_settings import StockStrategy
from domain.vocabulary import Leg, Surface
from journal import process
from journal.beat import Heartbeat
from journal.keys import Signer
from market.calendar import DailyCalendar
from market.recorder import Compaction, Recorder
from surfaces.books import Books
from surfaces.entry import EntryDesk
from surfaces.ibkr_stk.config import StockConfig, load
from surfaces.ibkr_stk.daytrades import DayTradeWatch
from surfaces.ibkr_stk.desk import StockDesk
from surfaces.ibkr_stk.keeper import Keeper
from surfaces.ibkr_stk.ledger import OrderLedger
from surfaces.ibkr_stk.picture import Asked, Observer
from surfaces.loop import Loop
from surfaces.mirror import mirrored
from surfaces.snapshot import AccountRules
from surfaces.stop import stop_reasons

log = structlog.get_logger()
PROGRAM = "ibkr-stk"


def run(environ: Mapping[str, str], stop: threading.Event) -> None:
    """Trade until ``stop`` is set.

    Raises:
        Misconfigured: the settings are wrong, the key to sign with is missing, or live trading is not armed.
        Halt: a journal can't be trusted or written any more.
    """
    config = load(environ)
    clock = process.begin(PROGRAM, config.house, Surface.STK, config.settings, config.ibkr.order_host)
    for complaint in config.complaints:
        log.warning("watchlist", file=str(config.settings.watchlist_file), **asdict(complaint))
    with opened(config, clock, stop) as (_, loop):
        loop.run()


@contextmanager
def opened(config: StockConfig, clock: Clock, stop: threading.Event) -> Iterator[tuple[Books, Loop]]:
    """Open the journals and connect; the loop has not begun, and whoever runs it gives the connection back."""
    fold = SurfaceFold(config.limits.bankroll, config.limits.currency, config.settings.mode)
    signer = Signer.load(config.house.keys, Surface.STK, clock.now())
    calendar = DailyCalendar(config.house.state / "calendars", config.settings.calendar, clock, key="STK_CALENDAR")
    ledger, rule = OrderLedger(), config.settings.day_trade_rule
    watch = DayTradeWatch(calendar.today, clock, config.ibkr.account, rule, is_cash=config.ibkr.margin_rate >= 1)

    def learn(record: Mapping[str, Any]) -> None:
        ledger.apply(record)
        watch.apply(record)

    with Books(config.house, Surface.STK, config.settings.mode, clock, fold, signer, also=learn) as books:
        data, executor = connect_ibkr(
            config.settings.mode,
            config.ibkr,
            clock,
            balance=config.limits.bankroll,
            currency=config.limits.currency,
            held=lambda: trades_of(fold.positions()),
            fee=lambda market, quantity, price: config.stop_entry.fees.of(quantity, quantity * price),
            closes_at=lambda market, moment: calendar.today().next_close(moment),
        )
        executor = mirrored(config.settings.mode, executor, fold)
        recorder = _recorder(config, calendar) if config.settings.record_quotes else None
        desk = StockDesk(data, config, clock, calendar, recorder)
        files = config.house.stop_files(Surface.STK)
        yield books, _loop(config, books, executor, desk, ledger, watch, stop, files=files)


def _loop(
    config: StockConfig,
    books: Books,
    executor: RestingExecutor,
    desk: StockDesk,
    ledger: OrderLedger,
    watch: DayTradeWatch,
    stop: threading.Event,
    *,
    files: tuple[Path, Path],
) -> Loop:
    asked = Asked()
    observer = Observer(books, executor, ledger, asked, desk.reference, settle_s=config.stop_entry.settle_s)
    keeper = Keeper(
        books,
        executor,
        observer,
        asked,
        ledger,
        config.stop_entry,
        books.clock,
        markets=config.markets,
        arms=StockStrategy.STOP_ENTRY in config.settings.strategies,
        keep_s=config.settings.keep_s,
    )
    desk.keeper, desk.link, desk.kept = keeper, executor.link, keeper.kept

    def keep(entries: EntryDesk) -> None:
        keeper.keep(
            entries,
            calendar=desk.calendar,
            instruments=desk.instruments,
            quotes=desk.quotes(),
            stop_reasons=stop_reasons(files),
        )

    def account_rules() -> AccountRules:
        resting = tuple(intent.market for intent in books.fold.unfinished(Leg.ENTRY))
        return watch.now(books.fold.bankroll.balance, resting)

    return Loop(
        books=books,
        executor=executor,
        desk=desk,
        limits=config.limits,
        settings=config.settings,
        heartbeat=Heartbeat(config.house.heartbeat(PROGRAM), books.clock),
        stop_reasons=lambda: stop_reasons(files),
        stop=stop,
        concerns=lambda market: market in config.markets,
        keep=keep,
        account_rules=account_rules,
        can_value=keeper.can_value,
    )


def _recorder(config: StockConfig, calendar: DailyCalendar) -> Recorder:
    return Recorder(
        config.house.log(Surface.STK, "market"),
        # A night is no gap in what was recorded.
        open_time=lambda _, since, until: calendar.today().open_between(since, until),
        compaction=Compaction(keep_days=config.settings.record_days),
    )
