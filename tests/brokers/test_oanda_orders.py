"""Orders at OANDA, each way they can go wrong provoked at the simulator."""

import json
import socket
from dataclasses import replace
from decimal import Decimal

import pytest
from oanda_orders import ago, find, opened

from domain.errors import Ask, Retry
from domain.vocabulary import OrderState

pytestmark = pytest.mark.contract
D = Decimal


def test_market_order_goes_out_with_bound_brackets_and_our_id_on_order_and_trade(desk, venue):
    executor, intent = desk
    intent = replace(intent, trailing_distance=D("0.00501"))
    opened(executor, intent)
    (request,) = venue.requests("POST", "/orders")
    order = json.loads(request["body"])["order"]
    trade = executor.open_trades()[0]

    assert trade.client_order_id == intent.client_order_id
    assert (trade.stop_loss, trade.take_profit) == (intent.stop_loss, intent.take_profit)
    assert trade.trailing_distance == D("0.00501")
    assert order["clientExtensions"] == order["tradeClientExtensions"] == {"id": intent.client_order_id}
    assert (order["timeInForce"], order["positionFill"]) == ("FOK", "OPEN_ONLY")
    assert order["priceBound"] == str(intent.price_bound)


def test_dropped_reply_is_ask_and_the_order_is_found_and_never_sent_twice(desk, venue):
    executor, intent = desk
    fault = venue.fault("drop_after_accept", match={"method": "POST"})
    with pytest.raises(Ask):
        executor.submit(intent)
    found = executor.find(intent.client_order_id, since=ago(venue))

    assert venue.fired(fault) == 1
    assert [event.state for event in found] == [OrderState.FILLED]
    assert len(venue.requests("POST", "/orders")) == 1
    assert len(executor.open_trades()) == 1


def test_order_dropped_before_it_was_accepted_is_absent_only_after_the_grace(desk, venue, eventually):
    executor, intent = desk
    fault = venue.fault("drop_before_accept", match={"method": "POST"})
    with pytest.raises(Ask):
        executor.submit(intent)
    with pytest.raises(Retry) as fresh:
        executor.find(intent.client_order_id, since=ago(venue))
    found = eventually(find(executor, venue, intent))

    assert venue.fired(fault) == 1
    assert fresh.value.after_s is not None
    assert 0 < fresh.value.after_s <= 0.4
    assert [event.state for event in found] == [OrderState.ABSENT]
    assert executor.open_trades() == []


def test_order_of_an_earlier_life_is_not_absent_before_this_life_has_waited(venue, entry, eventually):
    data, _ = venue.connect()
    intent = entry(data.quotes(["EUR_USD"])["EUR_USD"])
    _, executor = venue.connect()
    with pytest.raises(Retry):
        executor.find(intent.client_order_id, since=ago(venue, 86_400))

    assert eventually(find(executor, venue, intent))[0].state is OrderState.ABSENT


def test_server_error_on_an_order_is_ask(desk, venue):
    executor, intent = desk
    fault = venue.fault("status", status=503, match={"method": "POST"})
    with pytest.raises(Ask):
        executor.submit(intent)

    assert venue.fired(fault) == 1


def test_server_error_after_the_order_was_accepted_leads_to_its_fill(desk, venue):
    executor, intent = desk
    fault = venue.fault("status", status=504, after_accept=True, match={"method": "POST"})
    with pytest.raises(Ask):
        executor.submit(intent)

    assert venue.fired(fault) == 1
    assert executor.find(intent.client_order_id, since=ago(venue))[0].state is OrderState.FILLED


def test_reply_slower_than_the_read_timeout_is_ask(venue, entry):
    data, executor = venue.connect(read_timeout_s=0.3)
    intent = entry(data.quotes(["EUR_USD"])["EUR_USD"])
    fault = venue.fault("delay", seconds=1, after_accept=True, match={"method": "POST"})
    with pytest.raises(Ask):
        executor.submit(intent)

    assert venue.fired(fault) == 1
    assert executor.find(intent.client_order_id, since=ago(venue))[0].state is OrderState.FILLED


def test_reply_that_is_not_json_is_ask_for_an_order_and_retry_for_a_question(desk, venue):
    executor, intent = desk
    fault = venue.fault("non_json", match={"method": "POST"})
    with pytest.raises(Ask):
        executor.submit(intent)
    question = venue.fault("non_json", match={"path": "*/openTrades"}, times=2)
    with pytest.raises(Retry):
        executor.open_trades()

    assert venue.fired(fault) == 1
    assert venue.fired(question) == 2


def test_refused_connection_is_retry_because_nothing_was_sent(desk, venue):
    executor, intent = desk
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    _, nobody = venue.connect(api_url=f"http://127.0.0.1:{port}")
    nobody._entries._reader = executor._reader  # its questions were answered before the venue went away
    with pytest.raises(Retry, match="connection refused"):
        nobody.submit(intent)


def test_created_but_cancelled_order_is_cancelled_with_its_reason(desk, venue):
    executor, intent = desk
    fault = venue.fault("cancel_201", reason="INSUFFICIENT_MARGIN")
    events = executor.submit(intent)

    assert venue.fired(fault) == 1
    assert [(event.state, event.reason) for event in events] == [(OrderState.CANCELLED, "INSUFFICIENT_MARGIN")]
    assert executor.find(intent.client_order_id, since=ago(venue))[0].state is OrderState.CANCELLED


def test_refused_order_is_rejected_with_its_reason_and_stays_so(desk, venue):
    executor, intent = desk
    fault = venue.fault("reject", reason="UNITS_LIMIT_EXCEEDED")
    events = executor.submit(intent)

    assert venue.fired(fault) == 1
    assert [(event.state, event.reason) for event in events] == [(OrderState.REJECTED, "UNITS_LIMIT_EXCEEDED")]
    found = executor.find(intent.client_order_id, since=ago(venue))
    assert [(event.state, event.reason) for event in found] == [(OrderState.REJECTED, "UNITS_LIMIT_EXCEEDED")]


@pytest.mark.parametrize("reason", ["CLIENT_ORDER_ID_ALREADY_EXISTS", "CLIENT_TRADE_ID_ALREADY_EXISTS"])
def test_taken_id_answers_with_the_order_that_took_it(desk, venue, reason):
    executor, intent = desk
    first = executor.submit(intent)
    fault = venue.fault("reject", reason=reason)
    second = executor.submit(intent)

    assert venue.fired(fault) == 1
    assert second[0].transaction_id == first[0].transaction_id
    assert len(executor.open_trades()) == 1


def test_same_entry_sent_twice_opens_one_trade(desk):
    executor, intent = desk
    first, second = executor.submit(intent), executor.submit(intent)

    assert second[0].transaction_id == first[0].transaction_id
    assert len(executor.open_trades()) == 1


def test_taken_id_without_a_visible_owner_is_ask(desk, venue):
    executor, intent = desk
    venue.fault("reject", reason="CLIENT_ORDER_ID_ALREADY_EXISTS")
    with pytest.raises(Ask):
        executor.submit(intent)


def test_fresh_order_that_answers_no_such_order_is_found_in_the_log(desk, venue):
    executor, intent = desk
    lag = venue.fault("order_not_found_lag", seconds=30)
    drop = venue.fault("drop_after_accept", match={"method": "POST"})
    with pytest.raises(Ask):
        executor.submit(intent)

    assert executor.find(intent.client_order_id, since=ago(venue))[0].state is OrderState.FILLED
    assert (venue.fired(lag), venue.fired(drop)) == (1, 1)


def test_fill_that_the_log_does_not_show_yet_is_retry(desk, venue, eventually):
    executor, intent = desk
    fault = venue.fault("late_transactions", seconds=0.4)
    executor.submit(intent)
    with pytest.raises(Retry):
        executor.find(intent.client_order_id, since=ago(venue))

    assert venue.fired(fault) == 1
    assert eventually(find(executor, venue, intent))[0].state is OrderState.FILLED


def test_too_little_liquidity_kills_a_fill_or_kill_order(desk, venue):
    executor, intent = desk
    fault = venue.fault("partial_fill", fraction=0.4)
    events = executor.submit(intent)

    assert venue.fired(fault) == 1
    assert [(event.state, event.reason) for event in events] == [(OrderState.CANCELLED, "INSUFFICIENT_LIQUIDITY")]


def test_price_beyond_the_bound_is_not_taken(desk):
    executor, intent = desk
    events = executor.submit(replace(intent, price_bound=intent.price_bound - D("0.01")))

    assert [(event.state, event.reason) for event in events] == [(OrderState.CANCELLED, "BOUNDS_VIOLATION")]


def test_closed_market_cancels_the_entry(desk, venue):
    executor, intent = desk
    venue.fault("weekend", market_wide=True)
    events = executor.submit(intent)

    assert [(event.state, event.reason) for event in events] == [(OrderState.CANCELLED, "MARKET_HALTED")]


def test_unknown_instrument_and_too_small_size_are_rejected_without_a_request(desk, venue):
    executor, intent = desk

    assert executor.submit(replace(intent, market="NO_PE"))[0].reason == "INSTRUMENT_UNKNOWN"
    assert executor.submit(replace(intent, quantity=D("0.4")))[0].reason == "UNITS_MINIMUM_NOT_MET"
    assert venue.requests("POST", "/orders") == []


def test_rate_limit_on_an_order_is_retry_and_nothing_is_sent_until_it_is_over(desk, venue):
    executor, intent = desk
    fault = venue.fault("status", status=429, retry_after=7, match={"method": "POST"})
    with pytest.raises(Retry) as limited:
        executor.submit(intent)
    seen = len(venue.requests("GET", "/summary"))
    with pytest.raises(Retry) as again:
        executor.account()

    assert venue.fired(fault) == 1
    assert limited.value.after_s == 7
    assert again.value.after_s is not None
    assert 5 < again.value.after_s <= 7
    assert len(venue.requests("GET", "/summary")) == seen


def test_question_is_asked_again_after_a_server_error(desk, venue):
    executor, _ = desk
    fault = venue.fault("status", status=502, match={"path": "*/openTrades"})

    assert executor.open_trades() == []
    assert venue.fired(fault) == 1
