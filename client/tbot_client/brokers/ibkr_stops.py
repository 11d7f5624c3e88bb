"""The protective orders that rest at IBKR: each open position has exactly one stop, over what is left of it."""

import time
from collections.abc import Callable
from decimal import Decimal

from tbot_client.book import say
from tbot_client.brokers import ibkr_desk as desk
from tbot_client.brokers.ibkr_books import Books
from tbot_client.brokers.ibkr_ledger import Held, Ledger, parts_of
from tbot_client.brokers.ibkr_parse import OwnOrder
from tbot_client.errors import Refused, Retry

LOOKS, LOOK_S = 24, 0.15
# A stop that is refused is tried again, but not all the time.
REFUSED_S = 30.0
# Further than this from where a trailing stop stands, new levels are of another scale: a split.
NEAR = Decimal("0.25")


class Stops:
    """Watches, moves and takes back what rests for the positions of the ledger."""

    def __init__(
        self,
        sender: desk.Desk,
        ledger: Ledger,
        books: Books,
        price: Callable[[Held], Decimal | None],
        *,
        grace_s: float,
        late_s: float,
    ) -> None:
        self._price = price
        self._desk = sender
        self._ledger = ledger
        self._books = books
        self._grace_s = grace_s
        self._late_s = late_s
        self._bare_since: dict[str, float] = {}
        self._refused_until: dict[str, float] = {}

    def take_back(self, orders: dict[str, str]) -> None:
        """Cancel orders (our id -> number) and wait for the proof that none of them fills any more.

        Raises:
            Retry: there is none yet.
        """
        if not orders:
            return
        self._books.stir()
        for number in orders.values():
            self._desk.cancel(number)
        for _ in range(LOOKS):
            if not any(self._books.look(client_id, number).is_live for client_id, number in orders.items()):
                break
            time.sleep(LOOK_S)
        else:
            raise Retry("proof that an order is over", "one that still may fill")
        # The broker may tell of a fill after it told of the end.
        time.sleep(self._late_s)
        self._books.stir()

    def watch(self, held: Held) -> None:
        """See that one stop rests for what is left; called whenever the lists were read."""
        units = self._books.left_of(held)
        rows = self._books.rows_of(held)
        if units <= 0 or held.levels.stop <= 0 or any(r.is_live for r in rows if parts_of(r.client_id)[1] == "exit"):
            return
        live = [row for row in rows if row.is_live and parts_of(row.client_id)[1] == "stop"]
        if not live:
            return self._miss(held, units, rows)
        self._bare_since.pop(held.stem, None)
        kept, *others = sorted(live, key=lambda row: parts_of(row.client_id)[2], reverse=True)
        for row in others:
            say(f"{held.market}: a second stop rested; taking {row.client_id} back")
            self._books.stir()
            self._desk.cancel(row.order_id)
        if kept.left != units and kept.status != "PendingCancel":
            self._resize(held, kept, units)

    def move(self, held: Held) -> None:
        """Bring stop and target to where the ledger wants them.

        Raises:
            Refused: they can't be there; the old ones stay.
        """
        units = self._books.left_of(held)
        rows = {parts_of(row.client_id)[1]: row for row in self._books.rows_of(held) if row.is_live}
        stop, target = rows.get("stop"), rows.get("target")
        if stop is not None and stop.is_trail is not _trails(held):
            self.take_back({stop.client_id: stop.order_id})
            stop = None
        if stop is None:
            self._place(held, units, target)
        else:
            self._change(held, stop, units, desk.stop(held.levels, held.side, _at(held, stop)))
        if target is not None and stop is not None:
            if held.levels.target is None:
                return self.take_back({target.client_id: target.order_id})
            self._change(held, target, units, desk.limit(held.levels.target, _leaving(held)))

    def _resize(self, held: Held, row: OwnOrder, units: Decimal) -> None:
        try:
            self._change(held, row, units, desk.stop(held.levels, held.side, row.price))
        except Refused as error:
            say(f"! {held.market}: the stop covers {row.left:f} instead of {units:f} ({error.found})")

    def _change(self, held: Held, row: OwnOrder, units: Decimal, kind: dict[str, object]) -> None:
        self._books.stir()
        size, side = row.filled + units, _leaving(held)
        ticket = desk.ticket(row.client_id, held.conid, held.market, side, size, **kind | {"tif": "GTC"})
        self._desk.change(row.order_id, ticket)

    def _miss(self, held: Held, units: Decimal, rows: list[OwnOrder]) -> None:
        """Place a stop where none rests, once it is sure that none does and that none has just been filled."""
        if self._books.is_behind:
            return
        now = time.monotonic()
        last = max((row for row in rows if parts_of(row.client_id)[1] == "stop"), default=None, key=_number)
        since = self._bare_since.setdefault(held.stem, now)
        is_sure = last is not None and _number(last) >= held.sent.get("stop", 1)
        if now < self._refused_until.get(held.stem, 0.0):
            return
        if is_sure or now - since >= self._grace_s:
            if self._is_other_scale(held):
                self._refused_until[held.stem] = now + REFUSED_S
                return say(f"! {held.market}: no stop rests, and {held.levels.stop} is far beyond the price: a split?")
            say(f"! {held.market}: no stop rests for {units:f} shares; placing one at {held.levels.stop}")
            target = next((row for row in rows if row.is_live and parts_of(row.client_id)[1] == "target"), None)
            try:
                self._place(held, units, target)
            except Refused as error:
                self._refused_until[held.stem] = now + REFUSED_S
                say(f"! {held.market}: IBKR refuses the stop ({error.found}); trying again")

    def _is_other_scale(self, held: Held) -> bool:
        """Tell whether a stop would act at once because prices are no longer what they were when it was chosen."""
        price = self._price(held)
        sign = 1 if held.side == "buy" else -1
        return price is not None and (held.levels.stop / price - 1) * sign > NEAR

    def _place(self, held: Held, units: Decimal, target: OwnOrder | None) -> None:
        """Send a stop of its own; one that came with its entry is tied to the target, this one would not be."""
        if target is not None:
            say(f"{held.market}: the target is taken back: a stop of its own is not tied to it")
            self.take_back({target.client_id: target.order_id})
        client_id = self._books.next_id(held, "stop")
        self._ledger.sent(client_id)
        self._books.stir()
        kind = desk.stop(held.levels, held.side)
        self._desk.send(
            [desk.ticket(client_id, held.conid, held.market, _leaving(held), units, **kind | {"tif": "GTC"})]
        )


def _number(row: OwnOrder) -> int:
    return parts_of(row.client_id)[2]


def _leaving(held: Held) -> str:
    return "sell" if held.side == "buy" else "buy"


def _trails(held: Held) -> bool:
    return held.levels.trailing is not None or held.levels.trailing_percent is not None


def _at(held: Held, row: OwnOrder) -> Decimal:
    """Return where a stop is to stand: a trailing one that has come closer than is wanted stays there."""
    wanted, now = held.levels.stop, row.price
    if now is None or not row.is_trail or abs(now / wanted - 1) > NEAR:
        return wanted
    return max(now, wanted) if held.side == "buy" else min(now, wanted)
