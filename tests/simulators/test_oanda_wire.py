"""Bytes of the OANDA venue: headers, numbers as strings, times, errors, compression."""

import hashlib
import re
from contextlib import closing
from pathlib import Path

import httpx
import pytest

ACCOUNT = "101-001-1-001"
BASE = f"/v3/accounts/{ACCOUNT}"
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")


@pytest.fixture
def client(slow):
    with closing(slow.client()) as found:
        yield found


def market(units, **fields):
    return {"order": {"type": "MARKET", "instrument": "EUR_USD", "units": str(units), "timeInForce": "FOK", **fields}}


def test_every_reply_carries_a_request_id_and_a_created_order_its_location(client):
    reply = client.post(f"{BASE}/orders", json=market(1))

    body = reply.json()
    assert reply.status_code == 201
    assert body["orderCreateTransaction"]["requestID"] == reply.headers["RequestID"]
    assert f"{BASE}/orders/{body['orderCreateTransaction']['id']}" == reply.headers["Location"]
    assert client.get("/v3/accounts").headers["RequestID"] != reply.headers["RequestID"]


def test_times_have_nine_decimals_or_are_unix_when_asked_for(client):
    path = f"{BASE}/pricing?instruments=EUR_USD"

    plain = client.get(path).json()
    unix = client.get(path, headers={"Accept-Datetime-Format": "UNIX"}).json()

    assert RFC3339.fullmatch(plain["time"])
    assert RFC3339.fullmatch(plain["prices"][0]["time"])
    assert re.fullmatch(r"1399\d{6}\.\d{9}", unix["time"])
    assert re.fullmatch(r"1399\d{6}\.\d{9}", unix["prices"][0]["time"])


@pytest.mark.parametrize(
    ("path", "key", "definition"),
    [
        ("/v3/accounts", "accounts", ["AccountProperties"]),
        (BASE, "account", "Account"),
        (f"{BASE}/summary", "account", "Account"),
        (f"{BASE}/instruments", "instruments", ["Instrument"]),
        (f"{BASE}/pricing?instruments=EUR_USD,NZD_USD&includeHomeConversions=true", "prices", ["ClientPrice"]),
        (f"{BASE}/pricing?instruments=EUR_USD&includeHomeConversions=true", "homeConversions", ["HomeConversions"]),
        (f"{BASE}/instruments/EUR_USD/candles?granularity=M1&price=MBA&count=9", "candles", ["Candlestick"]),
        (f"{BASE}/orders?state=ALL", "orders", ["Order"]),
        (f"{BASE}/openTrades", "trades", ["Trade"]),
        (f"{BASE}/positions", "positions", ["Position"]),
        (f"{BASE}/transactions/idrange?from=1&to=6", "transactions", ["Transaction"]),
    ],
)
def test_replies_hold_only_fields_of_the_specification(client, conforms, path, key, definition):
    client.post(f"{BASE}/orders", json=market(10, stopLossOnFill={"distance": "0.05"}))

    body = client.get(path).json()

    assert body[key]
    conforms(body[key], definition)


def test_instruments_have_their_pips_and_decimals(client):
    listed = {i["name"]: i for i in client.get(f"{BASE}/instruments").json()["instruments"]}

    assert {"EUR_USD", "GBP_USD", "USD_JPY", "USD_CHF", "AUD_USD", "USD_CAD", "NZD_USD", "EUR_GBP"} == set(listed)
    assert (listed["USD_JPY"]["pipLocation"], listed["USD_JPY"]["displayPrecision"]) == (-2, 3)
    assert (listed["EUR_USD"]["pipLocation"], listed["EUR_USD"]["displayPrecision"]) == (-4, 5)
    assert listed["EUR_USD"]["minimumTrailingStopDistance"] == "0.00050"
    assert listed["USD_JPY"]["minimumTrailingStopDistance"] == "0.050"


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic token-one", "token-one"])
def test_wrong_token_is_a_401_without_an_error_code(slow, header):
    headers = {} if header is None else {"Authorization": header}

    reply = httpx.get(f"{slow.url}{BASE}/summary", headers=headers)

    assert reply.status_code == 401
    assert reply.json() == {"errorMessage": "Insufficient authorization to perform request."}
    assert "RequestID" in reply.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v3/nothing", 404),
        ("GET", f"{BASE}/orders/999999", 404),
        ("GET", f"{BASE}/orders/@unheard", 404),
        ("GET", f"{BASE}/trades/999999", 404),
        ("PUT", f"{BASE}/trades/999999/orders", 404),
        ("GET", f"{BASE}/positions/USD_JPY", 404),
        ("GET", f"{BASE}/transactions/999999", 404),
        ("GET", f"{BASE}/transactions/sinceid?id=999999", 416),
        ("GET", f"{BASE}/transactions/sinceid?id=x", 400),
        ("GET", f"{BASE}/pricing", 400),
        ("GET", f"{BASE}/pricing?instruments=ABC", 400),
        ("GET", f"{BASE}/pricing/stream?instruments=ABC", 400),
        ("GET", f"{BASE}/orders?count=501", 400),
        ("DELETE", f"{BASE}/orders", 405),
        ("PATCH", f"{BASE}/summary", 405),
        ("GET", "/v3/accounts/101-001-1-999/summary", 403),
    ],
)
def test_refusals_have_their_status_and_a_message(client, method, path, status):
    reply = client.request(method, path)

    assert status == reply.status_code
    assert reply.json()["errorMessage"]


def test_body_that_is_no_json_object_is_a_400(client):
    for content in (b"{", b"[]", b'{"order": 5}', b"{}"):
        assert client.post(f"{BASE}/orders", content=content).status_code == 400


def test_unknown_order_has_the_code_no_such_order(client):
    assert client.get(f"{BASE}/orders/999999").json()["errorCode"] == "NO_SUCH_ORDER"


def test_large_reply_is_compressed_when_the_client_accepts_it(client):
    path = f"{BASE}/instruments/EUR_USD/candles?count=100"

    packed = client.get(path, headers={"Accept-Encoding": "gzip"})
    plain = client.get(path, headers={"Accept-Encoding": "identity"})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert 100 == len(packed.json()["candles"]) == len(plain.json()["candles"])


def test_one_connection_serves_many_requests(client):
    first = client.get("/v3/accounts")
    second = client.get("/v3/accounts")

    streams = [reply.extensions["network_stream"] for reply in (first, second)]
    ports = {stream.get_extra_info("client_addr") for stream in streams}
    assert len(ports) == 1


def test_malformed_request_is_answered_and_closed(slow, raw):
    assert raw(slow.url, b"NONSENSE\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    head = b"POST /v3/accounts HTTP/1.1\r\nHost: x\r\n"
    assert raw(slow.url, head + b"Transfer-Encoding: chunked\r\n\r\n").startswith(b"HTTP/1.1 411 ")
    assert raw(slow.url, head + b"Content-Length: 99999999\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    assert raw(slow.url, head + b"Content-Length: -1\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_requests_seen_are_kept_with_the_token_hashed(slow, client):
    client.get(f"{BASE}/summary", headers={"X-Mark": "here"})

    seen = httpx.get(f"{slow.url}/_sim/requests").json()["requests"][-1]

    digest = hashlib.sha256(b"Bearer token-one").hexdigest()[:12]
    assert (f"{BASE}/summary", "here", f"sha256:{digest}") == (
        seen["path"],
        seen["headers"]["x-mark"],
        seen["headers"]["authorization"],
    )
    assert "token-one" not in str(seen)


def test_only_loopback_is_listened_on(slow):
    sockets = Path(f"/proc/{slow.process.pid}/net/tcp").read_text()
    port = f"{int(slow.url.rsplit(':', 1)[1]):04X}"

    listening = [line.split()[1] for line in sockets.splitlines()[1:] if line.split()[3] == "0A"]

    assert [f"0100007F:{port}"] == [address for address in listening if address.endswith(f":{port}")]
