"""Money that a stranger would lose: orders that outlast their reason, and positions nobody sells."""

from dataclasses import replace

import pytest
from stock_rig import FAR
from stock_venue import D
from waiting import until

from domain.decision import Decision
from domain.ids import new_id
from domain.vocabulary import Kind
from journal import decode


def at_once(rig):
    """Execute a decision to buy at once whose bound lies below the market, so that its order rests."""
    rig.armed()
    record = next(row for row in rig.records("decisions", Kind.DECISION) if row["admitted"])
    decision = decode(record, Decision)
    candidate = decision.candidate
    quote = replace(candidate.quote, bid=D(99), ask=D(100))
    # A target too, as crossovers have: the resolver takes it, no order of the broker's.
    levels = {"take_profit": D(300), "stop_loss": D(90), "decision_price": D(100)}
    levels |= {"trigger": None, "limit": None, "trailing_percent": None}
    changed = replace(decision, candidate=replace(candidate, quote=quote, **levels), id=new_id("dec", rig.clock.now()))
    changed = replace(changed, signal_id=new_id("sig", rig.clock.now()))
    rig.books.decided(changed)
    rig.loop._entries.execute(changed, rig.loop._desk.instrument("SPY"))
    return changed.signal_id


@pytest.mark.parametrize("transport", ["tws", "portal"])
def test_entry_that_was_to_fill_at_once_does_not_rest(opened, transport):
    rig = opened(transport, **FAR).open()
    signal_id = at_once(rig)
    mine = [one for one in rig.story().live("BUY") if one["kind"] == "LMT"]
    rig.until(lambda: not [o for o in rig.story().live("BUY") if o["kind"] == "LMT"], "the order is withdrawn")
    rig.until(lambda: not [i for i in rig.fold.unfinished("entry") if i.signal_id == signal_id], "its end is known")

    assert len(mine) == 1
    assert rig.story().position() == 0
    assert [one["kind"] for one in rig.story().live("BUY")] == ["STP"]


def test_part_of_a_share_that_no_stop_could_protect_is_not_bought(opened):
    rig = opened("tws", IBKR_FRACTIONAL="true", RISK_MARKET_BUDGET="100").open()
    rig.until(rig.decisions, "an entry is judged")
    rig.turn_for(1)

    assert {row["code"] for row in rig.decisions()} == {"RISK_SIZE"}
    assert rig.story().orders == []


def test_only_whole_shares_are_bought_whatever_the_account_allows(opened):
    rig = opened("tws", IBKR_FRACTIONAL="true", RISK_MARKET_BUDGET="700").open()
    rig.bought()

    assert rig.story().position() == 4
    assert [D(stop["quantity"]) for stop in rig.story().stops()] == [4]


def test_what_is_held_is_valued_from_the_first_turn_after_a_restart_on(opened):
    rig = opened("tws").open().bought()
    rig.close()
    rig.open()
    quotes = until(rig.loop._desk.quotes, "a quote")
    position = rig.fold.positions()[0]
    marked = (quotes["SPY"].bid - position.entry_price) * position.quantity

    assert rig.loop._equity(quotes, unpriced_at_stop=False) == rig.fold.bankroll.balance + marked + position.realised
