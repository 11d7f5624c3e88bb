"""The connection kept: made again whenever it breaks, and nothing called UP before everything was read anew."""

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import structlog

from brokers.ibkr import codes
from brokers.ibkr.config import IbkrConfig
from brokers.ibkr.executions import ExecutionBook
from brokers.ibkr.link import LinkState
from brokers.ibkr.trades import Holding
from brokers.ibkr.tws import parse
from brokers.ibkr.tws.orderbook import FILLED, Known, OrderBook
from brokers.ibkr.tws.positions import PositionBook
from brokers.ibkr.tws.prices import PriceBoard
from brokers.ibkr.tws.session import Failed, IdInUse, Session
from domain.clock import Clock
from domain.errors import Misconfigured, Retry
from domain.vocabulary import Link

log = structlog.get_logger()
KEPT = timedelta(days=8)
# So many lists of open orders in a row must lack an order before it is taken as gone.
LISTS = 3
_FALLBACK = "client id"


class Keeper:
    """Owns the session of the moment and all that is known across sessions. Lives in the loop's thread."""

    def __init__(self, config: IbkrConfig, clock: Clock) -> None:
        self.config = config
        self.clock = clock
        self.state = LinkState(clock, config.windows, quiet_s=config.reset_quiet_s, longest_s=config.reset_longest_s)
        self.orders = OrderBook()
        self.executions = ExecutionBook()
        self.prices = PriceBoard(config, clock)
        self.fault: Misconfigured | None = None
        self.connections = 0
        self.session: Session | None = None
        self._positions = PositionBook()
        self._values: dict[tuple[str, str], str] = {}
        self._read_ns: dict[str, int] = {}
        self._reading = asyncio.Lock()
        self._began_ns = 0
        self._traded_ns = 0
        self._moved_ns = 0
        self._news = asyncio.Event()
        self._recovering: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._background: set[asyncio.Task[Any]] = set()

    # -------------------------------------------------------------------------------------------- life

    async def run(self) -> None:
        """Connect, stay connected, and begin again, until the loop ends."""
        failures = 0
        while True:
            lasted = await self._one_connection()
            failures = 0 if lasted else failures + 1
            await asyncio.sleep(self._pause_s(failures))

    def _pause_s(self, failures: int) -> float:
        """Return the pause before connecting again: doubling, with jitter so that two processes do not collide."""
        longest: float = min(self.config.reconnect_min_s * 2 ** min(failures, 10), self.config.reconnect_max_s)
        return longest * (1 + random.random() / 4)  # noqa: S311  spreads processes, guards nothing

    async def _one_connection(self) -> bool:
        """Return whether a connection got so far that everything could be read."""
        session: Session | None = None
        for name in self.state.names():
            if name != "session":
                self.state.settled(name)  # what is still so is told anew, as soon as there is a connection
        try:
            session = await self._connected()
            await self._take_over(session)
            await self._watch(session)
        except Misconfigured as error:
            self.fault = error
            self.state.trouble("session", Link.DOWN, str(error))
        except (Retry, Failed, OSError) as error:
            self.state.trouble("session", Link.DOWN, f"not connected: {error}")
            log.warning("ibkr_not_connected", error=str(error))
        except Exception as error:  # whatever it was, a link that nobody keeps must not look UP
            self.state.trouble("session", Link.DOWN, f"not connected: {type(error).__name__}")
            log.exception("ibkr_connection_failed")
        finally:
            if session is not None:
                session.close()
            if self._recovering is not None:
                self._recovering.cancel()
            self.session = None
        return session is not None

    async def _connected(self) -> Session:
        """Return an open session under the first client id that is free."""
        for client_id in self.config.client_ids:
            session = Session(self.config, self)
            try:
                await session.connect(client_id)
            except IdInUse:
                log.warning("ibkr_client_id_in_use", client_id=client_id)
                session.close()
                continue
            except BaseException:
                session.close()
                raise
            return session
        raise Retry("a client id that is free", f"{', '.join(map(str, self.config.client_ids))} in use", "try again")

    async def _take_over(self, session: Session) -> None:
        self.fault = None
        self.connections += 1
        self._began_ns = self.clock.monotonic_ns()
        self.state.trouble("session", Link.DOWN, "connected, reading what happened meanwhile")
        self.session = session
        self.orders.begin(session.client_id)
        if session.client_id != self.config.client_id:
            words = f"client id {self.config.client_id} is in use: as {session.client_id} its orders are only watched"
            self.state.trouble(_FALLBACK, Link.DEGRADED, words)
        await self.refresh()
        await self.prices.begin(session)
        self.state.settled("session")
        self._tell()
        log.info("ibkr_connected", client_id=session.client_id, connections=self.connections)

    async def _watch(self, session: Session) -> None:
        """Try the link now and then until it breaks, or until a better client id may be had."""
        taken_ns = self.clock.monotonic_ns()
        while True:
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), self.config.probe_interval_s)
            except TimeoutError:
                pass
            if not session.is_open:
                raise Retry("a connection that lasts", "one that TWS closed", "connecting again")
            if not session.is_throttled:
                await session.probe()
            if not self.state.has("server"):
                await self._read_now(session)
                await self.prices.tend(session)
            waited_s = (self.clock.monotonic_ns() - taken_ns) / 1e9
            if session.client_id != self.config.client_id and waited_s > self.config.reconnect_max_s:
                raise Retry(f"client id {self.config.client_id}", f"{session.client_id}", "trying for it again")

    # ---------------------------------------------------------------------------------------- reading

    async def refresh(self) -> None:
        """Read executions, open orders, orders that are done, positions and account anew. Raises Retry."""
        session = self.open_session()
        await self._read_now(session)
        await session.completed_orders()
        asked_ns = self.clock.monotonic_ns()
        self._positions.listed(await session.positions(), asked_ns)
        await self._read_account(session)
        self.orders.trim()
        self.executions.forget_before(self.clock.now() - KEPT)

    async def _read_now(self, session: Session) -> None:
        async with self._reading:
            await self._read_orders(session)

    async def _read_orders(self, session: Session) -> None:
        """Read open orders and then executions: what is neither open nor executed is over.

        One reading at a time, so that who asks for less than another just read is content with that.
        """
        asked_ns = self.clock.monotonic_ns()
        missing = self.orders.missing(await session.open_orders(), asked_ns)
        await session.executions()
        if missing:
            await self._explain(session, missing)
        self._read_ns["orders"] = asked_ns
        self._tell()

    async def _explain(self, session: Session, missing: list[Known]) -> None:
        """Find out what became of orders that a list did not have: it may have left them out."""
        for one in missing:
            if self._is_filled(one):
                one.status = FILLED
        missing = [one for one in missing if one.is_live]
        if missing and self._age_s() < self.config.fresh_order_grace_s:
            await session.completed_orders()  # what was cancelled is told here; the rest may not be loaded yet
            return
        for _ in range(LISTS if missing else 0):
            await session.completed_orders()
            missing = [one for one in missing if one.is_live and one.missed]
            if not missing:
                return
            self.orders.missing(await session.open_orders(), self.clock.monotonic_ns())
            missing = [one for one in missing if one.is_live and one.missed]
        for one in missing:
            log.warning("ibkr_order_no_longer_listed", order=one.reference, perm_id=one.perm_id)
            self.orders.gone(one, self.clock.monotonic_ns())

    def _is_filled(self, known: Known) -> bool:
        done = sum((one.quantity for one in self.executions.of_order(known.reference or "")), Decimal(0))
        return known.terms is not None and done >= known.terms.quantity

    async def orders_since(self, moment_ns: int) -> None:
        """Read open orders and executions unless that was done after ``moment_ns``. Raises Retry."""
        async with self._reading:
            if self._read_ns.get("orders", -1) <= moment_ns:
                await self._read_orders(self.open_session())

    async def orders_within(self, age_s: float) -> None:
        await self.orders_since(self.clock.monotonic_ns() - int(age_s * 1e9))

    async def orders_behind_positions(self) -> None:
        """Read open orders and executions at least as new as the last change of a position: they say whose it is."""
        for _ in range(LISTS):  # one may change while they are read
            await self.orders_since(self._moved_ns)

    async def account_within(self, age_s: float) -> None:
        """Read account and positions unless that was done so lately. Raises Retry."""
        session = self.open_session()
        read_ns = self._read_ns.get("account", 0)
        is_old = self.clock.monotonic_ns() - read_ns > age_s * 1e9
        if is_old or self._traded_ns >= read_ns:
            await self._read_account(session)

    async def _read_account(self, session: Session) -> None:
        asked_ns = self.clock.monotonic_ns()
        await session.account()
        self._read_ns["account"] = asked_ns

    def _age_s(self) -> float:
        """Return how old the connection is."""
        return (self.clock.monotonic_ns() - self._began_ns) / 1e9

    def require_loaded(self, what: str) -> None:
        """Raise Retry while the connection is so young that TWS, restarted itself, may not list every order yet."""
        left_s = self.config.fresh_order_grace_s - self._age_s()
        if left_s > 0:
            raise Retry(what, "a connection too fresh", "ask again", after_s=left_s)

    def open_session(self) -> Session:
        """Return the session. Raises Retry, or Misconfigured when a setting keeps us from having one."""
        if self.fault is not None:
            raise self.fault
        if self.session is None or not self.session.is_open:
            raise Retry("a connection to TWS", self.state.state()[1], "wait until it is back")
        return self.session

    async def ready(self) -> Session:
        """Return the session once all has been read; waits for the first connection of a process's life."""
        deadline_ns = self.clock.monotonic_ns() + int(self.config.connect_timeout_s * 2e9)
        while self.state.has("session") and self.fault is None and self.clock.monotonic_ns() < deadline_ns:
            if self.connections and not self.session:
                break
            await self.news(0.1)
        if self.state.has("session"):
            self.open_session()
            raise Retry("a connection to TWS", self.state.state()[1], "wait until it is back")
        return self.open_session()

    async def news(self, timeout_s: float) -> None:
        """Return when TWS has said something, or when the time is over."""
        try:
            await asyncio.wait_for(self._news.wait(), timeout_s)
        except TimeoutError:
            pass

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until ``condition`` holds; tell whether it did in time. Raises Retry when the connection goes."""
        deadline_ns = self.clock.monotonic_ns() + int(timeout_s * 1e9)
        while not condition():
            left_s = (deadline_ns - self.clock.monotonic_ns()) / 1e9
            if left_s <= 0:
                return False
            self.open_session()
            await self.news(left_s)
        return True

    def holdings(self) -> list[Holding]:
        """Return the positions of our account."""
        return self._positions.of(self.config.account)

    def value(self, tag: str) -> Decimal | None:
        """Return one of the account's figures in its base currency."""
        found = {currency: text for (name, currency), text in self._values.items() if name == tag}
        text = found.get(self.config.currency) or found.get("BASE") or next(iter(found.values()), None)
        return parse.number(text) if text is not None else None

    def currency(self) -> str:
        """Return the account's base currency: that of its net liquidation."""
        return next((cur for name, cur in self._values if name == "NetLiquidation" and cur), self.config.currency)

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    # -------------------------------------------------------------------------------------- listening

    def on_order(self, terms: parse.Terms, status: str) -> None:
        if terms.account in ("", self.config.account) and self._is_stock(terms.sdk_contract):
            self.orders.opened(terms, status, self.clock.monotonic_ns())
        self._tell()

    def _is_stock(self, contract: Any) -> bool:
        """Tell a stock of ours from what else goes by its symbol: its options, and stocks of exchanges abroad."""
        return contract.secType == "STK" and contract.currency in ("", self.config.currency)

    def on_status(self, perm_id: int, order_id: int, client_id: int, status: str, filled: Decimal) -> None:
        self.orders.told(perm_id, order_id, client_id, status, filled, self.clock.monotonic_ns())
        self._tell()

    def on_completed(self, terms: parse.Terms, status: str) -> None:
        if terms.account in ("", self.config.account) and self._is_stock(terms.sdk_contract):
            self.orders.completed(terms, status)

    def on_execution(self, contract: Any, told: Any) -> None:
        execution = parse.execution_of(contract, told)
        is_ours = execution.account == self.config.account and self._is_stock(contract)
        if is_ours and self.executions.add(execution, self.clock.monotonic_ns()):
            self._traded_ns = self.clock.monotonic_ns()
        self._tell()

    def on_commission(self, exec_id: str, fee: Decimal, currency: str) -> None:
        self.executions.charge(exec_id, fee, currency)
        self._tell()

    def on_position(self, account: str, contract: Any, quantity: Decimal, average_cost: Decimal) -> None:
        if not self._is_stock(contract):
            return
        now_ns = self.clock.monotonic_ns()
        holding = Holding(market=str(contract.symbol), quantity=quantity, average_cost=average_cost)
        if self._positions.told(account, contract, holding, now_ns) and account == self.config.account:
            self._moved_ns = now_ns
        self._tell()

    def on_value(self, account: str, tag: str, value: str, currency: str) -> None:
        if account == self.config.account:
            self._values[tag, currency] = value

    def on_price(self, request: int, kind: int, price: float, size: float) -> None:
        if self.prices.on_price(request, kind, price, size) and self.state.settled("competing"):
            log.info("ibkr_market_data_back")

    def on_tick(self, request: int, kind: int, value: float) -> None:
        self.prices.on_tick(request, kind, value)

    def on_data_kind(self, request: int, kind: int) -> None:
        self.prices.on_data_kind(request, kind)

    def on_message(self, request: int, code: int, text: str) -> None:
        known = self.orders.remarked(request, code, text, self.clock.monotonic_ns()) if request > 0 else None
        if known is not None:
            log.info("ibkr_order_message", order=known.reference, code=code, text=text)
        elif not self.prices.on_message(request, code, text):
            log.info("ibkr_message", code=code, text=text)
        self._judge(code, text)
        self._tell()

    def on_closed(self, words: str = "") -> None:
        self.state.trouble("session", Link.DOWN, words or "TWS closed the connection")
        log.warning("ibkr_connection_lost")
        self._wake.set()
        self._tell()

    def _judge(self, code: int, text: str) -> None:
        """Draw from a message what it means for the link."""
        farm = text.rpartition(":")[2].strip() if code in codes.FARMS else ""
        if code in codes.BEGINS:
            name, link, words = codes.BEGINS[code]
            if self.state.trouble(f"{name} {farm}".strip(), link, words):
                log.warning("ibkr_trouble", code=code, text=text)
        if code in (codes.DATA_LOST, codes.DATA_KEPT):
            self._begin_recovery(data_lost=code == codes.DATA_LOST)
        for name in codes.ENDS.get(code, ()):
            self.state.settled(f"{name} {farm}".strip())

    def _begin_recovery(self, *, data_lost: bool) -> None:
        """Read everything anew after the servers were away, before anything is called UP."""
        if self.session is None:
            return  # a connection that is being made reads everything anyway
        self.state.trouble("recovery", Link.DEGRADED, "the servers are back, reading what happened meanwhile")
        for name in self.state.names():
            if name.startswith("market data"):
                self.state.settled(name)  # a farm that is still broken is reported again
        if self._recovering is not None:
            self._recovering.cancel()
        self._recovering = asyncio.ensure_future(self._recover(self.session, data_lost=data_lost))

    async def _recover(self, session: Session, *, data_lost: bool) -> None:
        try:
            await self.refresh()
            if data_lost or not await self.prices.is_alive(session):
                await self.prices.begin(session)
            self.state.settled("recovery")
            log.info("ibkr_recovered", data_lost=data_lost)
        except Exception as error:  # noqa: BLE001  a new connection is the remedy for all of them
            log.warning("ibkr_not_recovered", error=str(error))
            session.close()
            self._wake.set()
        self._tell()
