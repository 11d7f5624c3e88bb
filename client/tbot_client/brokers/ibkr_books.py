"""What IBKR's lists say of our orders, read in turn and taken into the ledger.

Three lists make one picture: positions first, then orders, then executions, so that what a later list lacks can't have
led to what an earlier one shows.
"""

import time
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from tbot_client.book import say
from tbot_client.brokers import ibkr_parse as parse
from tbot_client.brokers.ibkr_ledger import Held, Ledger, parts_of, stem_of, write_levels
from tbot_client.brokers.ibkr_parse import ZERO, Execution, OwnOrder
from tbot_client.brokers.ibkr_wire import ORDERS, TRADES, IbkrWire, NoSession
from tbot_client.brokers.port import Levels
from tbot_client.errors import Refused, Retry
from tbot_client.journal import Record

LEGS = ("stop", "target", "exit")
DAYS, MOST_PAGES = 7, 20
# The list of positions lags behind executions for tens of seconds: so many graces pass until less in it is believed.
LAG_GRACES = 6
# A split changes levels by more than this; what is held must then have changed by the same ratio.
SPLIT_BELOW, SPLIT_ABOVE, SPLIT_ROOM = Decimal("0.75"), Decimal("1.34"), Decimal("0.05")


class Books:
    """The latest picture; ``is_behind`` says that something in it is not complete yet."""

    def __init__(self, wire: IbkrWire, ledger: Ledger, account: str, pause_s: float, grace_s: float) -> None:
        self._wire = wire
        self._ledger = ledger
        self._account = account
        self._pause_s = pause_s
        self._grace_s = grace_s
        self._rows: dict[str, OwnOrder] = {}
        self._numbers: dict[str, str] = {}
        self._executions: list[Execution] = []
        self._nets: dict[int, Decimal] = {}
        self._missing: dict[str, Decimal] = {}
        self._doubted: set[int] = set()
        self._since: dict[str, float] = {}
        self._read_at = -1.0
        self._stirred_at = 0.0
        self.is_read = False
        self.is_behind = False

    def stir(self) -> None:
        """Note that something is about to change: what was read before is no longer believed."""
        self._stirred_at = time.monotonic()

    def is_due(self) -> bool:
        """Tell whether the lists can be read without waiting for a turn."""
        return not self.is_read or max(self._wire.wait_s(ORDERS), self._wire.wait_s(TRADES)) <= 0

    def read(self) -> None:
        """Read the lists, unless nothing was done since and they may not be read again yet."""
        if self.is_read and self._read_at > self._stirred_at and time.monotonic() - self._read_at < self._pause_s:
            return
        began = time.monotonic()
        self._nets = self.nets()
        listed = self._of_account(self._listed())
        rows = [row for entry in listed if (row := parse.read("an order", parse.own_order, entry))]
        self._rows = {row.client_id: row for row in rows}
        self._look_for_unlisted()
        self._numbers |= {row.client_id: row.order_id for row in rows}
        self._forget(row.client_id for row in rows if not row.is_live)
        trades = self._wire.get(TRADES, days=DAYS, accountId=self._account)
        told = self._of_account(_rows(trades))
        self._executions = parse.latest([parse.read("an execution", parse.execution, entry) for entry in told])
        self._fold()
        self._read_at, self.is_read = began, True

    def _listed(self) -> list[Any]:
        """Return the list of orders; the first answer of a session is empty and says so."""
        for _ in range(4):
            # Without a name the gateway answers for the account selected last, by whoever shares it with us.
            answer = self._wire.get(ORDERS, accountId=self._account)
            if isinstance(answer, dict) and answer.get("snapshot") is True:
                return _rows(answer.get("orders"))
        raise Retry("the list of orders", "one that is not ready")

    def _of_account(self, rows: list[Any]) -> list[Any]:
        """Leave out the rows of other accounts of the login: they may follow the same signals, under the same ids."""
        return [row for row in rows if not isinstance(row, dict) or _account(row) in ("", self._account)]

    def _look_for_unlisted(self) -> None:
        """Ask by its number for each entry that IBKR took in, of which nothing final is known and which no list has."""
        for client_id, number in list(self._ledger.numbers.items()):
            if client_id in self._rows:
                continue
            try:
                self.look(client_id, number)
            except NoSession:
                raise
            except (Retry, Refused):
                continue  # its page forgets; the list of executions has the last word

    def nets(self) -> dict[int, Decimal]:
        """Return what the account holds: conid -> shares, negative when short."""
        self._wire.ask(f"/portfolio/{self._account}/positions/invalidate")
        found: dict[int, Decimal] = {}
        for page in range(MOST_PAGES):
            entries = _rows(self._wire.get(f"/portfolio/{self._account}/positions/{page}"))
            held = dict(parse.read("a position", parse.position, entry) for entry in entries)
            if not held or held.keys() <= found.keys():
                break
            found |= held
            if len(entries) < int(entries[0].get("pageSize") or 100):
                break
        return found

    def look(self, client_id: str, order_id: str) -> OwnOrder:
        """Ask for one order, of which there is a page that may be asked for at any time.

        Raises:
            Retry: it is not there, or not yet.
        """
        self._numbers[client_id] = order_id
        page = self._wire.get(f"/iserver/account/order/status/{order_id}")
        row = parse.read("an order", lambda body: _status(client_id, order_id, body, self._rows.get(client_id)), page)
        self._rows[client_id] = row
        if not row.is_live:
            self._forget([client_id])
        return row

    def _forget(self, over: Iterable[str]) -> None:
        """Ask no more for orders that are over: tomorrow no list will have them."""
        for client_id in over:
            self._numbers.pop(client_id, None)

    def rows_of(self, held: Held) -> list[OwnOrder]:
        """Return what is known of the orders that may end a position; one the list left out is asked for by number."""
        for client_id, number in list(self._numbers.items()):
            if client_id not in self._rows and stem_of(client_id) == held.stem:
                self._look_again(client_id, number)
        return [
            r for r in self._rows.values() if stem_of(r.client_id) == held.stem and parts_of(r.client_id)[1] in LEGS
        ]

    def _look_again(self, client_id: str, number: str) -> None:
        """Look at an order that no list has; one that is not there for a while either never was, or is long over."""
        try:
            self.look(client_id, number)
        except NoSession:
            raise
        except (Retry, Refused) as error:
            if not self._is_overdue(f"unseen {client_id}"):
                raise Retry(f"what became of {client_id}", error.found) from error
            del self._numbers[client_id]

    def loose_entries(self) -> list[OwnOrder]:
        """Return entries that still rest, which none should."""
        return [row for row in self._rows.values() if row.is_live and parts_of(row.client_id)[1] == "entry"]

    def orphans(self) -> list[OwnOrder]:
        """Return orders that still rest for a position that is over."""
        return [
            row
            for row in self._rows.values()
            if row.is_live
            and parts_of(row.client_id)[1] in LEGS
            and f"{stem_of(row.client_id)}-entry-1" in self._ledger.entries
            and stem_of(row.client_id) not in self._ledger.held
        ]

    def is_absent(self, client_id: str) -> bool:
        """Tell whether an order was in no list for a while."""
        if client_id in self._rows or any(each.client_id == client_id for each in self._executions):
            return False
        return self._is_overdue(f"absent {client_id}")

    def expect(self, client_id: str) -> None:
        """Begin anew to count for how long an order is in no list: it is about to be sent."""
        self._since.pop(f"absent {client_id}", None)

    def next_id(self, held: Held, leg: str) -> str:
        """Return the id of the next order of a leg: that of the last one again if no list ever had it."""
        numbers = [parts_of(each)[2] for each in self._seen() if parts_of(each)[:2] == (held.stem, leg)]
        last = held.sent.get(leg, 0)
        return f"{held.stem}-{leg}-{last if last > max(numbers, default=0) else max(numbers, default=0) + 1}"

    def _seen(self) -> set[str]:
        return self._rows.keys() | {each.client_id for each in self._executions}

    def left_of(self, held: Held) -> Decimal:
        """Return what can be sold of a position: what the account does not hold any more can't."""
        return held.left - self._missing.get(held.stem, ZERO) if held.stem in self._ledger.held else ZERO

    def left_after(self, held: Held, orders: dict[str, str]) -> Decimal:
        """Return what can be sold now that these orders were taken back.

        What they, or an earlier exit, filled need not be listed yet; the account may hold more than what is ours.
        """
        left = self.left_of(held)
        for client_id, number in orders.items():
            self.look(client_id, number)
        for row in self.rows_of(held):
            mine = [e for e in self._executions if e.client_id == row.client_id and e.fill_id in self._ledger.fills]
            left -= max(row.filled - sum((each.units for each in mine), ZERO), ZERO)
        return min(left, self.nets().get(held.conid, ZERO) * held.sign)

    def require_shown(self, held: Held) -> None:
        """See that the account shows what is held, before the stop is taken back that protects it.

        Raises:
            Retry: it shows less than any execution explains, and may only be late.
        """
        if held.conid in self._doubted:
            raise Retry(f"{held.left:f} {held.market} in the account", "less, which may only be late")

    def _is_overdue(self, what: str, graces: int = 1) -> bool:
        return time.monotonic() - self._since.setdefault(what, time.monotonic()) >= graces * self._grace_s

    def _fold(self) -> None:
        self.is_behind = False
        fresh = [each for each in self._executions if each.client_id]
        entries = {i for i in self._seen() if parts_of(i)[1] == "entry"}
        for client_id in sorted(entries):
            self._take_entry(client_id, [each for each in fresh if each.client_id == client_id])
        for held in list(self._ledger.held.values()):
            for leg in LEGS:
                self._take_exit(held, leg, [e for e in fresh if parts_of(e.client_id)[:2] == (held.stem, leg)])
        self._missing = {}
        self._doubted = set()
        for conid in {held.conid for held in self._ledger.held.values()}:
            self._compare(conid)

    def _take_entry(self, client_id: str, fills: list[Execution]) -> None:
        new = [fill for fill in fills if fill.fill_id not in self._ledger.fills]
        if client_id in self._ledger.entries:
            return self._take_late(client_id, new) if new else None
        row = self._rows.get(client_id)
        filled = sum((fill.units for fill in fills), ZERO)
        is_over = self._is_overdue(f"unlisted {client_id}") if row is None else not row.is_live
        if not is_over or (row is not None and filled < row.filled) or not self._have_fees(new):
            self.is_behind = True
        elif new and (intent := self._ledger.intents.get(client_id) or self._rebuilt(new)):
            self._ledger.opened(client_id, intent, new)
        elif new:
            self._ledger.known(new, client_id)
        else:
            is_cancelled = row is not None and row.status.startswith("Cancel")
            self._ledger.unfilled(client_id, "NOT_FILLED" if is_cancelled else "INACTIVE")

    def _take_late(self, client_id: str, new: list[Execution]) -> None:
        held = self._ledger.held.get(stem_of(client_id))
        say(f"! {client_id}: {sum((fill.units for fill in new), ZERO):f} more were filled after it was over")
        if held is not None:
            return self._ledger.grown(held, new)
        intent = self._ledger.intents.get(client_id)
        if intent is None:
            return self._ledger.known(new)
        # Nobody was told of it, but it is held: it gets its stop, and whoever asks for positions takes it over.
        self._ledger.opened(client_id, intent, new)

    def _rebuilt(self, fills: list[Execution]) -> Record | None:
        """Return what was intended with an entry, by what IBKR knows, when the ledger was lost.

        It is ours only as long as its stop rests: else its owner has done something with it that nobody can tell.
        """
        first = fills[0]
        stops = [r for r in self._rows.values() if parts_of(r.client_id)[:2] == (stem_of(first.client_id), "stop")]
        price = next((row.price for row in stops if row.is_live and row.price is not None), None)
        if price is None:
            return None
        levels = Levels(stop=price, target=None)
        facts: Record = {"market": first.symbol, "conid": first.conid, "side": first.side}
        return facts | {"levels": write_levels(levels)}

    def _have_fees(self, fills: list[Execution]) -> bool:
        """Tell whether the commission of each fill is told; one that never comes is none."""
        return all(fill.fee is not None or self._is_overdue(f"fee {fill.fill_id}") for fill in fills)

    def _take_exit(self, held: Held, leg: str, fills: list[Execution]) -> None:
        new = [fill for fill in fills if fill.fill_id not in self._ledger.fills]
        if not new:
            return
        if not self._have_fees(new):
            self.is_behind = True
            return
        is_trail = held.levels.trailing is not None or held.levels.trailing_percent is not None
        reason = {"stop": "trailing_stop" if is_trail else "stop_loss", "target": "take_profit"}.get(leg, "broker")
        ours = list(_up_to(new, held.left))
        if ours:
            self._ledger.reduced(held, ours, reason)
        if sum((fill.units for fill in new), ZERO) > sum((fill.units for fill in ours), ZERO):
            say(f"! {held.market}: more left the account than was held; compare by hand")

    def _compare(self, conid: int) -> None:
        """Explain what of ours the account does not hold any more: left by orders that are not ours, or simply gone."""
        ours = [held for held in self._ledger.held.values() if held.conid == conid]
        short = sum((held.left for held in ours), ZERO) - max(self._nets.get(conid, ZERO) * ours[0].sign, ZERO)
        if short > 0:
            short = self._left_outside(ours, short)
        if short <= 0:
            self._since.pop(f"short {conid}", None)
        elif not self._is_overdue(f"short {conid}", LAG_GRACES):
            self.is_behind = True
            self._doubted.add(conid)
        else:
            for held in [one for one in ours if one.stem in self._ledger.held]:
                self._missing[held.stem] = min(held.left, short)
                short -= self._missing[held.stem]

    def _left_outside(self, ours: list[Held], short: Decimal) -> Decimal:
        """Book what orders that are not ours took off, newest first; return what they do not explain."""
        leaving = "sell" if ours[0].side == "buy" else "buy"
        for fill in reversed(self._executions):
            is_other = not fill.client_id and fill.fill_id not in self._ledger.fills
            if not is_other or fill.conid != ours[0].conid or fill.side != leaving:
                continue
            for held in [one for one in ours if one.stem in self._ledger.held and one.at <= fill.at]:
                part = min(fill.units, held.left, short)
                if part > 0:
                    self._ledger.reduced(held, [_part(fill, part)], "broker")
                    short -= part
                    fill = replace(fill, units=fill.units - part)  # the rest goes on to the next
        return short

    def note_split(self, held: Held, levels: Levels) -> None:
        """Take over a split: new levels in another scale, and shares in the account that changed by the same ratio."""
        if held.levels.stop <= 0 or SPLIT_BELOW < (ratio := levels.stop / held.levels.stop) < SPLIT_ABOVE:
            return
        units = self._nets.get(held.conid, ZERO) * held.sign
        if units > 0 and units != held.left and abs(units * ratio / held.left - 1) < SPLIT_ROOM:
            say(f"{held.market}: {held.left:f} shares were split into {units:f}")
            self._ledger.split(held, units)


def _status(client_id: str, order_id: str, body: Any, before: OwnOrder | None) -> OwnOrder:
    status, filled = str(body.get("order_status") or ""), parse.optional(body.get("cum_fill")) or ZERO
    units = parse.optional(body.get("total_size")) or filled
    price = parse.optional(body.get("stop_price")) or parse.optional(body.get("limit_price"))
    is_trail = "TRAIL" in str(body.get("order_type") or "").upper() or (before is not None and before.is_trail)
    if not status:
        raise ValueError("no status")
    return OwnOrder(
        order_id=order_id,
        client_id=client_id,
        status=status,
        units=units,
        filled=filled,
        price=price or (None if before is None else before.price),
        is_trail=is_trail,
    )


def _account(row: dict[str, Any]) -> str:
    return str(row.get("acct") or row.get("accountCode") or row.get("account") or "")


def _rows(answer: Any) -> list[Any]:
    if not isinstance(answer, list):
        raise Retry("a list", "something else")
    return answer


def _up_to(fills: list[Execution], most: Decimal) -> Iterable[Execution]:
    for fill in fills:
        part = min(fill.units, most)
        if part > 0:
            yield _part(fill, part)
            most -= part


def _part(fill: Execution, units: Decimal) -> Execution:
    if units == fill.units:
        return fill
    fee = None if fill.fee is None else (fill.fee * units / fill.units).quantize(Decimal("0.0001"))
    return replace(fill, units=units, fee=fee)
