"""What brokers do at which orders rest: the dry run and the fake; those with a socket run the same suite beside theirs.

The suite is ``tests/support/resting_contract.py``; its docstring says how to run it for another broker.
"""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from resting_contract import RestingContract

from brokers.dry_run.executor import DryRunExecutor
from brokers.fake import FakeBroker
from brokers.fake_market import FakeMarket
from domain.clock import FakeClock
from domain.ids import client_order_id, new_id
from domain.order import OrderIntent
from domain.quotes import Instrument
from domain.vocabulary import Leg, Mode, Side, Surface, TimeInForce

pytestmark = pytest.mark.contract
D = Decimal
OPEN = datetime(2014, 5, 6, 14, tzinfo=UTC)
CLOSE = datetime(2014, 5, 6, 20, tzinfo=UTC)
SPY = Instrument(
    name="SPY", base="SPY", quote_currency="USD", tick=D("0.01"), pip=D("0.01"), quantity_step=D(1),
    quantity_min=D(1), quantity_max=D(100_000), margin_rate=D(1),
)  # fmt: skip


class ScriptedDesk:
    """A desk on prices that the test sets: SPY at 168.00 to 168.02."""

    def __init__(self, kind):
        self.clock = FakeClock(OPEN)
        if kind == "fake":
            self.data = self.executor = FakeBroker(self.clock, [SPY])
            self.executor.stop_orders = True
        else:
            self.data = FakeMarket(self.clock, [SPY])
            self.executor = DryRunExecutor(
                self.data, self.clock, balance=D(100_000), currency="USD", stop_orders=True,
                closes_at=lambda market, moment: CLOSE,
            )  # fmt: skip
        self.data.price("SPY", "168.00", "168.02")

    def far(self, **changes):
        return self._entry(D("180.00"), **changes)

    def near(self, **changes):
        return self._entry(D("168.50"), **changes)

    def reach(self, intent):
        self.data.price("SPY", str(intent.trigger), str(intent.trigger + D("0.02")))

    def eventually(self, condition):
        answer = condition()
        assert answer, "not at once"
        return answer

    def _entry(self, trigger, **changes):
        self.clock.advance(1)
        signal_id = new_id("sig", self.clock.now())
        facts = {
            "client_order_id": client_order_id(Surface.STK, signal_id, Leg.ENTRY, 1), "signal_id": signal_id,
            "surface": Surface.STK, "mode": Mode.PAPER, "market": "SPY", "leg": Leg.ENTRY, "attempt": 1,
            "side": Side.BUY, "quantity": D(20), "trigger": trigger, "stop_loss": D("151.20"),
            "trailing_percent": D(10), "tif": TimeInForce.DAY,
        }  # fmt: skip
        return OrderIntent(**(facts | changes))


class TestResting(RestingContract):
    @pytest.fixture(params=["dry_run", "fake"])
    def resting(self, request):
        return ScriptedDesk(request.param)
