"""Settings, signatures, tickets, buckets and clocks of the Kalshi adapter."""

import base64
import time
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import formatdate
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from brokers.kalshi import tickets
from brokers.kalshi.buckets import MARGIN, Bucket, Buckets
from brokers.kalshi.config import KalshiConfig, WireChoice, load
from brokers.kalshi.errors import error_of, of_status
from brokers.kalshi.signing import signer_of
from brokers.kalshi.steps import Steps
from brokers.kalshi.venue_time import VenueTime
from domain.clock import FakeClock
from domain.errors import Ask, Misconfigured, Refuse, Retry
from domain.settings import Secret
from domain.vocabulary import Leg, Side

D = Decimal
NOON = datetime(2014, 5, 6, 12, tzinfo=UTC)
CENTS, FINE = (Steps(((D(0), D(1), D(step)),)) for step in ("0.01", "0.001"))
GIVEN = {"KALSHI_KEY_ID": "a-key", "KALSHI_PRIVATE_KEY": "pem"}


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem_of(key, *, passphrase=None):
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def test_demo_is_the_default_and_each_environment_has_its_hosts():
    demo, prod = load(GIVEN, source="x"), load({**GIVEN, "KALSHI_ENVIRONMENT": "prod"}, source="x")

    assert demo.rest_url == "https://demo-api.kalshi.co/trade-api/v2"
    assert demo.socket_url == "wss://demo-api.kalshi.co/trade-api/ws/v2"
    assert prod.rest_url == "https://api.elections.kalshi.com/trade-api/v2"
    assert (demo.wire, demo.account) == (WireChoice.CURRENT, "a-key")


def test_loopback_address_serves_rest_and_socket():
    config = load({**GIVEN, "KALSHI_API_URL": "http://127.0.0.1:81/trade-api/v2/"}, source="x")

    assert (config.rest_url, config.socket_url) == (
        "http://127.0.0.1:81/trade-api/v2",
        "ws://127.0.0.1:81/trade-api/ws/v2",
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"KALSHI_API_URL": "http://127.0.0.1:81"}, "must end in /trade-api/v2"),
        ({"KALSHI_API_URL": "https://evil.example/trade-api/v2"}, "must be https:// and one of"),
        ({"KALSHI_API_URL": "http://demo-api.kalshi.co/trade-api/v2"}, "must be https://"),
        ({"KALSHI_API_URL": "https://api.elections.kalshi.com/trade-api/v2"}, "demo-api.kalshi.co"),
        ({"KALSHI_API_URL": "https://a:b@demo-api.kalshi.co/trade-api/v2"}, "plain"),
        ({"KALSHI_WS_URL": "wss://evil.example/x"}, "KALSHI_WS_URL"),
        ({"KALSHI_KEY_ID": "put-your-key-id-here"}, "still the example's"),
        ({"KALSHI_KEY_ID": "a b"}, "without spaces"),
        ({"KALSHI_PRIVATE_KEY_FILE": "/k.pem"}, "exactly one of"),
        ({"KALSHI_WIRE": "newest"}, "current, older, auto"),
        ({"KALSHI_RATE_SHARE": "1.5"}, "at most 1"),
        ({"KALSHI_READ_TIMEOUT_S": "0"}, "above 0"),
        ({"KALSHI_KEYID": "x"}, "KALSHI_KEY_ID"),
    ],
)
def test_settings_that_make_no_sense_name_their_key(changes, message):
    with pytest.raises(Misconfigured, match=message):
        load({**GIVEN, **changes}, source="env/st.env")


def test_key_is_never_shown(key):
    pem = pem_of(key)
    config = KalshiConfig(key_id="k", private_key=Secret(pem))

    assert "PRIVATE" not in repr(config)
    assert pem.splitlines()[1] not in repr(config)


def test_signature_covers_time_method_and_path_with_pss(key):
    headers = signer_of(KalshiConfig(key_id="k", private_key=Secret(pem_of(key)))).headers(
        "GET", "/trade-api/v2/x", 123
    )
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    signature = base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"])
    key.public_key().verify(signature, b"123GET/trade-api/v2/x", pss, hashes.SHA256())

    assert (headers["KALSHI-ACCESS-KEY"], headers["KALSHI-ACCESS-TIMESTAMP"]) == ("k", "123")


def test_key_may_stand_on_one_line_of_an_env_file(key):
    one_line = pem_of(key).strip().replace("\n", "\\n")

    assert signer_of(KalshiConfig(key_id="k", private_key=Secret(one_line))).headers("GET", "/", 1)


def test_key_file_must_be_its_owners_alone(key, tmp_path):
    file = tmp_path / "key.pem"
    file.write_text(pem_of(key))
    file.chmod(0o640)

    with pytest.raises(Misconfigured, match=r"a file others may read \(mode 640\); run chmod 600 /"):
        signer_of(KalshiConfig(key_id="k", private_key_file=file))
    file.chmod(0o600)
    assert signer_of(KalshiConfig(key_id="k", private_key_file=file)).headers("GET", "/", 1)


def test_unusable_keys_are_misconfigured_without_being_quoted(key):
    curve = pem_of(ec.generate_private_key(ec.SECP256R1()))
    locked = pem_of(key, passphrase=b"open sesame")
    for text in ("no key at all", curve, locked):
        with pytest.raises(Misconfigured) as caught:
            signer_of(KalshiConfig(key_id="k", private_key=Secret(text)))
        assert text.splitlines()[-1] not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("content", "found"),
    [(None, "no such file"), (b"no key at all", "no RSA private key"), (b"\xff\xfe", "no RSA private key")],
)
def test_a_key_file_that_can_not_be_used_is_named_in_full_with_what_is_wrong(content, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "kalshi.pem").write_bytes(content)
        (tmp_path / "kalshi.pem").chmod(0o600)

    with pytest.raises(Misconfigured) as caught:
        signer_of(KalshiConfig(key_id="k", private_key_file=Path("kalshi.pem")))

    assert caught.value.found == found
    assert str(tmp_path / "kalshi.pem") in caught.value.expected
    assert "Error" not in str(caught.value)


def test_a_missing_key_file_with_a_relative_path_tells_from_where_it_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(Misconfigured, match=f"a relative path counts from {tmp_path}, where the process was started"):
        signer_of(KalshiConfig(key_id="k", private_key_file=Path("env/kalshi.pem")))


def test_a_folder_is_no_key_file(tmp_path):
    with pytest.raises(Misconfigured, match=r"found a folder; set KALSHI_PRIVATE_KEY_FILE to it$"):
        signer_of(KalshiConfig(key_id="k", private_key_file=tmp_path))


def test_entry_on_todays_wire_is_immediate_and_on_the_yes_book(entry):
    intent = entry(FakeClock(NOON), side=Side.SELL, price_bound=D("0.353"))

    assert tickets.current(intent, tickets.limit_of(intent, CENTS)) == {
        "ticker": intent.market,
        "client_order_id": intent.client_order_id,
        "side": "ask",
        "count": "10.00",
        "price": "0.3600",
        "time_in_force": "immediate_or_cancel",
        "self_trade_prevention_type": "taker_at_cross",
    }


@pytest.mark.parametrize(
    ("leg", "side", "expected"),
    [
        (Leg.ENTRY, Side.BUY, {"side": "yes", "action": "buy", "yes_price": 40}),
        (Leg.ENTRY, Side.SELL, {"side": "no", "action": "buy", "no_price": 60}),
        (Leg.EXIT, Side.SELL, {"side": "yes", "action": "sell", "yes_price": 40, "reduce_only": True}),
        (Leg.EXIT, Side.BUY, {"side": "no", "action": "sell", "no_price": 60, "reduce_only": True}),
    ],
)
def test_older_wire_buys_and_sells_the_outcome_that_is_meant(entry, leg, side, expected):
    intent = entry(FakeClock(NOON), side=side, leg=leg, price_bound=D("0.40"))
    ticket = tickets.older(intent, tickets.limit_of(intent, CENTS))

    assert {key: value for key, value in ticket.items() if key in expected} == expected
    assert (ticket["count"], ticket["type"], ticket["time_in_force"]) == (10, "limit", "immediate_or_cancel")
    assert ("reduce_only" in ticket) is (leg is Leg.EXIT)


def test_order_without_a_bound_goes_to_the_farthest_price(entry):
    bounds = [tickets.limit_of(entry(FakeClock(NOON), side=side, price_bound=None), FINE) for side in Side]

    assert bounds == [D("0.999"), D("0.001")]


@given(
    st.decimals(D("0.0001"), D("0.9999"), places=4),
    st.sampled_from([D("0.01"), D("0.001"), D("0.05")]),
    st.sampled_from(Side),
)
def test_limit_lies_on_the_tick_inside_the_book_and_is_never_looser_than_asked(bound, tick, side):
    limit = tickets.limit_of(_intent(bound, side), Steps(((D(0), D(1), tick),)))

    assert limit % tick == 0
    assert tick <= limit <= 1 - tick
    assert (limit - bound) * side.sign <= 0 or limit in (tick, 1 - tick)


TAPERED = Steps(
    ((D(0), D("0.1"), D("0.001")), (D("0.1"), D("0.9"), D("0.01")), (D("0.9"), D(1), D("0.001"))),
)


@pytest.mark.parametrize(
    ("side", "bound", "limit"),
    [
        (Side.BUY, "0.0539", "0.053"),
        (Side.BUY, "0.5539", "0.55"),
        (Side.SELL, "0.5539", "0.56"),
        (Side.BUY, "0.1000", "0.10"),
        (Side.SELL, "0.9551", "0.956"),
        (Side.BUY, None, "0.999"),
        (Side.SELL, None, "0.001"),
    ],
)
def test_limit_lies_on_the_step_of_its_own_range(side, bound, limit):
    assert tickets.limit_of(_intent(bound and D(bound), side), TAPERED) == D(limit)


def _intent(bound, side):
    class Intent:
        price_bound = bound

    Intent.side = side
    return Intent


def test_bucket_lets_its_capacity_pass_at_once_and_the_rest_by_its_refill():
    clock, waits = FakeClock(NOON), []
    bucket = Bucket(clock, refill=100, capacity=30, sleep=waits.append)
    for _ in range(5):
        bucket.wait()
    assert waits == [pytest.approx(0.1), pytest.approx(0.2)]
    clock.advance(10)

    assert [bucket.reserve() for _ in range(3)] == [0, 0, 0]


def test_drained_bucket_waits_for_its_next_tokens():
    bucket = Bucket(FakeClock(NOON), refill=100, capacity=100)
    bucket.drain()

    assert bucket.reserve() == pytest.approx(0.1)


@pytest.mark.parametrize(
    "body",
    [
        {"read": {"refill_rate": 400, "bucket_capacity": 800}, "write": {"refill_rate": 40, "bucket_capacity": 40}},
        {"read_limit": 40, "write_limit": 4},
    ],
)
def test_process_takes_its_share_of_the_accounts_limits(body):
    buckets = Buckets(FakeClock(NOON), share=0.5)
    buckets.learn(body)

    assert (buckets.read._refill, buckets.write._refill) == (200 * MARGIN, 20 * MARGIN)


def test_venues_clock_is_learned_from_its_date_header_unless_the_two_agree():
    venue_time = VenueTime()
    venue_time.learn(formatdate(time.time() + 90, usegmt=True), time.time())
    ahead = venue_time.now_ms() / 1000 - time.time()
    venue_time.learn(formatdate(time.time(), usegmt=True), time.time())
    agreed = venue_time.offset_s
    venue_time.learn("yesterday", time.time())

    assert ahead == pytest.approx(90, abs=1.5)
    assert (agreed, venue_time.offset_s) == (0, 0)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"code": "market_closed", "message": "closed"}}, "market_closed"),
        ({"code": "bad_request", "message": "bad"}, "bad_request"),
        ({"error": "too many requests"}, "too_many_requests"),
        ({"error": None}, ""),
        ({}, ""),
    ],
)
def test_error_bodies_come_in_three_shapes(body, code):
    assert error_of(body)[0] == code


@pytest.mark.parametrize(
    ("status", "code", "repeatable", "kind"),
    [
        (500, "", True, Retry),
        (500, "", False, Ask),
        (503, "", False, Ask),
        (408, "", False, Ask),
        (302, "", False, Ask),
        (429, "", False, Retry),
        (409, "trading_is_paused", False, Retry),
        (503, "exchange_is_paused", False, Ask),
        (401, "", False, Misconfigured),
        (403, "", False, Refuse),
        (400, "invalid_order", False, Refuse),
    ],
)
def test_status_says_what_the_caller_must_do(status, code, repeatable, kind):
    assert type(of_status("x", status, {"error": {"code": code}}, repeatable=repeatable)).__mro__[:2].count(kind) == 1
