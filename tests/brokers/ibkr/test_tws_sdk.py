"""What is taken from the vendor's library, and what it costs: the same from either of the two."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import tws_desk

ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys
from datetime import timedelta
sys.path[:0] = {path!r}
from brokers.ibkr.config import IbkrConfig
from brokers.ibkr.tws.client import connect
from domain.clock import parse_clock
data, executor = connect(IbkrConfig(account="DU1", port={port}), parse_clock({clock!r}))
executor.account()
data.quotes(["SPY", "AAPL", "IBM"])
data.bars("SPY", 60, start=data._desk.clock.now() - timedelta(hours=3))
executor.resting()
loaded = [name for name in ("numpy", "pandas") if name in sys.modules]
rss = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
from brokers.ibkr.tws import sdk
print(sdk.NAME, int(rss.split()[1]), *loaded)
executor.close()
data.close()
"""
REFUSED = """
import logging
import sys
import time
sys.path[:0] = {path!r}
from brokers.ibkr.config import IbkrConfig
from brokers.ibkr.tws.client import connect
from domain.clock import RealClock
logging.basicConfig(level=logging.WARNING)
data, executor = connect(IbkrConfig(account="DU1", port={port}, connect_timeout_s=0.3), RealClock())
deadline = time.monotonic() + 10
while "not connected" not in executor.link()[1] and time.monotonic() < deadline:
    time.sleep(0.02)
print(executor.link()[1])
executor.close()
data.close()
"""
LATER = """
import asyncio
async def load():
    import brokers.ibkr.tws.sdk
asyncio.run(load())
import numpy
print(numpy.array([1]).sum())
"""


@pytest.fixture(scope="module")
def gateway():
    yield from tws_desk.started()


def test_sdk_process_stays_small_and_loads_no_numbers_library(gateway):
    program = PROGRAM.format(path=[str(ROOT)], port=gateway.port, clock=gateway.clock)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30)
    name, kib, *loaded = done.stdout.splitlines()[-1].split()

    assert name in ("ib_async", "ib_insync")
    assert int(kib) < 80 * 1024
    assert loaded == []


def test_sdk_logs_nothing_past_our_own_log():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    program = REFUSED.format(path=[str(ROOT)], port=port)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30)

    assert "not connected" in done.stdout
    assert "ERROR:" not in done.stderr


def test_sdk_numpy_can_still_be_had_after_the_stand_in():
    done = subprocess.run([sys.executable, "-c", LATER], cwd=ROOT, capture_output=True, text=True, timeout=30)

    assert done.stdout.split() == ["1"]
