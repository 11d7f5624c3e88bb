"""Kill -9 at every durable step of a trade at the simulated Kalshi: one entry, one exit, one report of each kind."""

import subprocess
import sys
from pathlib import Path

import pytest

from tbot_client.clock import parse_clock
from tbot_client.journal import read
from tbot_client.state import State

SCRIPT = Path(__file__).parent / "support" / "crashing.py"


@pytest.fixture
def run(client, feed, kalshi_venue):
    """Return a function that lets a client die at a moment (0: never) and returns its exit code and moments."""
    feed.now = parse_clock(kalshi_venue.spec).now
    broker = f'kind = "kalshi"\naccount_id = "{kalshi_venue.key_id}"\nkey_file = "key.pem"'
    text = client.text.replace('kind = "paper"', f'{broker}\napi_url = "{kalshi_venue.api_url}"')
    text = text.replace("units = 1000", "units = 1").replace("settle_s = 0.1", "settle_s = 0.02")
    client.write_config(f'{text}\n[clock]\nspec = "{kalshi_venue.spec}"\n')
    (client.home.path / "key.pem").write_text(kalshi_venue.pem)
    (client.home.path / "key.pem").chmod(0o600)
    command = [sys.executable, str(SCRIPT), str(client.home.path), "broker"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def once(fatal):
        process.stdin.write(f"{fatal}\n")
        process.stdin.flush()
        *moments, code = map(int, process.stdout.readline().split())
        return code, (moments or [None])[0]

    yield once
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()


def test_a_kill_at_any_moment_of_an_entry_or_an_exit_leaves_one_of_each(client, feed, kalshi_venue, run):
    contract = {"market": kalshi_venue.kept, "stop_loss": "0", "take_profit": "1", "reference_price": "0.41"}
    signals, lived = [], {"entry": False, "exit": False}
    for fatal in range(1, 60):
        signal = feed.open(**contract)
        signals.append(signal)
        for part in lived:
            code, _ = run(0 if lived[part] else fatal)
            lived[part] = lived[part] or code == 0
            assert code in (0, -9)
            if code == -9:
                assert run(0)[0] == 0
            if part == "entry":
                assert feed.stages(signal) == ["ack", "executed"], fatal
                feed.end(signal, market=kalshi_venue.kept, exit_price="0.39")
        assert feed.stages(signal) == ["ack", "executed", "resolved"], fatal
        if all(lived.values()):
            break

    assert all(lived.values())
    assert len(signals) >= 10
    created = {name: n for name, n in kalshi_venue.created().items() if f"sig_{name[3:29]}" in signals}
    assert created == {f"tc-{signal[4:]}-{part}-1": 1 for signal in signals for part in lived}
    assert kalshi_venue.account()["positions"] == {}
    assert all(status != 409 for _, _, _, status in feed.reports)
    assert State(read(client.home.journal)).trades == {}
