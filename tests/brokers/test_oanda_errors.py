"""Vendor exceptions translated into what the caller must do, with the token nowhere in them."""

import json
import traceback

import pytest
import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from brokers.grace import Grace
from brokers.oanda.errors import Rejected, translated
from brokers.oanda.limiter import Limiter
from brokers.oanda.sdk import V20Error
from domain.errors import Ask, Misconfigured, Refuse, Retry, TBotError
from domain.settings import Secret

TOKEN = "sesame-7f3a9c"


def refused():
    return requests.ConnectionError(MaxRetryError(None, "/", NewConnectionError(None, "refused")))


def dropped():
    return requests.ConnectionError(ProtocolError("Connection aborted."))


def answer(status, **body):
    return V20Error(status, json.dumps(body))


def raised(error, *, repeatable):
    with pytest.raises(TBotError) as found, translated("a thing", repeatable=repeatable, token=Secret(TOKEN)):
        raise error
    return found.value


@pytest.mark.parametrize(
    ("error", "question", "order"),
    [
        (refused(), Retry, Retry),
        (requests.ConnectTimeout(), Retry, Retry),
        (dropped(), Retry, Ask),
        (requests.ReadTimeout(), Retry, Ask),
        (requests.exceptions.ChunkedEncodingError(), Retry, Ask),
        (requests.exceptions.SSLError(), Retry, Ask),
        (json.JSONDecodeError("x", "", 0), Retry, Ask),
        (KeyError("orderCreateTransaction"), Retry, Ask),
        (answer(500, errorMessage="x"), Retry, Ask),
        (V20Error(502, "<html>"), Retry, Ask),
        (V20Error(400, "<html>"), Retry, Ask),
        (answer(429), Retry, Retry),
        (answer(401, errorMessage="x"), Misconfigured, Misconfigured),
        (answer(403, errorMessage="x"), Refuse, Refuse),
        (answer(400, errorMessage="x"), Rejected, Rejected),
        (answer(404, errorCode="NO_SUCH_ORDER"), Rejected, Rejected),
    ],
)
def test_error_says_what_to_do(error, question, order):
    assert type(raised(error, repeatable=True)) is question
    assert type(raised(error, repeatable=False)) is order


def test_message_says_what_was_expected_found_and_to_do():
    text = str(raised(answer(404, errorCode="NO_SUCH_ORDER"), repeatable=False))

    assert text == "expected a thing to be accepted; found 404 NO_SUCH_ORDER; do not repeat it unchanged"


@pytest.mark.parametrize(("header", "after_s"), [("7", 7.0), (None, 1.0), ("Wed, 21 Oct 2026", 1.0), ("9999", 60.0)])
def test_rate_limit_says_how_long_to_wait(header, after_s):
    error = answer(429)
    error.retry_after = header

    assert raised(error, repeatable=True).after_s == after_s


def test_our_own_errors_pass_unchanged():
    ours = Refuse("a", "b", "c")

    assert raised(ours, repeatable=True) is ours


def test_venue_that_quotes_the_token_does_not_leak_it():
    error = raised(answer(400, errorMessage=f"bad token {TOKEN}"), repeatable=False)

    assert TOKEN not in "".join(traceback.format_exception(error))


def test_unexpected_errors_of_ours_are_not_swallowed():
    with pytest.raises(AssertionError), translated("a thing", repeatable=True, token=Secret(TOKEN)):
        raise AssertionError


@pytest.mark.contract
@pytest.mark.parametrize("action", ["drop_after_accept", "drop_before_accept", "non_json", "status"])
def test_no_error_or_representation_holds_the_token(venue, entry, action, caplog):
    data, executor = venue.connect()
    intent = entry(data.quotes(["EUR_USD"])["EUR_USD"])
    params = {"status": 500, "body": json.dumps({"errorMessage": venue.token})} if action == "status" else {}
    venue.fault(action, times=10, **params)
    seen = [repr(data), repr(executor), repr(venue.config())]
    for call in (executor.account, executor.open_trades, lambda: executor.submit(intent)):
        try:
            call()
        except TBotError as error:
            seen.append("".join(traceback.format_exception(error)))

    assert len(seen) >= 5
    assert not any(venue.token in text for text in [*seen, caplog.text])


def test_limiter_lets_a_burst_pass_and_then_one_at_a_time(dry_run):
    limiter = Limiter(dry_run.clock, per_s=100, burst=10)
    delays = [limiter.reserve() for _ in range(13)]
    dry_run.clock.advance(10)

    assert [delay / 1e6 for delay in delays] == [0.0] * 10 + [10.0, 20.0, 30.0]
    assert limiter.reserve() == 0


def test_grace_runs_from_the_end_of_sending(dry_run):
    clock = dry_run.clock
    grace = Grace(clock, 15)
    clock.advance(60)
    sent_at = clock.now()
    with grace.sending("id"):
        clock.advance(12)
    clock.advance(14)
    with pytest.raises(Retry) as fresh:
        grace.require("id", sent_at)
    clock.advance(2)

    assert fresh.value.after_s == pytest.approx(1)
    assert grace.require("id", sent_at) is None
