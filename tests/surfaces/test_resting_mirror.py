"""A stock surface's dry run: what another process closed is gone, what rested before a restart rests again."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest

from brokers.dry_run.executor import DryRunExecutor
from brokers.fake import FakeBroker
from brokers.fake_market import FakeMarket
from domain.clock import FakeClock
from domain.ids import client_order_id, new_id
from domain.order import OrderIntent
from domain.quotes import Instrument
from domain.vocabulary import Leg, Mode, OrderState, Side, Surface, TimeInForce
from surfaces.mirror import RestingMirror, mirrored

D = Decimal
OPEN = datetime(2014, 5, 6, 14, tzinfo=UTC)
SPY = Instrument(
    name="SPY", base="SPY", quote_currency="USD", tick=D("0.01"), pip=D("0.01"), quantity_step=D(1),
    quantity_min=D(1), quantity_max=D(100_000), margin_rate=D(1),
)  # fmt: skip


@dataclass
class Fold:
    """As much of a surface's fold as a mirror looks at."""

    resolutions: dict = field(default_factory=dict)
    intents: list = field(default_factory=list)
    closed: set = field(default_factory=set)

    def positions(self):
        return []

    def position(self, signal_id):
        return SimpleNamespace(quantity=D(0)) if signal_id in self.closed else None

    def unfinished(self, leg):
        return [intent for intent in self.intents if intent.leg is leg]

    @property
    def intended_at(self):
        return {intent.client_order_id: OPEN for intent in self.intents}


@pytest.fixture
def market():
    made = FakeMarket(FakeClock(OPEN), [SPY])
    made.price("SPY", "100.00", "100.02")
    return made


def process(market):
    return DryRunExecutor(market, market.clock, balance=D(10_000), currency="USD", stop_orders=True)


def entry(trigger):
    signal_id = new_id("sig", OPEN)
    return OrderIntent(
        client_order_id=client_order_id(Surface.STK, signal_id, Leg.ENTRY, 1), signal_id=signal_id, leg=Leg.ENTRY,
        surface=Surface.STK, mode=Mode.DRY_RUN, market="SPY", attempt=1, side=Side.BUY, quantity=D(10),
        trigger=D(trigger), stop_loss=D(90), tif=TimeInForce.GTC,
    )  # fmt: skip


def test_trade_and_stop_are_shown_until_the_journals_say_that_it_was_closed(market):
    fold, executor = Fold(), process(market)
    mirror = RestingMirror(executor, fold)
    intent = entry(100)
    mirror.submit(intent)
    before = (len(mirror.open_trades()), len(mirror.resting()))
    fold.closed.add(intent.signal_id)

    assert before == (1, 1)
    assert (mirror.open_trades(), mirror.resting()) == ([], [])


def test_entry_that_rested_before_a_restart_rests_again_and_can_be_amended(market):
    intent = entry(105)
    mirror = mirrored(Mode.DRY_RUN, process(market), Fold(intents=[intent]))
    mirror.amend(intent.client_order_id, quantity=D(7))
    market.price("SPY", "105.00", "105.02")
    event = mirror.find(intent.client_order_id, since=OPEN)[-1]

    assert (event.state, event.quantity) == (OrderState.FILLED, D(7))


def test_only_a_dry_run_is_mirrored(market):
    broker = FakeBroker(market.clock, [SPY])

    assert mirrored(Mode.PAPER, broker, Fold()) is broker
    with pytest.raises(TypeError):
        mirrored(Mode.DRY_RUN, broker, Fold())
