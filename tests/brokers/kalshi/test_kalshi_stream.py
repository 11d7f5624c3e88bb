"""The WebSocket: trusted while it lives and speaks, opened again when it does not."""

import base64
import hashlib
import json
import socket
import threading
from contextlib import contextmanager, suppress
from datetime import timedelta
from decimal import Decimal

from websockets.sync.server import serve

from brokers.kalshi.client import connect

D = Decimal
TICKER = "KXTEST-14MAY06-T1"
DRIFT = "KXDRIFT-14MAY06-D"


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


def test_pause_is_noticed_while_the_stream_goes_on(venue, eventually):
    data, _ = venue.connect(quote_silence_s=60.0, listing_refresh_s=0.3, poll_interval_s=0.05)
    assert data.quotes([DRIFT])[DRIFT].tradeable
    eventually(lambda: data.stream.is_alive())
    since, until = venue.clock.now() - timedelta(seconds=1), venue.clock.now() + timedelta(minutes=3)
    fault = venue.fault("market_paused", match={"ticker": DRIFT}, between=[since.isoformat(), until.isoformat()])

    eventually(lambda: not data.quotes([DRIFT])[DRIFT].tradeable)
    assert venue.fired(fault) >= 1


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
    polled, heard = threading.Event(), threading.Event()

    def script(connection, number):
        connection.recv(timeout=5)
        polled.wait(5)
        for text in ("no json", "[1]", ticker(venue, 1, yes_bid_dollars="56"), ticker(venue, 2, yes_bid_dollars=None)):
            connection.send(text)
        connection.send(json.dumps({"type": "error", "msg": {"code": 8, "msg": "Unknown channel name"}}))
        for seq in range(3, 200):
            connection.send(ticker(venue, seq))
            if heard.wait(0.05):
                break
        list(connection)

    with socket_server(script) as url:
        data, executor = connect(venue.config(ws_url=url, quote_silence_s=60.0, poll_interval_s=0.3), venue.clock)
        data.quotes([TICKER])
        polled.set()
        quote = eventually(lambda: (q := data.quotes([TICKER]).get(TICKER)) and q.ask == D("0.44") and q)
        heard.set()
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
