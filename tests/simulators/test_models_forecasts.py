"""Synthetic forecasts: how alike the models are, what their numbers are drawn from, what text is filled in."""

import inspect
import json
from itertools import combinations, pairwise
from random import Random
from statistics import correlation, fmean, median, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.models import catalogue, forecasts, question, speech
from simulators.models.catalogue import Catalogue
from simulators.models.forecasts import forecast, logit
from simulators.models.question import AnchorError, Anchors, Asked, load_anchors, read, recorded_anchors
from simulators.models.speech import Voice

QUESTIONS = [f"Will event number {number} take place before the end of the month?" for number in range(600)]
PANEL = (
    ("anthropic", "claude-sonnet-4-6"),
    ("openai", "gpt-5.5"),
    ("gemini", "gemini-3.5-flash"),
    ("deepseek", "deepseek-v4-flash"),
)
FAMILIES = (
    ("anthropic", "claude-sonnet-4-6", "claude-opus-4-8"),
    ("openai", "gpt-5.4", "gpt-5.4-mini"),
    ("gemini", "gemini-3.5-flash", "gemini-3-flash-preview"),
    ("deepseek", "deepseek-v4-flash", "deepseek-v4-pro"),
)
DAY = "2014-05-06"
MODELS = Catalogue()


def say(asked, provider, model, day=DAY):
    return forecast(asked, MODELS.find(provider, model), day).probability


def panel(questions):
    """Return one row of probabilities for each model."""
    return [[say(asked, *seat) for asked in questions] for seat in PANEL]


def correlations(rows):
    logits = [[logit(p) for p in row] for row in rows]
    return [correlation(one, other) for one, other in combinations(logits, 2)]


def spreads(rows):
    return [pstdev(column) for column in zip(*rows, strict=True)]


@pytest.fixture(scope="module")
def blind():
    return panel([Asked(text) for text in QUESTIONS])


@pytest.fixture(scope="module")
def anchored():
    """The panel on questions whose crowd's price is in the anchors file, spread as prices of real markets are."""
    chance = Random(7)
    priced = [forecasts.logistic(chance.gauss(-1.44, 2.39)) for _ in QUESTIONS]
    return panel([Asked(text, None, price) for text, price in zip(QUESTIONS, priced, strict=True)]), priced


def test_models_of_different_vendors_correlate_as_real_ones_do(blind, anchored):
    for rows in (blind, anchored[0]):
        assert all(0.65 <= value <= 0.84 for value in correlations(rows)), correlations(rows)


@pytest.mark.parametrize(("provider", "one", "other"), FAMILIES)
def test_models_of_one_family_correlate_more(provider, one, other):
    rows = [[logit(say(Asked(text), provider, model)) for text in QUESTIONS] for model in (one, other)]

    assert 0.89 <= correlation(*rows) <= 0.95


def test_models_spread_around_each_other_as_real_ones_do(blind, anchored):
    for rows in (blind, anchored[0]):
        assert 0.09 <= fmean(spreads(rows)) <= 0.13
        assert 0.45 <= median(spreads([[logit(p) for p in row] for row in rows])) <= 0.85


def test_each_model_leans_and_spreads_as_its_line_says(blind):
    for seat, row in zip(PANEL, blind, strict=True):
        line, logits = MODELS.find(*seat).line, [logit(p) for p in row]

        assert abs(fmean(logits) - line.bias) < 0.2
        assert abs(pstdev(logits) - line.spread) < 0.2


def test_forecasts_follow_an_anchor_without_copying_it(anchored):
    rows, priced = anchored
    crowd = [logit(price) for price in priced]

    for row in rows:
        assert 0.6 < correlation(crowd, [logit(p) for p in row]) < 0.85


def test_forecasts_heed_a_price_in_the_prompt(anchored):
    rows, priced = anchored
    shown = panel([Asked(text, price, price) for text, price in zip(QUESTIONS, priced, strict=True)])

    for unseen, seen in zip(rows, shown, strict=True):
        distances = [fmean(abs(a - b) for a, b in zip(row, priced, strict=True)) for row in (unseen, seen)]
        assert distances[1] < 0.7 * distances[0]


def test_an_answer_lasts_a_day_and_moves_a_little_over_night():
    days = [f"2014-05-{day:02d}" for day in range(6, 20)]
    told = [[say(Asked(text), *PANEL[0], day) for day in days] for text in QUESTIONS[:50]]
    again = [[say(Asked(text), *PANEL[0], day) for day in days] for text in QUESTIONS[:50]]

    moves = [abs(logit(a) - logit(b)) for row in told for a, b in pairwise(row)]
    assert told == again
    assert 0.1 < fmean(moves) < 0.5


def test_no_input_of_a_forecast_can_hold_an_outcome():
    assert list(inspect.signature(forecast).parameters) == ["asked", "model", "day"]
    assert set(Asked.__dataclass_fields__) == {"text", "shown", "anchor"}
    # what it imports of other modules: the seeded draw, and nothing that has read a recording
    imported = {name for name, value in vars(forecasts).items() if inspect.isfunction(value)}
    assert imported == {"forecast", "_standard", "logit", "logistic", "normal", "dataclass"}


def test_an_anchors_file_that_could_hold_outcomes_is_refused(tmp_path):
    file = tmp_path / "anchors.json"
    for content, words in (
        ('{"Will it?": 1}', "outcome"),
        ('{"Will it?": 0.0}', "outcome"),
        ('{"Will it?": true}', "outcome"),
        ('{"Will it?": {"price": 0.4, "outcome": 1}}', "outcome"),
        ('["Will it?"]', "JSON object"),
        ("{", "JSON object"),
    ):
        file.write_text(content)
        with pytest.raises(AnchorError, match=words):
            load_anchors(file)
    with pytest.raises(AnchorError, match="cannot read"):
        load_anchors(tmp_path / "missing.json")


def test_recorded_anchors_are_frozen_prices_of_bundled_questions():
    anchors = recorded_anchors()

    found = read("Question: Will the Fed cut-pause-pause in 2025?", anchors)
    assert found.anchor == 0.014
    assert len({prior for prior in anchors.priors.values() if prior in (0, 1)}) == 0
    assert len(anchors.priors) > 500


def test_anchors_are_found_whatever_is_written_around_the_question(tmp_path):
    file = tmp_path / "anchors.json"
    file.write_text(json.dumps({"Will it rain?": 0.2, "In Rome: Will it  rain?": 0.7}))
    anchors = load_anchors(file)

    for prompt, expected in (
        ("Today is Friday.\n\nQuestion: will it rain?\n\nRules: ...", 0.2),
        ("Say how likely this is: Will\nit rain?", 0.2),
        ("in Rome: Will it rain?", 0.7),
        (json.dumps({"question": "In Rome: Will it rain?", "rules": "Will it rain?"}), 0.7),
        ("Will it snow?", None),
    ):
        assert expected == read(prompt, anchors).anchor


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Question: Will A win?", "will a win?"),
        ("**Market:** Will A win?\nPrice: 0.4", "will a win?"),
        ("<question>\nWill A\nwin?</question> and more", "will a win?"),
        ('{"question": "Will \\"A\\" win?", "rules": "none"}', 'will "a" win?'),
        ("You are asked. Here it is: Will candidate A win? Answer in JSON.", "will candidate a win?"),
        ('{"question": "Will \\q win?"}', "will \\q win?"),
        ("State a number", "state a number"),
    ],
)
def test_the_question_is_found_in_prompts_of_many_forms(prompt, expected):
    assert expected == read(prompt, Anchors()).text


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Market price: 0.42", 0.42),
        ("The current market price is 42 cents.", 0.42),
        ("yes price 42c", 0.42),
        ("market probability of 7%", 0.07),
        ("best bid 0.40, best ask $0.44", 0.42),
        ("yes bid: 40, yes ask: 44", 0.42),
        ("freeze value = .31", 0.31),
        ("The base rate of such events is 12.5 percent", 0.125),
        ("Crowd forecast: 0.9; base rate 0.1", 0.9),
        ("Will the price of gold be above $2000 on May 5?", None),
        ("State a probability from 0 to 1. It closes in 26.0 hours.", None),
        ("Market price: 1.0", None),
        ('{"market_price": 0.42, "rules": "-"}', 0.42),
        ('{"yes_price": 42}', 0.42),
        ("Prior: 0.2", 0.2),
        ("The event must happen prior to May 6, 2014 or by mid-May 14.", None),
        ("Yes if the market price of silver is above 50 then.", None),
        ("The consensus of 40 economists is clear.", None),
    ],
)
def test_a_price_or_base_rate_is_read_from_the_prompt(prompt, expected):
    assert pytest.approx(expected) == read(prompt, Anchors()).shown


@given(st.text(max_size=300) | st.from_regex(r"(market|base rate|bid|ask|[0-9.%:\" ]|question|\{|Will){0,40}"))
def test_any_text_is_read_as_some_question_with_a_price_between_zero_and_one_or_none(prompt):
    found = read(prompt, Anchors())

    assert found.shown is None or 0 < found.shown < 1
    assert 0.01 <= say(found, *PANEL[0]) <= 0.99


def test_the_system_prompt_is_never_taken_for_a_price():
    # the words of an instruction speak of numbers as well; only what is asked counts
    assert "system" not in inspect.signature(question.read).parameters


VOICE = Voice(0.3, 80)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"properties": {"p_yes": {"type": "number"}}}, {"p_yes": 0.3}),
        ({"properties": {"p_no": {"type": "number"}, "probability_no": {"type": "NUMBER"}}}, None),
        ({"type": "object", "properties": {"probability_percent": {"type": "integer"}}}, {"probability_percent": 30}),
        ({"properties": {"probability": {"type": "number", "maximum": 100}}}, {"probability": 30.0}),
        ({"properties": {"answer": {"enum": ["Yes", "No"]}}}, {"answer": "No"}),
        ({"properties": {"level": {"enum": ["low", "medium", "high"]}}}, {"level": "low"}),
        ({"properties": {"will_happen": {"type": "boolean"}}}, {"will_happen": False}),
        ({"properties": {"probability": {"anyOf": [{"type": "null"}, {"type": "number"}]}}}, {"probability": 0.3}),
        ({"properties": {"probability": {"type": ["null", "number"]}}}, {"probability": 0.3}),
        ({"$defs": {"P": {"type": "number"}}, "properties": {"chance": {"$ref": "#/$defs/P"}}}, {"chance": 0.3}),
        ({"properties": {"kind": {"const": "forecast"}}}, {"kind": "forecast"}),
        ({"properties": {"confidence": {"type": "number"}}}, {"confidence": 0.7}),
    ],
)
def test_fields_of_a_schema_are_filled_by_name_and_type(schema, expected):
    assert (expected or {"p_no": 0.7, "probability_no": 0.7}) == speech.fill(schema, VOICE)


def test_texts_in_a_schema_are_labelled():
    text, listed = {"type": "string"}, {"type": "ARRAY", "items": {"type": "STRING"}, "minItems": 2}
    found = speech.fill({"properties": {"rationale": text, "title": text, "key_reasons": listed}}, VOICE)

    assert found["rationale"].startswith("[synthetic forecast] The chance of yes is put at 0.30.")
    assert found["title"] == "[synthetic forecast]"
    assert len(found["key_reasons"]) == 2


def test_json_without_a_schema_takes_its_fields_from_the_prompt():
    schema = {"type": "object", "properties": {"p_yes": {"type": "number"}}}

    assert speech.loose(VOICE, 'Answer {"p_yes": <number>, "why": "..."}').keys() == {"p_yes", "why"}
    assert speech.loose(VOICE, f"Answer by this schema: {json.dumps(schema)}") == {"p_yes": 0.3}
    assert speech.loose(VOICE, '{"question": "Why?", "rules": "-"} {"probability": 0}') == {"probability": 0.3}
    assert speech.loose(VOICE, "Answer in JSON").keys() == {"probability", "reasoning"}


def test_a_request_for_few_words_is_heeded():
    assert speech.wants_brief("Give your reasoning in two sentences")
    assert not speech.wants_brief("Think it through with care")


def test_every_provider_serves_models_and_has_retired_some():
    for provider in catalogue.PROVIDERS:
        known = MODELS.models[provider].values()

        assert len(MODELS.served(provider)) >= 2
        assert any(model.retired for model in known)
        assert all(0 < model.input_usd < model.output_usd for model in known)
