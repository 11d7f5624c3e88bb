"""One account: cash, what it holds, its orders, fills and settlements."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from simulators.kalshi.orders import Order, Side, unit_cost
from simulators.kalshi.wire import CENT

_SIX = Decimal("0.000001")


@dataclass(slots=True)
class Position:
    """What an account holds of one contract: YES above zero, NO below; ``cost`` is what the holding was bought for."""

    ticker: str
    event_ticker: str
    updated: datetime
    count: int = 0
    cost: Decimal = Decimal(0)
    realized: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    traded: Decimal = Decimal(0)

    def closes(self, side: Side, count: int) -> int:
        """Return how many of ``count`` contracts would net against the holding."""
        opposite = -self.count if side is Side.BID else self.count
        return min(count, max(opposite, 0))

    def revenue(self, side: Side, count: int, price: Decimal) -> Decimal:
        """Return what a fill pays before fees: a pair of YES and NO is worth a dollar and is paid back at once."""
        closed = self.closes(side, count)
        return closed - unit_cost(side, price) * count

    def apply(self, side: Side, count: int, price: Decimal, now: datetime) -> None:
        """Book a fill."""
        each = unit_cost(side, price)
        closed = self.closes(side, count)
        if closed:
            share = (self.cost * closed / abs(self.count)).quantize(_SIX)
            self.cost -= share
            self.realized += (1 - each) * closed - share
        self.cost += each * (count - closed)
        self.count += count if side is Side.BID else -count
        self.traded += each * count
        self.updated = now


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One fill of one order."""

    id: str
    order_id: str
    client_order_id: str
    ticker: str
    side: Side
    outcome: str
    action: str
    count: int
    price: Decimal
    fee: Decimal
    is_taker: bool
    position: int
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What a finished contract paid."""

    ticker: str
    event_ticker: str
    result: str
    count: int
    cost: Decimal
    revenue: Decimal
    fees: Decimal
    time: datetime


@dataclass(slots=True)
class Account:
    """A member of the exchange; ``key_id`` names it everywhere."""

    key_id: str
    public_key_pem: str
    cash: Decimal
    tier: str = "basic"
    positions: dict[str, Position] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    resting: dict[str, Order] = field(default_factory=dict)
    client_ids: dict[str, str] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    settlements: list[Settlement] = field(default_factory=list)
    changed_orders: set[str] = field(default_factory=set)
    changed_positions: set[str] = field(default_factory=set)
    orders_made: int = 0

    def position(self, ticker: str, event_ticker: str, now: datetime) -> Position:
        """Return the holding of a contract, starting an empty one."""
        if ticker not in self.positions:
            self.positions[ticker] = Position(ticker, event_ticker, now)
        return self.positions[ticker]

    def held(self, ticker: str) -> int:
        """Return the contracts held: YES above zero, NO below."""
        found = self.positions.get(ticker)
        return 0 if found is None else found.count

    def keep(self, order: Order) -> None:
        """Put an order where its status says it belongs."""
        self.orders[order.id] = order
        self.changed_orders.add(order.id)
        if order.client_order_id:
            self.client_ids[order.client_order_id] = order.id
        if order.is_resting:
            self.resting[order.id] = order
        else:
            self.resting.pop(order.id, None)

    def reserved(self, extra: Iterable[Order] = (), excluded: str = "") -> Decimal:
        """Return the cash set aside for resting orders, and for others about to rest.

        Contracts that net against a holding need none; they are counted against the cheapest orders, so that whichever
        fills first there is enough.
        """
        books: dict[tuple[str, Side], list[Order]] = {}
        for order in (*self.resting.values(), *extra):
            if order.id != excluded:
                books.setdefault((order.ticker, order.side), []).append(order)
        total = Decimal(0)
        for (ticker, side), orders in books.items():
            held = self.held(ticker)
            covered = max(-held if side is Side.BID else held, 0)
            for order in sorted(orders, key=lambda o: unit_cost(o.side, o.price)):
                netted = min(covered, order.remaining)
                covered -= netted
                total += unit_cost(side, order.price) * (order.remaining - netted)
                if order.maker_fee:
                    total += (order.maker_fee * order.remaining).quantize(CENT, ROUND_CEILING) + CENT
        return total

    @property
    def available(self) -> Decimal:
        """Return the balance the venue shows: cash without what resting orders hold."""
        return self.cash - self.reserved()
