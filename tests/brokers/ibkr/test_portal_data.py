"""Prices through the Client Portal: what counts as a quote, and what becomes of a stream that dies."""

from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from portal_desk import CONIDS, PortalDesk, desks, started
from portal_sim import start_portal

from domain.errors import Refuse, Retry

SPY = CONIDS["SPY"]


@pytest.fixture(scope="module")
def gateway():
    yield from started()


@pytest.fixture
def desk(gateway):
    yield from desks(gateway)


@pytest.fixture
def linked(desk):
    desk.connect()
    return desk


def absent(desk, market="SPY"):
    """Tell whether there is no quote; a venue that answers but has none is no failure."""
    return market not in desk.data.quotes([market])


def test_quote_has_both_sides_and_the_last_trade(linked):
    quote = linked.quote()

    assert 0 < quote.bid <= quote.ask
    assert abs(quote.last - quote.mid) < 1
    assert quote.tradeable
    assert timedelta(0) <= linked.clock.now() - quote.at < timedelta(minutes=5)


def test_symbols_nobody_lists_have_no_instrument(linked):
    found = linked.data.instruments(["SPY", "NOSUCH", "AAPL"])

    assert set(found) == {"SPY", "AAPL"}
    assert (found["SPY"].tick, found["SPY"].quantity_step) == (Decimal("0.01"), Decimal(1))


def test_contract_number_is_asked_for_once(linked, gateway):
    for _ in range(3):
        linked.data.instruments(["IBM"])
    asked = [row for row in gateway.requests()[-30:] if row["query"].get("symbols") == "IBM"]

    assert len(asked) == 1


def test_failure_12_empty_snapshots_are_asked_for_again(linked, gateway):
    name = gateway.fault("empty_preflight", times=2)
    quote = linked.quote()

    assert gateway.fired(name) == 2
    assert quote.bid > 0


def test_failure_09_delayed_prices_are_no_quote(linked, gateway):
    linked.quote()
    name = gateway.fault("delayed_quotes", conid=SPY)
    gone = linked.eventually(lambda: absent(linked))
    gateway.clear(name)

    assert gone
    assert linked.quote()


def test_failure_09_frozen_prices_are_no_quote_once_they_are_old(desk, gateway):
    desk.connect(quote_max_age_s=30.0)
    desk.quote()
    name = gateway.fault("frozen_quotes", conid=SPY)
    gone = desk.eventually(lambda: absent(desk))

    assert gone
    assert gateway.fired(name) > 0
    assert desk.data.stream.is_alive()


def test_halted_stock_can_be_looked_at_but_not_traded(linked, gateway):
    name = gateway.fault("halted_quote", conid=SPY)
    quote = linked.eventually(lambda: next((q for q in linked.data.quotes(["SPY"]).values() if not q.tradeable), None))

    assert gateway.fired(name) > 0
    assert quote.last > 0


def test_stock_without_recorded_prices_has_no_quote(linked):
    assert linked.data.quotes(["AMZN", "SPY"]).keys() <= {"SPY"}


def newer(desk, than):
    """Wait for a quote of a later time; polling is so rare in these tests that only the stream can bring one."""
    return desk.eventually(lambda: next((q for q in [desk.quote()] if q.at > than.at), None))


def test_stream_brings_prices_without_polling(desk, gateway):
    desk.connect(poll_interval_s=60.0, quote_silence_s=60.0)
    first = desk.quote()
    polls = gateway.state()["requests"]["GET /iserver/marketdata/snapshot"]
    second = newer(desk, first)

    assert newer(desk, second).at > second.at
    assert gateway.state()["requests"]["GET /iserver/marketdata/snapshot"] == polls


def test_failure_07_stream_subscribes_anew_when_the_session_is_another_one(desk, gateway):
    desk.connect(poll_interval_s=60.0, quote_silence_s=60.0)
    newer(desk, desk.quote())
    name, openings = gateway.fault("session_expired", times=1), desk.executor.session.openings
    desk.eventually(lambda: desk.executor.resting() is not None and gateway.fired(name))
    desk.eventually(lambda: desk.executor.session.openings > openings)
    desk.until_up()

    assert newer(desk, newer(desk, desk.quote()))


def test_failure_08_cut_stream_is_opened_again_and_prices_are_polled_meanwhile(linked, gateway):
    linked.quote()
    linked.eventually(lambda: linked.data.stream.connections == 1)
    name = gateway.fault("cut_socket", times=1)
    linked.eventually(lambda: gateway.fired(name) and linked.quote())
    linked.eventually(lambda: linked.data.stream.connections >= 2)

    assert linked.quote()


def test_failure_08_stream_that_falls_silent_is_replaced_by_polling(linked, gateway):
    linked.quote()
    name = gateway.fault("websocket_silent")
    linked.eventually(lambda: gateway.fired(name))
    before = linked.quote()
    later = linked.eventually(lambda: next((q for q in [linked.quote()] if q.at > before.at), None))

    assert later.received_at > before.received_at


def test_bars_are_closed_ones_of_regular_hours_in_utc(linked):
    now = linked.clock.now()
    bars = linked.eventually(lambda: linked.data.bars("SPY", 60, start=now - timedelta(days=1)))
    hours = {bar.start.astimezone(ZoneInfo("America/New_York")).time().replace(second=0) for bar in bars}

    assert bars == sorted(bars, key=lambda bar: bar.start)
    assert len({bar.start for bar in bars}) == len(bars) > 300
    assert all(bar.end <= linked.clock.now() for bar in bars)
    assert min(hours).isoformat() >= "09:30:00"
    assert max(hours).isoformat() < "16:00:00"
    assert all(bar.bid == bar.ask for bar in bars)


def test_bars_between_two_times_leave_out_what_lies_outside(linked):
    end = linked.clock.now().replace(second=0, microsecond=0) - timedelta(minutes=2)
    bars = linked.eventually(lambda: linked.data.bars("SPY", 60, start=end - timedelta(minutes=5), end=end))

    assert [bar.start for bar in bars] == [end - timedelta(minutes=minutes) for minutes in (5, 4, 3, 2, 1)]


def test_more_bars_than_a_page_holds_are_read_page_by_page(linked):
    bars = linked.eventually(lambda: linked.data.bars("SPY", 30, start=linked.clock.now() - timedelta(days=4)))

    assert len(bars) > 1000
    assert len({bar.start.date() for bar in bars}) == 3
    assert len({bar.start for bar in bars}) == len(bars)


def test_bar_length_that_is_not_offered_is_refused(linked):
    with pytest.raises(Refuse, match="bar length"):
        linked.data.bars("SPY", 77, start=linked.clock.now() - timedelta(hours=1))


def test_failure_15_bars_before_and_after_the_change_of_clocks_keep_new_york_hours():
    # Monday 10 March 2014, the first session of summer time.
    simulator = start_portal("--limits", "off", "--no-calendar", speed=1, begin="2014-03-10T14:30:00Z")
    desk = PortalDesk(simulator, "DU1")
    try:
        desk.connect(up=False)
        bars = desk.eventually(lambda: desk.data.bars("SPY", 1800, start=desk.clock.now() - timedelta(days=3, hours=1)))
    finally:
        desk.close()
        simulator.stop()
    firsts = {bar.start.date().isoformat(): bar.start.strftime("%H:%M") for bar in reversed(bars)}

    assert firsts == {"2014-03-07": "14:30", "2014-03-10": "13:30"}


def test_gateway_that_cannot_be_reached_is_retry(desk):
    desk.connect(up=False, portal_url="http://127.0.0.1:9/v1/api")

    with pytest.raises(Retry):
        desk.data.quotes(["SPY"])
