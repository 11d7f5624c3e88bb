"""How an imagined account is paid: each contract by itself, in full, in part, or not at all."""

import threading
from decimal import Decimal

import pytest
from written_venue import contract

from brokers.dry_run.executor import DryRunExecutor
from domain.contract import ContractStatus
from domain.errors import Retry
from domain.vocabulary import ExitReason, Mode, Side
from journal.beat import Heartbeat
from resolver.kalshi.wire import Payouts
from resolver.loop import Loop

D = Decimal
BOUGHT, SOLD = "EUR_USD", "GBP_USD"


class Ends:
    """How contracts ended, as a test writes it; a Retry stands for a row that can't be read."""

    def __init__(self):
        self.of = {}
        self.refused = 0

    def end(self, market, value, result=""):
        self.of[market] = contract(market, status=ContractStatus.FINALIZED, value=value, result=result)

    def contract(self, market):
        found = self.of.get(market)
        if isinstance(found, Retry):
            self.refused += 1
            raise found
        return found


@pytest.fixture
def paid(make_stage):
    """A dry run's resolver, and what it holds: one market bought at 1.1000, another sold at 1.0999."""
    stage = make_stage("dry", mode=Mode.DRY_RUN)
    stage.ends = Ends()
    stage.bought, stage.sold = stage.trade(BOUGHT), stage.trade(SOLD, Side.SELL)
    stage.start()
    executor = DryRunExecutor(stage.broker, stage.clock, balance=D(10_000), currency="USD")
    stage.loop = Loop(
        books=stage.resolver_books,
        executor=executor,
        data=stage.broker,
        settings=stage.settings,
        heartbeat=Heartbeat(stage.house.heartbeat("resolver-fx"), stage.clock),
        stop=threading.Event(),
        advance=Payouts(stage.resolver_books, stage.ends, executor).advance,
    )
    return stage


@pytest.mark.parametrize(
    ("value", "bought", "sold"), [("1", "-100", "99.9"), ("0", "-1100", "1099.9"), ("0.4", "-700", "699.9")]
)
def test_a_fraction_is_paid_as_exactly_as_a_whole(paid, value, bought, sold):
    paid.ends.end(BOUGHT, D(value))
    paid.ends.end(SOLD, D(value))
    paid.tick()
    paid.tick()

    assert paid.resolution(paid.bought).realised == D(bought)
    assert paid.resolution(paid.sold).realised == D(sold)


def test_a_void_contract_gives_back_what_it_cost(paid):
    paid.ends.end(SOLD, None)
    paid.tick()
    paid.tick()
    resolution = paid.resolution(paid.sold)

    assert (resolution.realised, resolution.reason) == (D(0), ExitReason.SETTLED)
    assert [position.signal_id for position in paid.fold.positions()] == [paid.bought]


@pytest.mark.parametrize("unreadable", [BOUGHT, SOLD])
def test_a_contract_that_cannot_be_read_keeps_no_other_from_being_paid(paid, unreadable):
    other = SOLD if unreadable == BOUGHT else BOUGHT
    paid.ends.of[unreadable] = Retry("a market row", "nothing of the kind", "ask again")
    paid.ends.end(other, D(1))
    turned = [paid.tick() for _ in range(3)]

    assert all(turned)
    assert paid.ends.refused
    assert [resolution.market for resolution in paid.fold.resolutions.values()] == [other]
