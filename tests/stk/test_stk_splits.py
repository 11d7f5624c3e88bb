"""A split over night: what is held is counted anew before its stop can sell it for nothing."""

from stock_venue import D, Venue, at_each

from domain.vocabulary import State

TRANSPORTS = ("tws", "portal")


@at_each(*TRANSPORTS)
def test_split_takes_the_old_stop_back_before_the_opening_and_goes_on_with_seven_times_the_shares(opened, transport):
    state = opened.folder()
    rig = opened(transport, "--state", str(state))
    rig.open().bought()
    held, bought = rig.fold.positions()[0].quantity, rig.fold.positions()[0].entry_price
    (old,) = rig.story().stops()
    rig.close()
    rig.venue.stop()
    rig.move(Venue(transport, "--state", str(state), begin="2014-05-08T13:28:00Z", speed=10))
    rig.open().turn_for(0.3)

    fault = rig.venue.split("SPY", 7)
    rig.until(lambda: rig.story().position() == 7 * held, "the venue splits")
    rig.until(lambda: old["ref"] not in [one["ref"] for one in rig.story().live()], "the old stop is cancelled")
    gone = next(one for one in rig.story().orders if one["ref"] == old["ref"])
    assert gone["done_at"] < "2014-05-08T13:30:00"
    rig.until(lambda: [D(stop["quantity"]) for stop in rig.story().stops()] == [7 * held], "a new stop rests")
    rig.until(lambda: rig.story().told["simulated_time"] > "2014-05-08T13:30:20", "the session has opened")

    assert rig.venue.fired(fault) > 0
    assert rig.story().quantities("SELL") == {}
    position = rig.fold.positions()[0]
    assert (position.quantity, position.entry_price) == (7 * held, bought / 7)
    (amend,) = [row for row in rig.signals("amend") if row["reason"] == "split"]
    assert D(amend["stop_loss"]) < bought / 7
    assert [stop["symbol"] for stop in rig.story().stops()] == ["SPY"]
    assert not rig.fold.day.tripped
    assert rig.state() is State.RUN
