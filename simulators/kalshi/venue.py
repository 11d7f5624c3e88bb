"""The venue: contracts and accounts that have always caught up with the clock."""

import time as wall
from bisect import insort
from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from simulators.kalshi.account import Account, Settlement
from simulators.kalshi.book import STEP_SECONDS, redraw_time
from simulators.kalshi.contract import Contract
from simulators.kalshi.faults import Fault, FaultBook
from simulators.kalshi.limits import Limiter
from simulators.kalshi.listing import Catalogue, Listing, Series
from simulators.kalshi.lives import life_of
from simulators.kalshi.matching import Clearing
from simulators.kalshi.persistence import Store
from simulators.kalshi.wire import Json, iso, unix
from simulators.oanda.clock import Clock
from simulators.rest.state_file import StateError

REQUESTS_KEPT = 500
_NEVER = datetime.max.replace(tzinfo=UTC)
# listed ahead of the clock, and kept behind it, when the venue starts
AHEAD, BEHIND = timedelta(days=2), timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Announcement:
    """A change in a contract's life, as the lifecycle channel tells it."""

    kind: str
    ticker: str
    time: datetime
    fields: Json


class Venue:
    """Everything behind the API.

    Time is lazy: a request, or a socket's poll, first brings every contract up to the clock, so that what happened
    between two requests does not depend on when they came.
    """

    def __init__(
        self,
        clock: Clock,
        catalogue: Catalogue,
        accounts: list[Account],
        store: Store | None = None,
        wire: str = "both",
    ) -> None:
        self.clock = clock
        self.wire = wire
        self.faults = FaultBook()
        self.series: dict[str, Series] = {series.ticker: series for series in catalogue.series()}
        self.contracts: dict[str, Contract] = {}
        # those listings show, and those still to be settled
        self._visible: list[Contract] = []
        self._live: list[Contract] = []
        self.events: dict[str, list[Contract]] = {}
        self.accounts = {account.key_id: account for account in accounts}
        self.clearing = Clearing(self.accounts)
        self.limiter = Limiter()
        self.announcements: list[Announcement] = []
        self.requests: deque[Json] = deque(maxlen=REQUESTS_KEPT)
        self.routes: Counter[str] = Counter()
        self.sockets_opened = 0
        self._catalogue = catalogue
        self._store = store
        self.position = self._resumed()
        self._listed_until = self.position - BEHIND
        self._list_ahead(self.position)
        if store is not None:
            store.load(self)
        self._begin()

    def _clock_time(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)

    def _resumed(self) -> datetime:
        now, as_of = self._clock_time(), None if self._store is None else self._store.as_of()
        if as_of is not None and as_of > now:
            raise StateError(
                f"state: expected a clock at or after {iso(as_of)}, where the file ends; "
                f"found {iso(now)}; start the clock later or move the file away"
            )
        return as_of or now

    def _begin(self) -> None:
        # what happened before the venue started is no news
        for contract in self.contracts.values():
            contract.status = self.status(contract, self.position)
            contract.looked = self.position

    def _list_ahead(self, now: datetime) -> None:
        until = now + AHEAD
        if until <= self._listed_until + timedelta(hours=1):
            return
        self._live = [contract for contract in self._live if contract.status != "finalized"]
        self._visible = [contract for contract in self._visible if contract.life.settled >= now - BEHIND]
        for listing in self._catalogue.listings(self._listed_until, until):
            if listing.ticker not in self.contracts:
                self._list(listing, now)
        self._listed_until = until

    def _list(self, listing: Listing, now: datetime) -> None:
        life = life_of(listing, self.faults)
        series = self.series[listing.series_ticker]
        contract = Contract(listing, series, life, self.faults.version, updated=life.created, looked=now, due=now)
        self.contracts[listing.ticker] = contract
        self._visible.append(contract)
        self._live.append(contract)
        insort(self.events.setdefault(listing.event_ticker, []), contract, key=lambda c: c.listing.floor_strike or 0)

    def status(self, contract: Contract, now: datetime) -> str:
        """Return a contract's status, pauses included."""
        found = contract.life.status(now)
        if found == "active" and self.pause(contract.ticker, now) is not None:
            return "inactive"
        return found

    def pause(self, ticker: str, now: datetime) -> Fault | None:
        """Return the fault that pauses a market now, if any."""
        return self.faults.market("market_paused", ticker, now)

    def exchange_pause(self, now: datetime) -> Fault | None:
        """Return the fault that pauses the exchange now, if any."""
        return self.faults.market("exchange_paused", "", now)

    def shown(self, now: datetime) -> list[Contract]:
        """Return every contract that listings show, in the order of their opening; old settled ones are left out."""
        return [contract for contract in self._visible if contract.life.created <= now]

    def advance(self) -> datetime:
        """Bring everything up to the clock and return its time."""
        now = max(self._clock_time(), self.position)
        self._list_ahead(now)
        pausing = any(fault.action == "market_paused" for fault in self.faults.faults)
        for contract in self._live:
            if contract.life_version != self.faults.version:
                self._change_life(contract, now)
            if pausing or contract.due <= now or contract.book.resting:
                self._catch_up(contract, now)
            else:
                contract.looked = now
        self.position = now
        self.commit()
        return now

    def _change_life(self, contract: Contract, now: datetime) -> None:
        before = contract.life.closes
        contract.life, contract.life_version = life_of(contract.listing, self.faults), self.faults.version
        contract.due = now
        if contract.life.closes != before:
            fields = {"close_ts": unix(contract.life.closes)}
            self.announcements.append(Announcement("close_date_updated", contract.ticker, now, fields))

    def _catch_up(self, contract: Contract, now: datetime) -> None:
        if contract.status == "finalized":
            return
        since = contract.looked
        if contract.book.resting:
            self._match_between(contract, since, now)
        life, moments = contract.life, contract.life.moments()
        if since < life.created <= now:
            fields = {"open_ts": unix(life.opens), "close_ts": unix(life.closes)}
            self.announcements.append(Announcement("created", contract.ticker, life.created, fields))
        for moment in moments:
            if since < moment <= now:
                self._announce(contract, moment)
        self._announce(contract, now)
        contract.looked = now
        contract.due = next((moment for moment in moments if moment > now), _NEVER)

    def _match_between(self, contract: Contract, since: datetime, now: datetime) -> None:
        at = redraw_time(since) + timedelta(seconds=STEP_SECONDS)
        while at <= min(now, contract.life.closes) and contract.book.resting:
            self._announce(contract, at)
            if contract.status == "active":
                self._expire(contract, at)
                if self.exchange_pause(at) is None:
                    contract.refresh(at)
                    self.clearing.meet_redraw(contract, at)
            at += timedelta(seconds=STEP_SECONDS)
        self._expire(contract, now)

    def _expire(self, contract: Contract, now: datetime) -> None:
        for order in list(contract.book.resting.values()):
            if order.ticket.expires is not None and order.ticket.expires <= now:
                self.clearing.cancel(contract, order, order.ticket.expires)

    def _announce(self, contract: Contract, now: datetime) -> None:
        """Do what a change of status brings with it."""
        status, before = self.status(contract, now), contract.status
        if status == before:
            return
        contract.status, contract.updated = status, now
        if status == "inactive":
            self._pause(contract, now)
        elif before == "inactive" and status == "active":
            # docs.kalshi.com/getting_started/market_lifecycle: reactivation cancels every resting order
            self._clear_book(contract, now)
        elif status in ("closed", "determined", "disputed", "amended", "finalized"):
            self._clear_book(contract, now)
        if status == "finalized":
            self._settle(contract)
        kind = _KINDS.get((before, status)) or _KINDS.get(("*", status))
        told = {"result": contract.life.shown_result(now), "determination_ts": unix(now)}
        if kind is not None:
            fields = told if kind == "determined" else {}
            self.announcements.append(Announcement(kind, contract.ticker, now, fields))

    def _pause(self, contract: Contract, now: datetime) -> None:
        fault = self.pause(contract.ticker, now)
        if fault is not None:
            fault.bend(contract.ticker)
        for order in list(contract.book.resting.values()):
            if order.ticket.cancel_on_pause:
                self.clearing.cancel(contract, order, now)

    def _clear_book(self, contract: Contract, now: datetime) -> None:
        contract.book.quotes = None
        for order in list(contract.book.resting.values()):
            self.clearing.cancel(contract, order, now)

    def _settle(self, contract: Contract) -> None:
        for account in (*self.accounts.values(), self.clearing.synthetic):
            held = account.positions.pop(contract.ticker, None)
            if held is None:
                continue
            won = held.count if contract.life.result == "yes" else -held.count
            revenue = Decimal(max(won, 0))
            account.cash += revenue
            account.changed_positions.add(contract.ticker)
            if held.count:
                account.settlements.append(
                    Settlement(
                        ticker=contract.ticker,
                        event_ticker=contract.listing.event_ticker,
                        result=contract.life.result,
                        count=held.count,
                        cost=held.cost,
                        revenue=revenue,
                        fees=held.fees,
                        time=contract.life.settled,
                    )
                )

    def commit(self) -> None:
        """Keep what changed on disk where asked to."""
        if self._store is not None:
            self._store.save(self)

    def cutoff(self, now: datetime) -> datetime | None:
        """Return the moment before which orders, fills and settled markets are on the historical pages only."""
        fault = self.faults.market("put_away", "", now)
        if fault is None:
            return None
        fault.bend("")
        return now - timedelta(seconds=fault.params["seconds"])

    def civil(self) -> float:
        """Return the unix time by the venue's own clock, which signatures are checked against."""
        fault = self.faults.market("clock_off", "", self.position)
        if fault is None:
            return wall.time()
        fault.bend("")
        return wall.time() + float(fault.params["seconds"])

    def wall(self) -> float:
        """Return the wall clock's seconds, for what a client measures on its own clock."""
        return wall.monotonic()


# (before, after) -> the lifecycle channel's word; opening and closing by the clock are not announced
_KINDS = {
    ("active", "inactive"): "deactivated",
    ("inactive", "active"): "activated",
    ("*", "determined"): "determined",
    ("*", "amended"): "determined",
    ("*", "finalized"): "settled",
}
