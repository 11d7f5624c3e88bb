"""The venue: one object that both fronts drive."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal

from simulators.ibkr import interventions
from simulators.ibkr.accounts import Account, AccountSpec, Position
from simulators.ibkr.clock import Clock, local_date, moment
from simulators.ibkr.contracts import BY_CONID, BY_SYMBOL, Contract
from simulators.ibkr.desk import Desk
from simulators.ibkr.events import Event
from simulators.ibkr.orders import ZERO, Commission, Execution, Margins, Order, Rejected, Terms
from simulators.ibkr.persistence import dumped, read, restore, write
from simulators.ibkr.pricing import Prices, mark, milliseconds
from simulators.ibkr.quotes import BarRow, Quote, What
from simulators.ibkr.sessions import local_ms
from simulators.ibkr.tape import Tape, first_day
from simulators.ibkr.valuation import margins_of, values_of

Listener = Callable[[Event], None]
Unknown = interventions.Unknown
KEPT_DAYS = 7


class Venue:
    """Stocks, orders and accounts on a clock.

    Time is lazy: ``advance`` replays all ticks since the last call and matches resting orders against them in order;
    what happened meanwhile is booked with the time at which it happened. Every method that reads or changes orders or
    accounts advances first. Listeners are called inside and must not call back into the venue.

    Args:
        state: a folder that keeps the accounts and orders between runs.
    """

    def __init__(self, tape: Tape, clock: Clock, accounts: Sequence[AccountSpec], *, state: Path | None = None) -> None:
        self.tape = tape
        self.clock = clock
        self.specs = {spec.id: spec for spec in accounts}
        self.state = state
        if tape.week is None:
            tape.lead_up_to(first_day(clock))
        self.prices = Prices(tape)
        self._listeners: list[Listener] = []
        self._changed = False
        self._is_busy = False
        self._desk = Desk(tape, accounts, self._emit)
        self._position = clock.now_ms()
        self._resume()

    # -- time and listeners
    def now(self) -> datetime:
        """Return the simulated time, aware UTC."""
        return moment(self.clock.now_ms())

    def advance(self) -> None:
        """Match resting orders along the tape up to the clock's time."""
        with self._at_work():
            pass

    @contextmanager
    def _at_work(self) -> Iterator[int]:
        """Advance, give the time reached, and keep what changed.

        A listener that asks inside an event sees the moment of its event: time stands still until the work is done.
        """
        if self._is_busy:
            yield self._position
            return
        self._is_busy = True
        try:
            self._wind_to(max(self.clock.now_ms(), self._position))
            yield self._position
        finally:
            self._is_busy = False
            self._keep()

    def _wind_to(self, now: int) -> None:
        self._desk.settle_cancels(self._position)
        if local_date(now) != local_date(self._position):
            self._forget(now)
        while self._position < now:
            stop = self._next_boundary(now)
            self._desk.replay(self._position, stop)
            for split in [each for each in self.tape.splits if each.planned and self._position < each.at <= stop]:
                interventions.split_positions(self._desk, split.symbol, split.new, split.old, stop, "keep")
            self._position = stop
            self._desk.expire(stop)

    def _next_boundary(self, now: int) -> int:
        ends = [order.expires for order in self._desk.live.values() if order.expires is not None]
        splits = [split.at for split in self.tape.splits if split.planned]
        return min([now, *(each for each in (*ends, *splits) if self._position < each <= now)])

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with every event from now on; return what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _emit(self, event: Event) -> None:
        self._changed = True
        for listener in list(self._listeners):
            listener(event)

    # -- orders
    def place(self, terms: Terms, owner: object) -> Order:
        """Take an order. With ``what_if`` nothing is kept and perm_id is 0: ask ``what_if`` for the answer.

        Raises:
            Rejected: the broker would not take it.
        """
        with self._at_work() as now:
            if terms.what_if:
                self._desk.check(terms, now)
                return Order(perm_id=0, terms=terms, owner=owner, placed_at=moment(now))
            order = self._desk.place(terms, owner, now)
            self._changed = True
            return order

    def what_if(self, terms: Terms) -> Margins:
        """Return what an order would do to an account.

        Raises:
            Rejected: the broker would not take it.
        """
        with self._at_work() as now:
            return margins_of(self._desk, terms, now)

    def modify(self, perm_id: int, terms: Terms) -> Order:
        """Replace a live order's terms; account, contract, side and parent must stay.

        Raises:
            Rejected: 104 when it is done, 10147 when unknown, 105 when a fixed field differs, or as for ``place``.
        """
        with self._at_work() as now:
            order = self._known(perm_id)
            if order.is_done or order.status == "PendingCancel":
                raise Rejected(104, f"Cannot modify a filled order: order {perm_id} is {order.status}.")
            self._desk.modify(order, terms, now)
            return order

    def cancel(self, perm_id: int) -> Order:
        """Ask for a cancel: PendingCancel now, Cancelled with the next ``advance``.

        Raises:
            Rejected: 10148 when it is done, 10147 when unknown.
        """
        with self._at_work() as now:
            order = self._known(perm_id)
            if order.is_done:
                raise Rejected(
                    10148, f"OrderId {perm_id} that needs to be cancelled cannot be cancelled, state: {order.status}."
                )
            self._desk.ask_cancel(order, now)
            return order

    def _known(self, perm_id: int) -> Order:
        order = self._desk.orders.get(perm_id)
        if order is None:
            raise Rejected(10147, f"OrderId {perm_id} that needs to be cancelled is not found.")
        return order

    def order(self, perm_id: int) -> Order | None:
        """Return any order of the last days, done or not."""
        self.advance()
        return self._desk.orders.get(perm_id)

    def orders(self, account: str | None = None) -> list[Order]:
        """Return live orders, oldest first."""
        self.advance()
        return [each for each in self._desk.live.values() if account in (None, each.terms.account)]

    def completed(self, account: str | None = None) -> list[Order]:
        """Return orders that ended since midnight New York, oldest first."""
        self.advance()
        today = moment(self._midnight())
        ended = (each for each in self._desk.orders.values() if each.done_at is not None and each.done_at >= today)
        return [each for each in ended if account in (None, each.terms.account)]

    # -- accounts
    def executions(self, account: str | None = None, since: datetime | None = None) -> list[Execution]:
        """Return executions, oldest first: since midnight New York, or since ``since`` (kept for seven days).

        Corrections stand after what they correct, as a broker replays them.
        """
        self.advance()
        first = since or moment(self._midnight())
        return [each for each in self._desk.executions if each.at >= first and account in (None, each.account)]

    def commission_of(self, exec_id: str) -> Commission | None:
        """Return the commission of an execution."""
        return self._desk.commissions.get(exec_id)

    def positions(self, account: str | None = None) -> list[Position]:
        """Return positions that are not flat."""
        self.advance()
        wanted = [each for each in self._desk.accounts.values() if account in (None, each.id)]
        return [
            self._position_of(each, conid) for each in wanted for conid, book in each.books.items() if book.quantity
        ]

    def _position_of(self, account: Account, conid: int) -> Position:
        book, contract = account.books[conid], BY_CONID[conid]
        price = mark(self.tape, contract.symbol, self._position)
        return Position(
            account=account.id,
            conid=conid,
            symbol=contract.symbol,
            quantity=book.quantity,
            average_cost=book.average,
            market_price=price or None,
            market_value=book.quantity * price,
            unrealised=book.quantity * (price - book.average),
            realised=account.realised_of(conid, self._midnight()),
        )

    def account_values(self, account: str) -> dict[str, Decimal]:
        """Return tag -> value in dollars.

        Tags: TotalCashValue, SettledCash, CashBalance, NetLiquidation, EquityWithLoanValue, AvailableFunds,
        BuyingPower, GrossPositionValue, StockMarketValue, InitMarginReq, MaintMarginReq, ExcessLiquidity,
        RealizedPnL, UnrealizedPnL, AccruedCash.
        """
        self.advance()
        return values_of(self._desk, self._desk.accounts[account], self._position)

    # -- prices
    def quote(self, conid: int) -> Quote | None:
        """Return a stock's prices now; None where nothing is recorded."""
        contract = BY_CONID.get(conid)
        halted = contract is not None and contract.symbol in self._desk.halted
        return self.prices.quote(conid, self.clock.now_ms(), halted=halted)

    def bars(
        self, conid: int, start: datetime, end: datetime, seconds: int, what: What = "TRADES", use_rth: bool = True
    ) -> list[BarRow]:
        """Return bars with start <= opening < end that have begun; the last may be unfinished.

        Hours and days count from midnight New York (a regular day's first hour begins 09:30), a daily bar is stamped
        with that midnight. Prices and volumes are adjusted for the splits since.
        """
        return self.prices.bars(
            conid, milliseconds(start), milliseconds(end), seconds, what, use_rth=use_rth, now=self.clock.now_ms()
        )

    def contract(self, conid: int) -> Contract | None:
        """Return a contract by its number."""
        return BY_CONID.get(conid)

    def find(self, symbol: str) -> Contract | None:
        """Return a contract by its symbol."""
        return BY_SYMBOL.get(symbol.upper())

    # -- what goes wrong on request
    def freeze(self, symbol: str, frozen: bool = True) -> None:
        """Let a quote and its bars stand still while orders still meet the true market."""
        if frozen:
            self.prices.frozen[symbol] = self.clock.now_ms()
        else:
            self.prices.frozen.pop(symbol, None)

    def halt(self, symbol: str, halted: bool = True) -> None:
        """Stop or resume trading in a stock: quotes say so, nothing fills or triggers."""
        with self._at_work():
            (self._desk.halted.add if halted else self._desk.halted.discard)(symbol)
            self._changed = True

    def correct(self, exec_id: str, price: Decimal, quantity: Decimal) -> Execution:
        """Replace an execution by its next issue (.01 -> .02); raise Unknown where there is none."""
        with self._at_work():
            return interventions.reissue(self._desk, exec_id, price, quantity)

    def bust(self, exec_id: str) -> Execution:
        """Take an execution back: its next issue has quantity 0."""
        with self._at_work():
            return interventions.reissue(self._desk, exec_id, ZERO, ZERO)

    def fill_after_cancel(self, perm_id: int) -> Execution:
        """Fill what was left of a cancelled order, late; its status stays Cancelled."""
        with self._at_work() as now:
            return interventions.fill_late(self._desk, self._known(perm_id), now)

    def hold_fills(self, perm_id: int, max_quantity: Decimal | None) -> None:
        """Fill at most so much of an order in all; None lifts it."""
        with self._at_work():
            self._known(perm_id).max_quantity = max_quantity
            self._changed = True

    def force_inactive(self, perm_id: int, reason: str) -> Order:
        """Make a live order Inactive."""
        with self._at_work() as now:
            order = self._known(perm_id)
            self._desk.end(order, "Inactive", now, code=201, reason=reason)
            return order

    def split(self, symbol: str, new: int, old: int, orders: Literal["keep", "cancel", "scale"] = "keep") -> None:
        """Split a stock now: prices, positions and costs; resting orders are kept as they are, cancelled or scaled."""
        with self._at_work() as now:
            interventions.split_positions(self._desk, symbol, new, old, now, orders)
            self.tape.add_split(symbol, now, new, old)
            self._changed = True

    def trade_by_hand(self, account: str, conid: int, quantity: Decimal) -> Execution:
        """Trade signed shares at once outside any client, as its owner does on the phone; the order's owner is None."""
        with self._at_work() as now:
            return interventions.trade_by_hand(self._desk, account, conid, quantity, now)

    # -- state
    def saved(self) -> bytes:
        """Return the state as it is written to the state folder."""
        splits = [[each.symbol, each.at, each.new, each.old] for each in self.tape.splits if not each.planned]
        return dumped(self._desk, self._position, {"splits": splits})

    def _keep(self) -> None:
        if self._changed and self.state is not None:
            write(self.state, self.saved())
        self._changed = False

    def _resume(self) -> None:
        kept = None if self.state is None else read(self.state)
        if kept is None:
            return
        restore(self._desk, kept)
        for symbol, at, new, old in kept["splits"]:
            self.tape.add_split(symbol, at, new, old)
        # what happened while the process was away is replayed by the first advance
        self._position = min(kept["as_of"], self.clock.now_ms())

    def _midnight(self) -> int:
        return local_ms(local_date(self._position), time(0))

    def _forget(self, now: int) -> None:
        """Drop orders and executions older than a week; positions keep what they came from."""
        first = moment(local_ms(_days_before(local_date(now)), time(0)))
        desk = self._desk
        for account in desk.accounts.values():
            account.forget(milliseconds(first))
        desk.executions = [each for each in desk.executions if each.at >= first]
        kept = {each.exec_id for each in desk.executions}
        desk.commissions = {exec_id: each for exec_id, each in desk.commissions.items() if exec_id in kept}
        desk.orders = {
            perm_id: each
            for perm_id, each in desk.orders.items()
            if each.done_at is None or each.done_at >= first or any(child in desk.live for child in each.children)
        }


def _days_before(day: date) -> date:
    return day - timedelta(days=KEPT_DAYS)
