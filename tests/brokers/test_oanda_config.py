"""Settings of the OANDA adapter: hosts, tokens and what the documentation says of them."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from brokers.oanda.config import PLACEHOLDER, PREFIX, Environment, OandaConfig, load
from domain import settings
from domain.errors import Misconfigured
from domain.settings import Secret

ROOT = Path(__file__).parents[2]
GIVEN = {"OANDA_ACCOUNT_ID": "101-001-1-001", "OANDA_TOKEN": "sesame"}


def read(**extra):
    return load(GIVEN | {f"OANDA_{key}": value for key, value in extra.items()}, source="env/fx.env")


def test_practice_is_the_default_and_picks_its_hosts():
    config = read()

    assert config.environment is Environment.PRACTICE
    assert config.rest_url == "https://api-fxpractice.oanda.com"
    assert config.streaming_url == "https://stream-fxpractice.oanda.com"


def test_live_picks_the_live_hosts():
    assert read(ENVIRONMENT="live").rest_url == "https://api-fxtrade.oanda.com"


def test_simulator_serves_both_on_its_own_address():
    config = read(API_URL="http://127.0.0.1:40400/")

    assert config.rest_url == config.streaming_url == "http://127.0.0.1:40400"


@pytest.mark.parametrize(
    "url",
    [
        "https://api-fxtrade.oanda.com",
        "http://api-fxpractice.oanda.com",
        "https://api-fxpractice.oanda.com.evil.example",
        "https://user:word@127.0.0.1",
        "https://evil.example",
        "ftp://127.0.0.1",
        "nonsense",
    ],
)
def test_token_goes_to_no_other_host(url):
    with pytest.raises(Misconfigured, match="OANDA_API_URL"):
        read(API_URL=url)


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ümlaut"])
def test_token_that_a_header_would_refuse_is_refused_first_and_not_shown(token):
    with pytest.raises(Misconfigured) as error:
        load(GIVEN | {"OANDA_TOKEN": token}, source="env/fx.env")

    assert not token or token not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value"), [("READ_TIMEOUT_S", "0"), ("REQUESTS_PER_S", "120"), ("ACCOUNT_ID", "a/b"), ("TYPO", "1")]
)
def test_setting_that_makes_no_sense_is_refused_with_its_name(key, value):
    with pytest.raises(Misconfigured, match=f"OANDA_{key}"):
        read(**{key: value})


def test_token_of_the_example_is_refused():
    with pytest.raises(Misconfigured, match="OANDA_TOKEN is still the example's"):
        load(GIVEN | {"OANDA_TOKEN": PLACEHOLDER}, source="env/fx.env")


def test_token_never_shows_in_a_representation():
    config = OandaConfig(account_id="1", token=Secret("sesame"))

    assert "sesame" not in repr(config)


def test_grace_of_a_fresh_order_outlasts_the_read_timeout():
    config = read()

    assert config.fresh_order_grace_s > config.read_timeout_s


def test_every_setting_stands_in_the_documentation_with_its_default():
    text = (ROOT / "docs" / "brokers.md").read_text()
    for key, default in settings.keys(OandaConfig, prefix=PREFIX).items():
        assert f"| `{key}` | {f'`{default}`' if default else '–'} |" in text, key


@pytest.mark.parametrize("name", ["brokers", "brokers.oanda", "brokers.oanda.config", "brokers.dry_run.executor"])
def test_no_package_loads_the_sdk_by_itself(name):
    code = f"import sys, {name}; sys.exit('oandapyV20' in sys.modules or 'requests' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_sdk_is_named_in_one_module_only():
    importlib.import_module("brokers.oanda.client")
    folder = ROOT / "brokers"
    users = [
        path.name
        for path in folder.rglob("*.py")
        if "import oandapyV20" in (t := path.read_text()) or "from oandapyV20" in t
    ]

    assert users == ["sdk.py"]
