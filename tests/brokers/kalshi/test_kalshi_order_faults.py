"""What becomes of orders when the venue, or the way to it, fails: nothing is sent twice and nothing is guessed."""

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest

from brokers.kalshi.config import WireChoice
from domain.errors import Ask, Misconfigured, Refuse, Retry
from domain.vocabulary import OrderState

D = Decimal
ORDERS = "/trade-api/v2/portfolio/events/orders"
POST = {"method": "POST", "path": ORDERS}


def created(venue, intent):
    """Return how many orders the venue made under this id."""
    return venue.simulator.state()["created"].get(intent.client_order_id, 0)


def found(venue, executor, intent, eventually):
    """Return what ``find`` says once it says something."""

    def find():
        with suppress(Retry):
            return executor.find(intent.client_order_id, since=venue.clock.now() - timedelta(minutes=10))

    return eventually(find)


def test_lost_reply_is_unknown_and_the_order_is_found_by_its_id(venue, entry, eventually):
    _, executor = venue.connect()
    fault = venue.fault("drop_reply", match=POST)
    intent = entry(venue.clock)

    with pytest.raises(Ask, match="look the order up"):
        executor.submit(intent)
    assert venue.fired(fault) == 1
    assert [e.state for e in found(venue, executor, intent, eventually)] == [OrderState.FILLED]
    assert created(venue, intent) == 1
    assert len(venue.requests("POST", ORDERS)) == 1


def test_lost_request_is_unknown_and_absent_only_after_the_grace(venue, entry, eventually):
    _, executor = venue.connect()
    fault = venue.fault("drop_request", match=POST)
    intent = entry(venue.clock)

    with pytest.raises(Ask):
        executor.submit(intent)
    with pytest.raises(Retry, match="too fresh"):
        executor.find(intent.client_order_id, since=venue.clock.now())
    assert venue.fired(fault) == 1
    assert [e.state for e in found(venue, executor, intent, eventually)] == [OrderState.ABSENT]
    assert created(venue, intent) == 0


def test_late_reply_is_unknown_and_the_order_is_found(venue, entry, eventually):
    _, executor = venue.connect(read_timeout_s=0.2)
    fault = venue.fault("delay", match=POST, seconds=0.5, after_accept=True)
    intent = entry(venue.clock)

    with pytest.raises(Ask):
        executor.submit(intent)
    assert venue.fired(fault) == 1
    assert [e.state for e in found(venue, executor, intent, eventually)] == [OrderState.FILLED]


@pytest.mark.parametrize("taken", [True, False])
def test_server_error_is_unknown_whether_or_not_the_order_was_taken(venue, entry, eventually, taken):
    _, executor = venue.connect()
    fault = venue.fault("status", match=POST, status=503, after_accept=taken)
    intent = entry(venue.clock)

    with pytest.raises(Ask):
        executor.submit(intent)
    assert venue.fired(fault) == 1
    expected = OrderState.FILLED if taken else OrderState.ABSENT
    assert [e.state for e in found(venue, executor, intent, eventually)] == [expected]
    assert created(venue, intent) == int(taken)


@pytest.mark.parametrize("taken", [True, False])
def test_2xx_without_an_order_is_unknown(venue, entry, eventually, taken):
    _, executor = venue.connect()
    fault = venue.fault("ok_without_order", processed=taken)
    intent = entry(venue.clock)

    with pytest.raises(Ask, match="without an order"):
        executor.submit(intent)
    assert venue.fired(fault) == 1
    expected = OrderState.FILLED if taken else OrderState.ABSENT
    assert [e.state for e in found(venue, executor, intent, eventually)] == [expected]
    assert created(venue, intent) == int(taken)


def test_reply_that_is_no_json_is_unknown(venue, entry, eventually):
    _, executor = venue.connect()
    fault = venue.fault("non_json", match=POST)
    intent = entry(venue.clock)

    with pytest.raises(Ask):
        executor.submit(intent)
    assert venue.fired(fault) == 1
    assert [e.state for e in found(venue, executor, intent, eventually)] == [OrderState.FILLED]


def test_rate_limited_order_was_not_taken_and_is_not_repeated(venue, entry):
    _, executor = venue.connect()
    fault = venue.fault("rate_limit", match=POST)
    intent = entry(venue.clock)

    with pytest.raises(Retry, match="rate limit") as caught:
        executor.submit(intent)
    assert 0.5 <= caught.value.after_s <= 1.5
    assert venue.fired(fault) == 1
    assert len(venue.requests("POST", ORDERS)) == 1
    assert created(venue, intent) == 0


@pytest.mark.parametrize("action", ["exchange_paused", "market_paused"])
def test_order_during_a_pause_was_not_taken(venue, entry, action):
    _, executor = venue.connect()
    market = "KXTEST-14MAY06-M9"
    since, until_ = venue.clock.now() - timedelta(minutes=1), venue.clock.now() + timedelta(minutes=1)
    match = {} if action == "exchange_paused" else {"ticker": market}
    fault = venue.fault(action, match=match, between=[since.isoformat(), until_.isoformat()])
    intent = entry(venue.clock, market)

    with pytest.raises(Retry, match="trading to be open"):
        executor.submit(intent)
    assert venue.fired(fault) >= 1
    assert created(venue, intent) == 0


def test_partial_fill_ends_with_the_rest_cancelled(venue, entry):
    _, executor = venue.connect()
    fault = venue.fault("partial_fill", fraction=0.4)
    first, last = executor.submit(entry(venue.clock))
    (trade,) = executor.open_trades()

    assert venue.fired(fault) == 1
    assert (first.state, first.quantity) == (OrderState.PARTIAL, D(4))
    assert (last.state, last.reason, last.quantity) == (OrderState.CANCELLED, "PARTIAL_FILL", D(0))
    assert trade.quantity == D(4)


def test_order_that_is_listed_late_is_unknown_and_then_found(venue, entry, eventually):
    _, executor = venue.connect(fresh_order_grace_s=3.0)
    late = venue.fault("late_listing", seconds=0.8)
    lost = venue.fault("drop_reply", match=POST)
    intent = entry(venue.clock)

    with pytest.raises(Ask):
        executor.submit(intent)
    with pytest.raises(Retry, match="too fresh"):
        executor.find(intent.client_order_id, since=venue.clock.now())
    assert [e.state for e in found(venue, executor, intent, eventually)] == [OrderState.FILLED]
    assert (venue.fired(late), venue.fired(lost)) == (1, 1)


def test_id_that_is_taken_answers_with_the_order_that_took_it(venue, entry):
    _, first_life = venue.connect()
    _, second_life = venue.connect()
    intent = entry(venue.clock)
    sent = first_life.submit(intent)
    again = second_life.submit(intent)

    assert [e.transaction_id for e in again] == [e.transaction_id for e in sent]
    assert len(venue.requests("POST", ORDERS)) == 2
    assert created(venue, intent) == 1


def test_refused_order_is_an_event_with_the_venues_own_code(venue, entry):
    _, executor = venue.connect()
    (event,) = executor.submit(entry(venue.clock, quantity=D(900_000)))

    assert (event.state, event.reason) == (OrderState.REJECTED, "insufficient_balance")


@pytest.mark.parametrize("status", [200, 410])
def test_older_path_that_is_refused_says_which_setting_to_change(venue, entry, status):
    _, executor = venue.connect(wire=WireChoice.OLDER)
    fault = venue.fault("legacy_refused", match={"method": "POST"}, status=status)
    intent = entry(venue.clock)

    with pytest.raises(Refuse, match="KALSHI_WIRE=current"):
        executor.submit(intent)
    assert venue.fired(fault) == 1
    assert created(venue, intent) == 0


def test_auto_goes_over_to_the_older_path_where_todays_is_missing(older_simulator, entry, venue_of):
    venue = venue_of(older_simulator)
    _, executor = venue.connect(wire=WireChoice.AUTO)
    events = [executor.submit(entry(venue.clock))[-1].state for _ in range(2)]

    assert events == [OrderState.FILLED] * 2
    assert len(venue.requests("POST", ORDERS)) == 1
    assert len(venue.requests("POST", "/portfolio/orders")) == 2


def test_auto_stays_with_todays_path_once_an_order_was_taken(venue, entry):
    _, executor = venue.connect(wire=WireChoice.AUTO)
    executor.submit(entry(venue.clock))
    fault = venue.fault("status", match=POST, status=404, body='{"error":{"code":"not_found"}}')

    with pytest.raises(Refuse, match="other path"):
        executor.submit(entry(venue.clock))
    assert venue.fired(fault) == 1
    assert venue.requests("POST", "/v2/portfolio/orders") == []


def test_order_at_a_dead_address_was_never_sent(venue, entry, monkeypatch):
    _, executor = venue.connect()
    executor.account()
    executor._wire.close()
    with closed_port() as url:
        _, elsewhere = venue.connect(api_url=f"{url}/trade-api/v2")

        with pytest.raises(Retry, match="connection"):
            elsewhere.submit(entry(venue.clock))


def closed_port():
    """Return an address of this machine where nobody listens."""
    import socket
    from contextlib import contextmanager

    @contextmanager
    def opened():
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            yield f"http://127.0.0.1:{held.getsockname()[1]}"

    return opened()


def test_wrong_key_is_misconfigured_and_shows_no_secret(venue, simulator, entry):
    _, executor = venue.connect(key_id="key-nobody")

    with pytest.raises(Misconfigured) as caught:
        executor.account()
    shown = "".join(str(error) + repr(error) for error in (caught.value, caught.value.__cause__))
    assert "PRIVATE KEY" not in shown
    assert "401" in shown


def test_cancel_all_takes_everything_off_the_book(venue):
    _, executor = venue.connect()
    resting(venue, executor)
    before = venue.simulator.state()["accounts"][venue.key_id]["resting"]
    executor.cancel_all()
    after = venue.simulator.state()["accounts"][venue.key_id]["resting"]

    assert (len(before), after) == (1, [])


def test_resting_order_is_accepted_and_can_be_cancelled_by_its_id(venue):
    _, executor = venue.connect()
    client_id = resting(venue, executor)
    found_first = executor.find(client_id, since=venue.clock.now() - timedelta(minutes=5))
    cancelled = executor.cancel(client_id)

    assert [e.state for e in found_first] == [OrderState.ACCEPTED]
    assert [e.state for e in cancelled] == [OrderState.CANCELLED]


def resting(venue, executor):
    """Make an order that rests, as a person at the website might, and return its id."""
    wire = executor._wire
    body = {
        "ticker": "KXTEST-14MAY06-M15",
        "client_order_id": f"person-{venue.key_id}",
        "side": "bid",
        "count": "5.00",
        "price": "0.0100",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
    }
    wire.write("an order", "POST", "/portfolio/events/orders", lambda reply: reply, body)
    return body["client_order_id"]
