"""Quotes and bars from OANDA, with every way its stream can die."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from domain.errors import Refuse, Retry

pytestmark = pytest.mark.contract
MARKET = "EUR_USD"


def polls(venue):
    return len(venue.requests("GET", "/pricing"))


def streams(venue):
    return len(venue.requests("GET", "/pricing/stream"))


@pytest.fixture
def streaming(venue, eventually):
    """Give market data whose stream is up and has a price."""

    def start(**settings):
        data, _ = venue.connect(**settings)
        data.quotes([MARKET])
        eventually(data.stream.is_alive)
        return data

    return start


def test_first_quote_is_polled_and_later_ones_come_from_the_stream(streaming, venue):
    data = streaming()
    asked = polls(venue)
    first = data.quotes([MARKET])[MARKET]
    for _ in range(20):
        data.quotes([MARKET])

    assert polls(venue) == asked
    assert streams(venue) == 1
    assert first.bid < first.ask
    assert first.home_rate == Decimal(1)
    assert first.tradeable


def test_streamed_prices_move_without_a_poll(streaming, venue, eventually):
    data = streaming()
    asked, before = polls(venue), data.quotes([MARKET])[MARKET]
    eventually(lambda: data.quotes([MARKET])[MARKET].at > before.at)

    assert polls(venue) == asked


@pytest.mark.parametrize("action", ["cut_stream", "end_stream"])
def test_broken_stream_is_opened_again(venue, streaming, eventually, action):
    fault = venue.fault(action, after_seconds=0.1, match={"path": "*/stream"})
    data = streaming()
    eventually(lambda: data.stream.connections >= 2 and data.stream.is_alive())

    assert venue.fired(fault) == 1
    assert data.stream.last_error
    assert data.quotes([MARKET])


def test_stream_without_a_line_is_given_up(venue, streaming, eventually):
    fault = venue.fault("mute_stream", match={"path": "*/stream"})
    data = streaming(stream_silence_s=0.5)
    eventually(lambda: data.stream.connections >= 2)

    assert venue.fired(fault) == 1
    assert "dropped connection" in data.stream.last_error


def test_market_is_polled_while_the_stream_is_down(venue, eventually):
    fault = venue.fault("status", status=503, match={"path": "*/stream"}, times=1000)
    data, _ = venue.connect()
    first = data.quotes([MARKET])[MARKET]
    newer = eventually(lambda: (q := data.quotes([MARKET]).get(MARKET)) and q.at > first.at and q)

    assert newer.received_at > first.received_at
    assert venue.fired(fault) >= 1
    assert polls(venue) >= 2


def test_heartbeats_alone_do_not_keep_a_market_fresh(venue, streaming, eventually):
    fault = venue.fault("stall_stream", instruments=[MARKET], match={"path": "*/stream"})
    data = streaming(quote_silence_s=0.3, stream_silence_s=30)
    asked = polls(venue)
    eventually(lambda: data.quotes([MARKET]) and polls(venue) > asked + 1)

    assert venue.fired(fault) == 1
    assert data.stream.connections == 1
    assert data.stream.is_alive()


def test_broken_stream_reconnects_at_most_twice_a_second(venue, streaming, eventually):
    fault = venue.fault("end_stream", match={"path": "*/stream"}, times=1000)
    data = streaming()
    began = venue.clock.monotonic_ns()
    eventually(lambda: data.stream.connections >= 4)
    took_s = (venue.clock.monotonic_ns() - began) / 1e9

    assert venue.fired(fault) >= 3
    assert took_s >= 0.9


def test_dead_feed_gives_no_quote_instead_of_an_old_one(venue, eventually):
    stream = venue.fault("status", status=503, match={"path": "*/stream"}, times=1000)
    data, _ = venue.connect()
    assert data.quotes([MARKET])
    poll = venue.fault("status", status=503, match={"path": "*/pricing"}, times=1000)

    def is_absent():
        try:
            return data.quotes([MARKET]) == {}
        except Retry:
            return True

    eventually(is_absent)
    assert venue.fired(stream) >= 1
    assert venue.fired(poll) >= 1


def test_frozen_quote_keeps_the_venues_time_and_goes_when_too_old(venue, eventually):
    fault = venue.fault("freeze_quote", market_wide=True, instruments=[MARKET])
    data, _ = venue.connect(quote_max_age_s=30, poll_interval_s=0.02)
    eventually(lambda: data.quotes([MARKET]) == {})

    assert venue.fired(fault) >= 1


def test_closed_market_shows_quotes_that_cannot_be_traded(venue, eventually):
    data, _ = venue.connect()
    assert data.quotes([MARKET])[MARKET].tradeable
    venue.fault("weekend", market_wide=True)

    eventually(lambda: not data.quotes([MARKET])[MARKET].tradeable)


def test_new_market_joins_the_stream_by_a_reconnect(streaming, eventually, venue):
    data = streaming()
    data.quotes([MARKET, "NZD_USD"])
    eventually(lambda: data.stream.connections == 2 and data.stream.is_alive())

    assert venue.requests("GET", "/pricing/stream")[-1]["query"]["instruments"] == "EUR_USD,NZD_USD"


def test_closing_ends_the_reader_thread_at_once(streaming, venue):
    data = streaming()
    began = venue.clock.monotonic_ns()
    data.close()

    assert not data.stream._thread.is_alive()
    assert (venue.clock.monotonic_ns() - began) / 1e9 < 1


def test_home_rate_of_another_currency_comes_from_the_venue(euro_venue):
    data, executor = euro_venue.connect()
    quote = data.quotes([MARKET])[MARKET]

    assert executor.account().currency == "EUR"
    assert quote.home_rate is not None
    assert abs(quote.home_rate * quote.mid - 1) < Decimal("0.001")


def test_instruments_are_read_once_and_unknown_names_are_absent(venue):
    data, _ = venue.connect()
    found = data.instruments(["EUR_USD", "USD_JPY", "NO_PE"])
    data.instruments(["EUR_USD", "NO_PE"])

    assert set(found) == {"EUR_USD", "USD_JPY"}
    assert (found["USD_JPY"].tick, found["USD_JPY"].pip) == (Decimal("0.001"), Decimal("0.01"))
    assert len(venue.requests("GET", "/instruments")) == 1


def test_bars_are_complete_with_bid_and_ask_and_within_their_bounds(venue):
    data, _ = venue.connect()
    start, end = datetime(2014, 5, 5, 8, tzinfo=UTC), datetime(2014, 5, 5, 10, tzinfo=UTC)
    bars = data.bars(MARKET, 60, start=start, end=end)

    assert bars[0].start >= start
    assert bars[-1].start < end
    assert all(a.start < b.start for a, b in pairwise(bars))
    assert all(bar.bid.low <= bar.bid.high < bar.ask.high for bar in bars)


def test_newest_bar_is_closed_and_an_end_in_the_future_is_no_error(venue):
    data, _ = venue.connect()
    now = venue.clock.now()
    bars = data.bars(MARKET, 60, start=now - timedelta(minutes=30), end=now + timedelta(days=1))

    assert 25 <= len(bars) <= 31
    assert bars[-1].end <= venue.clock.now()


def test_bars_of_the_future_are_none_without_asking(venue):
    data, _ = venue.connect()

    assert data.bars(MARKET, 60, start=venue.clock.now() + timedelta(hours=1)) == []


def test_longer_span_than_a_page_gives_the_oldest_five_thousand(venue):
    data, _ = venue.connect()
    start = venue.clock.now() - timedelta(days=6)
    bars = data.bars(MARKET, 60, start=start)

    assert len(bars) == 5000
    assert bars[0].start - start < timedelta(minutes=2)


def test_days_begin_at_seventeen_new_york(venue):
    data, _ = venue.connect()
    bars = data.bars(MARKET, 86_400, start=datetime(2014, 4, 28, tzinfo=UTC), end=datetime(2014, 5, 3, tzinfo=UTC))

    assert {(bar.start.hour, bar.start.minute) for bar in bars} == {(21, 0)}


def test_unknown_period_is_refused_with_the_known_ones(venue):
    data, _ = venue.connect()
    with pytest.raises(Refuse, match="3600"):
        data.bars(MARKET, 61, start=datetime(2014, 5, 5, tzinfo=UTC))
