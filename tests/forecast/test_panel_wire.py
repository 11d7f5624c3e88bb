"""What each vendor's SDK makes of answers nobody wants, told as one of our reasons and at what it cost."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import panel_rig
import pytest
from panel_rig import FOUR, KEYS
from vendor_stub import Stub, saying, send, serving

from forecast import prompts
from forecast.answers import CallFailed, Reason, Reply
from forecast.budget import Usage
from forecast.config import Provider
from forecast.providers import connect as connecting
from forecast.providers import transport
from forecast.providers.port import Client

EVERY = list(Provider)
PROMPT = prompts.write(prompts.load("binary-v1"), panel_rig.question(), panel_rig.NOW)
GOOD = '{"probability": 0.37}'
Ask = Callable[..., Reply]
Fail = Callable[..., CallFailed]


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    with serving(None) as running:
        yield running


@pytest.fixture(scope="module")
def clients(stub: Stub) -> Iterator[dict[tuple[Provider, float], Client]]:
    made: dict[tuple[Provider, float], Client] = {}
    yield made
    for client in made.values():
        client.close()


@pytest.fixture
def ask(stub: Stub, clients: dict[tuple[Provider, float], Client]) -> Ask:
    """Ask a vendor's SDK once, with a server behind it that answers as told."""

    def once(provider: Provider, script: Any, call_timeout_s: float = 5.0) -> Reply:
        stub.script = script
        stub.paths.clear()
        key = (provider, call_timeout_s)
        if key not in clients:
            settings = panel_rig.settings(stub.urls, call_timeout_s=call_timeout_s)
            clients[key] = connecting.connect(settings, provider)
        return clients[key].answer(FOUR[provider], PROMPT)

    return once


@pytest.fixture
def fail(ask: Ask) -> Fail:
    """The same, for a server that makes it fail."""

    def once(provider: Provider, script: Any, call_timeout_s: float = 5.0) -> CallFailed:
        with pytest.raises(CallFailed) as caught:
            ask(provider, script, call_timeout_s)
        return caught.value

    return once


@pytest.fixture
def nowhere() -> Iterator[str]:
    """The address of a port that is taken and that nobody listens on."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


@pytest.mark.parametrize("provider", EVERY)
def test_text_version_and_tokens_are_read(provider: Provider, ask: Ask) -> None:
    reply = ask(provider, lambda handler: send(handler, 200, saying(provider, GOOD)))

    assert reply == Reply(text=GOOD, version="served", usage=Usage(tokens_in=800, tokens_out=20))


@pytest.mark.parametrize(
    ("status", "reason", "is_repeatable"),
    [
        (400, Reason.REJECTED, False),
        (401, Reason.UNAUTHORIZED, False),
        (402, Reason.UNPAID, False),
        (403, Reason.UNAUTHORIZED, False),
        (404, Reason.RETIRED, False),
        (410, Reason.RETIRED, False),
        (422, Reason.REJECTED, False),
        (429, Reason.RATE_LIMITED, True),
        (500, Reason.SERVER_ERROR, True),
        (502, Reason.SERVER_ERROR, True),
        (503, Reason.OVERLOADED, True),
        (529, Reason.OVERLOADED, True),
        (307, Reason.REJECTED, False),
    ],
)
@pytest.mark.parametrize("provider", EVERY)
def test_an_error_of_the_vendors_is_free_and_comes_after_one_call(
    provider: Provider, status: int, reason: Reason, is_repeatable: bool, fail: Fail, stub: Stub
) -> None:
    body = {"error": {"type": "x", "code": status, "message": "no", "status": "X"}}
    failed = fail(
        provider, lambda handler: send(handler, status, body, headers={"Retry-After": "7", "Location": "/elsewhere"})
    )

    assert (failed.reason, failed.is_repeatable, failed.is_billed) == (reason, is_repeatable, False)
    assert failed.after_s == (7.0 if is_repeatable else None)
    assert len(stub.paths) == 1


@pytest.mark.parametrize("status", [408, 504])
@pytest.mark.parametrize("provider", EVERY)
def test_a_gateway_that_gave_up_may_have_been_billed(provider: Provider, status: int, fail: Fail) -> None:
    failed = fail(provider, lambda handler: send(handler, status, b"<html>", kind="text/html"))

    assert (failed.reason, failed.is_repeatable, failed.is_billed) == (Reason.TIMEOUT, False, True)


@pytest.mark.parametrize(
    ("provider", "status", "error", "reason"),
    [
        (Provider.OPENAI, 429, {"code": "insufficient_quota", "message": "You exceeded your quota"}, Reason.UNPAID),
        (Provider.DEEPSEEK, 402, {"message": "Insufficient Balance"}, Reason.UNPAID),
        (Provider.ANTHROPIC, 400, {"type": "x", "message": "Your credit balance is too low"}, Reason.UNPAID),
        (Provider.DEEPSEEK, 400, {"message": "Model Not Exist"}, Reason.RETIRED),
        (Provider.OPENAI, 400, {"code": "model_not_found", "message": "no"}, Reason.RETIRED),
        (
            Provider.GEMINI,
            400,
            {"code": 400, "status": "INVALID_ARGUMENT", "message": "API key not valid. Pass one."},
            Reason.UNAUTHORIZED,
        ),
    ],
)
def test_words_of_the_vendors_that_say_more_than_the_status_are_understood(
    provider: Provider, status: int, error: dict[str, Any], reason: Reason, fail: Fail
) -> None:
    failed = fail(provider, lambda handler: send(handler, status, {"error": error}))

    assert (failed.reason, failed.is_repeatable) == (reason, False)


def test_gemini_says_in_the_error_itself_how_long_to_wait(fail: Fail) -> None:
    delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"}
    error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "quota", "details": [delay]}

    failed = fail(Provider.GEMINI, lambda handler: send(handler, 429, {"error": error}))

    assert (failed.reason, failed.after_s) == (Reason.RATE_LIMITED, 7.5)


@pytest.mark.parametrize("told", ["Wed, 21 Oct 2026 07:28:00 GMT", "-3", "soon", "nan"])
def test_a_waiting_time_that_is_no_number_of_seconds_is_left_to_us(told: str, fail: Fail) -> None:
    failed = fail(Provider.OPENAI, lambda handler: send(handler, 503, {}, headers={"Retry-After": told}))

    assert (failed.reason, failed.after_s) == (Reason.OVERLOADED, None)


NO_ANSWER = {
    "no JSON": lambda handler: send(handler, 200, b"<html>hello</html>", kind="text/html"),
    "no JSON that says it is": lambda handler: send(handler, 200, b"{oops"),
    "nothing": lambda handler: send(handler, 200, b""),
    "a list": lambda handler: send(handler, 200, b"[1, 2]"),
    "a number": lambda handler: send(handler, 200, b"7"),
    "null": lambda handler: send(handler, 200, b"null"),
    "an empty object": lambda handler: send(handler, 200, b"{}"),
    "not UTF-8": lambda handler: send(handler, 200, b"\xff\xfe\xfa"),
    "no gzip that says it is": lambda handler: send(handler, 200, b"x", headers={"content-encoding": "gzip"}),
}


@pytest.mark.parametrize("what", NO_ANSWER)
@pytest.mark.parametrize("provider", EVERY)
def test_bytes_that_are_no_answer_are_malformed_and_may_have_been_billed(
    provider: Provider, what: str, ask: Ask, stub: Stub
) -> None:
    # Some SDKs make of some an answer without anything in it: no number, and no count of tokens either.
    expected = [(Reason.MALFORMED, True, False), ("", None)]

    try:
        reply = ask(provider, NO_ANSWER[what])
        found: object = (reply.text, reply.usage)
    except CallFailed as failed:
        found = (failed.reason, failed.is_billed, failed.is_repeatable)

    assert found in expected


@pytest.mark.parametrize(
    ("provider", "end", "reason"),
    [
        (Provider.ANTHROPIC, "max_tokens", Reason.TRUNCATED),
        (Provider.ANTHROPIC, "refusal", Reason.REFUSED),
        (Provider.OPENAI, "length", Reason.TRUNCATED),
        (Provider.OPENAI, "content_filter", Reason.REFUSED),
        (Provider.DEEPSEEK, "length", Reason.TRUNCATED),
        (Provider.DEEPSEEK, "content_filter", Reason.REFUSED),
        (Provider.GEMINI, "MAX_TOKENS", Reason.TRUNCATED),
        (Provider.GEMINI, "SAFETY", Reason.REFUSED),
        (Provider.GEMINI, "PROHIBITED_CONTENT", Reason.REFUSED),
    ],
)
def test_an_answer_that_is_not_whole_is_told_from_one_that_is(
    provider: Provider, end: str, reason: Reason, ask: Ask
) -> None:
    reply = ask(provider, lambda handler: send(handler, 200, saying(provider, GOOD, end=end)))

    assert (reply.stop, reply.usage) == (reason, Usage(tokens_in=800, tokens_out=20))


def test_a_refusal_of_gpt_stands_in_a_field_of_its_own(ask: Ask, stub: Stub) -> None:
    body = saying("openai", "")
    body["choices"][0]["message"]["refusal"] = "I cannot help with that."

    reply = ask(Provider.OPENAI, lambda handler: send(handler, 200, body))

    assert reply.stop is Reason.REFUSED


def test_a_prompt_gemini_blocks_is_a_refusal(ask: Ask) -> None:
    body = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 9}}
    reply = ask(Provider.GEMINI, lambda handler: send(handler, 200, body))

    assert (reply.stop, reply.usage) == (Reason.REFUSED, Usage(tokens_in=9, tokens_out=0))


def test_an_answer_deepseek_broke_off_for_want_of_machines_is_worth_another_attempt(fail: Fail) -> None:
    failed = fail(
        Provider.DEEPSEEK,
        lambda handler: send(handler, 200, saying("deepseek", GOOD, end="insufficient_system_resource")),
    )

    assert (failed.reason, failed.is_repeatable, failed.is_billed) == (Reason.OVERLOADED, True, True)


@pytest.mark.parametrize("provider", EVERY)
def test_counts_of_tokens_that_make_no_sense_are_no_counts(provider: Provider, ask: Ask) -> None:
    body = json.dumps(saying(provider, GOOD)).replace("800", "-800")
    reply = ask(provider, lambda handler: send(handler, 200, body.encode()))

    assert (reply.text, reply.usage) == (GOOD, None)


@pytest.mark.parametrize("provider", EVERY)
def test_a_port_nobody_listens_on_costs_nothing(provider: Provider, nowhere: str) -> None:
    client = connecting.connect(panel_rig.settings(dict.fromkeys(FOUR, nowhere)), provider)

    with pytest.raises(CallFailed) as caught:
        client.answer(FOUR[provider], PROMPT)
    client.close()

    failed = caught.value
    assert (failed.reason, failed.is_repeatable, failed.is_billed) == (Reason.UNREACHABLE, True, False)


@pytest.mark.parametrize("provider", EVERY)
def test_a_connection_that_ends_before_the_answer_may_have_been_billed(provider: Provider, fail: Fail) -> None:
    def cut(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{")
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)

    failed = fail(provider, cut)

    assert (failed.reason, failed.is_repeatable, failed.is_billed) == (Reason.DROPPED, True, True)


@pytest.mark.parametrize("provider", EVERY)
def test_silence_is_a_timeout_and_may_have_been_billed(provider: Provider, fail: Fail, stub: Stub) -> None:
    is_over = threading.Event()

    failed = fail(provider, lambda handler: is_over.wait(20), call_timeout_s=0.4)
    is_over.set()

    assert (failed.reason, failed.is_repeatable, failed.is_billed) == (Reason.TIMEOUT, False, True)
    assert len(stub.paths) == 1


@pytest.mark.parametrize("provider", EVERY)
def test_an_answer_that_trickles_is_cut_off(provider: Provider, fail: Fail) -> None:
    is_over = threading.Event()

    def trickle(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 90000\r\n\r\n")
        while not is_over.wait(0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    started = time.monotonic()
    failed = fail(provider, trickle, call_timeout_s=0.4)
    is_over.set()

    assert (failed.reason, failed.is_billed) == (Reason.TIMEOUT, True)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("provider", EVERY)
def test_an_answer_of_absurd_size_is_not_read_to_its_end(provider: Provider, fail: Fail) -> None:
    body = saying(provider, "x" * transport.LARGEST_BYTES)

    failed = fail(provider, lambda handler: send(handler, 200, body))

    assert (failed.reason, failed.is_billed) == (Reason.DROPPED, True)


@pytest.mark.parametrize("provider", EVERY)
def test_a_redirect_is_not_followed_and_takes_the_key_nowhere(provider: Provider, fail: Fail, stub: Stub) -> None:
    with serving(lambda handler: send(handler, 200, saying(provider, GOOD))) as elsewhere:
        failed = fail(provider, lambda handler: send(handler, 302, b"", headers={"Location": elsewhere.url + "/v1"}))

        assert elsewhere.paths == []
    assert failed.reason is Reason.REJECTED
    assert len(stub.paths) == 1


@pytest.mark.parametrize("provider", EVERY)
def test_a_vendor_that_quotes_the_key_does_not_bring_it_into_our_error(provider: Provider, fail: Fail) -> None:
    key = KEYS[provider]
    body = {"error": {"type": "x", "message": f"Incorrect API key provided: {key}.", "status": "X"}}
    failed = fail(provider, lambda handler: send(handler, 401, body))

    assert "Incorrect API key provided: ***" in failed.detail
    assert key not in str(failed) + repr(failed)
    assert (failed.__cause__, failed.__context__) == (None, None)


@pytest.mark.parametrize("provider", EVERY)
def test_the_environment_does_not_reach_an_sdk(
    provider: Provider, stub: Stub, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL"):
        monkeypatch.setenv(name, nowhere)
    stub.script = lambda handler: send(handler, 200, saying(provider, GOOD))
    client = connecting.connect(panel_rig.settings(stub.urls), provider)

    reply = client.answer(FOUR[provider], PROMPT)
    client.close()

    assert reply.text == GOOD


def test_the_price_of_an_answer_counts_thinking_as_output(ask: Ask, stub: Stub) -> None:
    model = panel_rig.settings(stub.urls).models[2]

    usage = ask(Provider.GEMINI, lambda handler: send(handler, 200, saying("gemini", GOOD))).usage

    assert usage is not None
    assert model.price.of(usage) == Decimal("0.00138")
