"""The desk of an event surface on a venue that a test writes by hand."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.candidate import Vote
from domain.clock import FakeClock, parse_iso
from domain.contract import Contract, ContractStatus
from domain.errors import Retry
from domain.event_settings import EventSettings
from domain.quotes import Quote
from domain.vocabulary import Kind, Side, Surface
from surfaces.kalshi.belief import Belief
from surfaces.kalshi.desk import EventDesk
from surfaces.kalshi.learning import Learner

D = Decimal
START = parse_iso("2026-03-16T18:00:00Z")
SETTINGS = EventSettings(ask_s=600, list_s=300, market_weight=D("0.5"), void_in_terms=True)


def contract(ticker="KXHIGHNY-26MAR16-B55.5", **changes):
    """A bracket of the day's high as the venue lists it."""
    made = Contract(
        ticker=ticker,
        event="KXHIGHNY-26MAR16",
        series="KXHIGHNY",
        category="Climate and Weather",
        title="Will the high temp in NYC be between 55-56° on Mar 16, 2026?",
        event_title="Highest temperature in NYC on Mar 16, 2026?",
        yes_sub_title="55° to 56°",
        no_sub_title="55° to 56°",
        rules_primary=(
            "If the highest temperature recorded in Central Park, New York for March 16, 2026 as reported by the "
            "National Weather Service's Climatological Report (Daily), is between 55-56° fahrenheit, then the market "
            "resolves to Yes."
        ),
        rules_secondary="",
        strike_type="between",
        floor_strike=D(55),
        cap_strike=D(56),
        open_at=START - timedelta(days=1),
        close_at=START + timedelta(hours=11),
        expected_expiration_at=START + timedelta(hours=20),
        latest_expiration_at=START + timedelta(days=7),
        status=ContractStatus.ACTIVE,
        result="",
        value=None,
        expiration_value="",
        can_close_early=True,
        tick=D("0.01"),
        fee_type="quadratic",
        fee_multiplier=D(1),
    )
    return replace(made, **changes)


class Venue:
    """Contracts and quotes, and how often each was asked for."""

    def __init__(self, clock):
        self.clock = clock
        self.listed = {}
        self.ended = {}
        self.quoted = {}
        self.listings = 0
        self.is_silent = False

    def add(self, one, bid="0.40", ask="0.42"):
        self.listed[one.ticker] = one
        self.quote(one.ticker, bid, ask)

    def quote(self, ticker, bid, ask):
        self.quoted[ticker] = (D(bid), D(ask))

    def end(self, ticker, value="1"):
        result = "yes" if value == "1" else "no"
        changes = {"status": ContractStatus.FINALIZED, "result": result, "value": D(value), "expiration_value": "56"}
        self.ended[ticker] = replace(self.listed.pop(ticker), **changes)

    def contracts(self, series, *, closing_before=None):
        self.listings += 1
        if self.is_silent:
            raise Retry("a listing", "503", "later")
        return list(self.listed.values())

    def contract(self, ticker):
        return self.listed.get(ticker) or self.ended.get(ticker)

    def quotes(self, markets):
        now = self.clock.now()
        return {
            name: Quote(market=name, bid=bid, ask=ask, at=now, received_at=now, tradeable=True, home_rate=D(1))
            for name, (bid, ask) in self.quoted.items()
            if name in markets
        }

    def close(self): ...


class Oracle:
    """An estimator that says what a test tells it to, of everything."""

    def __init__(self, probability="0.60", **more):
        self.belief = Belief(method="oracle", probability=None if probability is None else D(probability), **more)
        self.asked = []

    def takes(self, rule):
        return True

    def costs_usd(self, contract, rule):
        return D(0)

    def believe(self, contract, rule, now):
        self.asked.append(contract.ticker)
        return self.belief


class Room:
    """A desk with its venue and its oracle."""

    def __init__(self):
        self.clock = FakeClock(START)
        self.venue = Venue(self.clock)
        self.oracle = Oracle()
        self.learner = Learner()
        self.notes = []
        self.settings = SETTINGS

    def open(self, estimators=None):
        chosen = [self.oracle] if estimators is None else estimators
        self.desk = EventDesk(
            self.venue, Surface.ST, self.settings, chosen, self.learner, self.clock, None, self.notes.append
        )
        self.desk.startup()
        return self

    def scan(self, seconds=0.0):
        self.clock.advance(seconds)
        return list(self.desk.scan(self.clock.now()))

    def judged(self, seconds=0.0):
        """Return candidates and estimates of everything that is due, predicted in place."""
        return [found for proposal in self.scan(seconds) if (found := proposal.predict()()) is not None]


@pytest.fixture
def room():
    made = Room()
    made.venue.add(contract())
    return made.open()


def test_a_contract_is_proposed_when_its_estimate_is_due_and_not_before(room):
    due = [len(room.scan(seconds)) for seconds in (0, 100, 499, 1, 600)]

    assert due == [1, 0, 0, 1, 1]


def test_both_sides_are_up_for_judgement_until_the_estimate_names_one(room):
    [proposal] = room.scan()

    assert {candidate.side for candidate in proposal.candidates} == set(Side)
    assert proposal.is_slow


@pytest.mark.parametrize(("believed", "side"), [("0.70", Side.BUY), ("0.10", Side.SELL)])
def test_the_side_with_the_better_edge_is_taken(room, believed, side):
    room.oracle.belief = replace(room.oracle.belief, probability=D(believed))
    [(candidate, estimate)] = room.judged()

    assert candidate.side is side
    assert estimate.edge_bp > 0
    assert estimate.edge_bp == estimate.gross_edge_bp - estimate.cost_bp


def test_the_edge_is_what_is_left_of_the_belief_after_price_and_fee(room):
    [(candidate, estimate)] = room.judged()

    # Half market (0.41), half belief (0.60) in log odds is 0.5052; ten contracts at 0.42 cost 0.18 in fees.
    assert estimate.probability == D("0.5052")
    assert estimate.edge_bp == (D("0.5052") - D("0.42") - D("0.018")) * 10_000
    assert (estimate.model_probability, estimate.market_probability) == (D("0.6000"), D("0.41"))
    assert (candidate.stop_loss, candidate.take_profit) == (0, 1)


def test_a_belief_is_priced_at_the_quote_of_the_moment_it_is_ready(room):
    [proposal] = room.scan()
    finish = proposal.predict()
    room.clock.advance(60)
    room.venue.quote("KXHIGHNY-26MAR16-B55.5", "0.80", "0.82")
    candidate, _ = finish()

    assert (candidate.side, candidate.decision_price) == (Side.SELL, D("0.80"))


def test_a_belief_that_comes_after_the_close_is_dropped(room):
    [proposal] = room.scan()
    finish = proposal.predict()
    room.clock.advance(12 * 3600)

    assert finish() is None


def test_nobody_having_an_opinion_means_the_markets_own_and_no_confidence(room):
    room.oracle.belief = replace(room.oracle.belief, probability=None)
    [(_, estimate)] = room.judged()

    assert (estimate.probability, estimate.confidence, estimate.model_probability) == (D("0.4100"), 0, None)
    assert estimate.edge_bp < 0


def test_votes_are_pooled_and_their_disagreement_is_told(room):
    votes = tuple(
        Vote(model=name, probability=D(p), weight=D(1), cost_usd=D("0.01"))
        for name, p in zip("abcd", ("0.5", "0.6", "0.7", "0.8"), strict=True)
    )
    room.oracle.belief = Belief(method="panel", votes=votes, cost_usd=D("0.04"))
    [(_, estimate)] = room.judged()

    assert D("0.6") < estimate.model_probability < D("0.7")
    assert estimate.disagreement > 0
    assert [vote.model for vote in estimate.votes] == ["a", "b", "c", "d"]


def test_a_text_that_is_not_understood_is_proposed_with_the_reason(room):
    room.venue.add(contract("KXHIGHNY-26MAR16-B57.5", rules_primary="Somebody will decide.", floor_strike=D(57)))
    found = [candidate for candidate, _ in room.judged(301)]

    unread = next(candidate for candidate in found if candidate.market.endswith("B57.5"))
    assert unread.unread
    assert unread.rule is None
    assert room.oracle.asked == ["KXHIGHNY-26MAR16-B55.5"] * len(room.oracle.asked)


def test_a_kind_that_nothing_here_estimates_is_no_candidate(room):
    room.open(estimators=[])

    assert room.scan() == []


@pytest.mark.parametrize(("bid", "ask"), [("0.98", "0.99"), ("0.01", "0.02")])
def test_what_is_as_good_as_decided_is_left_alone(room, bid, ask):
    room.venue.quote("KXHIGHNY-26MAR16-B55.5", bid, ask)

    assert room.scan() == []


def test_the_soonest_to_close_comes_first(room):
    late = contract("KXHIGHNY-26MAR17-B55.5", close_at=START + timedelta(hours=30))
    soon = contract("KXHIGHNY-26MAR15-B55.5", close_at=START + timedelta(hours=1))
    room.venue.add(late)
    room.venue.add(soon)
    order = [proposal.candidates[0].market for proposal in room.scan(300)]

    assert order == ["KXHIGHNY-26MAR15-B55.5", "KXHIGHNY-26MAR16-B55.5", "KXHIGHNY-26MAR17-B55.5"]


def test_a_venue_that_lists_nothing_now_costs_nothing_but_news(room):
    room.venue.is_silent = True

    assert len(room.scan(600)) == 1


def test_how_an_estimated_contract_ended_is_noted_once(room):
    [(candidate, estimate)] = room.judged()
    remember(room, candidate, estimate)
    room.venue.end(candidate.market)
    room.scan(301)
    outcome = room.notes[0]
    room.learner.apply({"kind": Kind.OUTCOME, "ts": "2026-03-16T19:00:00Z", "market": outcome.market, "value": "1"})
    room.scan(301)

    assert [(note.market, note.value, note.read_as) for note in room.notes] == [(candidate.market, D(1), "56")]


def test_after_a_restart_the_end_of_what_was_estimated_before_is_still_learnt(room):
    [(candidate, estimate)] = room.judged()
    remember(room, candidate, estimate)
    room.venue.end(candidate.market, "0")
    room.open()

    assert [(note.market, note.value) for note in room.notes] == [(candidate.market, D(0))]


def test_a_position_in_a_contract_listed_no_more_still_has_its_instrument(room):
    room.venue.end("KXHIGHNY-26MAR16-B55.5")
    room.open()

    assert room.desk.instrument("KXHIGHNY-26MAR16-B55.5").payout == 1
    assert not room.desk.is_open("KXHIGHNY-26MAR16-B55.5", room.clock.now())


def test_the_day_is_new_yorks(room):
    before, after = parse_iso("2026-03-17T03:59:59Z"), parse_iso("2026-03-17T04:00:00Z")

    assert room.desk.trading_day(before) < room.desk.trading_day(after)
    assert room.desk.day_start(room.desk.trading_day(after)) == after


def remember(room, candidate, estimate):
    """Hand a decision to the learner as the journal would."""
    record = {
        "kind": Kind.DECISION,
        "candidate": {"market": candidate.market},
        "estimate": {
            "method": estimate.method,
            "model_probability": str(estimate.model_probability),
            "market_probability": str(estimate.market_probability),
            "votes": [],
            "facts": [list(fact) for fact in estimate.facts],
        },
    }
    room.learner.apply(record)
