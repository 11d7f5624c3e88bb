"""One client a home and an account: also across homes, and never held by the dead."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from tbot_client.config import Broker
from tbot_client.errors import Busy
from tbot_client.home import Home, load, locked

HOLDER = """
import sys, time
from pathlib import Path
from tbot_client.home import Home, load, locked
home = Home(Path(sys.argv[1]))
with locked(home, load(home)):
    print("held", flush=True)
    time.sleep(60)
"""
OANDA = 'kind = "oanda"\naccount_id = "101-001-1-001"\ntoken = "t"'


@pytest.fixture
def homes(client, tmp_path, monkeypatch):
    """Return two homes that trade one OANDA account."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = []
    for name in ("one", "two"):
        path = tmp_path / name
        path.mkdir()
        (path / "config.toml").write_text(client.text.replace('kind = "paper"', OANDA))
        (path / "config.toml").chmod(0o600)
        made.append(Home(path))
    return made


@pytest.fixture
def holder(homes):
    command = [sys.executable, "-c", HOLDER, str(homes[0].path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_client_on_the_same_account_is_refused_in_another_home_too(homes, holder):
    with pytest.raises(Busy, match="account-"), locked(homes[1], load(homes[1])):
        pass


def test_a_second_client_in_the_same_home_is_refused(homes, holder):
    with pytest.raises(Busy, match="only client"), locked(homes[0], load(homes[0])):
        pass


def test_another_account_is_not_held_up(homes, holder):
    config = load(homes[1])
    other = replace(config, broker=Broker(kind="oanda", account_id="101-001-1-002", token="t"))
    with locked(homes[1], other):
        assert homes[1].lock.exists()


@pytest.mark.parametrize("home", [0, 1])
def test_a_lock_left_by_a_killed_client_is_free(homes, holder, home):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert homes[0].lock.exists()

    with locked(homes[home], load(homes[home])):
        assert True
