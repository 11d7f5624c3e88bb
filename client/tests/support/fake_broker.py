"""A broker in memory for tests, with prices to set, transactions to look at and faults to inject."""

from datetime import UTC, datetime
from decimal import Decimal as D

from tbot_client.brokers.port import Account, Instrument, NotFilled, Opened, Position, Quote, Reduced
from tbot_client.errors import Refused


class FakeBroker:
    """Fills at its own bid and ask; what a test puts into ``faults`` happens on the next call of that name."""

    def __init__(self):
        self.bid, self.ask = D("1.09990"), D("1.10000")
        self.tradeable = True
        self.home_rate = D(1)
        self.equity = D(100_000)
        self.events = []
        self.late = 0  # how many lists of events will still lack the newest one
        self.lacks = False
        self.open = {}
        self.orders = []
        self.protections = []
        self.closes = []
        self.taken = set()
        self.faults = {}
        self.unit_digits = 0
        self.minimum = D(1)
        self.known = True
        self.at = lambda: datetime.now(UTC)

    def _fault(self, name):
        """Return whether to act, after raising what a test asked for: ("before" or "after", error)."""
        queue = self.faults.get(name, [])
        return queue.pop(0) if queue else (None, None)

    def account(self):
        return Account(currency="USD", equity=self.equity, last_id=str(len(self.events)))

    def instrument(self, name):
        if not self.known:
            return None
        return Instrument(
            name=name, price_digits=5, unit_digits=self.unit_digits, minimum=self.minimum, maximum=D(100_000_000)
        )

    def quote(self, instrument, reference):
        _when, error = self._fault("quote")
        if error:
            raise error
        return Quote(bid=self.bid, ask=self.ask, tradeable=self.tradeable, home_rate=self.home_rate)

    def place(self, order):
        when, error = self._fault("place")
        if when == "before":
            raise error
        self.orders.append(order)
        events = [self._fill(order)] if when != "cancel" else [self._cancel(order, error)]
        self.events += events
        if when == "after":
            raise error
        return events

    def _fill(self, order):
        number = str(len(self.events) + 1)
        price = self.ask if order.side == "buy" else self.bid
        self.open[number] = (order, price)
        return Opened(
            id=number, client_id=order.client_id, trade_id=number, units=order.units, price=price, at=self.at()
        )

    def _cancel(self, order, reason):
        return NotFilled(id=str(len(self.events) + 1), client_id=order.client_id, reason=reason)

    def find(self, client_id):
        return [e for e in self.events if getattr(e, "client_id", "") == client_id]

    def is_taken(self, client_id):
        return client_id in self.taken

    def protect(self, trade_id, instrument, levels):
        _when, error = self._fault("protect")
        if error:
            raise error
        self.protections.append((trade_id, levels))

    def close(self, trade_id, reference):
        when, error = self._fault("close")
        if when == "before":
            raise error
        self.closes.append(trade_id)
        if trade_id not in self.open:
            raise Refused("TRADE_DOESNT_EXIST", "an open trade", trade_id, "not done")
        event = self.end(trade_id, self.bid, "broker")
        if when == "after":
            raise error
        return [event]

    def end(self, trade_id, price, reason, units=None):
        """Close a position, or part of it, as the broker's own stop would."""
        order, entry = self.open[trade_id]
        closed = units or order.units
        if units is None:
            del self.open[trade_id]
        sign = 1 if order.side == "buy" else -1
        event = Reduced(
            id=str(len(self.events) + 1), trade_id=trade_id, units=closed, price=price,
            realised=(price - entry) * closed * sign, currency="USD", reason=reason, at=self.at(),
        )  # fmt: skip
        self.events.append(event)
        return event

    def since(self, last_id):
        _when, error = self._fault("since")
        if error:
            raise error
        self.lacks, self.late = self.late > 0, max(0, self.late - 1)
        listed = self.events[:-1] if self.lacks else self.events
        return listed[int(last_id) :], str(len(listed))

    def is_behind(self):
        return self.lacks

    def positions(self):
        return [
            Position(
                client_id=order.client_id, trade_id=number, instrument=order.instrument, side=order.side,
                units=order.units, price=price, levels=(order.levels.stop, order.levels.target, order.levels.trailing),
            )
            for number, (order, price) in self.open.items()
        ]  # fmt: skip

    def shut(self):
        pass
