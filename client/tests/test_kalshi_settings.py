"""Settings for Kalshi: an API key's id, and its private half in a file that stays where it is."""

import stat
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fake_feed import TOKEN

from tbot_client.clock import parse_clock
from tbot_client.config import parse
from tbot_client.errors import Misconfigured
from tbot_client.home import Home, load

KALSHI = 'kind = "kalshi"\naccount_id = "key-id"\nkey_file = "kalshi.pem"'


@pytest.fixture(scope="module")
def pem():
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def key_file(tmp_path, pem):
    path = tmp_path / "kalshi.pem"
    path.write_text(pem)
    path.chmod(0o600)
    return path


def init(home, url, *more, **env):
    base = ("init", "--home", str(home), "--non-interactive", "--feed-url", url, "--broker", "kalshi")
    size = ("--size-rule", "fixed", "--size-value", "10", "--max-units", "50", "--wait-s", "1")
    return tbot(*base, *size, *more, TBOT_FEED_TOKEN=TOKEN, **env)


def tbot(*args, **env):
    command = [sys.executable, "-m", "tbot_client", *map(str, args)]
    environment = {"COLUMNS": "200", "PATH": ""} | {k: str(v) for k, v in env.items()}
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=environment)


@pytest.mark.parametrize("by_option", [True, False])
def test_a_home_for_kalshi_names_the_key_and_does_not_copy_it(tmp_path, feed, key_file, pem, by_option):
    option, env = (("--broker-key-file", key_file), {}) if by_option else ((), {"TBOT_BROKER_KEY_FILE": key_file})
    made = init(tmp_path / "home", feed.url, "--account-id", "key-id", *option, **env)

    assert made.returncode == 0, made.stderr
    text = (tmp_path / "home" / "config.toml").read_text()
    assert stat.S_IMODE((tmp_path / "home" / "config.toml").stat().st_mode) == 0o600
    assert (f'key_file = "{key_file}"' in text, "PRIVATE" in text) == (True, False)
    config = load(Home(tmp_path / "home"))
    assert (config.broker.token, config.broker.api_url) == (pem, "https://demo-api.kalshi.co/trade-api/v2")
    assert pem[100:140] not in repr(config)
    assert config.limits.max_drift_bp is None


def test_whoever_is_asked_names_the_key_again_until_it_is_one(tmp_path, feed, key_file):
    typed = f"kalshi\n{feed.url}\nkey-id\n/nowhere.pem\n{key_file}\nrisk\n0.01\n500\n"
    command = [sys.executable, "-m", "tbot_client", "init", "--home", str(tmp_path / "home")]
    environment = {"TBOT_FEED_TOKEN": TOKEN, "PATH": ""}
    ran = subprocess.run(command, input=typed, capture_output=True, text=True, check=False, env=environment, timeout=30)

    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("It must be a file with the API key's private half") == 1
    assert load(Home(tmp_path / "home")).broker.account_id == "key-id"


def test_what_is_missing_or_wrong_is_named_together(tmp_path, feed, key_file):
    key_file.chmod(0o644)
    ran = init(tmp_path / "home", feed.url, "--broker-key-file", key_file, "--api-url", "https://kalshi.example")

    assert ran.returncode == 78
    for name in ("--account-id: the id", "--broker-key-file, or TBOT_BROKER_KEY_FILE in the environment", "--api-url"):
        assert name in ran.stderr, name
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ('account_id = "key-id"', "", "account_id in [broker]"),
        ('key_file = "kalshi.pem"', "", "key_file in [broker]"),
        ("key_file", "keyfile", "did you mean 'key_file'?"),
        ("kind", 'api_url = "https://kalshi.example"\nkind', "ending in /trade-api/v2"),
        ("kind", 'api_url = "http://kalshi.example/trade-api/v2"\nkind', "https"),
    ],
)
def test_a_mistake_is_named_with_what_to_do(client, old, new, hint):
    text = client.text.replace('kind = "paper"', KALSHI)
    with pytest.raises(Misconfigured) as caught:
        parse(text.replace(old, new), client.home.path)
    assert hint in str(caught.value)


def test_a_key_that_others_can_read_is_refused(client, pem):
    client.write_config(client.text.replace('kind = "paper"', KALSHI))
    (client.home.path / "kalshi.pem").write_text(pem)
    (client.home.path / "kalshi.pem").chmod(0o640)
    with pytest.raises(Misconfigured, match="chmod 600"):
        load(client.home)
    (client.home.path / "kalshi.pem").chmod(0o600)
    assert load(client.home).broker.token == pem


def test_the_practice_host_is_the_default_of_either_broker(client):
    text = client.text.replace('kind = "paper"', 'kind = "oanda"\naccount_id = "1"\ntoken = "t"')
    assert parse(text, client.home.path).broker.api_url == "https://api-fxpractice.oanda.com"


def test_a_home_for_kalshi_is_checked_run_and_looked_at(tmp_path, feed, kalshi_venue):
    key, home = tmp_path / "kalshi.pem", tmp_path / "home"
    key.write_text(kalshi_venue.pem)
    key.chmod(0o600)
    feed.now = parse_clock(kalshi_venue.spec).now
    options = ("--account-id", kalshi_venue.key_id, "--broker-key-file", key, "--api-url", kalshi_venue.api_url)
    made = init(home, feed.url, *options, "--clock", kalshi_venue.spec, "--instrument", kalshi_venue.kept)
    looked = tbot("check", "--home", home)
    signal = feed.open(market=kalshi_venue.kept, reference_price="0.41", stop_loss="0", take_profit="1")
    dry = tbot("run", "--home", home, "--once", "--dry-run")
    ran = tbot("run", "--home", home, "--once")
    shown = tbot("status", "--home", home)

    assert [each.returncode for each in (made, looked, dry, ran, shown)] == [0, 0, 0, 0, 3], looked.stdout + ran.stderr
    assert "reached, 1000.00 USD; contracts settle by themselves: no stop or target rests there" in looked.stdout
    assert f"{kalshi_venue.kept} smallest order 1, yours at most 10" in " ".join(looked.stdout.split())
    assert feed.stages(signal) == ["ack", "executed"]
    assert f"buy 10 {kalshi_venue.kept} at 0.4100, settles at 0 or 1" in shown.stdout
    assert kalshi_venue.account()["positions"] == {kalshi_venue.kept: 10}
    assert (home / "kalshi.jsonl").stat().st_mode & 0o777 == 0o600
