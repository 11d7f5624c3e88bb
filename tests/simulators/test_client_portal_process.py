"""The process of the simulated Client Portal gateway: start, options, TLS, state, pacing on the wire, footprint."""

import asyncio
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import portal_sim
import pytest
from portal_sim import ACCOUNT, SPY, ticket
from simulator import ROOT
from websockets.asyncio.client import connect

from simulators.client_portal.run import main


def run(*arguments):
    command = [sys.executable, "-m", portal_sim.MODULE, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)


@pytest.fixture
def start():
    started = []

    def begin(*arguments, **options):
        started.append(portal_sim.start_portal(*arguments, **options))
        return started[-1]

    yield begin
    for gate in started:
        gate.stop()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--port", "70000"), "--port"),
        (("--accounts", "DU1"), "--accounts"),
        (("--accounts", "DU1:5:gold"), "--accounts"),
        (("--accounts", "DU1:5,DU1:6"), "--accounts"),
        (("--clock", "noon"), "clock"),
        (("--faults", "nowhere.json"), "faults"),
        (("--idle-seconds", "0"), "--idle-seconds"),
        (("--limits", "some"), "--limits"),
        (("--odd",), "--odd"),
    ],
)
def test_a_wrong_option_ends_with_2_and_is_named(arguments, word, capsys):
    try:
        code = main(list(arguments))
    except SystemExit as ended:
        code = ended.code

    assert code == 2
    assert word in capsys.readouterr().err


def test_a_port_that_is_taken_ends_with_1():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = run("--port", str(taken.getsockname()[1]))

    assert found.returncode == 1
    assert "cannot listen" in found.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0(start, number):
    gate = start()
    gate.process.send_signal(number)

    assert gate.process.wait(timeout=5) == 0


def test_tls_speaks_https_with_a_certificate_of_its_own(start):
    gate = start("--tls")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{gate.base_url}/tickle")

    async def greeting():
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        async with connect(gate.ws_url, ssl=trusting) as line:
            return await asyncio.wait_for(line.recv(), 5)

    assert gate.url.startswith("https://")
    assert '"success"' in asyncio.run(greeting())
    assert gate.post("/tickle")["iserver"]["authStatus"]["authenticated"] is True


def test_faults_come_from_a_file(start, tmp_path):
    script = portal_sim.written(tmp_path / "faults.json", [{"name": "away", "action": "no_session", "times": 1}])
    gate = start("--limits", "off", "--faults", script)
    refused = gate.send("POST", "/tickle")

    assert refused.status_code == 401
    assert gate.fired("away") == 1


def test_the_state_folder_keeps_orders_positions_and_used_ids(start, tmp_path):
    first = start("--limits", "off", "--state", str(tmp_path))
    first.confirm(first.order("BUY", 5, cOID="ps-filled"))
    resting = first.entered("BUY", 2, "LMT", price=160, tif="GTC", cOID="ps-resting")
    first.stop()
    second = start("--limits", "off", "--state", str(tmp_path))
    live = {row["orderId"]: row for row in second.live()}
    second.get("/portfolio/accounts")

    assert live[resting]["order_ref"] == "ps-resting"
    assert [row["position"] for row in second.get(f"/portfolio/{ACCOUNT}/positions/0")] == [5.0]
    assert [row["order_ref"] for row in second.trades()] == ["ps-filled"]
    for name in ("ps-filled", "ps-resting"):
        assert "Local order ID" in second.orders([ticket(cOID=name)])["error"]


def test_one_list_of_orders_in_five_seconds_and_the_penalty_box_after_a_second(start):
    gate = start("--penalty-seconds", "0.5")
    first = gate.send("GET", "/iserver/account/orders")
    second = gate.send("GET", "/iserver/account/orders")
    boxed = gate.send("GET", "/iserver/accounts")
    gate.until(lambda: gate.send("GET", "/iserver/accounts").status_code == 200)

    assert [reply.status_code for reply in (first, second, boxed)] == [200, 429, 429]
    assert gate.state()["rate_limited"] >= 2


def test_the_eleventh_request_of_a_second_is_refused(start):
    gate = start()
    found = [gate.send("GET", "/iserver/accounts").status_code for _ in range(11)]

    assert found == [200] * 10 + [429]


def test_limits_can_follow_the_simulated_clock(start):
    gate = start("--limits", "simulated", "--no-calendar", speed=60_000)
    found = [gate.send("GET", "/iserver/account/orders").status_code for _ in range(3)]

    assert found == [200, 200, 200]


def test_a_session_nobody_uses_ends(start):
    gate = start("--limits", "off", "--idle-seconds", "0.2")
    gate.until(lambda: gate.state()["session"]["standing"] == "unauthenticated")

    assert gate.send("GET", "/iserver/accounts").status_code == 401
    assert gate.post("/iserver/auth/ssodh/init", {"publish": True, "compete": True})["authenticated"]


def test_the_control_page_tells_what_was_asked(start):
    gate = start("--limits", "off")
    gate.get("/iserver/accounts")
    gate.send("POST", "/nothing", {"a": 1})
    asked = gate.requests()

    assert [(line["method"], line["path"], line["status"]) for line in asked] == [
        ("GET", "/v1/api/iserver/accounts", 200),
        ("POST", "/v1/api/nothing", 404),
    ]
    assert asked[1]["body"] == '{"a":1}'
    assert gate.state()["requests"]["GET /iserver/accounts"] == 1
    assert httpx.get(f"{gate.url}/_sim/odd").status_code == 404


def test_a_trade_by_hand_needs_what_it_names(start):
    gate = start("--limits", "off")
    wrong = {"account": "DU9", "conid": SPY, "quantity": "1"}

    assert httpx.post(f"{gate.url}/_sim/trade", json=wrong).status_code == 422
    assert httpx.post(f"{gate.url}/_sim/trade", json={}).status_code == 422
    assert gate.trade_by_hand(SPY, "3")["execution_id"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_it_is_small(start):
    gate = start("--limits", "off", speed=120)
    gate.snapshot(SPY)
    gate.get("/iserver/marketdata/history", conid=SPY, period="1d", bar="1min")
    gate.entered("SELL", 1, "STP", price=100)
    lines = Path(f"/proc/{gate.process.pid}/status").read_text().splitlines()
    resident_kib = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    assert resident_kib < 60 * 1024
