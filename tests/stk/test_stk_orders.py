"""Orders that go wrong on their way: no order twice, no fill lost, no position without its stop."""

import asyncio

import ib_async
from portal_sim import ticket
from stock_rig import FAR
from stock_venue import D, at_each
from tws_client import Client

TRANSPORTS = ("tws", "portal")
# The longest a position may be without exactly one live stop, in simulated seconds; these clocks run at 1.
GAP_S = 5


def orders_of(rig, leg="entry"):
    return [ref for ref in rig.story().refs if f"-{leg}-" in ref]


def states(rig, leg="entry"):
    return [row["state"] for row in rig.events() if row["leg"] == leg]


def assert_held(rig, quantity=None):
    """Assert that the venue holds what the journals do, under exactly one stop of that size, and always did."""
    story = rig.story()
    held = rig.fold.positions()[0].quantity
    assert story.position() == held
    assert quantity is None or held == quantity
    assert [D(stop["quantity"]) - D(stop["filled"]) for stop in story.stops()] == [held]
    assert story.unprotected_s() <= GAP_S
    rig.assert_sound()


@at_each(*TRANSPORTS)
def test_order_whose_reply_is_lost_blocks_its_market_until_it_is_found_and_is_never_sent_again(opened, transport):
    rig = opened(transport)
    fault = rig.venue.fault("lost_reply", times=2 if transport == "tws" else 1)

    rig.open().bought()

    assert rig.venue.fired(fault) > 0
    # The socket's adapter reads the order back before it has to say that it does not know.
    assert ("unknown" in states(rig)) is (transport == "portal")
    assert len(orders_of(rig)) == 1
    assert len([row for row in rig.decisions() if row["admitted"]]) == 1
    assert_held(rig)


@at_each(*TRANSPORTS)
def test_order_that_never_arrived_is_absent_after_the_grace_and_another_one_takes_its_place(opened, transport):
    rig = opened(transport, **FAR)
    more = {} if transport == "tws" else {"acknowledged": False}
    fault = rig.venue.fault("swallowed_order", times=2 if transport == "tws" else 1, **more)

    rig.open().armed()

    assert rig.venue.fired(fault) > 0
    assert states(rig)[:2] == ["unknown", "absent"]
    assert len(orders_of(rig)) == 1
    rig.assert_sound()


@at_each("order_message", "tif_preset")
def test_remark_about_a_live_order_is_not_taken_as_its_end(opened, remark):
    rig = opened("tws")
    fault = rig.venue.fault(remark, times=2)

    rig.open().bought()

    assert rig.venue.fired(fault) > 0
    assert "cancelled" not in states(rig)
    assert len(orders_of(rig)) == 1
    assert_held(rig)


@at_each(
    ("tws", "rejected", {"reason": "no margin for this"}, "no margin for this"),
    ("tws", "inactive", {}, "Inactive"),
    ("portal", "reject_200", {"error": "no margin for this"}, "no margin for this"),
    ("portal", "inactive_order", {"reason": "no margin for this"}, "nactive"),
)
def test_refusal_is_written_with_its_reason_and_the_symbol_rests_before_the_next_entry(
    opened, transport, action, fields, words
):
    rig = opened(transport, **FAR)
    fault = rig.venue.fault(action, times=1, **fields)

    rig.open().until(lambda: "rejected" in states(rig), "the refusal is written")
    rig.armed()

    assert rig.venue.fired(fault) == 1
    refused = next(row for row in rig.events() if row["state"] == "rejected")
    assert words in refused["reason"]
    assert states(rig)[-1] == "accepted"
    assert not rig.fold.positions()
    rig.assert_sound()


@at_each(*TRANSPORTS)
def test_entry_that_fills_in_part_and_is_withdrawn_leaves_a_stop_of_what_was_bought(opened, transport):
    rig = opened(transport)
    few = {"fraction": 0.4} if transport == "tws" else {"quantity": 4}
    fault = rig.venue.fault("partial_fill", times=1, **few)
    rig.open().until(lambda: rig.story().position() == 4 and rig.fold.positions(), "a part fills")

    rig.stop_file()
    rig.until(lambda: not rig.story().live("BUY"), "the rest is withdrawn")
    rig.until(lambda: [stop["quantity"] for stop in rig.story().stops()] == ["4"], "the stop is made smaller")

    assert rig.venue.fired(fault) == 1
    assert_held(rig, 4)
    assert [signal["quantity"] for signal in rig.signals()] == ["4"]


@at_each(*TRANSPORTS)
def test_fill_after_a_cancel_is_booked_published_and_protected(opened, transport):
    # The next comparison of everything is minutes away.
    rig = opened(transport, STK_RECONCILE_S="300", **FAR)
    more = {"seconds": 0.3} if transport == "tws" else {}
    fault = rig.venue.fault("late_fill_after_cancel", times=1, **more)
    rig.open().armed()

    rig.stop_file()
    rig.until(lambda: rig.fold.positions(), "the late fill is booked")
    rig.until(lambda: rig.story().stops(), "a stop is placed")
    rig.turn_for(0.5)

    assert rig.venue.fired(fault) == 1
    assert len(orders_of(rig)) == 1
    assert len(rig.signals()) == 1
    assert_held(rig)


def test_correction_of_an_execution_takes_the_place_of_what_it_corrects(opened):
    rig = opened("tws")
    fault = rig.venue.fault("execution_correction", price_change=0.25, seconds=0.3, times=1)

    rig.open().bought()
    rig.until(lambda: any(one["exec_id"].endswith(".02") for one in rig.story().executions), "the venue corrects it")
    rig.until(lambda: rig.fold.positions()[0].entry_price == rig.story().paid(), "the correction is booked")

    assert rig.venue.fired(fault) == 1
    assert_held(rig)


def test_commission_that_comes_after_its_fill_was_written_reaches_the_journal(opened):
    rig = opened("tws", IBKR_COMMISSION_WAIT_S="0.1")
    fault = rig.venue.fault("late_commission", seconds=1.5, times=1)

    rig.open().bought()
    before = rig.fold.positions()[0].entries
    rig.until(lambda: all(lot.fee for lot in rig.fold.positions()[0].entries), "the fee is booked")

    assert rig.venue.fired(fault) == 1
    assert [lot.fee for lot in before] == [0]
    assert_held(rig)


def test_entry_whose_stop_never_arrived_is_taken_back_and_another_takes_its_place(opened):
    rig = opened("tws", **FAR)
    fault = rig.venue.fault("swallowed_order", times=1, after=1)

    rig.open().until(lambda: "cancelled" in states(rig), "the entry without a stop is taken back")
    rig.armed()

    assert rig.venue.fired(fault) == 1
    assert "never acknowledged" in next(row["reason"] for row in rig.events() if row["state"] == "cancelled")
    assert len(rig.story().live("BUY")) == 1
    assert len(rig.story().stops()) == 1
    rig.assert_sound()


@at_each(*TRANSPORTS)
def test_stop_that_vanishes_is_placed_again_once(opened, transport):
    rig = opened(transport)
    rig.open().bought()
    gone = rig.story().stops()[0]["ref"]

    rig.withdraw_all()
    rig.until(lambda: [stop["ref"] for stop in rig.story().stops()] not in ([], [gone]), "another stop rests")
    rig.turn_for(0.5)

    assert orders_of(rig, "stop") == [gone, gone[:-1] + "2"]
    assert_held(rig)


@at_each(*TRANSPORTS)
def test_second_stop_for_the_same_shares_is_cancelled(opened, transport):
    rig = opened(transport)
    rig.open().bought()
    first = rig.story().stops()[0]

    double(rig, first["ref"][:-1] + "9", first["quantity"])
    assert len(rig.story().stops()) == 2
    rig.until(lambda: len(rig.story().stops()) == 1, "one of the two is cancelled")
    rig.turn_for(0.5)

    assert_held(rig)


def double(rig, ref, quantity):
    """Place one more stop in our own name, as a life of the process did whose journal is lost."""
    if not rig.venue.is_tws:
        gateway = rig.venue.gateway
        gateway.confirm(gateway.orders([ticket("SELL", quantity, "STP", tif="GTC", price=150, cOID=ref)], rig.account))
        return
    rig.close()

    async def place():
        async with Client(rig.venue.gateway, 1, account=rig.account) as client:
            stop = ib_async.StopOrder("SELL", float(quantity), 150, account=rig.account, orderRef=ref, tif="GTC")
            client.ib.placeOrder(ib_async.Stock("SPY", "SMART", "USD", conId=756733), stop)
            await client.until(lambda: len(rig.story().stops()) == 2)

    asyncio.run(place())
    rig.open()
