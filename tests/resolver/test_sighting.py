"""Outcomes seen before the venue's last word: written, never booked, and compared with it at the end."""

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from domain.contract import Contract, ContractStatus, RuleKind, SettlementRule
from domain.errors import Retry
from domain.order import OrderEvent
from domain.vocabulary import ExitReason, Kind, OrderState, ResolutionSource, State
from resolver.kalshi.sighting import Lookout, Sighting, VenueWitness

D = Decimal
NWS, VENUE = ResolutionSource.NWS_OBSERVATION, ResolutionSource.KALSHI_RESOLUTION


class Thermometer:
    """A witness that says what a test tells it to, and counts how often it was asked."""

    def __init__(self):
        self.sighting = None
        self.error = None
        self.asked = 0

    def look(self, position, rule):
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.sighting


def rule_until(moment):
    return SettlementRule(
        kind=RuleKind.DAILY_HIGH, source="NWS CLI", station="KNYC", location="Central Park", subject="daily high",
        low=D(55), high=D(56), unit="degF", resolution=D(1), observed_on=moment.date(), begins_at=None, ends_at=moment,
        rounding="whole degrees", revision="final report", void="fair market price",
    )  # fmt: skip


@pytest.fixture
def thermometer():
    return Thermometer()


@pytest.fixture
def traded(stage, thermometer):
    """A resolver with one open event position and a thermometer."""
    ends = stage.clock.now() + timedelta(hours=9)
    stage.signal_id = stage.trade(rule=rule_until(ends), closes_at=ends)
    stage.tick()
    stage.lookout = Lookout(stage.resolver_books, [thermometer], every_s=60)
    return stage


def resolutions(stage):
    return stage.records(Kind.RESOLUTION)


def test_what_is_seen_early_is_written_as_provisional_and_books_nothing(traded, thermometer):
    thermometer.sighting = Sighting(source=NWS, value=D(1), outcome="56 degF")
    before = traded.resolver_books.fold.bankroll.balance
    traded.lookout.advance()

    (seen,) = resolutions(traded)
    assert (seen["provisional"], seen["resolution_source"], seen["outcome"]) == (True, "nws_observation", "56 degF")
    assert traded.resolver_books.fold.bankroll.balance == before
    assert [p.signal_id for p in traded.resolver_books.fold.positions()] == [traded.signal_id]


def test_the_same_sight_is_written_once_and_a_new_one_again(traded, thermometer):
    thermometer.sighting = Sighting(source=NWS, value=D(1), outcome="56 degF")
    for _ in range(3):
        traded.lookout.advance()
        traded.clock.advance(61)
    thermometer.sighting = Sighting(source=NWS, value=D(0), outcome="57 degF")
    traded.lookout.advance()

    assert [r["outcome"] for r in resolutions(traded)] == ["56 degF", "57 degF"]


def test_the_lookout_keeps_to_its_period(traded, thermometer):
    for _ in range(6):
        traded.lookout.advance()
        traded.clock.advance(13)

    assert thermometer.asked == 2


def test_a_silent_witness_costs_nothing_but_its_answer(traded, thermometer):
    thermometer.error = Retry("a report", "503", "later")
    traded.lookout.advance()

    assert thermometer.asked == 1
    assert resolutions(traded) == []


@pytest.mark.parametrize(("seen", "disputed"), [(D(1), False), (D(0), True)])
def test_the_last_word_says_whether_it_differs_from_what_was_seen(traded, thermometer, seen, disputed):
    thermometer.sighting = Sighting(source=NWS, value=seen, outcome="seen")
    traded.lookout.advance()
    traded.hit(traded.signal_id, ExitReason.SETTLED, "1")
    traded.tick()

    final = resolutions(traded)[-1]
    assert (final["provisional"], final["disputed"], final["outcome"]) == (False, disputed, "yes")
    assert traded.resolver_books.fold.positions() == []


def test_a_contested_result_stays_disputed_even_if_it_holds(traded):
    contract = Contract(
        ticker="EUR_USD", event="E", series="S", category="", title="", event_title="", yes_sub_title="",
        no_sub_title="", rules_primary="", rules_secondary="", strike_type="greater", floor_strike=None,
        cap_strike=None, open_at=traded.clock.now(), close_at=traded.clock.now(), expected_expiration_at=None,
        latest_expiration_at=traded.clock.now(), status=ContractStatus.DISPUTED, result="yes", value=None,
        expiration_value="", can_close_early=False, tick=D("0.01"), fee_type="quadratic", fee_multiplier=D(1),
    )  # fmt: skip
    Lookout(traded.resolver_books, [VenueWitness({"EUR_USD": contract}.get)], every_s=60).advance()
    traded.hit(traded.signal_id, ExitReason.SETTLED, "1")
    traded.tick()

    first, final = resolutions(traded)
    assert (first["resolution_source"], first["outcome"], first["disputed"]) == (VENUE, "yes (disputed)", True)
    assert final["disputed"]


def test_a_position_without_a_reading_is_not_looked_after(stage, thermometer):
    stage.trade()
    stage.tick()
    Lookout(stage.resolver_books, [thermometer], every_s=60).advance()

    assert thermometer.asked == 0


def test_a_contract_that_finds_no_buyer_is_offered_ever_more_seldom_and_never_after_its_close(stage):
    ends = stage.clock.now() + timedelta(hours=9)
    signal_id = stage.trade(rule=rule_until(ends), closes_at=ends)
    stage.tick()
    stage.set_state(State.REDUCE, flatten=True)
    refused = []

    def submit(intent):
        refused.append(stage.clock.now())
        now = stage.clock.now()
        return [
            OrderEvent(
                client_order_id=intent.client_order_id, signal_id=signal_id, leg=intent.leg,
                state=OrderState.CANCELLED, happened_at=now, learned_at=now, reason="BOUNDS_VIOLATION",
            )
        ]  # fmt: skip

    stage.broker.submit = submit
    for _ in range(12 * 60):
        stage.clock.advance(60)
        stage.tick()

    waits = [(later - earlier).total_seconds() for earlier, later in pairwise(refused)]
    assert waits == sorted(waits)
    assert waits[0] < 200
    assert 3600 <= max(waits) < 3800
    assert refused[-1] < ends
    assert len(refused) < 20
