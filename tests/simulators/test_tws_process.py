"""The TWS simulator as a process: options, start and end, state between runs, its appetite."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time

import ib_async
import pytest
import tws_sim
from simulator import ROOT
from tws_client import SPY, Client


def run(*arguments, **env):
    command = [sys.executable, "-m", "simulators.tws", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, env={**os.environ, **env})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_zero_and_without_a_word_while_clients_are_there(number, tmp_path):
    errors = tmp_path / "errors"
    with errors.open("w") as file:
        sim = tws_sim.start(stderr=file)

    async def play():
        async with Client(sim, 1) as one:
            sim.process.send_signal(number)
            await one.until(lambda: not one.ib.isConnected())

    asyncio.run(play())

    assert sim.process.wait(timeout=5) == 0
    assert errors.read_text() == ""
    sim.stop()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--port", "70000"), "--port"),
        (("--accounts", "DU1"), "--accounts"),
        (("--accounts", "DU1:5,DU1:6"), "every id once"),
        (("--accounts", "DU1:5:gold"), "--accounts"),
        (("--symbols", "SPY,NOSUCH"), "--symbols"),
        (("--clock", "tomorrow"), "clock"),
        (("--faults", "/nowhere.json"), "cannot read"),
        (("--colour", "blue"), "--colour"),
    ],
)
def test_a_wrong_option_is_one_line_and_code_2(arguments, told):
    ended = run(*arguments)

    assert ended.returncode == 2
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_wrong_script_is_code_2(tmp_path):
    script = tmp_path / "faults.json"
    script.write_text(json.dumps([{"name": "x", "action": "nothing"}]))
    ended = run("--faults", script)

    assert ended.returncode == 2
    assert "faults[0].action" in ended.stderr


def test_a_state_that_cannot_be_read_is_code_2(tmp_path):
    (tmp_path / "tws-order-numbers.json").write_text("[")
    ended = run("--state", tmp_path)

    assert ended.returncode == 2
    assert "tws-order-numbers.json" in ended.stderr


def test_a_port_that_is_taken_is_code_1():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run("--port", taken.getsockname()[1])

    assert ended.returncode == 1
    assert "cannot listen" in ended.stderr


def test_only_the_stocks_asked_for_are_listed():
    sim = tws_sim.start(options=["--symbols", "spy"])

    async def play():
        async with Client(sim, 1) as one:
            return await one.ib.reqMatchingSymbolsAsync("A"), await one.ib.qualifyContractsAsync(
                ib_async.Stock("AAPL", "SMART", "USD")
            )

    found, qualified = asyncio.run(play())
    sim.stop()

    assert found == []
    assert qualified == [None]


def test_orders_positions_and_numbers_outlive_the_process(tmp_path):
    async def before(sim):
        async with Client(sim, 3) as one:
            bought = one.market(orderRef="bought")
            await one.until(lambda: one.commissions)
            resting = one.limit(price=90, tif="GTC", orderRef="resting")
            await one.status(resting, "Submitted")
            return bought.order.permId, resting.order.permId, resting.order.orderId

    async def after(sim):
        async with Client(sim, 3) as one:
            (open_,) = one.ib.openTrades()
            held = {p.contract.symbol: p.position for p in one.ib.positions()}
            fills = {fill.execution.orderRef for fill in one.ib.fills()}
            return open_.order, held, fills, one.ib.client.getReqId()

    anchor = time.time()
    first = tws_sim.start(options=["--state", tmp_path], anchor=anchor)
    bought, resting, number = asyncio.run(before(first))
    assert first.stop() == 0
    second = tws_sim.start(options=["--state", tmp_path], anchor=anchor)
    order, held, fills, following = asyncio.run(after(second))
    second.stop()

    assert bought != resting
    assert (order.permId, order.orderId, order.orderRef) == (resting, number, "resting")
    assert held == {"SPY": 10}
    assert fills == {"bought"}
    assert following > number


def test_a_script_begins_and_ends_with_the_simulated_clock(tmp_path):
    script = tmp_path / "faults.json"
    span = ["2014-05-06T14:00:20+00:00", "2014-05-06T14:00:40+00:00"]
    script.write_text(json.dumps([{"name": "night", "action": "connectivity_lost", "between": span}]))
    sim = tws_sim.start(speed=20, options=["--faults", script])

    async def play():
        async with Client(sim, 1) as one:
            await one.until(lambda: 1102 in one.codes)
            return [code for code in one.codes if code in (1100, 1102)]

    codes = asyncio.run(play())
    fired = sim.fired("night")
    sim.stop()

    assert codes == [1100, 1102]
    assert fired == 1


def test_it_is_content_with_little(tmp_path):
    sim = tws_sim.start(speed=120, options=["--state", tmp_path])

    async def play():
        async with Client(sim, 1) as one, Client(sim, 2) as two:
            tickers = [one.ib.reqMktData(SPY), two.ib.reqMktData(SPY)]
            bars = await one.ib.reqHistoricalDataAsync(SPY, "", "1 D", "1 min", "TRADES", True, keepUpToDate=True)
            for client in (one, two):
                await client.until(lambda client=client: client.ib.tickers())
            began, used = time.monotonic(), cpu_seconds(sim.process.pid)
            await one.until(lambda: time.monotonic() - began > 1.5)
            return tickers, bars, (cpu_seconds(sim.process.pid) - used) / (time.monotonic() - began)

    *_, load = asyncio.run(play())
    memory = resident_mib(sim.process.pid)
    sim.stop()

    assert memory < 60
    assert load < 0.35


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as file:
        line = next(line for line in file if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
