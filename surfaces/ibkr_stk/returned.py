"""Shares that come back after their signal's end: protected again, told to the operator, sold when a flatten is on.

The rest of an entry may fill after the part that filled first was sold, and a sale may be busted. The trade is over by
then and was published as it ended: what comes back is kept safe, and is no part of what the trade came to.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import structlog

from brokers.port import RestingExecutor
from domain.errors import Ask, Refuse, Retry
from domain.ids import client_order_id, signal_of_order
from domain.order import OrderIntent
from domain.vocabulary import ExitReason, Leg, State, TimeInForce
from strategies.stop_entry.arming import elapsed
from strategies.stop_entry.facts import Facts, whole
from strategies.stop_entry.params import StopEntryParams
from surfaces.books import Books
from surfaces.entry import EntryDesk
from surfaces.ibkr_stk.picture import ATTACHED, NOTHING, Picture

log = structlog.get_logger()
# How long the same count must have been seen, in real time: the position may lag behind a sale, whatever the clock.
SURE_S = 2.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """A count of shares that no journal explains, and since when it is seen."""

    quantity: Decimal
    at: datetime
    real_s: float


class Returned:
    """Looks after shares of signals that are resolved.

    Attributes:
        told: symbol -> in words what is held there that no journal explains.
    """

    def __init__(self, books: Books, executor: RestingExecutor, params: StopEntryParams) -> None:
        self._books = books
        self._executor = executor
        self._params = params
        self._seen: dict[str, _Seen] = {}
        self._asked_at: dict[str, datetime] = {}
        self.told: dict[str, str] = {}

    def tend(self, facts: Facts, picture: Picture, entries: EntryDesk) -> None:
        """Look at one symbol; shares that nobody's orders of ours bought are only told."""
        if not facts.link_usable or any(stop.is_working or stop.is_doubtful for stop in facts.own_stops):
            return
        if not self._is_sure(facts):
            return
        bought = self._ours(facts, picture)
        if bought is None:
            self.told[facts.symbol] = f"{facts.symbol}: the account holds {facts.position} shares no journal explains"
        elif facts.live_entry is not None:
            self._withdraw(facts, entries)
        else:
            self._keep(facts, bought, entries)

    def _is_sure(self, facts: Facts) -> bool:
        """Tell whether shares are there that no journal holds open, and have been for long enough."""
        market, count = facts.symbol, facts.position or NOTHING
        if facts.held > 0 or count <= 0:
            self._seen.pop(market, None)
            self.told.pop(market, None)
            return False
        seen = self._seen.get(market)
        if seen is None or seen.quantity != count:
            seen = self._seen[market] = _Seen(count, facts.now, time.monotonic())
        return elapsed(seen.at, facts.now, self._params.retry_s) and time.monotonic() - seen.real_s >= SURE_S

    def _ours(self, facts: Facts, picture: Picture) -> OrderIntent | None:
        """Return the entry of the resolved signal of ours that the shares belong to, None when they are none of ours.

        The broker's executions tell, and on a later day, when nobody tells them any more, the stop that rests.
        """
        fold, surface = self._books.fold, self._books.surface
        told = [one.client_order_id or "" for one in picture.trades or () if one.market == facts.symbol]
        for order_id in (*told, *(stop.order_id for stop in facts.own_stops)):
            parsed = signal_of_order(order_id)
            if parsed is not None and parsed[0] is surface and parsed[1] in fold.resolutions:
                return fold.intents.get(client_order_id(surface, parsed[1], Leg.ENTRY, 1))
        return None

    def _withdraw(self, facts: Facts, entries: EntryDesk) -> None:
        """Take back an entry that rests: its symbol is in doubt."""
        entry = facts.live_entry
        intent = None if entry is None else self._books.fold.intents.get(entry.order_id)
        if intent is not None and self._is_due(facts):
            entries.withdraw(intent, "shares came back")

    def _keep(self, facts: Facts, bought: OrderIntent, entries: EntryDesk) -> None:
        fold = self._books.fold
        resting = sum((stop.quantity for stop in facts.own_stops), NOTHING)
        what = "protected by a stop" if resting else "not protected yet"
        self.told[facts.symbol] = (
            f"{facts.symbol}: {facts.position} shares of {bought.signal_id} came back after its end, {what}"
        )
        if fold.state.state is State.HALT or (resting and not fold.state.flatten) or self._is_on_its_way(bought, facts):
            return
        if not self._is_due(facts):
            return
        quantity = whole(min(resting, facts.position or NOTHING)) if resting else self._left(bought, facts)
        if quantity > 0:
            log.error(
                "shares_came_back",
                market=facts.symbol,
                quantity=str(quantity),
                signal=bought.signal_id,
                flatten=fold.state.flatten,
            )
            entries.protect(self._order(bought, quantity))

    def _is_due(self, facts: Facts) -> bool:
        """Tell whether anything may be asked for again, and note that it is."""
        last = self._asked_at.get(facts.symbol)
        if last is not None and not elapsed(last, facts.now, self._params.retry_s):
            return False
        self._asked_at[facts.symbol] = facts.now
        return True

    def _is_on_its_way(self, bought: OrderIntent, facts: Facts) -> bool:
        """Tell whether a sale is not proven to be over; a stop that rests is none."""
        fold, resting = self._books.fold, {stop.order_id for stop in facts.own_stops}
        unfinished = [*fold.unfinished(Leg.EXIT), *fold.unfinished(Leg.STOP)]
        mine = [one for one in unfinished if one.signal_id == bought.signal_id]
        return any(one.sells_at_once or one.client_order_id not in resting for one in mine)

    def _left(self, bought: OrderIntent, facts: Facts) -> Decimal:
        """Return how many shares may be sold: what executions leave of the signal, and no more than is there."""
        fold, signal_id = self._books.fold, bought.signal_id
        stops = range(1, fold.attempts(signal_id, Leg.STOP) + ATTACHED + 1)
        exits = range(1, fold.attempts(signal_id, Leg.EXIT) + 1)
        sales = [(Leg.STOP, number) for number in stops] + [(Leg.EXIT, number) for number in exits]
        ids = [client_order_id(self._books.surface, signal_id, leg, number) for leg, number in sales]
        since = fold.intended_at[bought.client_order_id]
        try:
            left = self._traded([bought.client_order_id], since) - self._traded(ids, since)
        except (Retry, Ask, Refuse) as error:
            log.warning("shares_not_counted", market=facts.symbol, signal=signal_id, error=str(error))
            return NOTHING
        return whole(min(left, facts.position or NOTHING))

    def _traded(self, order_ids: Sequence[str], since: datetime) -> Decimal:
        events = [event for one in order_ids for event in self._executor.find(one, since=since)]
        return sum((event.quantity for event in events), NOTHING)

    def _order(self, bought: OrderIntent, quantity: Decimal) -> OrderIntent:
        """Return a trailing stop under the signal's next attempt, or what sells at once while a flatten is on."""
        fold, books = self._books.fold, self._books
        attempt = fold.attempts(bought.signal_id, Leg.STOP) + ATTACHED + 1
        is_stop = not fold.state.flatten
        return OrderIntent(
            client_order_id=client_order_id(books.surface, bought.signal_id, Leg.STOP, attempt),
            signal_id=bought.signal_id,
            surface=books.surface,
            mode=books.mode,
            market=bought.market,
            leg=Leg.STOP,
            attempt=attempt,
            side=bought.side.opposite,
            quantity=quantity,
            decision_id=bought.decision_id,
            broker_trade_id=bought.client_order_id,
            reason=ExitReason.TRAILING_STOP if is_stop else ExitReason.FLATTEN,
            trailing_percent=self._params.trail_of(bought.market) if is_stop else None,
            tif=TimeInForce.GTC if is_stop else TimeInForce.DAY,
        )
