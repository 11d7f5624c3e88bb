"""Shares that come back after their signal's end, at a simulated IBKR."""

from decimal import Decimal

from domain.vocabulary import State

D = Decimal
# At this speed the price has climbed and fallen again within seconds.
LIVELY = {"speed": 5}
STOPPED_SOON = {"STRATEGY_TRAIL_PCT": "0.02", "STRATEGY_REPRICE_MIN_S": "15", "STRATEGY_COOLDOWN_MIN": "600"}


def begin_anew(rig):
    """Restart with stops so wide that none sells again."""
    rig.close()
    rig.environ["STRATEGY_TRAIL_PCT"] = "5"
    rig.open()


def trouble(rig):
    return rig.loop._desk.trouble()


def test_shares_of_a_busted_sale_are_protected_and_told_and_sold_by_a_flatten(opened):
    rig = opened("tws", clock=LIVELY, **STOPPED_SOON)
    rig.open().bought()
    fault = rig.venue.fault("busted_trade", times=1, seconds=4.0)
    (resolution,) = rig.resolved().resolutions()
    signal, held = resolution["signal_id"], D(resolution["quantity"])
    begin_anew(rig)

    rig.until(lambda: rig.story().position() == held, "the sale is busted")
    rig.until(lambda: rig.story().stops() and "protected" in trouble(rig), "a stop rests again, and it is told")
    rig.until(lambda: rig.state() is State.REDUCE, "the difference is noticed")
    rig.turn_for(0.5)

    assert rig.venue.fired(fault) == 1
    assert trouble(rig) == f"SPY: {held} shares of {signal} came back after its end, protected by a stop"
    assert rig.fold.state.reason == f"unexplained: {held} SPY"
    assert [(stop["quantity"], stop["ref"][-7:]) for stop in rig.story().stops()] == [(str(held), "-stop-2")]

    rig.order(state=State.REDUCE, reason="drill", flatten=True)
    rig.until(lambda: rig.story().position() == 0 and not rig.story().live(), "they are sold")
    rig.until(lambda: not trouble(rig), "nothing is left to tell")
    rig.turn_for(0.5)

    assert [ref[-7:] for ref in rig.story().filled()] == ["entry-1", "-stop-3"]
    assert rig.story().position() == 0
    assert len(rig.resolutions()) == 1


def test_rest_of_an_entry_that_fills_after_the_trade_is_over_is_protected(opened):
    rig = opened("tws", clock=LIVELY, STK_RECONCILE_S="300", **STOPPED_SOON)
    part = rig.venue.fault("partial_fill", times=1, fraction=0.4)
    late = rig.venue.fault("late_fill_after_cancel", times=1, seconds=3.0)
    rig.open().resolved()
    begin_anew(rig)

    rest = rig.until(lambda: rig.story().position(), "the rest fills")
    rig.until(lambda: rig.story().stops(), "a stop rests")
    rig.turn_for(0.5)

    assert (rig.venue.fired(part), rig.venue.fired(late)) == (1, 1)
    assert [D(stop["quantity"]) for stop in rig.story().stops()] == [rest]
    assert f"SPY: {rest} shares of sig_" in trouble(rig)
    assert len(rig.resolutions()) == len(rig.signals()) == 1
