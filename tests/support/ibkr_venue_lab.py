"""The venue behind the IBKR simulators with a hand-moved clock, on the recorded tape or on a written one."""

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal

from hand_clock import HandClock

from simulators.ibkr.accounts import AccountSpec
from simulators.ibkr.clock import moment
from simulators.ibkr.events import Charged, Executed, OrderChanged, PositionChanged
from simulators.ibkr.orders import Terms
from simulators.ibkr.tape import DaySummary, Split, Tape, Tick
from simulators.ibkr.venue import Venue

ACCOUNT = "DU1000001"
IBM, SPY, AAPL = 8314, 756733, 265598
# a Tuesday; regular hours begin at 13:30 UTC
DAY = "2014-05-06"
NOON = "2014-05-06T16:00:00+00:00"


def ms(text):
    return round(datetime.fromisoformat(text).timestamp() * 1000)


class WrittenTape:
    """Prices a test writes down: each is a trade with a quote of a cent around it."""

    symbols = ("IBM", "SPY")
    week = date(2014, 5, 5)

    def __init__(self):
        self.ticks = {name: [] for name in self.symbols}
        self.splits = []

    def add(self, at, last, *, symbol="IBM", size=10_000, spread="0.01", is_trade=True):
        points = round(Decimal(last) * 10_000)
        gap = round(Decimal(spread) * 10_000)
        self.ticks[symbol].append(Tick(at, symbol, points - gap, points + gap, size, size, points, 100, is_trade, at))

    def last(self, symbol, at):
        ticks = self.ticks.get(symbol, [])
        index = bisect_right([tick.time for tick in ticks], at) - 1
        return None if index < 0 else ticks[index]

    def between(self, symbol, after, until):
        return iter([tick for tick in self.ticks[symbol] if after < tick.time <= until])

    def summary(self, symbol, at):
        return DaySummary(0, 0, 0, 0)

    def close_before(self, symbol, at):
        return 0

    def add_split(self, symbol, at, new, old):
        self.splits.append(Split(symbol, at, new, old, planned=False))


@dataclass
class Lab:
    """A venue, its clock and everything it told."""

    venue: Venue
    clock: HandClock
    told: list = field(default_factory=list)
    account: str = ACCOUNT

    def __post_init__(self):
        self.venue.subscribe(self._hear)

    def _hear(self, event):
        if isinstance(event, OrderChanged):
            order = event.order
            seen = (order.perm_id, order.status, order.filled, order.remaining, order.why_held, event.code)
            self.told.append((event, seen))
        else:
            self.told.append((event, None))

    def at(self, text):
        self.clock.ms = ms(text)
        self.venue.advance()
        return self

    def after(self, seconds):
        self.clock.ms += round(seconds * 1000)
        self.venue.advance()
        return self

    def trade(self, last, *, seconds=1, **shown):
        """Write the next price, so many seconds on, and let the venue meet it."""
        self.venue.tape.add(self.clock.ms + round(seconds * 1000), last, **shown)
        return self.after(seconds)

    def place(self, side, quantity, kind="MKT", **terms):
        owner = terms.pop("owner", (1, len(self.told)))
        return self.venue.place(self.terms(side, quantity, kind, **terms), owner)

    def terms(self, side, quantity, kind="MKT", conid=IBM, account=None, **terms):
        numbers = ("limit", "stop", "trail_amount", "trail_percent", "trail_stop", "limit_offset")
        values = {k: Decimal(v) if k in numbers and v is not None else v for k, v in terms.items()}
        return Terms(
            conid=conid, account=account or self.account, side=side, quantity=Decimal(quantity), kind=kind, **values
        )

    def modify(self, order, **changes):
        return self.venue.modify(order.perm_id, replace(order.terms, **changes))

    def held(self, conid=IBM, account=None):
        found = [each for each in self.venue.positions(account or self.account) if each.conid == conid]
        return found[0].quantity if found else Decimal(0)

    def fills(self, order=None):
        made = [event.execution for event, _ in self.told if isinstance(event, Executed)]
        return [(each.quantity, each.price) for each in made if order is None or each.perm_id == order.perm_id]

    def statuses(self, order):
        return [seen[1] for _, seen in self.told if seen is not None and seen[0] == order.perm_id]

    def kinds(self):
        names = {OrderChanged: "order", Executed: "fill", Charged: "fee", PositionChanged: "position"}
        return [names[type(event)] for event, _ in self.told if type(event) in names]

    @property
    def cash(self):
        return self.venue.account_values(self.account)["TotalCashValue"]

    @property
    def now(self):
        return moment(self.clock.ms)


def written(*prices, at=NOON, accounts=None, state=None, first="100.00"):
    """Return a lab at noon of a session, on a written tape whose first price stands."""
    tape = WrittenTape()
    tape.add(ms(at) - 1000, first)
    tape.add(ms(at) - 1000, "50.00", symbol="SPY")
    clock = HandClock(ms(at))
    specs = accounts or [AccountSpec(id=ACCOUNT)]
    return Lab(Venue(tape, clock, specs, state=state), clock)


def recorded(at, *, week=date(2014, 5, 6), accounts=None, state=None, split_on=date(2014, 6, 9)):
    """Return a lab on the recorded tape."""
    clock = HandClock(ms(at))
    specs = accounts or [AccountSpec(id=ACCOUNT)]
    return Lab(Venue(Tape(week, split_on), clock, specs, state=state), clock)
