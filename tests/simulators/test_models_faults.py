"""Every fault the language models' simulator can be scripted to have, seen as the vendors' SDKs show it."""

import json
import threading
import time
from contextlib import closing

import anthropic
import openai
import pydantic
import pytest
from google.genai import types
from models_caller import MODELS, NETWORK_ERRORS, PROMPT, STATUS_ERRORS, USER, Caller, Forecast, status_of
from models_sim import PROVIDERS, ModelsSim
from simulator import ROOT

from simulators.models.fault_schema import ACTIONS


@pytest.fixture(scope="module")
def _sim():
    started = ModelsSim()
    yield started
    started.stop()


@pytest.fixture
def sim(_sim):
    """A simulator without faults left by another test."""
    yield _sim
    _sim.clear()


@pytest.fixture(scope="module")
def caller(_sim):
    with closing(Caller(_sim)) as found:
        yield found


@pytest.fixture(params=PROVIDERS)
def provider(request):
    return request.param


def refused(caller, provider):
    with pytest.raises(STATUS_ERRORS) as caught:
        caller.ask(provider)
    return caught.value


def test_overloaded_is_529_at_anthropic_and_503_elsewhere(sim, caller, provider):
    name, paid = sim.fault("overloaded", times=1), sim.state()["paid_calls"]

    error = refused(caller, provider)

    assert (529 if provider == "anthropic" else 503) == status_of(error)
    if provider == "anthropic":
        assert isinstance(error, anthropic.OverloadedError)
        assert error.type == "overloaded_error"
    assert (1, paid) == (sim.fired(name), sim.state()["paid_calls"])
    assert 0 < json.loads(caller.text(provider))["probability"] < 1


def test_rate_limited_says_when_to_come_back_in_each_vendors_way(sim, caller, provider):
    name = sim.fault("rate_limited", retry_after=2.5, match={"provider": provider}, times=1)

    error = refused(caller, provider)

    assert status_of(error) == 429
    if provider == "gemini":
        info = error.details["error"]["details"][-1]
        assert (error.status, info["retryDelay"]) == ("RESOURCE_EXHAUSTED", "2.5s")
    elif provider == "deepseek":
        assert "retry-after" not in error.response.headers
    else:
        headers = error.response.headers
        assert (headers["retry-after"], headers["retry-after-ms"]) == ("3", "2500")
    assert sim.fired(name) == 1


def test_sdks_with_retries_wait_as_told_and_then_succeed(sim):
    names = [sim.fault("rate_limited", retry_after=0.1, match={"provider": p}, times=2) for p in PROVIDERS[:3]]
    before = time.monotonic()

    with closing(Caller(sim, retries=2)) as caller:
        answers = [json.loads(caller.text(provider)) for provider in PROVIDERS[:3]]

    assert all(0 < answer["probability"] < 1 for answer in answers)
    assert [sim.fired(name) for name in names] == [2, 2, 2]
    assert time.monotonic() - before > 0.4


def test_out_of_credit_is_no_rate_limit_that_waiting_would_cure(sim, caller, provider):
    name = sim.fault("out_of_credit", times=1)

    error = refused(caller, provider)

    expected = {"anthropic": 402, "openai": 429, "gemini": 429, "deepseek": 402}
    assert expected[provider] == status_of(error)
    if provider == "openai":
        assert error.code == "insufficient_quota"
    assert sim.fired(name) == 1


@pytest.mark.parametrize("denied", [False, True])
def test_auth_turns_a_good_key_away(sim, caller, provider, denied):
    name = sim.fault("auth", denied=denied, times=1)

    error = refused(caller, provider)

    expected = 403 if denied else 400 if provider == "gemini" else 401
    assert expected == status_of(error)
    assert sim.keys[provider] not in str(error)
    assert sim.fired(name) == 1


def test_retired_model_answers_like_a_model_that_is_gone(sim, caller, provider):
    name = sim.fault("retired_model", match={"model": MODELS[provider]}, times=1)

    error = refused(caller, provider)

    assert (400 if provider == "deepseek" else 404) == status_of(error)
    assert sim.fired(name) == 1


@pytest.mark.parametrize("status", [400, 500, 504])
def test_status_is_any_status_in_the_vendors_shape(sim, caller, provider, status):
    name = sim.fault("status", status=status, times=1)

    error = refused(caller, provider)

    assert status == status_of(error)
    assert error.message
    assert sim.fired(name) == 1


def test_bad_gateway_is_a_page_of_html_and_a_body_can_be_spelled_out(sim, caller, provider):
    page, own = sim.fault("status", status=502, times=1), sim.fault("status", status=418, body='{"a": 1}', times=1)

    first, second = refused(caller, provider), refused(caller, provider)

    assert "<html>" in str(first) + str(getattr(first, "body", ""))
    assert (status_of(first), status_of(second)) == (502, 418)
    assert (sim.fired(page), sim.fired(own)) == (1, 1)


def test_slow_outlasts_the_clients_patience_and_is_billed_all_the_same(sim, provider):
    name, paid = sim.fault("slow", seconds=5, times=1), sim.state()["providers"][provider]

    with closing(Caller(sim, timeout=0.2)) as impatient, pytest.raises(NETWORK_ERRORS):
        impatient.ask(provider)

    assert sim.fired(name) == 1
    sim.until(lambda state: state["in_flight"] == 0)
    after = sim.state()["providers"][provider]
    assert (after["paid_calls"] - paid["paid_calls"], after["abandoned"] - paid["abandoned"]) == (1, 1)


def test_slow_delays_an_answer_that_is_waited_for(sim, caller, provider):
    name, before = sim.fault("slow", seconds=0.2, times=1), time.monotonic()

    assert "probability" in caller.text(provider)

    assert time.monotonic() - before >= 0.2
    assert sim.fired(name) == 1


@pytest.mark.parametrize("paid", [True, False])
def test_hang_never_answers_and_may_or_may_not_be_billed(sim, provider, paid):
    name, before = sim.fault("hang", paid=paid, times=1), sim.state()["paid_calls"]

    with closing(Caller(sim, timeout=0.2)) as impatient, pytest.raises(NETWORK_ERRORS):
        impatient.ask(provider)

    assert sim.fired(name) == 1
    assert int(paid) == sim.state()["paid_calls"] - before
    sim.until(lambda state: state["in_flight"] == 0)


def test_hanging_requests_are_counted_as_in_flight(sim):
    sim.fault("hang", match={"provider": "openai"}, times=1)
    with closing(Caller(sim, timeout=1)) as impatient:

        def ask():
            with pytest.raises(openai.APITimeoutError):
                impatient.ask("openai")

        thread = threading.Thread(target=ask)
        thread.start()
        sim.until(lambda state: state["providers"]["openai"]["in_flight"] == 1)
        thread.join()

    sim.until(lambda state: state["in_flight"] == 0)


def test_cut_breaks_the_connection_inside_the_body(sim, caller, provider):
    name, paid = sim.fault("cut", times=1), sim.state()["paid_calls"]

    with pytest.raises(NETWORK_ERRORS):
        caller.ask(provider)

    assert (1, paid + 1) == (sim.fired(name), sim.state()["paid_calls"])


def test_refusal_takes_each_vendors_form(sim, caller):
    names = [sim.fault("refusal", match={"provider": provider}, times=1) for provider in PROVIDERS]

    claude, gpt, gemini, deepseek = (caller.ask(provider) for provider in PROVIDERS)

    assert (claude.stop_reason, claude.content, claude.stop_details.type) == ("refusal", [], "refusal")
    assert (gpt.choices[0].finish_reason, gpt.choices[0].message.content) == ("stop", None)
    assert gpt.choices[0].message.refusal
    assert gemini.candidates[0].finish_reason is types.FinishReason.SAFETY
    assert gemini.candidates[0].content is None
    assert deepseek.choices[0].message.content.startswith("I'm sorry")
    assert [sim.fired(name) for name in names] == [1, 1, 1, 1]


def test_refusal_by_a_filter_takes_each_vendors_form(sim, caller):
    name = sim.fault("refusal", form="filter", times=4)

    claude, gpt, gemini, deepseek = (caller.ask(provider) for provider in PROVIDERS)

    assert claude.stop_reason == "refusal"
    assert gpt.choices[0].finish_reason == deepseek.choices[0].finish_reason == "content_filter"
    assert gemini.candidates is None
    assert gemini.prompt_feedback.block_reason is types.BlockedReason.PROHIBITED_CONTENT
    assert gemini.usage_metadata.candidates_token_count is None
    assert sim.fired(name) == 4


def test_openais_parsers_see_refusals_and_filters(sim, caller):
    sim.fault("refusal", name="first", times=2)
    parse, ask = caller.gpt.chat.completions.parse, {"model": "gpt-5.5", "messages": USER, "response_format": Forecast}

    refusal = parse(**ask).choices[0].message
    response = caller.gpt.responses.parse(model="gpt-5.5", input=PROMPT, text_format=Forecast)
    sim.clear()
    sim.fault("refusal", name="second", form="filter", times=1)
    with pytest.raises(openai.ContentFilterFinishReasonError):
        parse(**ask)

    assert (refusal.parsed, bool(refusal.refusal)) == (None, True)
    assert (response.output_parsed, response.output[-1].content[0].type) == (None, "refusal")
    assert sim.fired("second") == 1


def test_malformed_json_is_text_that_no_parser_takes(sim, caller, provider):
    name = sim.fault("malformed_json", times=1)

    text = caller.text(provider)

    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    assert sim.fired(name) == 1


def test_wrong_schema_is_json_of_another_shape(sim, caller, provider):
    names = [sim.fault("wrong_schema", times=1), sim.fault("wrong_schema", value=["0.4"], times=1)]

    first, second = json.loads(caller.text(provider)), json.loads(caller.text(provider))

    assert first == {"answer": "yes", "certainty": "high"}
    assert second == ["0.4"]
    assert [sim.fired(name) for name in names] == [1, 1]


def test_out_of_range_is_a_number_that_is_no_probability(sim, caller, provider):
    names = [sim.fault("out_of_range", times=1), sim.fault("out_of_range", value="NaN", times=1)]

    first, second = json.loads(caller.text(provider)), caller.text(provider)

    assert first["probability"] == 1.7
    assert second == '{"probability": NaN}'
    assert [sim.fired(name) for name in names] == [1, 1]


def test_vendors_own_parsers_reject_what_is_malformed_or_out_of_range(sim, caller):
    sim.fault("malformed_json", name="malformed", every=2)
    sim.fault("out_of_range", name="range")
    ask = {"model": "claude-sonnet-4-6", "max_tokens": 900, "messages": USER, "output_format": Forecast}

    for _ in range(2):
        with pytest.raises(pydantic.ValidationError):
            caller.claude.messages.parse(**ask)
        with pytest.raises(pydantic.ValidationError):
            caller.gpt.chat.completions.parse(model="gpt-5.5", messages=USER, response_format=Forecast)
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Forecast)
    found = caller.gemini.models.generate_content(model="gemini-3.5-flash", contents=PROMPT, config=config)

    # google-genai keeps silent about it
    assert found.parsed is None
    assert (sim.fired("malformed"), sim.fired("range")) == (2, 3)


def test_truncated_ends_as_if_the_longest_was_reached(sim, caller):
    name = sim.fault("truncated", times=4)

    claude, gpt, gemini, deepseek = (caller.ask(provider) for provider in PROVIDERS)

    assert claude.stop_reason == "max_tokens"
    assert gpt.choices[0].finish_reason == deepseek.choices[0].finish_reason == "length"
    assert gemini.candidates[0].finish_reason is types.FinishReason.MAX_TOKENS
    for text in (claude.content[0].text, gemini.text, gpt.choices[0].message.content):
        assert text.startswith('{"prob')
        assert not text.endswith("}")
    assert sim.fired(name) == 4


def test_empty_is_a_whole_answer_without_a_word(sim, caller):
    name = sim.fault("empty", times=4)

    claude, gpt, gemini, deepseek = (caller.ask(provider) for provider in PROVIDERS)

    assert (claude.stop_reason, claude.content) == ("end_turn", [])
    assert (gpt.choices[0].message.content, deepseek.choices[0].message.content) == ("", "")
    assert (gemini.candidates[0].content.parts, gemini.text) == (None, None)
    assert sim.fired(name) == 4


def test_no_usage_leaves_the_usage_out_but_the_books_know(sim, caller):
    name, before = sim.fault("no_usage", times=4), sim.state()["tokens_out"]

    claude, gpt, gemini, deepseek = (caller.ask(provider) for provider in PROVIDERS)

    assert [claude.usage, gpt.usage, gemini.usage_metadata, deepseek.usage] == [None] * 4
    assert sim.fired(name) == 4
    assert sim.state()["tokens_out"] > before


def test_faults_combine_where_they_can_and_the_first_in_the_script_decides(sim, caller):
    sim.fault("slow", name="slow", seconds=0.1)
    sim.fault("empty", name="empty")
    sim.fault("malformed_json", name="never")
    sim.fault("no_usage", name="unsaid")
    before = time.monotonic()

    found = caller.ask("openai")

    assert (found.choices[0].message.content, found.usage) == ("", None)
    assert time.monotonic() - before >= 0.1
    assert sim.state()["faults"] == {"slow": 1, "empty": 1, "never": 0, "unsaid": 1}
    assert sim.requests("openai")[-1]["faults"] == ["slow", "empty", "unsaid"]


def test_faults_choose_provider_model_words_turn_and_time(sim, caller):
    sim.fault("empty", name="gpt", match={"provider": "openai", "model": "gpt-5.4*"})
    sim.fault("empty", name="words", match={"contains": "Bergen"})
    sim.fault("empty", name="third", match={"provider": "deepseek"}, after=1, every=2)
    sim.fault("empty", name="tomorrow", between=["2014-05-07T00:00:00Z", "2014-05-08T00:00:00Z"])

    by_model = [caller.text("openai", model=model) for model in ("gpt-5.5", "gpt-5.4", "gpt-5.4-mini")]
    by_words = [caller.ask("anthropic", prompt=prompt).content for prompt in (PROMPT, "In Bergen?")]
    by_turn = [caller.text("deepseek") for _ in range(5)]

    assert [bool(text) for text in by_model] == [True, False, False]
    assert [bool(content) for content in by_words] == [True, False]
    assert [bool(text) for text in by_turn] == [True, True, False, True, False]
    assert sim.state()["faults"] == {"gpt": 2, "words": 1, "third": 2, "tomorrow": 0}


def test_faults_are_listed_removed_and_refused_with_the_field_at_fault(sim):
    sim.fault("empty", name="one")
    sim.fault("slow", name="two", seconds=1)
    wrong = [
        ({"name": "x", "action": "explode"}, "action"),
        ({"name": "one", "action": "empty"}, "name"),
        ({"name": "x", "action": "slow"}, "seconds"),
        ({"name": "x", "action": "status", "status": 200}, "status"),
        ({"name": "x", "action": "empty", "match": {"provider": "grok"}}, "match.provider"),
        ({"name": "x", "action": "empty", "match": {"path": "/"}}, "match"),
        ({"name": "x", "action": "empty", "every": 0}, "every"),
        ({"name": "x", "action": "empty", "between": ["now", "then"]}, "between"),
        ({"name": "x", "action": "empty", "seconds": 1}, "seconds"),
        (3, "faults[0]"),
    ]

    replies = [sim.client.post("/_sim/faults", json=fault) for fault, _ in wrong]

    assert [reply.status_code for reply in replies] == [422] * len(wrong)
    for reply, (_, field) in zip(replies, wrong, strict=True):
        assert field in reply.json()["error"]
    sim.clear("one")
    assert [fault["name"] for fault in sim.client.get("/_sim/faults").json()["faults"]] == ["two"]


def test_every_action_is_documented():
    readme = (ROOT / "simulators" / "README.md").read_text()
    section = readme.split("## Language models")[1]

    assert [action for action in ACTIONS if f"| `{action}` |" not in section] == []
