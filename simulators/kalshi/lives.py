"""Lives of contracts: which status holds when, and what the fault script does to it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from simulators.kalshi.faults import FaultBook
from simulators.kalshi.listing import Listing
from simulators.kalshi.wire import parse_time

# the catalogue says when trading opens; the venue shows a contract this much earlier, and no more: strikes are set
# around the price or forecast at the opening, which nobody may read a day ahead
SHOWN_BEFORE = timedelta(minutes=10)
_DISPUTE_AFTER, _DISPUTE_SECONDS = 60, 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """The moments of one contract; ``first_result`` is what stands before an amendment."""

    created: datetime
    opens: datetime
    closes: datetime
    determined: datetime
    settled: datetime
    result: str
    first_result: str
    disputed: datetime | None = None
    amended: datetime | None = None

    def status(self, now: datetime) -> str:
        """Return the status of a contract that is not paused."""
        if now >= self.settled:
            return "finalized"
        if self.amended is not None and now >= self.amended:
            return "amended"
        if self.disputed is not None and now >= self.disputed:
            return "disputed"
        if now >= self.determined:
            return "determined"
        if now >= self.closes:
            return "closed"
        return "active" if now >= self.opens else "initialized"

    def shown_result(self, now: datetime) -> str:
        """Return the result as published: nothing before it is determined."""
        if now < self.determined:
            return ""
        return self.first_result if self.amended is None or now < self.amended else self.result

    def moments(self) -> list[datetime]:
        """Return every moment at which something about the contract changes, in order."""
        found = (self.created, self.opens, self.closes, self.determined, self.disputed, self.amended, self.settled)
        return sorted(moment for moment in found if moment is not None)


def life_of(listing: Listing, faults: FaultBook) -> Life:
    """Return a contract's life with everything the fault script changes about it."""
    life = Life(
        created=listing.open_time - SHOWN_BEFORE,
        opens=listing.open_time,
        closes=_closing(listing, faults),
        determined=listing.determined_at,
        settled=listing.settled_at,
        result=listing.result,
        first_result=listing.result,
    )
    return _paid_late(_disputed(life, listing.ticker, faults), listing.ticker, faults)


def _closing(listing: Listing, faults: FaultBook) -> datetime:
    early = faults.about("early_close", listing.ticker)
    if early is None:
        return listing.close_time
    asked = parse_time(early.params["closes_at"]) if "closes_at" in early.params else early.begins
    if asked >= listing.close_time:
        return listing.close_time
    early.bend(listing.ticker)
    return max(asked, listing.open_time)


def _disputed(life: Life, ticker: str, faults: FaultBook) -> Life:
    dispute = faults.about("disputed_result", ticker)
    # what is paid already can no longer be disputed
    if dispute is None or dispute.since >= life.settled:
        return life
    dispute.bend(ticker)
    disputed = life.determined + timedelta(seconds=dispute.params.get("after", _DISPUTE_AFTER))
    amended = disputed + timedelta(seconds=dispute.params.get("seconds", _DISPUTE_SECONDS))
    timer = dispute.params.get("timer", (life.settled - life.determined).total_seconds())
    return replace(
        life,
        disputed=disputed,
        amended=amended,
        settled=amended + timedelta(seconds=timer),
        result=dispute.params.get("result", life.result),
    )


def _paid_late(life: Life, ticker: str, faults: FaultBook) -> Life:
    late = faults.about("late_settlement", ticker)
    if late is None or late.since >= life.settled:
        return life
    late.bend(ticker)
    return replace(life, settled=life.settled + timedelta(seconds=late.params["seconds"]))
