"""The Kalshi adapter against the venue simulator over HTTP."""

from dataclasses import replace
from decimal import Decimal as D

import pytest
from kalshi_venue import ORDERS

from tbot_client.brokers.kalshi import KalshiBroker
from tbot_client.brokers.port import Levels, NotFilled, Opened, Order, Reduced
from tbot_client.config import Broker
from tbot_client.errors import Ask, Refused, Retry, Unreachable

STEM = "tc-01ARZ3NDEKTSV4RRFFQ69H"


def order(market, name="0001", side="buy", units=10, worst=None):
    stop, target = (D(0), D(1)) if side == "buy" else (D(1), D(0))
    return Order(
        client_id=f"{STEM}{name}-entry-1", instrument=market, side=side, units=D(units),
        levels=Levels(stop=stop, target=target), reference=D("0.41"), worst=worst,
    )  # fmt: skip


def cash(kalshi_venue):
    return D(kalshi_venue.account()["cash"])


@pytest.mark.parametrize(("side", "price", "held"), [("buy", "0.41", 10), ("sell", "0.39", -10)])
def test_a_fill_is_a_position_without_orders_of_its_own(kalshi, kalshi_venue, side, price, held):
    market = kalshi_venue.kept
    (fill,) = kalshi.place(order(market, side=side, worst=D("0.43") if side == "buy" else D("0.37")))

    assert isinstance(fill, Opened)
    assert (fill.units, fill.price, fill.client_id) == (D(10), D(price), f"{STEM}0001-entry-1")
    (position,) = kalshi.positions()
    assert (position.trade_id, position.side, position.units, position.price) == (fill.trade_id, side, D(10), D(price))
    assert position.levels == ((D(0), D(1), None) if side == "buy" else (D(1), D(0), None))
    account = kalshi_venue.account()
    assert (account["positions"], account["resting"]) == ({market: held}, [])


def test_a_contract_and_its_price_are_read(kalshi, kalshi_venue):
    found = kalshi.instrument(kalshi_venue.kept)
    assert (found.price_digits, found.unit_digits, found.minimum, found.payout) == (2, 0, D(1), D(1))
    quote = kalshi.quote(kalshi_venue.kept, D(1))
    assert (quote.bid, quote.ask, quote.tradeable, quote.home_rate) == (D("0.39"), D("0.41"), True, D(1))
    assert kalshi.instrument("KXNOSUCH-1") is None
    account = kalshi.account()
    assert (account.currency, account.cash, account.equity) == ("USD", D(1000), D(1000))


@pytest.mark.parametrize(("side", "exit_price"), [("buy", "0.39"), ("sell", "0.41")])
def test_a_close_brings_what_the_account_gained_to_the_cent(kalshi, kalshi_venue, side, exit_price):
    before = cash(kalshi_venue)
    (fill,) = kalshi.place(order(kalshi_venue.kept, side=side, worst=D("0.5") if side == "buy" else D("0.3")))
    (end,) = kalshi.close(fill.trade_id, None)

    assert isinstance(end, Reduced)
    assert (end.trade_id, end.units, end.price, end.currency, end.reason) == (
        fill.trade_id, D(10), D(exit_price), "USD", "broker",
    )  # fmt: skip
    assert end.realised == cash(kalshi_venue) - before < 0
    with pytest.raises(Refused, match="nothing to do"):
        kalshi.close(fill.trade_id, None)
    assert kalshi.positions() == []


def test_events_since_a_place_tell_the_same_story_as_the_replies_and_so_does_a_restart(
    kalshi, make_kalshi, kalshi_venue
):
    start = kalshi.account().last_id
    (fill,) = kalshi.place(order(kalshi_venue.kept))
    (end,) = kalshi.close(fill.trade_id, None)
    events, newest = kalshi.since(start)
    assert events == [fill, end]
    assert kalshi.since(newest) == ([], newest)

    again = make_kalshi()
    assert again.since(newest) == ([], newest)
    assert again.since(start)[0] == [fill, end]


def test_a_lost_ledger_is_made_again_from_the_lists(kalshi, make_kalshi, kalshi_venue, client):
    (fill,) = kalshi.place(order(kalshi_venue.kept))
    (held,) = kalshi.place(order(kalshi_venue.kept, "0002", units=5))
    (end,) = kalshi.close(fill.trade_id, None)
    _, newest = kalshi.since("")
    client.home.kalshi.unlink()

    again = make_kalshi()
    events, _ = again.since(newest)
    assert events == [fill, held, end]
    assert [position.trade_id for position in again.positions()] == [held.trade_id]


def test_nothing_is_paid_beyond_the_worst_price(kalshi, kalshi_venue):
    (event,) = kalshi.place(order(kalshi_venue.kept, worst=D("0.409")))
    assert isinstance(event, NotFilled)
    assert (kalshi.positions(), kalshi_venue.account()["resting"]) == ([], [])
    assert kalshi.find(f"{STEM}0001-entry-1") == [event]


def test_what_is_not_there_is_not_waited_for(kalshi, kalshi_venue):
    (fill,) = kalshi.place(order(kalshi_venue.kept, units=150, worst=D("0.41")))
    assert fill.units == D(100)
    assert kalshi_venue.account()["resting"] == []


def test_a_partial_exit_is_one_of_several(kalshi, kalshi_venue):
    before = cash(kalshi_venue)
    (fill,) = kalshi.place(order(kalshi_venue.kept))
    name = kalshi_venue.fault("partial_fill", fraction=0.3, times=1)
    (first,) = kalshi.close(fill.trade_id, None)
    (second,) = kalshi.close(fill.trade_id, None)

    assert kalshi_venue.fired(name) == 1
    assert (first.units, second.units) == (D(3), D(7))
    assert first.realised + second.realised == cash(kalshi_venue) - before
    assert {f"{STEM}0001-exit-1", f"{STEM}0001-exit-2"} <= kalshi_venue.created().keys()


@pytest.mark.parametrize("kept_listed", [True, False])
def test_a_lost_reply_is_an_unknown_outcome_and_the_order_is_found_by_our_id(kalshi, kalshi_venue, kept_listed):
    name = kalshi_venue.fault("drop_reply", match={"path": ORDERS}, times=1)
    late = None if kept_listed else kalshi_venue.fault("late_listing", seconds=0.2, times=1)
    with pytest.raises(Ask):
        kalshi.place(order(kalshi_venue.kept))
    if late:
        with pytest.raises(Ask):
            kalshi.find(f"{STEM}0001-entry-1")
        assert kalshi_venue.fired(late) == 1
    found = []
    kalshi_venue.until(lambda: found or found.extend(asked(kalshi, f"{STEM}0001-entry-1")))

    assert (found[0].client_id, found[0].units) == (f"{STEM}0001-entry-1", D(10))
    assert kalshi_venue.fired(name) == 1
    assert kalshi_venue.account()["orders"] == 1


def asked(kalshi, client_id):
    try:
        return kalshi.find(client_id)
    except Ask:
        return []


def test_an_order_that_never_arrived_is_believed_absent_after_a_while(make_kalshi, kalshi_venue):
    kalshi = make_kalshi(grace_s=0.2)
    name = kalshi_venue.fault("drop_request", match={"path": ORDERS}, times=1)
    with pytest.raises(Ask):
        kalshi.place(order(kalshi_venue.kept))
    with pytest.raises(Ask, match="lag behind"):
        kalshi.find(f"{STEM}0001-entry-1")
    outcomes = []

    def settled():
        try:
            outcomes.append(kalshi.find(f"{STEM}0001-entry-1"))
        except Ask:
            return False
        return True

    kalshi_venue.until(settled)
    assert (outcomes, kalshi_venue.fired(name), kalshi_venue.account()["orders"]) == ([[]], 1, 0)


def test_an_order_taken_in_but_not_listed_yet_is_never_believed_absent(make_kalshi, kalshi_venue):
    kalshi = make_kalshi(grace_s=0)
    name = kalshi_venue.fault("late_listing", seconds=0.3, times=1)
    assert kalshi.place(order(kalshi_venue.kept)) == []
    with pytest.raises(Ask):
        kalshi.find(f"{STEM}0001-entry-1")
    assert kalshi.is_behind()
    kalshi_venue.until(lambda: asked(kalshi, f"{STEM}0001-entry-1"))
    assert (kalshi_venue.fired(name), kalshi.is_behind()) == (1, False)


def test_an_exit_that_is_not_listed_yet_is_not_sent_twice(kalshi, make_kalshi, kalshi_venue):
    (fill,) = kalshi.place(order(kalshi_venue.kept))
    kalshi_venue.by_hand(kalshi_venue.kept, "bid", 10, "0.41")
    name = kalshi_venue.fault("late_listing", seconds=0.5, times=1)
    drop = kalshi_venue.fault("drop_reply", match={"path": ORDERS}, times=1)
    with pytest.raises(Ask):
        kalshi.close(fill.trade_id, None)
    with pytest.raises(Ask, match="an order id that is new"):  # the owner's contracts would have been sold
        make_kalshi().close(fill.trade_id, None)
    kalshi_venue.until(lambda: kalshi.positions() == [])

    assert (kalshi_venue.fired(name), kalshi_venue.fired(drop)) == (1, 1)
    assert kalshi_venue.account()["positions"] == {kalshi_venue.kept: 10}


@pytest.mark.parametrize(("status", "error"), [(503, Ask), (500, Ask), (429, Retry), (401, Unreachable), (302, Ask)])
def test_statuses_are_told_apart(kalshi, kalshi_venue, status, error):
    name = kalshi_venue.fault("status", status=status, match={"path": ORDERS}, times=1)
    with pytest.raises(error):
        kalshi.place(order(kalshi_venue.kept))
    assert (kalshi_venue.fired(name), kalshi_venue.account()["orders"]) == (1, 0)


@pytest.mark.parametrize("action", ["non_json", "ok_without_order"])
def test_an_answer_that_is_none_is_an_unknown_outcome(kalshi, kalshi_venue, action):
    name = kalshi_venue.fault(action, match={"path": ORDERS}, times=1)
    with pytest.raises(Ask):
        kalshi.place(order(kalshi_venue.kept))
    assert kalshi_venue.fired(name) == 1


def test_a_list_that_cannot_be_read_after_an_order_is_an_unknown_outcome_too(kalshi, kalshi_venue):
    name = kalshi_venue.fault("status", status=503, match={"path": "/trade-api/v2/portfolio/orders"}, times=1)
    with pytest.raises(Ask, match="taken in"):
        kalshi.place(order(kalshi_venue.kept))
    assert kalshi_venue.fired(name) == 1
    assert len(kalshi.find(f"{STEM}0001-entry-1")) == 1


def test_levels_are_kept_by_nobody_and_that_is_said(kalshi, kalshi_venue, capsys):
    (fill,) = kalshi.place(order(kalshi_venue.kept))
    kalshi.protect(fill.trade_id, kalshi_venue.kept, Levels(stop=D("0.2"), target=D(1)))
    assert "keeps no stop or target" in capsys.readouterr().err
    assert kalshi_venue.account()["resting"] == []


def test_a_list_that_leads_back_to_itself_is_given_up(kalshi, kalshi_venue):
    name = kalshi_venue.fault("wrong_cursor", match={"path": "/trade-api/v2/portfolio/orders"}, times=2)
    kalshi_venue.by_hand(kalshi_venue.kept, "bid", 1, "0.41")
    with pytest.raises(Retry, match="a list that ends"):
        kalshi.positions()
    assert kalshi_venue.fired(name) == 2


def test_a_balance_that_is_too_small_is_the_brokers_word(make_kalshi, kalshi_venue):
    kalshi_venue.key_id = "key-poor"
    kalshi = make_kalshi()
    with pytest.raises(Refused) as caught:
        kalshi.place(order(kalshi_venue.kept))
    assert caught.value.reason == "insufficient_balance"


def test_a_small_accounts_rate_limit_slows_questions_down_and_fails_none(make_kalshi, kalshi_venue):
    kalshi_venue.key_id = "key-small"
    kalshi, before = make_kalshi(), kalshi_venue.state()["rate_limited"]
    quotes = [kalshi.quote(kalshi_venue.kept, D(1)) for _ in range(14)]

    assert kalshi_venue.state()["rate_limited"] > before
    assert all(quotes)


def test_an_entry_against_what_is_held_is_not_sent(kalshi, kalshi_venue):
    kalshi_venue.by_hand(kalshi_venue.kept, "ask", 4, "0.39")
    with pytest.raises(Refused) as caught:
        kalshi.place(order(kalshi_venue.kept))
    assert (caught.value.reason, kalshi_venue.account()["orders"]) == ("OPPOSITE_POSITION", 1)


def test_what_the_owner_sells_by_hand_is_told_with_its_price(kalshi, kalshi_venue):
    before = cash(kalshi_venue)
    (fill,) = kalshi.place(order(kalshi_venue.kept))
    kalshi_venue.by_hand(kalshi_venue.kept, "ask", 4, "0.39")
    start = kalshi.account().last_id
    (part,), _ = kalshi.since(start)
    assert (part.trade_id, part.units, part.price, part.reason) == (fill.trade_id, D(4), D("0.39"), "broker")
    assert kalshi.positions()[0].units == D(6)
    (rest,) = kalshi.close(fill.trade_id, None)
    assert part.realised + rest.realised == cash(kalshi_venue) - before


def test_what_the_owner_holds_of_the_same_contract_stays(kalshi, kalshi_venue):
    kalshi_venue.by_hand(kalshi_venue.kept, "bid", 7, "0.41")
    (fill,) = kalshi.place(order(kalshi_venue.kept))
    kalshi_venue.by_hand(kalshi_venue.kept, "ask", 5, "0.39")
    assert kalshi.positions()[0].units == D(10)
    kalshi.close(fill.trade_id, None)
    assert kalshi_venue.account()["positions"] == {kalshi_venue.kept: 2}


def test_a_paused_market_and_a_paused_exchange_are_not_traded(kalshi, kalshi_venue):
    (fill,) = kalshi.place(order(kalshi_venue.kept))
    market = kalshi_venue.fault("market_paused", match={"ticker": kalshi_venue.kept})
    assert kalshi.quote(kalshi_venue.kept, D(1)).tradeable is False
    with pytest.raises(Refused) as caught:
        kalshi.close(fill.trade_id, None)
    assert (caught.value.reason, kalshi_venue.fired(market)) == ("MARKET_PAUSED", 1)

    kalshi_venue.reset()
    exchange = kalshi_venue.fault("exchange_paused")
    assert kalshi.quote(kalshi_venue.kept, D(1)).tradeable is False
    with pytest.raises(Refused) as caught:
        kalshi.place(order(kalshi_venue.kept, "0002"))
    assert (caught.value.reason, kalshi_venue.fired(exchange)) == ("exchange_is_paused", 1)


@pytest.mark.parametrize("name", ["../portfolio/balance", "KXA?status=open", "KXA/../x", "", "..", "KX A", "KXÄ"])
def test_a_market_that_is_no_ticker_is_not_asked_for(kalshi, kalshi_venue, name):
    assert kalshi.instrument(name) is None
    assert kalshi.quote(name, D(1)) is None
    with pytest.raises(Refused) as caught:
        kalshi.place(order(name))
    assert caught.value.reason == "UNKNOWN_MARKET"
    assert kalshi_venue.account()["orders"] == 0


def test_a_position_that_nobody_bids_for_is_kept(kalshi, kalshi_venue):
    (fill,) = kalshi.place(order("KXTHIN-000", worst=D("0.05")))
    with pytest.raises(Refused) as caught:
        kalshi.close(fill.trade_id, None)
    assert caught.value.reason == "NO_BIDS"
    assert kalshi.positions()[0].units == D(10)


@pytest.mark.parametrize(("side", "result"), [("buy", "yes"), ("buy", "no"), ("sell", "yes"), ("sell", "no")])
def test_a_settlement_pays_to_the_cent_and_is_told_once(kalshi, make_kalshi, kalshi_venue, side, result):
    before = cash(kalshi_venue)
    market = kalshi_venue.closing(result)
    (fill,) = kalshi.place(order(market, side=side, worst=D("0.5") if side == "buy" else D("0.3")))
    start = kalshi.account().last_id
    kalshi_venue.until(lambda: not kalshi.quote(market, D(1)).tradeable)
    with pytest.raises(Refused) as caught:
        kalshi.close(fill.trade_id, None)
    events = []
    kalshi_venue.until(lambda: events or events.extend(kalshi.since(start)[0]))

    (end,) = events
    assert (caught.value.reason, end.reason, end.units) == ("MARKET_CLOSED", "settled", D(10))
    assert end.price == (1 if result == "yes" else 0)
    assert end.realised == cash(kalshi_venue) - before
    assert (end.realised > 0) == ((side == "buy") == (result == "yes"))
    assert kalshi.positions() == []
    assert make_kalshi().since(start)[0] == [end]


def test_a_key_that_is_not_accepted_is_told_without_repeating_anything_secret(make_kalshi, kalshi_venue, client):
    settings = Broker(kind="kalshi", account_id="key-nobody", token=kalshi_venue.pem, api_url=kalshi_venue.api_url)
    broker = KalshiBroker(settings, client.home.kalshi, client.clock)
    with pytest.raises(Unreachable, match="check account_id") as caught:
        broker.account()
    broker.shut()
    away = KalshiBroker(replace(settings, api_url="http://127.0.0.1:9/trade-api/v2"), client.home.kalshi, client.clock)
    with pytest.raises(Retry):
        away.account()
    away.shut()
    assert kalshi_venue.pem[100:140] not in str(caught.value)
