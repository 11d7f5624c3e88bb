"""The four vendors' SDKs, unmodified, against the language models' simulator: answers, usage, keys, models."""

import json
from contextlib import ExitStack, closing

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors, types
from models_sim import ModelsSim
from pydantic import BaseModel, Field

SYSTEM = "You are a careful forecaster."
PROMPT = 'Question: Will it rain in Paris on Friday?\nAnswer as JSON: {"probability": 0.5, "reasoning": "why"}'
USER = [{"role": "user", "content": PROMPT}]
CLAUDE, GPT, GEMINI, DEEPSEEK = "claude-sonnet-4-6", "gpt-5.5", "gemini-3.5-flash", "deepseek-v4-flash"


class Forecast(BaseModel):
    probability: float = Field(ge=0, le=1, description="chance of yes")
    reasoning: str


SCHEMA = {
    "type": "object",
    "properties": {"probability": {"type": "number"}, "reasoning": {"type": "string"}},
    "required": ["probability", "reasoning"],
    "additionalProperties": False,
}
STRICT = {"type": "json_schema", "json_schema": {"name": "forecast", "strict": True, "schema": SCHEMA}}


class Sdks:
    """One client of each vendor, without retries."""

    def __init__(self, sim, keys=None):
        keys = keys or sim.keys
        self.claude = anthropic.Anthropic(
            api_key=keys["anthropic"], base_url=sim.urls["anthropic"], max_retries=0, timeout=5
        )
        self.gpt = openai.OpenAI(api_key=keys["openai"], base_url=sim.urls["openai"], max_retries=0, timeout=5)
        options = types.HttpOptions(base_url=sim.urls["gemini"], timeout=5000)
        self.gemini = genai.Client(api_key=keys["gemini"], vertexai=False, http_options=options)
        self.deepseek = openai.OpenAI(api_key=keys["deepseek"], base_url=sim.urls["deepseek"], max_retries=0, timeout=5)

    def close(self):
        for client in (self.claude, self.gpt, self.gemini, self.deepseek):
            client.close()


@pytest.fixture(scope="module")
def sim():
    started = ModelsSim()
    yield started
    assert started.stop() == 0


@pytest.fixture(scope="module")
def sdks(sim):
    with closing(Sdks(sim)) as found:
        yield found


def ask_claude(sdks, model=CLAUDE, **fields):
    return sdks.claude.messages.create(model=model, messages=USER, **{"max_tokens": 1000, **fields})


def ask_gpt(sdks, model=GPT, **fields):
    return sdks.gpt.chat.completions.create(model=model, messages=USER, **fields)


def ask_gemini(sdks, model=GEMINI, **fields):
    return sdks.gemini.models.generate_content(
        model=model, contents=PROMPT, config=types.GenerateContentConfig(**fields)
    )


def ask_deepseek(sdks, model=DEEPSEEK, **fields):
    return sdks.deepseek.chat.completions.create(model=model, messages=USER, **fields)


def assert_is_labelled(forecast):
    assert 0.01 <= forecast.probability <= 0.99
    assert forecast.reasoning.startswith("[synthetic forecast]")


def test_claude_fills_a_schema_through_its_own_parser(sdks):
    message = sdks.claude.messages.parse(
        model=CLAUDE, max_tokens=1000, system=SYSTEM, messages=USER, output_format=Forecast
    )

    assert_is_labelled(message.parsed_output)
    assert (message.stop_reason, message.model, message.role) == ("end_turn", CLAUDE, "assistant")


def test_claude_fills_a_schema_handed_over_as_it_is(sdks):
    message = ask_claude(sdks, output_config={"format": {"type": "json_schema", "schema": SCHEMA}})

    assert json.loads(message.content[0].text).keys() == {"probability", "reasoning"}


def test_claude_calls_the_tool_it_is_told_to(sdks):
    tool = {"name": "state_forecast", "description": "x", "input_schema": SCHEMA}
    message = ask_claude(sdks, tools=[tool], tool_choice={"type": "tool", "name": "state_forecast"})

    call = message.content[0]
    assert (message.stop_reason, call.type, call.name) == ("tool_use", "tool_use", "state_forecast")
    assert_is_labelled(Forecast.model_validate(call.input))


def test_claude_thinks_before_its_text_when_asked(sdks):
    message = ask_claude(sdks, max_tokens=8000, thinking={"type": "enabled", "budget_tokens": 2000})

    assert [block.type for block in message.content] == ["thinking", "text"]
    assert 0 < message.usage.output_tokens_details.thinking_tokens < message.usage.output_tokens


def test_claude_counts_cached_tokens_apart_from_the_others(sdks):
    system = [{"type": "text", "text": "Read the rules first. " * 300, "cache_control": {"type": "ephemeral"}}]

    first, second = (ask_claude(sdks, system=system).usage for _ in range(2))

    assert first.cache_creation_input_tokens > 1024
    assert first.cache_read_input_tokens == 0
    assert first.cache_creation_input_tokens == second.cache_read_input_tokens
    assert (first.input_tokens, 0) == (second.input_tokens, second.cache_creation_input_tokens)


def test_gpt_fills_a_schema_through_its_own_parser_in_both_apis(sdks):
    chat = sdks.gpt.chat.completions.parse(model=GPT, messages=USER, response_format=Forecast)
    response = sdks.gpt.responses.parse(model=GPT, input=PROMPT, instructions=SYSTEM, text_format=Forecast)

    assert_is_labelled(chat.choices[0].message.parsed)
    assert chat.choices[0].message.parsed == response.output_parsed
    assert (chat.choices[0].finish_reason, response.status) == ("stop", "completed")


def test_gpt_says_the_same_with_a_schema_a_json_object_a_tool_and_words(sdks):
    function = {"type": "function", "function": {"name": "state", "parameters": SCHEMA, "strict": True}}
    by_schema = ask_gpt(sdks, response_format=STRICT).choices[0].message.content
    by_object = ask_gpt(sdks, response_format={"type": "json_object"}).choices[0].message.content
    by_tool = ask_gpt(sdks, tools=[function], tool_choice="required").choices[0]
    by_words = ask_gpt(sdks).choices[0].message.content

    said = json.loads(by_schema)["probability"]
    assert said == json.loads(by_object)["probability"]
    assert said == json.loads(by_tool.message.tool_calls[0].function.arguments)["probability"]
    assert by_tool.finish_reason == "tool_calls"
    assert by_words.endswith(f"Probability: {said:.2f}")


def test_gemini_fills_both_kinds_of_schema(sdks):
    by_model = ask_gemini(sdks, response_mime_type="application/json", response_schema=Forecast)
    by_schema = ask_gemini(sdks, response_mime_type="application/json", response_json_schema=SCHEMA)

    assert_is_labelled(by_model.parsed)
    assert by_model.parsed.model_dump() == by_schema.parsed
    assert by_model.candidates[0].finish_reason is types.FinishReason.STOP
    assert by_model.model_version == GEMINI


def test_gemini_answers_on_the_beta_path_too(sim):
    options = types.HttpOptions(base_url=sim.urls["gemini"], timeout=5000, api_version="v1beta")
    with closing(genai.Client(api_key=sim.keys["gemini"], vertexai=False, http_options=options)) as client:
        found = client.models.generate_content(model=GEMINI, contents=PROMPT)

    assert "Probability: 0." in found.text


def test_deepseek_writes_the_json_object_that_the_prompt_describes_on_both_paths(sim, sdks):
    form = {"type": "json_object"}
    plain = ask_deepseek(sdks, response_format=form).choices[0].message
    url = f"{sim.urls['deepseek']}/v1"
    with closing(openai.OpenAI(api_key=sim.keys["deepseek"], base_url=url, max_retries=0)) as client:
        prefixed = client.chat.completions.create(model=DEEPSEEK, messages=USER, response_format=form)

    assert_is_labelled(Forecast.model_validate_json(plain.content))
    assert plain.content == prefixed.choices[0].message.content
    assert plain.reasoning_content == "[synthetic forecast]"


def test_every_vendor_counts_tokens_in_its_own_words(sdks):
    claude, gpt = ask_claude(sdks).usage, ask_gpt(sdks).usage
    gemini, deepseek = ask_gemini(sdks).usage_metadata, ask_deepseek(sdks).usage
    response = sdks.gpt.responses.create(model=GPT, input=PROMPT).usage

    assert 20 < claude.input_tokens < 60
    assert 100 < claude.output_tokens < 1500
    assert gpt.prompt_tokens + gpt.completion_tokens == gpt.total_tokens
    assert 0 < gpt.completion_tokens_details.reasoning_tokens < gpt.completion_tokens
    assert gpt.prompt_tokens_details.cached_tokens == 0
    assert (gpt.prompt_tokens, gpt.completion_tokens) == (response.input_tokens, response.output_tokens)
    assert gpt.completion_tokens_details.reasoning_tokens == response.output_tokens_details.reasoning_tokens
    parts = (gemini.prompt_token_count, gemini.candidates_token_count, gemini.thoughts_token_count)
    assert sum(parts) == gemini.total_token_count
    assert min(parts) > 0
    assert deepseek.prompt_cache_hit_tokens + deepseek.prompt_cache_miss_tokens == deepseek.prompt_tokens


def test_prefixes_that_were_seen_before_are_read_from_the_cache(sdks):
    long = [{"role": "system", "content": "Read the rules before the title. " * 300}, *USER]
    gpt = [sdks.gpt.chat.completions.create(model=GPT, messages=long).usage for _ in range(2)]
    deepseek = [sdks.deepseek.chat.completions.create(model=DEEPSEEK, messages=long).usage for _ in range(2)]
    config = types.GenerateContentConfig(system_instruction=long[0]["content"])
    gemini = [sdks.gemini.models.generate_content(model=GEMINI, contents=PROMPT, config=config) for _ in range(2)]

    assert gpt[0].prompt_tokens_details.cached_tokens == 0
    assert gpt[1].prompt_tokens_details.cached_tokens % 128 == 0
    assert gpt[1].prompt_tokens_details.cached_tokens >= 1024
    assert deepseek[1].prompt_cache_hit_tokens % 64 == 0
    assert deepseek[1].prompt_cache_hit_tokens > deepseek[0].prompt_cache_hit_tokens
    assert gemini[1].usage_metadata.cached_content_token_count > 1024


def test_the_reply_says_that_it_is_simulated(sdks):
    raw = sdks.gpt.chat.completions.with_raw_response.create(model=GPT, messages=USER)

    assert raw.headers["x-simulated"] == "synthetic forecast"
    assert raw.headers["x-request-id"].startswith("req_simulated")
    assert raw.parse().system_fingerprint == "fp_simulated"


def test_an_answer_longer_than_allowed_is_cut(sdks):
    claude, gpt, deepseek = (
        ask_claude(sdks, max_tokens=5),
        ask_gpt(sdks, max_completion_tokens=5),
        ask_deepseek(sdks, max_tokens=5),
    )
    gemini = ask_gemini(sdks, max_output_tokens=5)

    assert (claude.stop_reason, claude.usage.output_tokens) == ("max_tokens", 5)
    # all five went into thinking
    assert (gpt.choices[0].finish_reason, gpt.choices[0].message.content) == ("length", "")
    assert gpt.usage.completion_tokens == 5
    assert deepseek.choices[0].finish_reason == "length"
    assert gemini.candidates[0].finish_reason is types.FinishReason.MAX_TOKENS
    assert gemini.candidates[0].content.parts is None
    with pytest.raises(openai.LengthFinishReasonError):
        sdks.gpt.chat.completions.parse(model=GPT, messages=USER, response_format=Forecast, max_completion_tokens=5)


def test_thinking_can_be_turned_down(sdks):
    gpt = ask_gpt(sdks, reasoning_effort="none").usage
    gemini = ask_gemini(sdks, thinking_config=types.ThinkingConfig(thinking_budget=0)).usage_metadata
    deepseek = ask_deepseek(sdks, extra_body={"thinking": {"type": "disabled"}}).usage

    assert gpt.completion_tokens_details.reasoning_tokens == 0
    assert gemini.thoughts_token_count is None
    assert deepseek.completion_tokens_details.reasoning_tokens == 0


def test_a_wrong_key_is_refused_in_each_vendors_way(sim):
    wrong = dict.fromkeys(sim.keys, "wrong-key-1234")
    with closing(Sdks(sim, wrong)) as sdks:
        with pytest.raises(anthropic.AuthenticationError) as claude:
            ask_claude(sdks)
        with pytest.raises(openai.AuthenticationError) as gpt:
            ask_gpt(sdks)
        with pytest.raises(errors.ClientError) as gemini:
            ask_gemini(sdks)
        with pytest.raises(openai.AuthenticationError) as deepseek:
            ask_deepseek(sdks)

    assert (claude.value.type, gpt.value.code) == ("authentication_error", "invalid_api_key")
    # Google calls a wrong key a wrong argument
    assert (gemini.value.code, gemini.value.status) == (400, "INVALID_ARGUMENT")
    assert gemini.value.details["error"]["details"][0]["reason"] == "API_KEY_INVALID"
    assert deepseek.value.type == "authentication_error"
    assert "wrong-key" not in str(gpt.value) + str(deepseek.value)


# Anthropic's SDK itself knows the days on which its models end
@pytest.mark.filterwarnings("ignore:The model 'claude-3-7:DeprecationWarning")
@pytest.mark.parametrize("state", ["retired", "never heard of"])
def test_a_model_that_is_not_served_is_refused_in_each_vendors_way(sdks, state):
    gone = ("claude-3-7-sonnet-20250219", "gpt-4-turbo", "gemini-2.0-flash", "deepseek-chat")
    names = gone if state == "retired" else ["made-up"] * 4

    with pytest.raises(anthropic.NotFoundError) as claude:
        ask_claude(sdks, names[0])
    with pytest.raises(openai.NotFoundError) as gpt:
        ask_gpt(sdks, names[1])
    with pytest.raises(errors.ClientError) as gemini:
        ask_gemini(sdks, names[2])
    with pytest.raises(openai.BadRequestError, match="Model Not Exist"):
        ask_deepseek(sdks, names[3])

    assert (claude.value.type, gpt.value.code) == ("not_found_error", "model_not_found")
    assert (gemini.value.code, gemini.value.status) == (404, "NOT_FOUND")


def test_models_can_be_listed_and_looked_up(sdks):
    listed = [
        {model.id for model in sdks.claude.models.list()},
        {model.id for model in sdks.gpt.models.list()},
        {model.name.removeprefix("models/") for model in sdks.gemini.models.list()},
        {model.id for model in sdks.deepseek.models.list()},
    ]

    assert all(name in names for name, names in zip((CLAUDE, GPT, GEMINI, DEEPSEEK), listed, strict=True))
    assert "gemini-2.0-flash" not in listed[2]
    assert sdks.claude.models.retrieve(CLAUDE).lifecycle == "active"
    assert sdks.gpt.models.retrieve(GPT).id == GPT
    assert sdks.gemini.models.get(model=GEMINI).name == f"models/{GEMINI}"
    with pytest.raises(openai.NotFoundError):
        sdks.gpt.models.retrieve("made-up")


def test_what_a_vendors_schema_mode_does_not_take_is_refused(sdks):
    bounded = {**SCHEMA, "properties": {"probability": {"type": "number", "maximum": 1}}}
    loose = {key: value for key, value in SCHEMA.items() if key != "additionalProperties"}
    unrequired = {**SCHEMA, "required": ["probability"]}
    form = lambda schema: {"format": {"type": "json_schema", "schema": schema}}  # noqa: E731
    strict = lambda schema: {  # noqa: E731
        "type": "json_schema",
        "json_schema": {"name": "forecast", "strict": True, "schema": schema},
    }

    with pytest.raises(anthropic.BadRequestError, match="maximum are not supported"):
        ask_claude(sdks, output_config=form(bounded))
    with pytest.raises(anthropic.BadRequestError, match="additionalProperties"):
        ask_claude(sdks, output_config=form(loose))
    with pytest.raises(openai.BadRequestError, match="additionalProperties"):
        ask_gpt(sdks, response_format=strict(loose))
    with pytest.raises(openai.BadRequestError, match="Missing 'reasoning'"):
        ask_gpt(sdks, response_format=strict(unrequired))
    with pytest.raises(openai.BadRequestError, match="response_format type is unavailable"):
        ask_deepseek(sdks, response_format=STRICT)
    with pytest.raises(errors.ClientError, match="response_mime_type"):
        ask_gemini(sdks, response_json_schema=SCHEMA)


def test_reasoning_models_refuse_the_old_limit_and_a_temperature(sdks):
    with pytest.raises(openai.BadRequestError) as limit:
        ask_gpt(sdks, max_tokens=100)
    with pytest.raises(openai.BadRequestError) as temperature:
        ask_gpt(sdks, temperature=0)

    assert (limit.value.code, limit.value.param) == ("unsupported_parameter", "max_tokens")
    assert (temperature.value.code, temperature.value.param) == ("unsupported_value", "temperature")
    assert ask_gpt(sdks, "gpt-4o", max_tokens=900, temperature=0).choices[0].finish_reason == "stop"


def test_json_mode_needs_the_word_in_the_prompt(sdks):
    form, said = {"type": "json_object"}, [{"role": "user", "content": "Will it rain?"}]

    for client, model in ((sdks.gpt, GPT), (sdks.deepseek, DEEPSEEK)):
        with pytest.raises(openai.BadRequestError, match="must contain the word 'json'"):
            client.chat.completions.create(model=model, messages=said, response_format=form)


def test_malformed_requests_are_refused_and_cost_nothing(sim, sdks):
    before = sim.state()
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        ask_claude(sdks, extra_body={"max_tokens": None})
    with pytest.raises(openai.BadRequestError, match="messages"):
        sdks.gpt.chat.completions.create(model=GPT, messages=[])
    with pytest.raises(openai.BadRequestError, match="wrong type"):
        sdks.gpt.chat.completions.create(model=GPT, messages=["hello"])
    with pytest.raises(openai.BadRequestError, match="one piece"):
        sdks.gpt.chat.completions.create(model=GPT, messages=USER, stream=True)
    with pytest.raises(openai.NotFoundError):
        sdks.gpt.embeddings.create(model=GPT, input="x")

    assert before["paid_calls"] == sim.state()["paid_calls"]


def test_the_books_agree_with_the_usage_that_clients_saw(sim, sdks):
    with ExitStack() as stack:
        stack.callback(sim.clear)
        before = sim.state()["providers"]["anthropic"]["models"].get("claude-haiku-4-5", {"cost_usd": "0"})
        usage = ask_claude(sdks, "claude-haiku-4-5").usage

    after = sim.state()["providers"]["anthropic"]["models"]["claude-haiku-4-5"]
    spent = float(after["cost_usd"]) - float(before["cost_usd"])
    assert spent == pytest.approx((usage.input_tokens * 1 + usage.output_tokens * 5) / 1e6)
    assert (after["paid_calls"], after["tokens_out"]) == (1, usage.output_tokens)


def test_requests_show_what_was_asked_and_no_key(sim, sdks):
    sdks.claude.messages.create(model=CLAUDE, max_tokens=900, system=SYSTEM, messages=USER)

    line = sim.requests("anthropic")[-1]
    assert (line["system"], line["prompt"], line["model"]) == (SYSTEM, PROMPT, CLAUDE)
    assert (line["form"], line["maximum_tokens"], line["paid"], line["status"]) == ("text", 900, True, 200)
    assert line["question"] == "will it rain in paris on friday?"
    assert line["forecast"]["drawn_from"] == ["text"]
    assert sim.keys["anthropic"] not in json.dumps(sim.requests())
