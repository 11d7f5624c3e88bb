"""Front door of the simulated Kalshi: signatures, stale timestamps, token buckets, bodies of any kind."""

import time

import httpx
import kalshi_lab
import kalshi_sim
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TICKER = kalshi_sim.TICKER
CURRENT = {
    "ticker": TICKER,
    "side": "bid",
    "count": "2.00",
    "price": "0.4000",
    "time_in_force": "good_till_canceled",
    "self_trade_prevention_type": "taker_at_cross",
}
OLDER = {"ticker": TICKER, "side": "no", "action": "buy", "count": 2, "type": "limit", "no_price": 45}


@pytest.fixture
def venue(tmp_path):
    return kalshi_lab.lab(kalshi_lab.catalogue(tmp_path))


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    members = (kalshi_sim.member(0), kalshi_sim.member(1, tier="basic"))
    started = kalshi_sim.start(tmp_path_factory.mktemp("wire"), members=members)
    yield started
    started.stop()


def test_public_pages_need_no_signature_and_private_ones_do(process):
    assert process.send("GET", "/markets", who=None).status_code == 200

    reply = process.send("GET", "/portfolio/balance", who=None)
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "authentication_error")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda h: h | {"KALSHI-ACCESS-KEY": "stranger"}, "NOT_FOUND"),
        (lambda h: h | {"KALSHI-ACCESS-KEY": "key-1"}, "INCORRECT_API_KEY_SIGNATURE"),
        (
            lambda h: h | {"KALSHI-ACCESS-TIMESTAMP": str(int(h["KALSHI-ACCESS-TIMESTAMP"]) + 1)},
            "INCORRECT_API_KEY_SIGNATURE",
        ),
        (lambda h: h | {"KALSHI-ACCESS-SIGNATURE": "bm9uc2Vuc2U="}, "INCORRECT_API_KEY_SIGNATURE"),
        (lambda h: h | {"KALSHI-ACCESS-SIGNATURE": "?"}, "INCORRECT_API_KEY_SIGNATURE"),
    ],
)
def test_a_signature_that_does_not_fit_is_told_why(process, spoil, told):
    one = process.members[0]
    headers = kalshi_sim.signed_headers(one.key_id, one.private_pem, "GET", "/trade-api/v2/portfolio/balance")

    reply = httpx.get(f"{process.base_url}/portfolio/balance", headers=spoil(headers))

    assert (401, told) == (reply.status_code, reply.json()["error"]["details"])


def test_the_query_is_not_signed_and_method_and_root_are(process):
    one = process.members[0]
    good = kalshi_sim.signed_headers(one.key_id, one.private_pem, "GET", "/trade-api/v2/portfolio/orders")
    rootless = kalshi_sim.signed_headers(one.key_id, one.private_pem, "GET", "/portfolio/orders")

    answers = [
        httpx.get(f"{process.base_url}/portfolio/orders?limit=5", headers=h).status_code for h in (good, rootless)
    ]

    assert answers == [200, 401]


@pytest.mark.parametrize("seconds", [-120, 120])
def test_a_stale_or_future_timestamp_is_refused(process, seconds):
    one, path = process.members[0], "/trade-api/v2/portfolio/balance"
    at = int((time.time() + seconds) * 1000)
    reply = httpx.get(
        process.url + path, headers=kalshi_sim.signed_headers(one.key_id, one.private_pem, "GET", path, at)
    )

    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "header_timestamp_expired")


def flood(process, method, path, times, **options):
    """Send one signed request again and again, faster than a bucket fills."""
    one = process.members[1]
    headers = kalshi_sim.signed_headers(one.key_id, one.private_pem, method, f"/trade-api/v2{path}")
    with httpx.Client(base_url=process.base_url, headers=headers) as client:
        return [client.request(method, process.base_url + path, **options) for _ in range(times)]


def test_a_tiers_tokens_run_out_and_the_answer_names_no_time(process):
    replies = flood(process, "DELETE", "/portfolio/events/orders", 40)

    refused = [reply for reply in replies if reply.status_code == 429]
    assert refused
    assert [reply.status_code for reply in replies[:10]] == [200] * 10
    assert refused[0].json() == {"error": "too many requests"}
    assert "retry-after" not in refused[0].headers
    assert process.send("GET", "/portfolio/balance", who=1).status_code == 200
    assert process.state()["rate_limited"] >= len(refused)


def test_each_item_of_a_batch_is_billed(process):
    body = {"orders": [{"order_id": str(number)} for number in range(11)]}

    replies = flood(process, "DELETE", "/portfolio/events/orders/batched", 1, json=body)

    assert [reply.status_code for reply in replies] == [429]


FIELDS = [*CURRENT, *OLDER, "orders", "ids", "expiration_time"]
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["1e999", "NaN"])
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from([f"/portfolio/{kind}orders{tail}" for kind in ("", "events/") for tail in ("", "/batched")]),
    method=st.sampled_from(["POST", "DELETE"]),
    base=st.sampled_from([{}, CURRENT, OLDER]),
    changes=st.dictionaries(st.sampled_from(FIELDS), JUNK, max_size=3),
)
def test_no_body_whatever_it_holds_is_more_than_a_refusal(venue, path, method, base, changes):
    status, answer = venue.send(method, path, base | changes)

    assert status < 500
    assert isinstance(answer, dict)
