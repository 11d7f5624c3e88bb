"""The desk of an event surface on a venue that a test writes by hand."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from written_venue import START, Room, contract

from domain.candidate import Vote
from domain.clock import parse_iso
from domain.vocabulary import Kind, Side
from surfaces.kalshi.belief import Belief

D = Decimal


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
    room.remember(candidate, estimate)
    room.venue.end(candidate.market)
    room.scan(301)
    outcome = room.notes[0]
    room.learner.apply({"kind": Kind.OUTCOME, "ts": "2026-03-16T19:00:00Z", "market": outcome.market, "value": "1"})
    room.scan(301)

    assert [(note.market, note.value, note.read_as) for note in room.notes] == [(candidate.market, D(1), "56")]


def test_after_a_restart_the_end_of_what_was_estimated_before_is_still_learnt(room):
    [(candidate, estimate)] = room.judged()
    room.remember(candidate, estimate)
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


def test_a_text_that_stays_unread_is_told_once_until_it_changes(room):
    strange = contract("KXHIGHNY-26MAR16-B57.5", rules_primary="Somebody will decide.", floor_strike=D(57))
    room.venue.add(strange)
    told = [sum(bool(candidate.unread) for candidate, _ in room.judged(601)) for _ in range(3)]
    room.venue.add(replace(strange, floor_strike=D(58)))
    told.append(sum(bool(candidate.unread) for candidate, _ in room.judged(601)))

    assert told == [1, 0, 0, 1]


def test_what_was_refused_before_it_was_paid_for_is_looked_at_again_soon(room):
    room.settings = replace(room.settings, ask_s=21_600.0, list_s=86_400.0)
    room.open()
    [proposal] = room.scan()
    proposal.refused()

    assert [len(room.scan(seconds)) for seconds in (899, 1, 900)] == [0, 1, 0]


def test_nothing_is_sold_where_nobody_bids(room):
    room.oracle.belief = replace(room.oracle.belief, probability=D("0.01"))
    room.venue.quote("KXHIGHNY-26MAR16-B55.5", "0", "0.05")
    [(candidate, estimate)] = room.judged()

    assert candidate.side is Side.BUY
    assert estimate.edge_bp < 0


def test_what_the_settings_ask_for_no_more_is_not_proposed_however_well_it_is_known(room):
    [(candidate, estimate)] = room.judged()
    room.remember(candidate, estimate)
    del room.venue.listed[candidate.market]
    room.venue.ended[candidate.market] = contract()
    room.open()

    assert [room.scan(seconds) for seconds in (0, 700, 700)] == [[], [], []]
    assert room.desk.instrument(candidate.market) is not None


def test_a_desk_that_finds_nothing_listed_says_so(room):
    before = room.desk.trouble()
    room.venue.listed.clear()
    room.scan(301)

    assert before == ""
    assert "no open contract in *" in room.desk.trouble()
