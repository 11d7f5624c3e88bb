"""The order desk: intake, brackets, OCA groups, matching, fills."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from heapq import merge

from simulators.ibkr.accounts import Account, AccountSpec
from simulators.ibkr.book import Fill
from simulators.ibkr.checks import INITIAL, check_means, check_terms, opened_by
from simulators.ibkr.clock import local_date, moment
from simulators.ibkr.contracts import BY_CONID
from simulators.ibkr.events import AccountChanged, Charged, Event, Executed, OrderChanged, PositionChanged
from simulators.ibkr.fees import commission_total
from simulators.ibkr.orders import ZERO, Commission, Execution, Order, Rejected, Status, Terms, from_points, to_points
from simulators.ibkr.sessions import Session, next_session, session_at
from simulators.ibkr.tape import Tape, Tick
from simulators.ibkr.triggers import STOPS, TRAILS, fill_price, is_hit, may_trade, ratchet, set_levels, size_shown

FIRST_PERM_ID = 1_840_000_001
FIRST_EXECUTION = 0x5F3C1A2B
_SHORT_SALE = "Order rejected - reason:The contract is not available for short sale in a cash account."


class Desk:
    """Orders and accounts, moved along the tape tick by tick."""

    def __init__(self, tape: Tape, accounts: Sequence[AccountSpec], emit: Callable[[Event], None]) -> None:
        self.tape = tape
        self.emit = emit
        self.accounts = {spec.id: Account(spec, spec.cash) for spec in accounts}
        self.orders: dict[int, Order] = {}
        self.live: dict[int, Order] = {}
        self.executions: list[Execution] = []
        self.commissions: dict[str, Commission] = {}
        self.next_perm_id = FIRST_PERM_ID
        self.next_execution = FIRST_EXECUTION
        self.halted: set[str] = set()
        # what was taken from the tick shown now: (symbol, side) -> (time of the tick, shares)
        self.taken: dict[tuple[str, str], tuple[int, Decimal]] = {}
        self._moved: dict[int, Order] = {}

    # -- intake
    def check(self, terms: Terms, now: int, replaced: Order | None = None) -> Account:
        """Return the account of an order that may be placed.

        Raises:
            Rejected: it may not.
        """
        account = self.accounts.get(terms.account)
        check_terms(terms, BY_CONID.get(terms.conid), account)
        assert account is not None
        parent = None if terms.parent is None else self.orders.get(terms.parent)
        if terms.parent is not None and (parent is None or (parent.is_done and not parent.filled)):
            raise Rejected(135, f"Can't find order with ID = {terms.parent}")
        free = account.cash - self.promised(account, leave_out=replaced)
        # of a changed order only what is still to come counts
        rest = terms if replaced is None else replace(terms, quantity=terms.quantity - replaced.filled)
        check_means(rest, account, self.price_of(terms, now), free)
        return account

    def price_of(self, terms: Terms, now: int) -> Decimal:
        """Return what a share of an order may cost."""
        for level in (terms.limit, terms.stop, terms.trail_stop):
            if level is not None:
                return level
        tick = self.tape.last(BY_CONID[terms.conid].symbol, now)
        return ZERO if tick is None else from_points(tick.ask or tick.last)

    def promised(self, account: Account, leave_out: Order | None = None) -> Decimal:
        """Return the money that the account's live orders would need."""
        total = ZERO
        for order in self.live.values():
            if order is leave_out or order.terms.account != account.id or order.terms.parent is not None:
                continue
            rest = replace(order.terms, quantity=order.remaining)
            price = order.stop_now if order.limit_now is None else order.limit_now
            opening = opened_by(rest, account.held(rest.conid)) if order.remaining else ZERO
            total += opening * (price or ZERO) * (1 if account.is_cash else INITIAL)
        return total

    def place(self, terms: Terms, owner: object, now: int) -> Order:
        """Take an order; with its transmit flag also its untransmitted parent and siblings."""
        self.check(terms, now)
        order = Order(perm_id=self.next_perm_id, terms=terms, owner=owner, placed_at=moment(now), transmitted=False)
        self.next_perm_id += 1
        self.orders[order.perm_id] = self.live[order.perm_id] = order
        order.oca_key = self._oca_key(terms)
        order.expires = expiry(terms, now)
        parent = None if terms.parent is None else self.orders[terms.parent]
        if parent is not None:
            parent.children.append(order.perm_id)
            order.why_held = "" if parent.filled else "child"
        if terms.transmit:
            self._transmit([*self._family(parent, order)], now)
        return order

    def _family(self, parent: Order | None, order: Order) -> Iterator[Order]:
        if parent is None:
            yield order
            return
        for each in (parent, *(self.orders[perm_id] for perm_id in parent.children)):
            if not each.transmitted and not each.is_done:
                yield each

    def _transmit(self, orders: list[Order], now: int) -> None:
        for order in orders:
            order.transmitted = True
            if order.terms.kind in STOPS and not order.why_held:
                order.why_held = "trigger"
            if order.why_held != "child":
                self._set_levels(order, now)
            self.emit(OrderChanged(order))
        for order in orders:
            self.meet_now(order, now)

    def _set_levels(self, order: Order, now: int) -> None:
        tick = self.tape.last(self.symbol_of(order), now)
        set_levels(order, 0 if tick is None else tick.last)

    def _oca_key(self, terms: Terms) -> str:
        if terms.oca_group:
            return f"{terms.account}:{terms.oca_group}"
        return "" if terms.parent is None else f"{terms.account}:parent {terms.parent}"

    def modify(self, order: Order, terms: Terms, now: int) -> None:
        """Replace the terms of a live order."""
        fixed = ("conid", "account", "side", "parent")
        if any(getattr(terms, name) != getattr(order.terms, name) for name in fixed):
            raise Rejected(105, "Order being modified does not match original order.")
        if terms.quantity <= order.filled:
            raise Rejected(
                201, f"Order rejected - reason:Quantity must be more than the {order.filled} already filled."
            )
        self.check(terms, now, replaced=order)
        before, order.terms = order.terms, terms
        order.oca_key = self._oca_key(terms)
        order.expires = expiry(terms, now)
        if not order.transmitted:
            if terms.transmit:
                parent = None if terms.parent is None else self.orders[terms.parent]
                self._transmit([*self._family(parent, order)], now)
            return
        if not order.triggered and order.why_held != "child":
            self._replace_levels(order, before, now)
        elif order.triggered and terms.limit is not None:
            order.limit_points = to_points(terms.limit)
        order.seen = None
        self.emit(OrderChanged(order))
        self.meet_now(order, now)

    def _replace_levels(self, order: Order, before: Terms, now: int) -> None:
        names = ("kind", "stop", "trail_amount", "trail_percent", "trail_stop", "limit_offset")
        is_same = all(getattr(before, name) == getattr(order.terms, name) for name in names)
        # clients send back the limit they were last told
        is_same = is_same and order.terms.limit in (before.limit, order.limit_now)
        if order.terms.kind not in TRAILS or not is_same:
            self._set_levels(order, now)
        order.why_held = "trigger" if order.terms.kind in STOPS else ""

    # -- ends
    def end(self, order: Order, status: Status, now: int, *, code: int = 0, reason: str = "") -> None:
        """End an order, and its children when it never filled."""
        if order.is_done:
            return
        order.status, order.reason, order.why_held = status, reason, ""
        order.done_at = moment(now)
        self.live.pop(order.perm_id, None)
        self.emit(OrderChanged(order, code, reason))
        for child in [self.orders[perm_id] for perm_id in order.children if perm_id in self.orders]:
            if not order.filled or self.room(child) == 0:
                self.end(child, "Cancelled", now, code=202, reason="parent ended")

    def ask_cancel(self, order: Order, now: int) -> None:
        """Let an order wait for its cancel."""
        if order.status == "PendingCancel":
            return
        if not order.transmitted:
            self.end(order, "Cancelled", now, code=202)
            return
        order.status = "PendingCancel"
        self.emit(OrderChanged(order))

    def settle_cancels(self, now: int) -> None:
        """End the orders whose cancel was asked for before."""
        for order in [each for each in self.live.values() if each.status == "PendingCancel"]:
            self.end(order, "Cancelled", now, code=202)

    def expire(self, now: int) -> None:
        """End the day orders whose session is over."""
        for order in [each for each in self.live.values() if each.expires is not None and each.expires <= now]:
            self.end(order, "Cancelled", now, reason="expired")

    # -- matching
    def symbol_of(self, order: Order) -> str:
        return BY_CONID[order.terms.conid].symbol

    def replay(self, after: int, until: int) -> None:
        """Let the working orders meet all ticks with after < time <= until."""
        symbols = {self.symbol_of(order) for order in self.live.values() if order.is_working}
        session: Session | None = None
        for tick in merge(*(self.tape.between(symbol, after, until) for symbol in sorted(symbols))):
            if session is None or not session.midnight <= tick.time < session.midnight + 86_400_000:
                session = session_at(tick.time)
            self._meet_all(tick, session)
        for order in self._moved.values():
            if not order.is_done:
                self.emit(OrderChanged(order))
        self._moved.clear()

    def _meet_all(self, tick: Tick, session: Session | None) -> None:
        if tick.symbol in self.halted:
            return
        for order in list(self.live.values()):
            if BY_CONID[order.terms.conid].symbol == tick.symbol:
                self._meet(order, tick, tick.time, session, is_trade=tick.is_trade)

    def meet_now(self, order: Order, now: int) -> None:
        """Let an order that has just come in or changed meet the tick shown."""
        symbol = self.symbol_of(order)
        tick = self.tape.last(symbol, now)
        session = session_at(now)
        # what stands from the evening before is no price to trade at
        if tick is None or session is None or tick.time < session.pre_open or symbol in self.halted:
            return
        self._meet(order, tick, now, session, is_trade=True)

    def _meet(self, order: Order, tick: Tick, now: int, session: Session | None, *, is_trade: bool) -> None:
        if not order.is_working or not may_trade(order, session, now):
            return
        if order.terms.kind in STOPS and not order.triggered:
            if not is_trade or not tick.last:
                return
            if not is_hit(order, tick.last):
                if ratchet(order, tick.last):
                    self._moved[order.perm_id] = order
                return
            order.triggered, order.seen = True, None
        if order.status == "PreSubmitted":
            order.status, order.why_held = "Submitted", ""
            self.emit(OrderChanged(order))
        self._trade(order, tick, now)

    def _trade(self, order: Order, tick: Tick, now: int) -> None:
        price = fill_price(order, tick)
        if price is None:
            order.seen = tick.time
            return
        quantity = min(self.room(order), self._left(order, tick))
        account = self.accounts[order.terms.account]
        if order.terms.side == "SELL" and account.is_cash:
            held = max(account.held(order.terms.conid), ZERO)
            if not held and quantity:
                self.end(order, "Inactive", now, code=201, reason=_SHORT_SALE)
                return
            quantity = min(quantity, held)
        if quantity > 0:
            key = (tick.symbol, order.terms.side)
            self.taken[key] = (tick.time, self._used(key, tick) + quantity)
            self.fill(order, quantity, price, now)

    def _used(self, key: tuple[str, str], tick: Tick) -> Decimal:
        time, used = self.taken.get(key, (0, ZERO))
        return used if time == tick.time else ZERO

    def _left(self, order: Order, tick: Tick) -> Decimal:
        return size_shown(order, tick) - self._used((tick.symbol, order.terms.side), tick)

    def room(self, order: Order) -> Decimal:
        """Return how much of an order may fill: held back by a test, and by what its parent filled."""
        room = order.remaining
        if order.max_quantity is not None:
            room = min(room, order.max_quantity - order.filled)
        parent = None if order.terms.parent is None else self.orders.get(order.terms.parent)
        if parent is not None:
            siblings = [self.orders[perm_id] for perm_id in parent.children if perm_id in self.orders]
            room = min(room, parent.filled - sum((each.filled for each in siblings), ZERO))
        return max(room, ZERO)

    # -- fills
    def fill(self, order: Order, quantity: Decimal, points: int, now: int) -> Execution:
        """Book a fill and what follows from it in the order's bracket and OCA group."""
        before = order.remaining
        execution = self._book(order, quantity, from_points(points), now)
        is_late = order.is_done
        if not is_late and not order.remaining:
            order.status, order.why_held, order.done_at = "Filled", "", moment(now)
            self.live.pop(order.perm_id, None)
        self.emit(Executed(execution))
        if not is_late:
            self.emit(OrderChanged(order))
        self.emit(Charged(self.commissions[execution.exec_id]))
        self.tell_position(order.terms.account, order.terms.conid)
        if not is_late:
            self._wake_children(order, now)
            self._reduce_group(order, order.remaining / before, now)
            self._end_spent_children(order, now)
        return execution

    def _book(self, order: Order, quantity: Decimal, price: Decimal, now: int) -> Execution:
        charged = commission_total(order.filled, order.filled * order.average_price) if order.filled else ZERO
        total = order.filled + quantity
        order.average_price = (order.filled * order.average_price + quantity * price) / total
        order.filled, order.last_price = total, price
        fee = commission_total(total, total * order.average_price) - charged
        key = f"0000e0d5.{self.next_execution:08x}.01"
        self.next_execution += 1
        execution = Execution(
            exec_id=f"{key}.01",
            perm_id=order.perm_id,
            order=order,
            conid=order.terms.conid,
            account=order.terms.account,
            side=order.terms.side,
            quantity=quantity,
            price=price,
            at=moment(now),
            cumulative=total,
            average=order.average_price,
        )
        signed = quantity if order.terms.side == "BUY" else -quantity
        entry = Fill(key=key, quantity=signed, price=price, commission=fee, at=now)
        book = self.accounts[order.terms.account].add(order.terms.conid, entry)
        self.executions.append(execution)
        self.commissions[execution.exec_id] = Commission(
            exec_id=execution.exec_id, amount=fee, realised=book.by_fill[key]
        )
        return execution

    def tell_position(self, account_id: str, conid: int) -> None:
        """Tell listeners how a position and its account stand now."""
        book = self.accounts[account_id].books[conid]
        self.emit(PositionChanged(account_id, BY_CONID[conid], book.quantity, book.average))
        self.emit(AccountChanged(account_id))

    def _wake_children(self, order: Order, now: int) -> None:
        for child in [self.orders[perm_id] for perm_id in order.children]:
            if child.why_held == "child" and child.transmitted and not child.is_done:
                child.why_held = "trigger" if child.terms.kind in STOPS else ""
                self._set_levels(child, now)
                self.emit(OrderChanged(child))

    def _reduce_group(self, order: Order, share_left: Decimal, now: int) -> None:
        """Cancel the rest of an OCA group, or shrink it to the share of the filled order that is left."""
        if not order.oca_key:
            return
        is_bracket = not order.terms.oca_group
        cancels = share_left == 0 or (order.terms.oca_type in (0, 1) and not is_bracket)
        others = [each for each in self.live.values() if each.oca_key == order.oca_key and each is not order]
        for each in others:
            if cancels:
                self.end(each, "Cancelled", now, code=202)
                continue
            step = Decimal("0.0001") if each.remaining % 1 else Decimal(1)
            left = (each.remaining * share_left).quantize(step, ROUND_CEILING)
            each.terms = replace(each.terms, quantity=each.filled + left)
            self.emit(OrderChanged(each))

    def _end_spent_children(self, order: Order, now: int) -> None:
        """End what is left of exits whose parent ended with less than they are for."""
        parent = None if order.terms.parent is None else self.orders.get(order.terms.parent)
        if parent is None or not parent.is_done:
            return
        for child in [self.orders[perm_id] for perm_id in parent.children if perm_id in self.live]:
            if child.max_quantity is None and self.room(child) == 0:
                self.end(child, "Cancelled", now, code=202)


def expiry(terms: Terms, now: int) -> int | None:
    """Return when a day order ends: with the regular session, or with after hours when it may trade there."""
    if terms.tif == "GTC":
        return None
    session = session_at(now)
    if session is None or now >= _day_end(terms, session):
        session = next_session(local_date(now))
    return _day_end(terms, session)


def _day_end(terms: Terms, session: Session) -> int:
    return session.post_close if terms.outside_rth else session.close
