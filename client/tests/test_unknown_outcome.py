"""Orders whose outcome is not clear: asked about first, never doubled."""

from decimal import Decimal as D

import pytest

from tbot_client.errors import Ask, Refused, Retry


def ask():
    return Ask("an answer", "silence", "asking")


def test_a_dropped_reply_is_followed_by_a_question_and_not_by_a_second_order(client, feed, broker):
    broker.faults["place"] = [("after", ask())]
    signal = feed.open()
    assert client.run_once() == 0
    assert len(broker.orders) == 1
    assert feed.stages(signal) == ["ack", "executed"]


def test_an_order_that_never_arrived_is_sent_again_once_proven_absent(client, feed, broker):
    broker.faults["place"] = [("before", ask())]
    signal = feed.open()
    assert client.run_once() == 0
    assert [order.client_id for order in broker.orders] == [f"tc-{signal.removeprefix('sig_')}-entry-1"]


def test_an_order_proven_absent_is_not_sent_again_when_the_price_is_gone(client, feed, broker):
    broker.faults["place"] = [("before", ask())]
    signal = feed.open()
    normal, broker.find = broker.find, lambda client_id: setattr(broker, "ask", D("1.12")) or []
    client.run_once()
    broker.find = normal
    assert broker.orders == []
    assert [body.get("reason") for body in feed.bodies(signal)] == [None, "drift"]


def test_a_transaction_that_shows_up_late_is_found_before_anything_is_sent(client, feed, broker):
    broker.faults["place"] = [("after", ask())]
    signal = feed.open()
    normal, asked = broker.since, []

    def late(last_id):
        asked.append(last_id)
        return ([], last_id) if len(asked) < 4 else normal(last_id)

    broker.since = late
    broker.positions = list
    broker.find = lambda client_id: []
    client.run_once()
    assert len(broker.orders) == 1
    assert feed.stages(signal) == ["ack", "executed"]


def test_a_position_with_our_id_proves_the_order_when_nothing_else_does(client, feed, broker):
    broker.faults["place"] = [("after", ask())]
    broker.since = lambda last_id: ([], last_id)
    broker.find = lambda client_id: []
    signal = feed.open()
    client.run_once()
    assert len(broker.orders) == 1
    assert feed.bodies(signal, "executed")[0]["fill_id"] == "1"


def test_an_order_cancelled_by_the_broker_is_corrected_to_a_skip(client, feed, broker):
    broker.faults["place"] = [("cancel", "INSUFFICIENT_MARGIN")]
    signal = feed.open()
    client.run_once()
    accept, skip = feed.bodies(signal)
    assert (accept["rev"], accept["decision"]) == (0, "accept")
    assert (skip["rev"], skip["decision"], skip["reason"]) == (1, "skip", "broker:INSUFFICIENT_MARGIN")
    assert client.state.counts["failed:broker:INSUFFICIENT_MARGIN"] == 1


def test_a_rejected_order_is_corrected_to_a_skip(client, feed, broker):
    broker.faults["place"] = [("before", Refused("UNITS_INVALID", "a good order", "400", "not done"))]
    signal = feed.open()
    client.run_once()
    assert feed.bodies(signal)[1]["reason"] == "broker:UNITS_INVALID"


def test_a_broker_that_says_our_id_exists_is_believed_and_asked(client, feed, broker):
    broker.faults["place"] = [("after", Refused("CLIENT_TRADE_ID_ALREADY_EXISTS", "", "", ""))]
    signal = feed.open()
    client.run_once()
    assert feed.stages(signal) == ["ack", "executed"]


@pytest.mark.parametrize("call", ["quote", "place"])
def test_a_broker_that_was_not_reached_is_tried_again(client, feed, broker, call):
    broker.faults[call] = [("before", Retry("an answer", "no connection"))]
    feed.open()
    assert client.run_once() == 0
    assert len(broker.orders) == 1


def test_a_close_of_unknown_outcome_is_booked_from_transactions(client, feed, broker):
    signal = feed.open()
    client.run_once()
    broker.faults["close"] = [("after", ask())]
    feed.end(signal)
    assert client.run_once() == 0
    assert broker.closes == ["1"]
    assert len(feed.bodies(signal, "resolved")) == 1


def test_a_close_after_our_own_stop_reports_our_own_result_once(client, feed, broker):
    signal = feed.open()
    client.run_once()
    broker.end("1", D("1.09500"), "stop_loss")
    feed.end(signal)
    assert client.run_once() == 0
    (outcome,) = feed.bodies(signal, "resolved")
    assert (outcome["reason"], outcome["price"], outcome["realised"]) == ("stop_loss", "1.09500", "-5.00000")
    assert broker.closes == []


def test_our_own_stop_is_noticed_without_any_signal(client, feed, broker):
    signal = feed.open()
    client.run_once()
    broker.end("1", D("1.09500"), "stop_loss")
    client.run_once()
    assert feed.bodies(signal, "resolved")[0]["reason"] == "stop_loss"


def test_parts_closed_at_different_prices_are_reported_as_one_outcome(client, feed, broker):
    signal = feed.open()
    client.run_once()
    broker.end("1", D("1.10400"), "broker", units=D(400))
    client.run_once()
    assert feed.bodies(signal, "resolved") == []
    _order, _entry = broker.open["1"]
    event = broker.end("1", D("1.10900"), "take_profit", units=D(600))
    broker.open.clear()
    client.run_once()
    (outcome,) = feed.bodies(signal, "resolved")
    assert (outcome["quantity"], outcome["price"], outcome["realised"]) == ("1000", "1.10700", "7.00000")
    assert event.reason == outcome["reason"]


def test_a_part_closed_is_counted_once_however_often_the_broker_tells_of_it(client, feed, broker):
    signal = feed.open()
    client.run_once()
    broker.end("1", D("1.10400"), "broker", units=D(400))
    once = broker.since
    broker.since = lambda last_id: (broker.events * 3, once(last_id)[1])
    client.run_once()
    trade = client.state.trades[signal]
    assert (trade.closed_units, trade.realised) == (D(400), D("1.60000"))
    assert feed.bodies(signal, "resolved") == []


def test_refused_levels_leave_the_old_ones_and_are_not_tried_for_ever(client, feed, broker):
    signal = feed.open()
    client.run_once()
    broker.faults["protect"] = [(None, Refused("PRICE_INVALID", "", "", ""))] * 3
    feed.amend(signal)
    client.run_once()
    client.run_once()
    assert len(broker.faults["protect"]) == 2
    assert client.state.counts["protect_refused"] == 1


def test_a_position_missing_from_the_journal_is_taken_over_and_its_end_reported(client, feed, broker):
    signal = feed.open()
    client.run_once()
    client.home.journal.unlink()
    client.run_once()
    assert client.state.counts["adopted"] == 1
    assert len(broker.orders) == 1
    feed.end(signal)
    client.run_once()
    assert broker.open == {}


def test_a_position_that_vanished_without_a_transaction_is_given_up_loudly(client, feed, broker, capsys):
    feed.open()
    client.run_once()
    broker.open.clear()
    broker.close = lambda trade_id, reference: (_ for _ in ()).throw(Refused("TRADE_DOESNT_EXIST", "", "", ""))
    client.run_once()
    assert client.state.counts["failed:lost"] == 1
    assert "compare by hand" in capsys.readouterr().err


def test_a_close_that_comes_after_the_brokers_own_is_not_told_as_a_failure(client, feed, broker, capsys):
    signal = feed.open()
    client.run_once()
    close = broker.close

    def too_late(trade_id, reference):
        close(trade_id, reference)
        raise Refused("TRADE_DOESNT_EXIST", "the broker to accept the request", "404", "not done")

    broker.close = too_late
    feed.end(signal)
    client.run_once()

    assert broker.open == {}
    assert "closed at" in (said := capsys.readouterr().err)
    assert "TRADE_DOESNT_EXIST" not in said


def test_a_position_that_is_gone_is_not_given_up_while_the_list_of_transactions_lags(client, feed, broker):
    signal = feed.open()
    client.run_once()
    (number,) = broker.open
    broker.close(number, None)
    broker.late = 10  # longer than settle_s: a list that was complete would be believed by then

    client.run_once()

    (outcome,) = feed.bodies(signal, "resolved")
    assert D(outcome["price"]) == broker.bid
    assert broker.late == 0


def test_an_order_the_broker_took_in_is_asked_about_on_when_its_signal_ended(client, feed, broker):
    asked = []

    def place(order):
        broker.taken.add(order.client_id)
        raise ask()

    broker.place = place
    broker.find = lambda client_id: asked.append(client_id) or []
    signal = feed.open()
    with client.running():
        client.until(lambda: asked)
        feed.end(signal)
        client.until(lambda: client.state.trades[signal].end_reason)
        before = len(asked)
        client.until(lambda: len(asked) >= before + 2)
        assert feed.stages(signal) == ["ack"]
        broker.taken.clear()
        client.until(lambda: len(feed.bodies(signal)) == 2)

    assert [body.get("reason") for body in feed.bodies(signal)] == [None, "closed"]
