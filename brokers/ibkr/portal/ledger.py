"""What the portal said about orders and executions, and when: the books that every proof is read from.

Both lists may be asked for once in five seconds, so that what was read is kept, with the time at which its request
left. A question that needs news from after some moment waits for its turn; any other is answered from here.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from brokers.ibkr.executions import ExecutionBook
from brokers.ibkr.portal import parse
from brokers.ibkr.portal.contracts import Contracts
from brokers.ibkr.portal.errors import NoTurn, Rejected
from brokers.ibkr.portal.pace import Page
from brokers.ibkr.portal.parse import OrderRow
from brokers.ibkr.portal.wire import Wire
from domain.errors import Retry

KEPT = timedelta(days=8)
# The portal lists the executions of today and of six days before.
LISTED = timedelta(days=5)
# How many orders that ended are remembered; the portal lists those of a day.
REMEMBERED = 500
# How long a list is waited for when an older one would do, and how many pauses old that may be.
SHORT_S, OLDEST_PAUSES = 0.3, 4
# How often a new session is asked for a list until one without anything in it is believed.
FIRST_LISTS = 4
# What we call an order that was live and that the portal no longer knows, and how many lists must have left it out.
GONE, MISSES = "gone", 3
_UNREADABLE = (KeyError, ValueError, TypeError, AttributeError, ArithmeticError)


class NotReadyError(Retry):
    """The portal has not put a list together yet."""


class Ledger:
    """Orders and executions of one account. May be used from any thread.

    Attributes:
        lists: how many lists of orders were read.
    """

    def __init__(self, wire: Wire, book: ExecutionBook, contracts: Contracts) -> None:
        self._wire = wire
        self._contracts = contracts
        self.book = book
        self._orders: dict[str, OrderRow] = {}
        self._orders_ns = -1
        self._trades_ns = -1
        self._ended_ns: dict[str, int] = {}
        self._missed: dict[str, int] = {}
        self._asking = threading.Lock()
        self._lock = threading.Lock()
        self._unready = 0
        self._short = 0
        self._were_trades = False
        self.lists = 0
        self.bad_rows = 0

    def now_ns(self) -> int:
        return self._wire.clock.monotonic_ns()

    def forget_times(self) -> None:
        """Trust nothing that was read before: the session is another one."""
        self._orders_ns = self._trades_ns = -1

    def read_orders(self, after_ns: int, patience_s: float | None = None) -> None:
        """See that the list of orders was asked for at ``after_ns`` or later.

        Raises:
            Retry: no answer, no turn in time, or a list that the portal has not put together yet.
        """
        with self._asking:
            if self._orders_ns >= after_ns:
                return
            began_ns, body = self._timed(
                lambda: self._wire.ask(
                    "the orders",
                    "/iserver/account/orders",
                    page=Page.ORDERS,
                    patience_s=patience_s,
                    accountId=self._wire.config.account,
                )
            )
            self._take_orders(body, began_ns)

    def refresh_orders(self, since_ns: int = -1) -> None:
        """See that the list of orders is recent, and younger than ``since_ns``, without waiting long.

        Raises:
            NoTurn: it is too old, or older than that, and may not be asked for yet. Other Retry: no answer.
        """
        self._refresh(self.read_orders, lambda: self._orders_ns, since_ns)

    def refresh_trades(self, since_ns: int = -1) -> None:
        """See that the list of executions is recent, as for orders."""
        self._refresh(self.read_trades, lambda: self._trades_ns, since_ns)

    def _refresh(self, read: Callable[[int, float], None], read_at: Callable[[], int], since_ns: int) -> None:
        recent_ns = self.now_ns() - int(self._wire.config.portal_page_pause_s * 1.2e9)
        try:
            read(max(recent_ns, since_ns), SHORT_S)
        except NoTurn:
            # Another process had this turn: what is a little older will do, unless it is of before something we did.
            oldest_ns = self.now_ns() - int(self._wire.config.portal_page_pause_s * OLDEST_PAUSES * 1e9)
            if read_at() < max(oldest_ns, since_ns):
                raise

    def read_anew(self) -> None:
        """Read executions and orders of a session that is new, whose first lists are empty. Raises Retry."""
        self._were_trades = False
        with suppress(NotReadyError):
            self.read_trades(self.now_ns())
        self.read_list_anew()
        if not self._were_trades:
            self.read_trades(self.now_ns())

    def read_list_anew(self) -> None:
        """Read the orders of a session that is new: its first answers are empty. Raises Retry."""
        after_ns = self.now_ns()
        for left in reversed(range(FIRST_LISTS)):
            try:
                self.read_orders(after_ns)
                return
            except NotReadyError:
                if left == 0:
                    raise

    def read_trades(self, after_ns: int, patience_s: float | None = None) -> None:
        """See that the list of executions was asked for at ``after_ns`` or later. Raises Retry."""
        with self._asking:
            if self._trades_ns >= after_ns:
                return
            began_ns, body = self._timed(
                lambda: self._wire.ask(
                    "the executions",
                    "/iserver/account/trades",
                    page=Page.TRADES,
                    patience_s=patience_s,
                    days=7,
                    accountId=self._wire.config.account,
                )
            )
            if not isinstance(body, list):
                raise Retry("a list of executions", f"{type(body).__name__}", "ask again")
            self._require_what_was_listed(body)
            self._contracts.markets(_strangers(body))
            unread = self.bad_rows
            for row in body:
                self.take_trade(row, began_ns)
            if self.bad_rows > unread:
                # One of them may be a fill: without it no sum is right.
                raise Retry("executions that can be read", f"{self.bad_rows - unread} that cannot", "ask again")
            self.book.forget_before(self._wire.clock.now() - KEPT)
            self._were_trades = bool(body)
            self._trades_ns = began_ns

    def _require_what_was_listed(self, body: list[Any]) -> None:
        """Refuse a list without executions of ours where some of this week are known, unless it stays like that."""
        young, ours = self._wire.clock.now() - LISTED, ("", self._wire.config.account)
        is_empty = not any(isinstance(row, Mapping) and parse.account_of(row) in ours for row in body)
        is_short = is_empty and any(one.at > young for one in self.book.all())
        self._short = self._short + 1 if is_short else 0
        if 0 < self._short < FIRST_LISTS:
            # As for orders, the first request of a session only makes the portal put its list together.
            raise NotReadyError("executions that were listed before", "none", "ask again")

    def trades_since(self, after_ns: int) -> bool:
        """Tell whether the executions were asked for at ``after_ns`` or later."""
        return self._trades_ns >= after_ns

    def take_trade(self, row: Any, heard_ns: int) -> bool:
        """Take in one execution, from the list or from the stream; tell whether it was news.

        One that is not ours, of a stock nobody has looked up yet, waits for the list.
        """
        if not parse.is_stock(row):
            return False
        try:
            execution = parse.execution(row)
            conid = None if execution.reference else _conid(row)
        except _UNREADABLE:
            self.bad_rows += 1
            return False
        if execution.account and execution.account != self._wire.config.account:
            return False
        market = execution.market if conid is None else self._contracts.market(conid)
        if market is None:
            return False
        with self._lock:
            is_news = self.book.add(replace(execution, market=market, fee=None), heard_ns)
            if execution.fee is not None:
                self.book.charge(execution.exec_id, execution.fee, execution.currency)
        return is_news

    def note(self, row: OrderRow) -> None:
        """Remember an order the portal has just acknowledged, until a list shows it."""
        with self._lock:
            self._orders.setdefault(row.order_id, row)

    def of_reference(self, reference: str) -> OrderRow | None:
        """Return the order that carries our id; the latest where two do."""
        with self._lock:
            found = [row for row in self._orders.values() if row.reference == reference]
        return found[-1] if found else None

    def latest(self, row: OrderRow) -> OrderRow:
        """Return an order as it was last heard of."""
        with self._lock:
            return self._orders.get(row.order_id, row)

    def rows(self) -> Sequence[OrderRow]:
        with self._lock:
            return list(self._orders.values())

    def ended_ns(self, row: OrderRow) -> int | None:
        """Return when this order was first seen as over, on our monotonic clock."""
        return self._ended_ns.get(row.order_id)

    def read_order(self, row: OrderRow) -> OrderRow | None:
        """Ask for one order by its number, which needs no turn of the list's; None when the portal does not know it."""
        began_ns = self.now_ns()
        try:
            path = f"/iserver/account/order/status/{row.order_id}"
            seen: OrderRow = self._wire.ask("an order", path, lambda body: parse.seen(row, body))
        except Rejected:
            return None
        self._put(seen, began_ns)
        return seen

    def _take_orders(self, body: Any, began_ns: int) -> None:
        if not isinstance(body, dict) or not isinstance(body.get("orders"), list):
            raise Retry("a list of orders", f"{type(body).__name__}", "ask again")
        if body.get("snapshot") is not True and not self._is_empty_for_good(body["orders"]):
            # The first request of a session only makes the portal put its list together.
            raise NotReadyError("the list of orders", "one not put together yet", "ask again")
        self._unready = 0
        listed: set[str] = set()
        for raw in body["orders"]:
            row = self._row(raw)
            if row is not None and row.account == self._wire.config.account:
                self._put(row, began_ns)
                listed.add(row.order_id)
        self._ask_for_missing(listed)
        self._orders_ns = began_ns
        self.lists += 1
        self._forget(listed)

    def _is_empty_for_good(self, listed: list[Any]) -> bool:
        """Tell whether a list that claims not to be ready is that of an account without orders.

        Whether the gateway ever calls an empty list ready is not known for certain. Where no order of the day is known
        to us either, one that stays empty is taken for what it is.
        """
        self._unready += 1
        return self._unready >= FIRST_LISTS and not listed and not self._orders

    def _row(self, raw: Any) -> OrderRow | None:
        if not parse.is_stock(raw):
            return None
        try:
            return parse.order(raw)
        except _UNREADABLE as error:
            self.bad_rows += 1
            raise Retry("a list of orders that can be read", str(error)[:100], "ask again") from error

    def _ask_for_missing(self, listed: set[str]) -> None:
        """Ask for each order that was live and is not listed now: the list has left out live ones before.

        The portal answers 503 about one it has no more in its cache, which may also mean nothing at all.
        """
        for row in self.rows():
            if not row.is_live or row.order_id in listed:
                self._missed.pop(row.order_id, None)
                continue
            try:
                known = self.read_order(row) is not None
            except Retry:
                known = False
            misses = self._missed[row.order_id] = 0 if known else self._missed.get(row.order_id, 0) + 1
            if misses >= MISSES:
                self._put(replace(row, status=GONE), self.now_ns())

    def _put(self, row: OrderRow, seen_ns: int) -> None:
        with self._lock:
            self._orders[row.order_id] = _with_limit(row, self._orders.get(row.order_id))
            if row.is_live:
                self._ended_ns.pop(row.order_id, None)
            else:
                self._ended_ns.setdefault(row.order_id, seen_ns)

    def _forget(self, listed: set[str]) -> None:
        with self._lock:
            old = [key for key, row in self._orders.items() if not row.is_live and key not in listed]
            for key in old[: max(0, len(self._orders) - REMEMBERED)]:
                del self._orders[key]
                self._ended_ns.pop(key, None)

    def _timed(self, ask: Callable[[], Any]) -> tuple[int, Any]:
        """Return an answer and when its question left at the latest: waiting for a turn comes before that."""
        began_ns = self.now_ns()
        return began_ns, ask()


def _conid(row: Mapping[str, Any]) -> int | None:
    found = parse.optional(row.get("conid"))
    return None if found is None else int(found)


def _strangers(rows: list[Any]) -> list[tuple[int, str]]:
    """Return contract number and symbol of the executions that are not ours; what cannot be read is found out later."""
    found = []
    for row in rows:
        with suppress(*_UNREADABLE):
            conid = _conid(row)
            if conid is not None and parse.reference(row.get("order_ref")) is None:
                found.append((conid, str(row["symbol"])))
    return found


def _with_limit(row: OrderRow, before: OrderRow | None) -> OrderRow:
    """Return a trailing limit with its limit, which the list does not show: as far from the stop as it was sent."""
    if row.kind != "TRAILLMT" or row.limit is not None or row.stop is None:
        return row
    if before is None or before.limit is None or before.stop is None:
        return row
    return replace(row, limit=row.stop + before.limit - before.stop)
