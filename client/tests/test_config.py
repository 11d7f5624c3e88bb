"""Settings: each mistake is named, with what to do."""

import pytest

from tbot_client.clock import parse_clock, parse_iso
from tbot_client.config import parse
from tbot_client.errors import Misconfigured
from tbot_client.home import load
from tbot_client.newhome import text_of


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("max_units", "max_unit", "did you mean 'max_units'?"),
        ("[size]", "[sise]", "did you mean 'size'?"),
        ('"fixed"', '"fixd"', "did you mean 'fixed'?"),
        ('"paper"', '"alpaca"', "oanda, kalshi, ibkr, paper"),
        ("units = 1000", "", "'units' above 0"),
        ("units = 1000", "units = 0", "'units' above 0"),
        ("units = 1000", "units = -5", "Decimal"),
        ("units = 1000", "units = nan", "Decimal"),
        ("units = 1000", "units = true", "Decimal"),
        ("max_units = 5000", "", "'max_units' in [size]"),
        ("wait_s = 1", "wait_s = 99", "0..55"),
        ("wait_s = 1", "wait_s = 1.5", "int"),
        ("[broker]", "[broker", "TOML"),
        ('kind = "paper"', 'kind = "oanda"', "account_id"),
        ("http://127.0.0.1", "http://feed.example", "https"),
        ("http://127.0.0.1", "ftp://127.0.0.1", "https"),
        ('rule = "fixed"', 'rule = "risk"\nfraction = 1.5', "below 1"),
    ],
)
def test_a_mistake_is_named_with_what_to_do(client, old, new, hint):
    with pytest.raises(Misconfigured) as caught:
        parse(client.text.replace(old, new), client.home.path)
    assert hint in str(caught.value)
    assert caught.value.exit_code == 78


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_config_others_can_read_is_refused(client, mode):
    client.write_config()
    client.home.config.chmod(mode)
    with pytest.raises(Misconfigured, match="chmod 600"):
        load(client.home)


def test_a_token_file_others_can_read_is_refused(client, tmp_path):
    secret = tmp_path / "token"
    secret.write_text("tbs_x\n")
    secret.chmod(0o644)
    lines = [line for line in client.text.splitlines() if not line.startswith("token")]
    client.write_config("\n".join(lines).replace("[feed]", f'[feed]\ntoken_file = "{secret}"'))
    with pytest.raises(Misconfigured, match="chmod 600"):
        load(client.home)
    secret.chmod(0o600)
    assert load(client.home).feed.token == "tbs_x"


def test_secrets_are_in_no_printed_form(client):
    client.write_config()
    assert client.config.feed.token not in repr(load(client.home))


@pytest.mark.parametrize("value", ['a"b', "back\\slash", "tab\tand\nline", "ünï€"])
def test_any_answer_survives_being_written_and_read(value):
    import tomllib

    assert tomllib.loads(text_of({"feed": {"url": value}}))["feed"]["url"] == value


def test_a_simulated_clock_follows_its_formula(monkeypatch):
    clock = parse_clock("sim:2014-05-02T12:20:00Z@120,anchor=1000")
    monkeypatch.setattr("time.time", lambda: 1002.0)
    assert clock.now() == parse_iso("2014-05-02T12:24:00Z")
    clock.correct(parse_iso("2030-01-01T00:00:00Z"))
    assert clock.now() == parse_iso("2014-05-02T12:24:00Z")


@pytest.mark.parametrize(
    "spec", ["", "now", "sim:2014-05-02@2", "sim:2014-05-02T00:00:00Z@0", "sim:2014@nan", "sim:@1"]
)
def test_a_clock_of_another_form_is_refused(spec):
    with pytest.raises(Misconfigured, match="clock"):
        parse_clock(spec)


def test_a_machine_whose_clock_is_off_uses_the_feeds(client, feed, broker):
    from datetime import UTC, datetime, timedelta

    feed.now = lambda: datetime.now(UTC) + timedelta(hours=3)
    signal = feed.open()
    client.run_once()
    assert feed.bodies(signal)[0]["decision"] == "accept"
    assert 10_700 < client.clock.offset_s < 10_900
