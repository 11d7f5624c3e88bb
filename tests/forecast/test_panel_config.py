"""Settings of the panel: every model has a price, every provider a key and a safe address."""

from decimal import Decimal

import pytest

from domain.errors import Misconfigured
from domain.settings import Secret
from forecast import config, prices
from forecast.budget import Usage
from forecast.config import ModelsConfig, Provider

KEYS = {f"MODELS_{provider.upper()}_KEY": f"sesame-{provider}-1234" for provider in Provider}
FOUR = "anthropic:claude-sonnet-4-6,openai:gpt-5.4-mini,gemini:gemini-3.5-flash,deepseek:deepseek-v4-flash"


def load(**changes: str) -> ModelsConfig:
    return config.load(KEYS | {"MODELS_PANEL": FOUR} | changes, source="env/lt.env")


def refusal(**changes: str) -> str:
    with pytest.raises(Misconfigured) as caught:
        load(**changes)
    return str(caught.value)


def test_a_panel_keeps_its_order_and_takes_prices_that_are_known() -> None:
    models = load().models

    assert [model.provider for model in models] == list(Provider)
    assert [model.id for model in models][:2] == ["claude-sonnet-4-6", "gpt-5.4-mini"]
    assert models[0].price == prices.parse("3/15")


def test_any_number_of_models_of_one_provider_may_sit_on_it() -> None:
    found = load(MODELS_PANEL="openai:gpt-5.4,openai:gpt-5.4-nano,openai:gpt-5.5", MODELS_GEMINI_KEY="")

    assert [model.id for model in found.models] == ["gpt-5.4", "gpt-5.4-nano", "gpt-5.5"]


def test_a_model_without_a_price_stops_the_process_and_says_what_to_write() -> None:
    told = refusal(MODELS_PANEL="openai:gpt-99")

    assert "gpt-99 has no price" in told
    assert "gpt-99:<in>/<out>" in told
    assert "MODELS_PRICES" in told


def test_a_price_of_the_operators_wins_over_the_table() -> None:
    models = load(MODELS_PRICES="gpt-5.4-mini:9/99,claude-sonnet-4-6: 2.5 / 10").models

    assert models[1].price == prices.parse("9/99")
    assert models[0].price.of(Usage(tokens_in=2_000_000, tokens_out=100_000)) == Decimal("6.0")


def test_a_model_id_with_colons_can_be_named_and_priced() -> None:
    name = "ft:gpt-5.4-mini:org::a1b2"

    models = load(MODELS_PANEL=f"openai:{name}", MODELS_PRICES=f"{name}:3/6").models

    assert (models[0].id, models[0].price) == (name, prices.parse("3/6"))


@pytest.mark.parametrize("text", ["3", "3/", "/15", "-1/5", "3/x", "NaN/1", "3/Infinity", ""])
def test_a_price_that_is_none_is_refused(text: str) -> None:
    assert "MODELS_PRICES for gpt-5.4-mini: a price must be" in refusal(MODELS_PRICES=f"gpt-5.4-mini:{text}")


def test_a_price_for_nobody_is_a_typing_error() -> None:
    assert "gpt-5.4-mimi, which is not in MODELS_PANEL did you mean 'gpt-5.4-mini'?" in refusal(
        MODELS_PRICES="gpt-5.4-mimi:1/2"
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"MODELS_PANEL": ""}, "MODELS_PANEL must name a model"),
        ({"MODELS_PANEL": "gpt-5.4"}, "provider:model"),
        ({"MODELS_PANEL": "mistral:large"}, "anthropic, openai, gemini, deepseek"),
        ({"MODELS_PANEL": "openai:../../x y"}, "provider:model"),
        ({"MODELS_PANEL": "openai:gpt-5.4,openai:gpt-5.4"}, "gpt-5.4 twice"),
        ({"MODELS_OPENAI_KEY": ""}, "MODELS_OPENAI_KEY is needed"),
        ({"MODELS_OPENAI_KEY": "two words here"}, "printable ASCII"),
        ({"MODELS_OPENAI_KEY": config.PLACEHOLDER}, "still the example's"),
        ({"MODELS_OPENAI_URL": "http://api.openai.com/v1"}, "https address or a loopback one"),
        ({"MODELS_OPENAI_URL": "https://me:pw@api.openai.com"}, "plain scheme"),
        ({"MODELS_OPENAI_URL": "https://"}, "plain scheme"),
        ({"MODELS_GEMINI_URL": "ftp://127.0.0.1"}, "https address or a loopback one"),
        ({"MODELS_ATTEMPTS": "0"}, "MODELS_ATTEMPTS must be above 0"),
        ({"MODELS_SAMPLES": "-1"}, "MODELS_SAMPLES must be above 0"),
        ({"MODELS_DEADLINE_S": "0"}, "MODELS_DEADLINE_S must be above 0"),
        ({"MODELS_PROMPT": "binary-v9"}, "binary-v1"),
        ({"MODELS_PROMPT": "../prompts/binary-v1"}, "binary-v1"),
        ({"MODELS_DEADLINE": "5"}, "MODELS_DEADLINE_S"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(changes: dict[str, str], told: str) -> None:
    assert told in refusal(**changes)


@pytest.mark.parametrize("changes", [{"MODELS_OPENAI_URL": "http://api.openai.com"}, {"MODELS_PANEL": "openai:none"}])
def test_no_refusal_shows_a_key(changes: dict[str, str]) -> None:
    told = refusal(**changes)

    assert [key for key in KEYS.values() if key in told] == []


def test_a_loopback_address_may_be_plain_http() -> None:
    found = load(MODELS_DEEPSEEK_URL="http://127.0.0.1:8123/")

    assert found.url(Provider.DEEPSEEK) == "http://127.0.0.1:8123"


def test_settings_never_print_a_key() -> None:
    found = load()

    assert found.key(Provider.OPENAI) == Secret(KEYS["MODELS_OPENAI_KEY"])
    assert [key for key in KEYS.values() if key in repr(found)] == []
