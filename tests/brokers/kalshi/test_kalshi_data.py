"""Contracts, quotes and bars: vouched for or absent, from the WebSocket and by polling."""

import base64
import hashlib
import json
import logging
import socket
import threading
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from decimal import Decimal

import pytest
from websockets.sync.server import serve

from brokers.kalshi.client import connect
from brokers.kalshi.config import WireChoice
from domain.contract import ContractStatus
from domain.errors import Retry

D = Decimal
TICKER = "KXTEST-14MAY06-T1"
DRIFT = "KXDRIFT-14MAY06-D"


def test_contracts_of_a_series_come_with_event_and_series(wire_venue):
    venue, wire = wire_venue
    data, _ = venue.connect(wire=WireChoice(wire))
    contracts = {contract.ticker: contract for contract in data.contracts(["KXTEST"])}
    contract = contracts[TICKER]

    assert len(contracts) == 21
    assert (contract.event_title, contract.series, contract.settlement_sources) == (
        "Will it be tested?",
        "KXTEST",
        ("Tester",),
    )
    assert (contract.status, contract.tick, contract.fee_multiplier) == (ContractStatus.ACTIVE, D("0.01"), D(1))
    assert contract.is_open(venue.clock.now())
    assert data.contract(TICKER) == contract


def test_contracts_of_every_series_can_be_cut_off_by_their_close(venue):
    data, _ = venue.connect()
    everything = data.contracts(None)
    soon = data.contracts(closing_before=venue.clock.now() + timedelta(hours=1))

    assert {contract.series for contract in everything} == {"KXTEST", "KXDRIFT"}
    assert soon == []


def test_contract_nobody_lists_is_none(venue):
    data, _ = venue.connect()

    assert data.contract("KXNO-14MAY06-T1") is None
    assert not data.is_open("KXNO-14MAY06-T1", venue.clock.now())
    assert data.instruments(["KXNO-14MAY06-T1"]) == {}


def test_instrument_pays_one_dollar_and_is_paid_for_in_full(venue):
    data, _ = venue.connect()
    instrument = data.instruments([TICKER])[TICKER]

    assert (instrument.payout, instrument.margin_rate, instrument.tick) == (D(1), D(1), D("0.01"))
    assert (instrument.quantity_step, instrument.quantity_min, instrument.quote_currency) == (D(1), D(1), "USD")


@pytest.mark.parametrize("kind", ["repeat", "unknown"])
def test_pages_that_lead_nowhere_are_no_list(venue, kind):
    data, _ = venue.connect(read_attempts=1)
    fault = venue.fault("wrong_cursor", kind=kind, times=5, match={"path": "/trade-api/v2/markets"})

    with pytest.raises(Retry):
        data._listings._wire.rows("markets", "/markets", "markets", dict, limit=5)
    assert venue.fired(fault) >= 1


@pytest.mark.parametrize(
    ("action", "more"), [("status", {"status": 502}), ("drop_request", {}), ("non_json", {}), ("rate_limit", {})]
)
def test_question_is_asked_again_when_it_fails_at_once(venue, action, more):
    data, _ = venue.connect()
    fault = venue.fault(action, match={"path": "/trade-api/v2/markets/*"}, **more)

    assert data.contract(TICKER).ticker == TICKER
    assert venue.fired(fault) == 1


def test_question_nobody_answers_is_retry(venue):
    data, _ = venue.connect()
    fault = venue.fault("status", status=503, times=3, match={"path": "/trade-api/v2/markets/*"})

    with pytest.raises(Retry, match="503"):
        data.contract(TICKER)
    assert venue.fired(fault) == 3


def test_smallest_accounts_limits_are_kept_without_a_refusal(basic_venue):
    data, _ = basic_venue.connect()
    before = basic_venue.simulator.control("GET", "state")["rate_limited"]
    began = time.monotonic()
    for _ in range(30):
        data.contract(TICKER)

    assert basic_venue.simulator.control("GET", "state")["rate_limited"] == before
    assert time.monotonic() - began > 0.4


def test_quote_comes_by_polling_first_and_then_from_the_stream(venue, eventually):
    data, _ = venue.connect(quote_silence_s=5.0)
    polled = data.quotes([DRIFT])[DRIFT]
    eventually(lambda: data.stream.is_alive())
    requests = len(venue.requests("GET", "/markets"))
    streamed = eventually(lambda: (q := data.quotes([DRIFT])[DRIFT]) and q.at > polled.at + timedelta(minutes=2) and q)

    assert 0 < polled.bid < polled.ask < 1
    assert (streamed.tradeable, streamed.home_rate) == (True, D(1))
    assert abs((streamed.received_at - streamed.at).total_seconds()) < 120
    assert len(venue.requests("GET", "/markets")) <= requests + 3


def test_market_the_stream_is_silent_about_is_polled(venue, eventually):
    data, _ = venue.connect(quote_silence_s=0.2)
    data.quotes([TICKER])
    eventually(lambda: data.stream.is_alive())
    before = len(venue.requests("GET", "/markets"))

    eventually(lambda: data.quotes([TICKER]) and len(venue.requests("GET", "/markets")) > before + 2)
    assert data.quotes([TICKER])[TICKER].tradeable


def test_cut_stream_is_opened_again_and_its_prices_are_not_trusted_meanwhile(venue, eventually):
    data, _ = venue.connect()
    fault = venue.fault("cut_websocket", after_seconds=0.3)
    data.quotes([DRIFT])
    eventually(lambda: data.stream.connections >= 2)

    assert venue.fired(fault) == 1
    assert data.quotes([DRIFT])[DRIFT].tradeable
    eventually(lambda: data.stream.is_alive())


def test_stream_that_says_nothing_of_a_market_does_not_vouch_for_it(venue, eventually):
    data, _ = venue.connect(stream_silence_s=0.6, quote_silence_s=0.2)
    fault = venue.fault("silent_websocket", after_seconds=0.1, seconds=30)
    data.quotes([DRIFT])
    eventually(lambda: venue.fired(fault) == 1)
    first = data.quotes([DRIFT])[DRIFT]
    eventually(lambda: data.quotes([DRIFT])[DRIFT].at > first.at + timedelta(minutes=2))

    # It answers pings, so there is no reason to open another.
    assert data.stream.connections == 1


@contextmanager
def mute_server():
    """Run a server that accepts WebSockets and then never says anything, not even a pong."""
    held = []

    def welcome(listener):
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                held.append(connection)
                request = connection.recv(65536).decode()
                key = next(
                    line.split()[1] for line in request.splitlines() if line.lower().startswith("sec-websocket-key")
                )
                digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()  # noqa: S324  RFC 6455
                accept = base64.b64encode(digest).decode()
                head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                connection.sendall(f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=welcome, args=(listener,))
        thread.start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/trade-api/ws/v2"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)
    for connection in held:
        connection.close()


def test_connection_that_answers_no_ping_is_given_up(venue, eventually):
    with mute_server() as url:
        data, executor = connect(venue.config(ws_url=url, stream_silence_s=0.4), venue.clock)
        data.stream.watch([TICKER])
        eventually(lambda: data.stream.connections >= 2)
        error = data.stream.last_error
        data.close()
        executor.close()

    assert error.startswith("nothing for")


def test_dead_feed_is_absent_and_not_old(venue, eventually):
    data, _ = venue.connect(quote_silence_s=0.1, read_attempts=1)
    assert TICKER in data.quotes([TICKER])
    data.stream.close()
    fault = venue.fault("status", status=503, times=None, match={"path": "/trade-api/v2/markets"})
    time.sleep(0.15)  # the poll's own freshness

    with pytest.raises(Retry):
        data.quotes([TICKER])
    assert data.quotes([TICKER]) == {}
    assert venue.fired(fault) >= 1


def test_price_too_old_for_the_setting_is_left_out(venue, eventually):
    data, _ = venue.connect(quote_max_age_s=0.001)

    assert data.quotes([TICKER]) == {}


def test_paused_market_is_quoted_and_not_tradeable(venue):
    data, _ = venue.connect()
    market = "KXTEST-14MAY06-M12"
    since, until = venue.clock.now() - timedelta(minutes=1), venue.clock.now() + timedelta(minutes=2)
    fault = venue.fault("market_paused", match={"ticker": market}, between=[since.isoformat(), until.isoformat()])

    assert not data.quotes([market])[market].tradeable
    assert not data.is_open(market, venue.clock.now())
    assert venue.fired(fault) >= 1


def test_pause_is_noticed_while_the_stream_goes_on(venue, eventually):
    data, _ = venue.connect(quote_silence_s=60.0, listing_refresh_s=0.3, poll_interval_s=0.05)
    assert data.quotes([DRIFT])[DRIFT].tradeable
    eventually(lambda: data.stream.is_alive())
    since, until = venue.clock.now() - timedelta(seconds=1), venue.clock.now() + timedelta(minutes=3)
    fault = venue.fault("market_paused", match={"ticker": DRIFT}, between=[since.isoformat(), until.isoformat()])

    eventually(lambda: not data.quotes([DRIFT])[DRIFT].tradeable)
    assert venue.fired(fault) >= 1


def test_clock_that_is_off_is_corrected_by_the_venues(venue, entry):
    data, executor = venue.connect()
    data._wire.time._offset_s = 3600.0
    with pytest.raises(Retry, match=r"set the clock \(NTP\)"):
        data._wire.write("a cancel", "DELETE", "/portfolio/events/orders", lambda body: body)
    data._wire.time._offset_s = -3600.0

    assert executor.account().balance == D(1000)
    assert data._wire.time.offset_s == 0


def test_private_key_appears_in_no_log(venue, entry, caplog):
    caplog.set_level(logging.DEBUG)
    data, executor = venue.connect()
    executor.submit(entry(venue.clock))
    data.quotes([TICKER])
    secret = venue.simulator.pem.splitlines()[3]

    assert caplog.records
    assert [record for record in caplog.records if secret in record.getMessage()] == []


@pytest.mark.parametrize("period", [60, 300, 3600])
def test_bars_are_closed_and_put_together_from_candles(wire_venue, period):
    venue, wire = wire_venue
    data, _ = venue.connect(wire=WireChoice(wire))
    start = venue.clock.now() - timedelta(hours=3)
    bars = data.bars(DRIFT, period, start=start)

    assert bars[0].start >= start
    assert bars[-1].end <= venue.clock.now()
    assert {int(bar.start.timestamp()) % period for bar in bars} == {0}
    assert [bar.start for bar in bars] == sorted({bar.start for bar in bars})
    assert all(0 < bar.bid.low <= bar.bid.high < bar.ask.high < 1 for bar in bars)
    assert len(bars) == pytest.approx(10_800 / period, abs=2)


def test_bars_below_a_minute_and_of_unknown_markets_are_none(venue):
    data, _ = venue.connect()

    assert data.bars(TICKER, 5, start=venue.clock.now() - timedelta(hours=1)) == []
    assert data.bars("KXNO-14MAY06-T1", 60, start=venue.clock.now() - timedelta(hours=1)) == []


def test_bars_end_before_the_end_asked_for(venue):
    data, _ = venue.connect()
    start = venue.clock.now().replace(second=0, microsecond=0) - timedelta(hours=1)
    bars = data.bars(DRIFT, 60, start=start, end=start + timedelta(minutes=10))

    assert [bar.start for bar in bars] == [start + timedelta(minutes=n) for n in range(10)]


@contextmanager
def socket_server(script):
    """Run a WebSocket server that plays ``script(connection, number)`` to each connection."""
    count = iter(range(1000))
    with serve(lambda connection: script(connection, next(count)), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/trade-api/ws/v2"
        finally:
            server.shutdown()
            thread.join(timeout=5)


def ticker(venue, seq, **fields):
    prices = {
        "yes_bid_dollars": "0.4000",
        "yes_ask_dollars": "0.4400",
        "ts_ms": int(venue.clock.now().timestamp() * 1000),
    }
    message = {"type": "ticker", "sid": 1, "seq": seq, "msg": {"market_ticker": TICKER, **prices, **fields}}
    return json.dumps(message)


def test_gap_in_the_numbers_opens_a_new_connection(venue, eventually):
    def script(connection, number):
        connection.recv(timeout=5)
        for seq in (1, 2, 3 if number else 5):
            connection.send(ticker(venue, seq))
        list(connection)

    with socket_server(script) as url:
        data, executor = connect(venue.config(ws_url=url), venue.clock)
        data.stream.watch([TICKER])
        eventually(lambda: data.stream.connections >= 2)
        gaps, error = data.stream.gaps, data.stream.last_error
        data.close()
        executor.close()

    assert (gaps, error) == (1, "message 5 of subscription 1 after 2")


def test_strange_messages_cost_themselves_and_nothing_else(venue, eventually):
    polled = threading.Event()

    def script(connection, number):
        connection.recv(timeout=5)
        polled.wait(5)
        for text in ("no json", "[1]", ticker(venue, 1, yes_bid_dollars="56"), ticker(venue, 2, yes_bid_dollars=None)):
            connection.send(text)
        connection.send(json.dumps({"type": "error", "msg": {"code": 8, "msg": "Unknown channel name"}}))
        connection.send(ticker(venue, 3))
        list(connection)

    with socket_server(script) as url:
        data, executor = connect(venue.config(ws_url=url, quote_silence_s=60.0, poll_interval_s=0.3), venue.clock)
        data.quotes([TICKER])
        polled.set()
        quote = eventually(lambda: (q := data.quotes([TICKER]).get(TICKER)) and q.ask == D("0.44") and q)
        seen = data.stream.connections, data.stream.bad_messages, data.stream.last_error
        data.close()
        executor.close()

    assert quote.bid == D("0.40")
    assert seen == (1, 4, "the venue refused a command: {'code': 8, 'msg': 'Unknown channel name'}")


def test_new_markets_are_asked_for_on_the_open_connection(venue, eventually):
    commands = []

    def script(connection, number):
        commands.extend(json.loads(raw) for raw in connection)

    with socket_server(script) as url:
        data, executor = connect(venue.config(ws_url=url), venue.clock)
        data.stream.watch([TICKER])
        eventually(lambda: len(commands) == 1)
        data.stream.watch([TICKER, DRIFT])
        eventually(lambda: len(commands) == 2)
        data.close()
        executor.close()

    assert [command["params"]["market_tickers"] for command in commands] == [[TICKER], [DRIFT]]
    assert {command["cmd"] for command in commands} == {"subscribe"}
