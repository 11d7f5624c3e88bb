"""How the contracts of an event surface end, and what is learnt from it."""

from dataclasses import replace

import pytest
from written_venue import D, Room, bracket, contract

from domain.contract import ContractStatus
from domain.errors import Refuse, Retry


def estimated(room, lows):
    """Have brackets estimated, and close them without a result."""
    for low in lows:
        room.venue.add(bracket(low))
    room.open()
    for candidate, estimate in room.judged():
        room.remember(candidate, estimate)
    for ticker in list(room.venue.listed):
        room.venue.ended[ticker] = replace(room.venue.listed.pop(ticker), status=ContractStatus.CLOSED)


def test_fifty_contracts_in_no_hurry_to_end_do_not_keep_another_from_being_learnt_of():
    room = Room()
    estimated(room, range(20, 80))
    ticker = "KXHIGHNY-26MAR16-B79.5"
    room.venue.ended[ticker] = replace(
        room.venue.ended[ticker], status=ContractStatus.FINALIZED, result="yes", value=D(1)
    )
    for _ in range(3):
        room.scan(301)

    assert ticker in [note.market for note in room.notes]


@pytest.mark.parametrize("error", [Retry, Refuse])
def test_a_contract_whose_end_cannot_be_read_keeps_nothing_from_being_listed(error):
    room = Room()
    estimated(room, [55, 57])
    known = room.venue.contract
    refused = []

    def unreadable(ticker):
        if ticker.endswith("B55.5"):
            refused.append(ticker)
            raise error(f"a market row of {ticker} that can be read", "'voided' is no status", "ask again")
        return known(ticker)

    room.venue.contract = unreadable
    room.venue.add(bracket(59))
    proposed = [proposal.candidates[0].market for proposal in room.scan(301)]
    room.open()

    assert refused
    assert proposed == ["KXHIGHNY-26MAR16-B59.5"]


def test_a_contract_the_venue_lists_no_more_is_let_go_of():
    room = Room()
    room.venue.add(contract())
    room.open()
    del room.venue.listed[contract().ticker]
    room.scan(301)

    assert room.desk._contracts == {}


def test_an_empty_books_middle_teaches_nobody_to_distrust_the_market():
    room = Room()
    room.venue.add(contract())
    room.open()
    [(candidate, estimate)] = room.judged()
    room.remember(candidate, estimate)
    room.venue.quote(candidate.market, "0", "1")
    room.remember(*room.judged(601)[0])

    assert room.learner._estimated[candidate.market].market == 0.41
