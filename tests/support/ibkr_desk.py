"""One account at a simulated gateway, whichever connection leads to it, and orders to send it."""

import time
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

from domain.clock import parse_clock
from domain.errors import Retry
from domain.ids import client_order_id, new_id
from domain.order import OrderIntent
from domain.vocabulary import Leg, Mode, Side, Surface, TimeInForce

D = Decimal


class IbkrDesk:
    """What tests of both adapters ask for; a desk says how it connects and what its gateway shows of the account.

    ``patience_s`` is how long something may take until it is a failure.
    """

    patience_s = 30.0

    def __init__(self, gateway, account):
        self.gateway = gateway
        self.account = account
        self.clock = parse_clock(gateway.clock)
        self.data = self.executor = None
        self._closers = []

    def _connect(self, connect, config, held):
        self.data, self.executor = connect(config, self.clock, held=held)
        self._closers += [self.data.close, self.executor.close]

    def restart(self, **changes):
        """End the connection and open another that remembers nothing."""
        self.close()
        return self.connect(**changes)

    def close(self):
        for close in self._closers:
            close()
        self._closers.clear()

    def eventually(self, condition, seconds=None):
        """Return the first true answer, asked again and again before a deadline; Retry is no answer."""
        seconds = self.patience_s if seconds is None else seconds
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(Retry):
                if answer := condition():
                    return answer
            time.sleep(0.01)
        raise AssertionError(f"not within {seconds} s")

    def quote(self, market="SPY"):
        return self.eventually(lambda: self.data.quotes([market]).get(market))

    def entry(self, *, market="SPY", **changes):
        """Build an entry that rests far above the market, with a trailing stop of ten percent."""
        signal_id = new_id("sig", self.clock.now())
        facts = {
            "client_order_id": client_order_id(Surface.STK, signal_id, Leg.ENTRY, 1),
            "signal_id": signal_id,
            "surface": Surface.STK,
            "mode": Mode.PAPER,
            "market": market,
            "leg": Leg.ENTRY,
            "attempt": 1,
            "side": Side.BUY,
            "quantity": D(10),
            "trigger": D("180.00"),
            "stop_loss": D("150.00"),
            "trailing_percent": D(10),
            "tif": TimeInForce.DAY,
        }
        return OrderIntent(**(facts | changes))

    def far(self, **changes):
        return self.entry(**changes)

    def near(self, **changes):
        """Build an entry that the recorded market reaches at once: IBKR takes a stop behind the market as reached."""
        return self.entry(**({"trigger": self.quote().bid - D("0.05")} | changes))

    def reach(self, intent):
        """Wait until the recording has filled an entry of ``near``."""
        self.until_state(intent, "filled")

    def stop_of(self, intent, attempt=1):
        return client_order_id(Surface.STK, intent.signal_id, Leg.STOP, attempt)

    def exit_of(self, intent, *, attempt=1, quantity=None, **changes):
        facts = {
            "client_order_id": client_order_id(Surface.STK, intent.signal_id, Leg.EXIT, attempt),
            "signal_id": intent.signal_id,
            "surface": intent.surface,
            "mode": intent.mode,
            "market": intent.market,
            "leg": Leg.EXIT,
            "attempt": attempt,
            "side": intent.side.opposite,
            "quantity": quantity or intent.quantity,
            "broker_trade_id": intent.client_order_id,
        }
        return OrderIntent(**(facts | changes))

    def find(self, intent_or_id):
        """Return what the broker knows of an order, asked until it can tell."""
        name = getattr(intent_or_id, "client_order_id", intent_or_id)
        since = self.clock.now() - timedelta(minutes=30)
        return self.eventually(lambda: self.executor.find(name, since=since))

    def states(self, intent_or_id):
        return [str(event.state) for event in self.find(intent_or_id)]

    def until_state(self, intent_or_id, state):
        return self.eventually(lambda: self.states(intent_or_id)[-1] == state)

    def _fill(self, intent):
        self.executor.submit(intent)
        self.reach(intent)
        self.eventually(lambda: self.stop_of(intent) in self.live_refs())
        return intent
