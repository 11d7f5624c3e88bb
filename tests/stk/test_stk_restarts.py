"""Restarting twice in a row, wherever a bracket stands: nothing changes at the broker, and nothing more is intended."""

import json
import signal
from decimal import Decimal as D
from itertools import product

from stock_rig import FAR
from stock_venue import at_each
from waiting import until

TRANSPORTS = ("tws", "portal")
GAP_S = 5
BEATS = ("ibkr-stk", "resolver-stk")


def entry_rests(rig):
    rig.open().armed()


def part_has_filled(rig):
    few = {"fraction": 0.4} if rig.venue.is_tws else {"quantity": 4}
    rig.venue.fault("partial_fill", times=1, **few)
    rig.open().until(lambda: rig.story().position() == 4 and rig.fold.positions(), "a part fills")


def position_is_held(rig):
    rig.open().bought()


def stop_has_filled_and_nobody_has_read_it(rig):
    rig.open(resolver=False).bought()
    rig.until(lambda: rig.story().quantities("SELL") and not rig.story().position(), "the stop sells")


POINTS = {
    entry_rests: {**FAR},
    part_has_filled: {},
    position_is_held: {},
    stop_has_filled_and_nobody_has_read_it: {
        "STRATEGY_TRAIL_PCT": "0.02",
        "STRATEGY_REPRICE_MIN_S": "15",
        "STRATEGY_COOLDOWN_MIN": "600",
    },
}


@at_each(*product(TRANSPORTS, POINTS))
def test_restarting_twice_changes_nothing_at_the_broker(opened, transport, point):
    rig = opened(transport, clock={"speed": 5 if "stop" in point.__name__ else 1}, **POINTS[point])
    point(rig)
    # Whatever was under way is done: an answer that is still awaited is no restart's doing.
    rig.turn(3)
    story, sent, intents = rig.story().facts(), rig.venue.sent(), rig.intents()

    rig.restart(2)
    rig.turn_for(0.5)

    assert rig.story().facts() == story
    assert rig.venue.sent() == sent
    assert rig.intents() == intents
    if "stop" in point.__name__:
        assert len(rig.resolutions()) == 1
    else:
        assert rig.story().unprotected_s() <= GAP_S
    rig.assert_sound()


@at_each(*TRANSPORTS)
def test_restarting_twice_while_the_broker_is_away_changes_nothing(opened, transport):
    rig = opened(transport)
    rig.open().bought()
    rig.close()
    away = {"restored": "never"} if transport == "tws" else {"times": 1}
    fault = rig.venue.fault("connectivity_lost" if transport == "tws" else "needs_login", **away)
    story, sent, intents = rig.story().facts(), rig.venue.sent(), rig.intents()

    for _ in range(2):
        for beat in BEATS:
            rig.house.heartbeat(beat).unlink(missing_ok=True)
        rig.start()
        until(lambda: is_waiting(rig), rig.said, 30)
        assert set(rig.end()) == {0}
    assert rig.venue.fired(fault) > 0
    assert (rig.story().facts(), rig.intents()) == (story, intents)
    rig.venue.clear(fault)
    if transport == "portal":
        rig.venue.gateway.login()
    rig.open().turn_for(0.5)

    assert rig.story().facts() == story
    assert rig.venue.sent() == sent
    assert rig.intents() == intents
    assert rig.story().unprotected_s() <= GAP_S
    rig.assert_sound()


def is_waiting(rig):
    """Tell whether both processes say what keeps them from the broker."""
    beats = [rig.house.heartbeat(name) for name in BEATS]
    return all(beat.exists() and json.loads(beat.read_text()).get("trouble") for beat in beats)


@at_each(*product(TRANSPORTS, ("before_order", "after_order")))
def test_process_killed_beside_the_socket_sends_no_order_twice(opened, transport, place):
    rig = opened(transport, **FAR)
    fired = rig.home / "fired"
    rig.start("surfaces", TBOT_FAILPOINTS=f"{place}=kill@1,log={fired}")
    until(lambda: rig.running["surfaces"].poll() is not None, rig.said, 30)
    assert rig.end() == [-signal.SIGKILL]
    assert fired.read_text().startswith(f"{place} kill")
    (intent,) = rig.intents()
    story = rig.story()

    rig.open()
    rig.turn()
    rig.restart(1)

    assert story.refs.count(intent) == (place == "after_order")
    if place == "after_order":
        # What was sent is found and kept.
        rig.until(lambda: rig.events(), "its answer is written")
        rig.turn_for(0.5)
        assert rig.story().facts() == story.facts()
        assert rig.intents() == [intent]
    else:
        # What never left is called absent after the grace; only then another takes its place.
        rig.until(lambda: [row["state"] for row in rig.events()][:1] == ["absent"], "it is proven absent")
        rig.armed()
        assert intent not in rig.story().refs
        assert len(rig.story().live("BUY")) == 1
    rig.assert_sound()


@at_each("tws")
def test_process_killed_between_an_entry_and_its_stop_leaves_no_entry_waiting_for_ever(opened, transport):
    rig = opened(transport, **FAR)
    lost = rig.venue.fault("swallowed_order", after=1, times=1)
    rig.start("surfaces")
    until(lambda: rig.venue.fired(lost), rig.said, 30)
    assert rig.end(signal.SIGKILL) == [-signal.SIGKILL]
    (intent,) = rig.intents()
    assert rig.story().refs == [intent]
    # A first refusal to take it back is not the end of it.
    refused = rig.venue.fault("cancel_refused", times=1)

    rig.open()
    rig.until(lambda: len(rig.intents()) == 2, "another entry takes its place", 40)
    rig.until(lambda: rig.story().live("BUY") and rig.story().stops(), "it rests with its stop")

    assert rig.venue.fired(refused) == 1
    first, second, _ = rig.story().orders
    assert (first["ref"], first["status"], D(first["filled"])) == (intent, "Cancelled", 0)
    assert second["ref"] == rig.intents()[1]
    rig.assert_sound()


@at_each("portal")
def test_entry_whose_stop_somebody_cancelled_is_taken_back_and_armed_anew(opened, transport):
    rig = opened(transport, **FAR)
    rig.open().armed()
    (stop,) = rig.story().stops()
    answer = rig.venue.gateway.send("DELETE", f"/iserver/account/{rig.account}/order/{stop['perm_id']}")
    assert answer.status_code == 200, answer.text

    rig.until(lambda: len(rig.intents()) == 2, "another entry takes its place")
    rig.until(lambda: rig.story().live("BUY") and rig.story().stops(), "it rests with its stop")

    assert [order["status"] for order in rig.story().orders[:2]] == ["Cancelled", "Cancelled"]
    assert len(rig.story().live("BUY")) == len(rig.story().stops()) == 1
    rig.assert_sound()
