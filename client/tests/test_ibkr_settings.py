"""Settings for Interactive Brokers: an account and the address of a gateway, and no secret at all."""

import stat
import subprocess
import sys

import pytest
from fake_feed import TOKEN

from tbot_client.config import parse
from tbot_client.errors import Misconfigured
from tbot_client.home import Home, load

LOCAL = "http://127.0.0.1:5055/v1/api"
CONFIG = """
[feed]
url = "http://127.0.0.1:1"
token = "t"
[broker]
kind = "ibkr"
account_id = "DU1"
{broker}
[size]
rule = "fixed"
units = 1
max_units = 1
"""


def init(home, *more):
    command = [sys.executable, "-m", "tbot_client", "init", "--home", str(home), "--non-interactive"]
    command += ["--feed-url", "http://127.0.0.1:1", "--broker", "ibkr", "--size-rule", "risk", "--size-value", "0.002"]
    environment = {"COLUMNS": "200", "PATH": "", "TBOT_FEED_TOKEN": TOKEN}
    command += ["--max-units", "200", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=environment)


def test_a_home_for_ibkr_needs_an_account_and_no_token(tmp_path):
    made = init(tmp_path / "home", "--account-id=DU2000002", f"--api-url={LOCAL}", "--broker-s=0.5")

    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE((tmp_path / "home" / "config.toml").stat().st_mode) == 0o600
    broker = load(Home(tmp_path / "home")).broker
    assert (broker.kind, broker.account_id, broker.api_url, broker.token) == ("ibkr", "DU2000002", LOCAL, "")
    assert (broker.page_pause_s, broker.insecure) == (5.25, False)


def test_what_is_missing_or_wrong_is_named_together_and_nothing_is_written(tmp_path):
    made = init(tmp_path / "home", "--api-url=https://localhost:5000")

    assert made.returncode == 78
    assert "--account-id" in made.stderr
    assert "--api-url: https://localhost:5000/v1/api" in made.stderr
    assert not (tmp_path / "home" / "config.toml").exists()


def test_a_gateways_own_certificate_is_trusted_on_this_machine_when_asked_for(tmp_path):
    made = init(tmp_path / "home", "--account-id=U1", "--api-url=https://localhost:5000/v1/api", "--insecure")

    assert made.returncode == 0, made.stderr
    assert load(Home(tmp_path / "home")).broker.insecure is True


@pytest.mark.parametrize(
    ("broker", "word"),
    [
        ('api_url = "https://gateway.example/v1/api"\ninsecure = true', "insecure"),
        ('api_url = "http://gateway.example/v1/api"', "https"),
        ('api_url = "https://localhost:5000/v1/api"\npage_pause_s = 1', "page_pause_s"),
        ('api_url = "https://localhost:5000"', "/v1/api"),
        (f'api_url = "{LOCAL}"\npage_pause = 1', "page_pause"),
    ],
)
def test_a_setting_that_would_do_harm_is_refused(tmp_path, broker, word):
    with pytest.raises(Misconfigured, match=word):
        parse(CONFIG.format(broker=broker), tmp_path)


def test_a_simulator_may_be_asked_more_often(tmp_path):
    config = parse(CONFIG.format(broker=f'api_url = "{LOCAL}"\npage_pause_s = 0.1\npenalty_s = 5'), tmp_path)
    assert (config.broker.page_pause_s, config.broker.penalty_s) == (0.1, 5.0)
