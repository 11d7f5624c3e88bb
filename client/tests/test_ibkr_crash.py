"""Kill -9 at every durable step of a trade at the simulated Client Portal: one entry, one stop, one exit."""

import subprocess
import sys
from decimal import Decimal as D
from pathlib import Path

import pytest

from tbot_client.clock import parse_clock
from tbot_client.journal import read
from tbot_client.state import State

SCRIPT = Path(__file__).parent / "support" / "crashing.py"


@pytest.fixture
def run(client, feed, portal_venue):
    """Return a function that lets a client die at a moment (0: never) and returns its exit code."""
    feed.now = parse_clock(portal_venue.spec).now
    broker = f'kind = "ibkr"\naccount_id = "DU1"\napi_url = "{portal_venue.api_url}"\npage_pause_s = 0'
    text = client.text.replace('kind = "paper"', broker)
    text = text.replace("units = 1000", "units = 1").replace("settle_s = 0.1", "settle_s = 0.02")
    client.write_config(f'{text}\n[clock]\nspec = "{portal_venue.spec}"\n[limits]\nmax_drift_bp = 200\n')
    command = [sys.executable, str(SCRIPT), str(client.home.path), "broker"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def once(fatal):
        process.stdin.write(f"{fatal}\n")
        process.stdin.flush()
        return int(process.stdout.readline().split()[-1])

    yield once
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()


def test_a_kill_at_any_moment_of_an_entry_or_an_exit_leaves_one_of_each(client, feed, portal_venue, run):
    signals, lived = [], {"entry": False, "exit": False}
    for fatal in range(1, 40):
        _, ask = portal_venue.quote("IBM")
        stop = str((D(ask) * D("0.9")).quantize(D("0.01")))
        signal = feed.open(market="IBM", reference_price=ask, stop_loss=stop, take_profit=None, trailing_percent="10")
        signals.append(signal)
        for part in lived:
            code = run(0 if lived[part] else fatal)
            lived[part] = lived[part] or code == 0
            assert code in (0, -9)
            if code == -9:
                assert run(0) == 0
            if part == "entry":
                assert feed.stages(signal) == ["ack", "executed"], fatal
                assert portal_venue.held("IBM") == 1
                assert len(portal_venue.live(f"tc-{signal[4:]}")) == 1, fatal
                feed.end(signal, market="IBM", exit_price=ask)
        assert feed.stages(signal) == ["ack", "executed", "resolved"], fatal
        if all(lived.values()):
            break

    assert all(lived.values())
    assert len(signals) >= 10
    for signal in signals:
        rows = portal_venue.orders(f"tc-{signal[4:]}")
        filled = sorted(ref.split("-")[2] for ref, row in rows.items() if row["status"] == "Filled")
        assert filled == ["entry", "exit"], rows.keys()
    assert portal_venue.held("IBM") == 0
    assert all(status != 409 for _, _, _, status in feed.reports)
    assert State(read(client.home.journal)).trades == {}
