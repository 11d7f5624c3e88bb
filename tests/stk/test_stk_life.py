"""The whole life of a trade at a simulated IBKR, and the hours and days around it."""

from decimal import Decimal

from stock_rig import FAR
from stock_venue import CASH, Venue, at_each

TRANSPORTS = ("tws", "portal")
D = Decimal
# At this speed the price has climbed and fallen again within seconds.
LIVELY = {"speed": 5}
STOPPED_SOON = {"STRATEGY_TRAIL_PCT": "0.02", "STRATEGY_REPRICE_MIN_S": "15", "STRATEGY_COOLDOWN_MIN": "600"}


def move(rig, folder, begin, speed=1, options=()):
    """Let hours pass in which both processes and the gateway are away."""
    rig.close()
    rig.venue.stop()
    rig.move(Venue(rig.venue.transport, "--state", str(folder), *options, begin=begin, speed=speed))
    return rig.open()


@at_each(*TRANSPORTS)
def test_trade_is_armed_filled_protected_published_stopped_out_resolved_and_armed_again_after_its_cooldown(
    opened, transport
):
    state = opened.folder()
    rig = opened(transport, "--state", str(state), clock=LIVELY, **STOPPED_SOON)

    rig.open().bought()
    rig.resolved()
    rig.until(lambda: rig.fold.cooldowns, "the symbol cools down")
    rig.turn_for(0.5)

    story, (resolution,) = rig.story(), rig.resolutions()
    assert [ref[-7:] for ref in story.filled()] == ["entry-1", "-stop-1"]
    assert not story.live()
    assert story.position() == 0
    assert (resolution["reason"], resolution["resolution_source"]) == ("trailing_stop", "ibkr_position")
    # To the cent, commissions included.
    assert rig.fold.bankroll.balance - 20_000 == story.cash() - CASH
    assert D(resolution["realised"]) == story.cash() - CASH
    assert [len(rig.signals(action)) for action in ("open", "close")] == [1, 1]
    assert rig.waits()["SPY"] == "cooling down after a stop-out"
    rig.assert_sound()

    first = set(story.refs)
    move(rig, state, "2014-05-08T13:40:00Z")
    rig.armed()
    assert not first & {one["ref"] for one in rig.story().live("BUY")}
    assert [row["candidate"]["thesis"] for row in rig.decisions()][:: len(rig.decisions()) - 1] == [
        "momentum:2014-05-07",
        "momentum:2014-05-08",
    ]


@at_each(*TRANSPORTS)
def test_entry_that_did_not_fill_is_taken_back_before_the_close_and_armed_again_in_the_next_session(opened, transport):
    state = opened.folder()
    clock = {"begin": "2014-05-06T19:44:15Z", "speed": 5}
    rig = opened(transport, "--state", str(state), clock=clock, **FAR)
    rig.open().armed()
    (first,) = rig.story().live("BUY")

    rig.until(lambda: not rig.story().live(), "it is withdrawn")
    assert rig.story().told["simulated_time"] >= "2014-05-06T19:45:00"
    rig.turn_for(1)
    assert len(rig.story().live()) == 0

    move(rig, state, "2014-05-07T13:29:30Z", speed=5)
    rig.armed()
    (second,) = rig.story().live("BUY")
    assert second["placed_at"] >= "2014-05-07T13:30:00"
    assert second["ref"] != first["ref"]
    rig.assert_sound()


def test_entries_of_a_half_day_are_taken_back_a_quarter_of_an_hour_before_its_early_close(opened):
    rig = opened("tws", clock={"begin": "2014-07-03T16:44:15Z", "speed": 5}, **FAR)
    rig.open().armed()

    rig.until(lambda: not rig.story().live(), "it is withdrawn")
    rig.turn_for(1)

    assert "2014-07-03T16:45:00" <= rig.story().orders[0]["done_at"] < "2014-07-03T16:45:30"
    assert len(rig.story().live()) == 0
    rig.assert_sound()


@at_each(("2014-03-07T14:29:50Z", "2014-03-07T14:30"), ("2014-03-10T13:29:50Z", "2014-03-10T13:30"))
def test_session_opens_by_new_yorks_clocks_on_both_sides_of_their_change(opened, begin, opens):
    rig = opened("tws", clock={"begin": begin, "speed": 5}, **FAR)

    rig.open().armed()

    placed = rig.story().live("BUY")[0]["placed_at"]
    assert f"{opens}:00" <= placed < f"{opens}:59"
    rig.assert_sound()
