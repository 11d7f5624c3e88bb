"""One IBKR account behind the protocols of ``brokers.port``, through the socket of TWS or IB Gateway."""

from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from brokers.grace import Grace
from brokers.ibkr.config import IbkrConfig
from brokers.ibkr.fills import FillReader
from brokers.ibkr.trades import Entries, Held
from brokers.ibkr.tws.contracts import Contracts
from brokers.ibkr.tws.desk import OrderDesk
from brokers.ibkr.tws.history import History
from brokers.ibkr.tws.holdings import Holdings
from brokers.ibkr.tws.keeper import Keeper
from brokers.ibkr.tws.runner import Runner
from brokers.port import Account, BrokerTrade, Fill, RestingOrder
from domain.clock import Clock
from domain.errors import Ask, Retry, TBotError
from domain.order import OrderEvent, OrderIntent
from domain.quotes import Bar, Instrument, Quote
from domain.vocabulary import ExitReason, Link

T = TypeVar("T")
# How far back an order that is cancelled may have been sent.
LOOK_BACK = timedelta(days=1)
# Every step has its own deadline; the hand-over's is only there so that no caller can wait for ever.
STEPS = 8


def connect(config: IbkrConfig, clock: Clock, *, held: Held = lambda: ()) -> tuple["TwsMarketData", "TwsExecutor"]:
    """Return both halves of one connection, made in the background; ``held`` is what our journals hold open."""
    desk = _Connection(config, clock)
    return TwsMarketData(desk), TwsExecutor(desk, held)


class _Connection:
    """The thread, the keeper and the definitions, shared by both halves; closed when both are, if both were used."""

    def __init__(self, config: IbkrConfig, clock: Clock) -> None:
        self.config = config
        self.clock = clock
        self.contracts = Contracts(config)
        self.history = History(config, clock)
        self.runner = Runner("ibkr-tws")
        self.deadline_s = STEPS * config.request_timeout_s
        self.keeper: Keeper = self.runner.call(self._begin(), self.deadline_s)
        self._users = {"data"}

    async def _begin(self) -> Keeper:
        keeper = Keeper(self.config, self.clock)
        self.runner.spawn(keeper.run())
        return keeper

    def use(self, user: str) -> None:
        """Note who needs the connection: in a dry run nobody ever asks the executor."""
        self._users.add(user)

    def close(self, user: str) -> None:
        """End the connection once all that used it have closed it."""
        self._users.discard(user)
        if not self._users and self.runner.is_alive:
            self.runner.call(self._end(), self.deadline_s)
            self.runner.close()

    async def _end(self) -> None:
        if self.keeper.session is not None:
            self.keeper.session.close()


class TwsMarketData:
    """Prices and instruments from TWS."""

    def __init__(self, desk: _Connection) -> None:
        self._desk = desk

    def instruments(self, names: Sequence[str]) -> Mapping[str, Instrument]:
        return self._desk.runner.call(self._instruments(names), self._desk.deadline_s)

    async def _instruments(self, names: Sequence[str]) -> dict[str, Instrument]:
        contracts = self._desk.contracts
        if any(contracts.instrument(name) is None for name in names):
            await contracts.learn(await self._desk.keeper.ready(), names)
        return {name: found for name in names if (found := contracts.instrument(name)) is not None}

    def quotes(self, markets: Sequence[str]) -> Mapping[str, Quote]:
        return self._desk.runner.call(self._quotes(markets), self._desk.deadline_s)

    async def _quotes(self, markets: Sequence[str]) -> dict[str, Quote]:
        keeper, contracts = self._desk.keeper, self._desk.contracts
        session = await keeper.ready()
        link, words = keeper.state.state()
        if link is Link.DOWN:
            raise Retry("a link to IBKR for prices", words, "ask again once it is back")
        known = await self._instruments(markets)
        keeper.prices.watch((market, contracts.contract(market)) for market in known)
        await keeper.prices.refreshed(session, known)
        return keeper.prices.quotes(known)

    def bars(self, market: str, period_s: int, *, start: datetime, end: datetime | None = None) -> Sequence[Bar]:
        work = self._bars(market, period_s, start, end or self._desk.clock.now())
        return self._desk.runner.call(work, self._desk.deadline_s)

    async def _bars(self, market: str, period_s: int, start: datetime, end: datetime) -> list[Bar]:
        session = await self._desk.keeper.ready()
        known = await self._instruments([market])
        if market not in known:
            raise Retry(f"the definition of {market}", "none", "correct the watchlist")
        contract = self._desk.contracts.contract(market)
        return await self._desk.history.bars(session, known[market], contract, period_s, start, end)

    def close(self) -> None:
        self._desk.close("data")


class TwsExecutor:
    """Executor of one account; orders rest at IBKR."""

    def __init__(self, desk: _Connection, held: Held) -> None:
        keeper, config = desk.keeper, desk.config
        entries = Entries(keeper.executions, held)
        self._desk = desk
        self._fills = FillReader(
            keeper.executions, entries, desk.clock, commission_wait_s=config.commission_wait_s, reason=self._reason
        )
        grace = Grace(desk.clock, config.fresh_order_grace_s)
        self._orders = OrderDesk(keeper, desk.contracts, grace, self._fills, held)
        self._holdings = Holdings(keeper, entries, self._orders)

    def link(self) -> tuple[Link, str]:
        return self._desk.keeper.state.state()

    def account(self) -> Account:
        return self._call(self._account())

    async def _account(self) -> Account:
        await self._desk.keeper.ready()
        await self._desk.keeper.orders_within(self._desk.config.poll_interval_s)
        return await self._holdings.account(self._fills.now())

    def submit(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        return self._call(self._orders.submit(intent), Ask)

    def find(self, client_order_id: str, *, since: datetime) -> Sequence[OrderEvent]:
        return self._call(self._orders.find(client_order_id, since))

    def cancel(self, client_order_id: str) -> Sequence[OrderEvent]:
        since = self._desk.clock.now() - LOOK_BACK
        return self._call(self._orders.cancel(client_order_id, since), Ask)

    def amend(self, client_order_id: str, *, quantity: Decimal) -> Sequence[OrderEvent]:
        return self._call(self._orders.amend(client_order_id, quantity), Ask)

    def resting(self) -> Sequence[RestingOrder]:
        return self._call(self._holdings.resting())

    def open_trades(self) -> Sequence[BrokerTrade]:
        return self._call(self._holdings.open_trades())

    def protect(
        self, trade_id: str, *, stop_loss: Decimal, take_profit: Decimal | None, trailing_distance: Decimal | None
    ) -> None:
        work = self._holdings.protect(trade_id, stop_loss, take_profit, trailing_distance)
        self._call(work, Ask)

    def fills_since(self, cursor: str) -> tuple[Sequence[Fill], str]:
        return self._call(self._fills_since(cursor))

    async def _fills_since(self, cursor: str) -> tuple[Sequence[Fill], str]:
        await self._desk.keeper.ready()
        await self._desk.keeper.orders_within(self._desk.config.poll_interval_s)
        return self._fills.since(cursor)

    def close(self) -> None:
        self._desk.close("executor")

    def _call(self, work: Coroutine[Any, Any, T], overdue: type[TBotError] = Retry) -> T:
        self._desk.use("executor")
        return self._desk.runner.call(work, self._desk.deadline_s, overdue)

    def _reason(self, reference: str) -> ExitReason:
        return self._holdings.stop_reason(reference)
