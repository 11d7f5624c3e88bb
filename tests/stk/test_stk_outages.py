"""A broker that goes away: nothing is sent meanwhile, nothing is missed, and trading resumes by itself."""

from stock_rig import FAR
from stock_venue import D, at_each

from domain.clock import parse_iso
from domain.vocabulary import Link

TRANSPORTS = ("tws", "portal")
GAP_S = 5
OUTAGES = [
    ("tws", "connectivity_lost", {"restored": "data_lost", "repeat": 20}),
    ("tws", "nightly_reset", {"seconds": 9, "storm": 5}),
    ("portal", "daily_reset", {"seconds": 9, "times": 1}),
]


def link(rig):
    return rig.loop._executor.link()[0]


def until_down(rig):
    rig.until(lambda: link(rig) is Link.DOWN, "the link is down")


def until_up(rig):
    rig.until(lambda: link(rig) is Link.UP, "the link is up")


@at_each(*OUTAGES)
def test_fill_while_nobody_listens_is_booked_once_and_nothing_is_sent_meanwhile(opened, transport, action, fields):
    # A few cents more than elsewhere: SPY stands still for half a minute, and reaches them at 18:01:05.
    # A comparison of everything at the very end of the outage would take the other entry back until the fill is booked.
    near = {"STRATEGY_ENTRY_PCT": "0.04", "STRATEGY_REPRICE_MIN_S": "300", "STK_RECONCILE_S": "300"}
    still = {"begin": "2014-05-07T18:00:36Z"}
    rig = opened(transport, clock=still, STK_MARKETS="SPY,IBM", STRATEGY_OVERRIDES="IBM:entry=4", **near)
    rig.open().until(lambda: rig.waiting() == {"SPY", "IBM"}, "both entries rest")
    rig.until(lambda: rig.clock.now() >= parse_iso("2014-05-07T18:01:00Z"), "it is about to climb")
    fault = rig.venue.fault(action, **fields)
    until_down(rig)
    before, sent = rig.intents(), rig.venue.sent()

    rig.until(lambda: rig.story().position(), "the entry fills while the link is down")
    assert link(rig) is not Link.UP
    if "seconds" not in fields:
        rig.turn_for(1)
        rig.venue.clear(fault)
    rig.until(lambda: link(rig) is Link.UP or rig.intents() != before or rig.venue.sent() != sent, "the outage ends")
    assert (rig.intents(), rig.venue.sent()) == (before, sent)
    rig.bought()
    rig.turn_for(0.5)

    # The fault of a span that was lifted has shown itself by the link.
    assert "seconds" not in fields or rig.venue.fired(fault) > 0
    assert rig.intents() == before
    assert len(rig.signals()) == 1
    assert rig.story().unprotected_s() <= GAP_S
    assert len(rig.story().stops()) == 2  # the one of the position, and the child of the entry that rests
    rig.assert_sound()


def test_gateway_that_begins_its_numbers_anew_confuses_no_order_with_another(opened):
    rig = opened("tws", clock={"speed": 5}, STRATEGY_TRAIL_PCT="0.02", STRATEGY_REPRICE_MIN_S="15")
    rig.open().bought()
    rollback = rig.venue.fault("id_rollback", by=1000, match={"client": 1})
    reset = rig.venue.fault("nightly_reset", storm=1, seconds=3)
    until_down(rig)
    until_up(rig)

    rig.resolved().armed()

    assert rig.venue.fired(rollback) > 0
    assert rig.venue.fired(reset) > 0
    numbers = [order["order_id"] for order in orders(rig)]
    assert len(numbers) == len(set(numbers)) >= 4
    rig.assert_sound()


def orders(rig):
    state = rig.venue.gateway.state()
    return {one["perm_id"]: one for one in (*state["orders"], *state["completed"])}.values()


def test_prices_of_a_stream_that_stands_still_are_renewed_before_anything_is_bought_on_them(opened):
    rig = opened("tws", IBKR_QUOTE_SILENCE_S="0.3")
    stop = rig.stop_file()
    rig.open().until(lambda: rig.loop._desk.quotes() and rig.loop._desk.reference("SPY"), "prices are known")
    fault = rig.venue.fault("stale_ticker")
    old = rig.loop._desk.quotes()["SPY"].last
    rig.until(
        lambda: D(rig.venue.gateway.state()["quotes"]["SPY"]["last"]) > old + D("0.05"), "the market has moved on"
    )
    stop.unlink()

    rig.until(lambda: rig.story().refs, "an entry is sent")

    assert rig.venue.fired(fault) > 0
    entry = rig.story().orders[0]
    assert D(entry["stop"]) > old + D("0.03")
    rig.assert_sound()


@at_each(("tws", "competing_session"), ("portal", "frozen_quotes"))
def test_nothing_is_bought_on_prices_that_stand_still_while_the_link_holds(opened, transport, action):
    rig = opened(transport, IBKR_QUOTE_MAX_AGE_S="1.5", RISK_MAX_QUOTE_AGE_S="1.5")
    stop = rig.stop_file()
    rig.open().until(lambda: rig.loop._desk.quotes() and rig.loop._desk.reference("SPY"), "prices are known")
    fault = rig.venue.fault(action)
    rig.until(lambda: not rig.loop._desk.quotes(), "the price is too old")
    stop.unlink()

    rig.turn_for(1.5)
    assert rig.venue.fired(fault) > 0
    assert not rig.story().refs
    rig.venue.clear(fault)
    rig.armed()

    rig.assert_sound()


def test_session_that_the_user_took_elsewhere_stops_trading_until_it_is_given_back(opened):
    rig = opened("portal", IBKR_PORTAL_COMPETE="false", **FAR)
    rig.open().armed()
    fault = rig.venue.fault("competing_session", times=1)
    until_down(rig)
    before, sent = rig.intents(), rig.venue.sent()

    rig.turn_for(1)
    assert rig.venue.sent() == sent
    rig.venue.gateway.login()
    until_up(rig)
    rig.turn_for(0.5)

    assert rig.venue.fired(fault) == 1
    assert rig.intents() == before
    assert len(rig.story().live("BUY")) == 1
    rig.assert_sound()


@at_each("*/iserver/marketdata/snapshot", "*/portfolio/*/summary")
def test_page_of_the_portal_that_fails_keeps_no_position_from_its_stop(opened, page):
    # So often that no turn finds what one before has read.
    often = {"IBKR_POLL_INTERVAL_S": "0.001", "IBKR_QUOTE_SILENCE_S": "0.2", "STK_RECONCILE_S": "0.01"}
    # An entry that misses the climb, on a busy machine, follows the market down.
    rig = opened("portal", STRATEGY_REPRICE_MIN_S="2", STRATEGY_REPRICE_PCT="0.001", **often)
    rig.open().until(lambda: rig.signals() and rig.fold.positions(), "an entry fills", 120)
    rig.bought()
    silent = rig.venue.fault("websocket_silent", times=100_000)
    fault = rig.venue.fault("error_500", times=100_000, match={"path": page})
    rig.until(lambda: rig.venue.fired(fault) > 3 and "status 500" in told(rig), "the page fails")
    gone = rig.story().stops()[0]["ref"]

    rig.withdraw_all()
    rig.until(lambda: [stop["ref"] for stop in rig.story().stops()] not in ([], [gone]), "another stop rests")

    assert "status 500" in told(rig)
    assert rig.venue.fired(silent) > 0
    rig.venue.clear()
    rig.assert_sound()


def told(rig):
    """Return what the surface's heartbeat will say keeps it from trading."""
    return rig.loop._trouble or rig.loop._desk.trouble()
