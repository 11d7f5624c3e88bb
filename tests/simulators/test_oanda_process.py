"""The OANDA simulator as a process: options, start, stop, state file, size."""

import json
import signal
import time
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from simulators.oanda.account import Account
from simulators.oanda.clock import ClockError, parse_clock
from simulators.oanda.persistence import Store
from simulators.oanda.run import main
from simulators.rest.state_file import StateError

ACCOUNT = "101-001-1-001"
BASE = f"/v3/accounts/{ACCOUNT}"


def test_help_names_every_option_and_an_example(run_command):
    done = run_command("--help")

    assert done.returncode == 0
    for word in ("--port", "--clock", "--account", "--account-file", "--shift-weeks", "--faults", "--state", "example"):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--clock", "sim:2014-05-02@fast"], ["expected", "found"]),
        (["--clock", "sim:2014-05-02T12:00:00@60"], ["offset", "expected"]),
        (["--account", "secret-token-only"], ["--account", "expected"]),
        (["--account", "A:t:USD:much"], ["balance", "expected"]),
        (["--account", "A:t:USD:1", "--account", "A:u:USD:1"], ["once", "A"]),
        (["--account-file", "/nowhere.json"], ["cannot read"]),
        (["--shift-weeks", "many"], ["whole number"]),
        (["--port", "70000"], ["--port"]),
        (["--faults", "/nowhere.json"], ["cannot read"]),
    ],
)
def test_misuse_is_one_line_and_code_two(capsys, arguments, words):
    code, printed = main(arguments), capsys.readouterr()

    assert (code, printed.out, len(printed.err.splitlines())) == (2, "", 1)
    assert all(word in printed.err for word in words)
    assert "secret-token" not in printed.err


def test_bad_fault_script_names_the_field_and_bad_clock_may_come_from_the_environment(run_command, tmp_path):
    script = tmp_path / "faults.json"
    script.write_text('[{"name": "x", "action": "delay", "seconds": "long"}]')

    bad_script, bad_clock = run_command("--faults", str(script)), run_command(TBOT_CLOCK="sim:now@1")

    assert (bad_script.returncode, bad_clock.returncode) == (2, 2)
    assert "faults[0].seconds" in bad_script.stderr
    assert "TBOT_CLOCK" in bad_clock.stderr


def test_clock_is_linear_in_the_wall_clock_on_both_sides_of_its_anchor():
    now = time.time()
    for offset in (-50.0, 0.0, 50.0):
        clock = parse_clock(f"sim:2014-05-02T12:00:00Z@120,anchor={now + offset}")
        expected = 1399032000 - offset * 120
        assert abs(expected - clock.now_ms() / 1000) < 30
    assert abs(time.time() - parse_clock("real").now_ms() / 1000) < 1


@pytest.mark.parametrize("text", ["", "simulated", "sim:", "sim:2014-05-02T12:00:00Z", "sim:2014-05-02T12:00:00Z@0"])
def test_other_clocks_are_refused(text):
    with pytest.raises(ClockError, match="expected 'real' or"):
        parse_clock(text)


def test_termination_ends_streams_and_exits_with_zero_at_once(start_process):
    running = start_process("sim:2014-05-02T12:00:00Z@1")
    with closing(running.client()) as client, client.stream("GET", f"{BASE}/transactions/stream") as reply:
        lines = reply.iter_lines()
        next(lines)
        began = time.monotonic()
        running.process.send_signal(signal.SIGTERM)

        assert list(lines) == []
        assert running.process.wait(timeout=5) == 0
    assert time.monotonic() - began < 2


def test_second_port_answers_the_same_requests(start_process):
    running = start_process("sim:2014-05-02T12:00:00Z@1", "--stream-port", "0")
    printed = running.process.stdout.readline()
    second = printed.split()[-1]

    headers = {"Authorization": "Bearer token-one"}
    with httpx.stream("GET", f"{second}{BASE}/transactions/stream", headers=headers) as reply:
        assert json.loads(next(reply.iter_lines()))["type"] == "HEARTBEAT"
    assert printed.startswith("simulators.oanda streams on http://127.0.0.1:")
    assert second != running.url


def test_accounts_from_a_file_trade_a_recording_moved_to_today(start_process, tmp_path):
    accounts = tmp_path / "accounts.json"
    accounts.write_text(json.dumps([{"id": "F", "token": "from-file", "currency": "USD", "balance": "5"}]))
    running = start_process("real", "--account-file", str(accounts), "--shift-weeks", "auto")

    with closing(running.client("from-file")) as client:
        summary = client.get("/v3/accounts/F/summary").json()["account"]
    state = running.state()

    assert summary["balance"] == "5.0000"
    assert state["shift_weeks"] > 600
    assert state["quotes"]["EUR_USD"]["source_ts"][:7] == "2014-05"


def test_killed_process_goes_on_from_its_state_file_on_the_clock_of_the_environment(start_process, tmp_path):
    env = {"TBOT_CLOCK": f"sim:2014-05-02T12:00:00Z@60,anchor={time.time()}"}
    first = start_process(None, "--state", str(tmp_path / "state"), env=env)
    with closing(first.client()) as client:
        order = {"type": "MARKET", "instrument": "EUR_USD", "units": "7", "stopLossOnFill": {"distance": "0.05000"}}
        client.post(f"{BASE}/orders", json={"order": order})
        before = client.get(f"{BASE}/transactions/sinceid?id=0").json()
    first.process.kill()
    first.process.wait(timeout=5)

    second = start_process(None, "--state", str(tmp_path / "state"), env=env)
    with closing(second.client()) as client:
        after = client.get(f"{BASE}/transactions/sinceid?id=0").json()
        trade = client.get(f"{BASE}/openTrades").json()["trades"][0]

    assert before == after
    assert (trade["currentUnits"], "stopLossOrder" in trade) == ("7", True)


def test_memory_stays_below_the_budget_of_a_process(slow):
    with closing(slow.client()) as client:
        for granularity in ("M1", "H1", "D"):
            client.get(f"/v3/instruments/EUR_USD/candles?granularity={granularity}&count=5000&price=MBA")
    status = Path(f"/proc/{slow.process.pid}/status").read_text()

    resident_kib = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    assert resident_kib < 80 * 1024


def test_accounts_survive_a_restart_and_live_through_what_they_missed(make_lab, tmp_path):
    def venue(start):
        return make_lab(start, [Account(ACCOUNT, "token-one", "USD", Decimal(100_000))], Store(tmp_path / "state"))

    first = venue("2014-05-02T10:00:00Z")
    first.order(1000, takeProfitOnFill={"price": "1.39000"}, stopLossOnFill={"price": "1.38300"})
    first.order(5, "MARKET_IF_TOUCHED", price="1.20000", timeInForce="GTD", gtdTime="2014-05-02T16:00:00Z")
    uninterrupted = first.at("2014-05-02T20:00:00Z")
    expected = uninterrupted.transactions(), uninterrupted.summary()
    lines = (tmp_path / "state").read_text().splitlines(keepends=True)
    # keep what was written before the clock moved, and a torn last line
    (tmp_path / "state").write_text("".join(lines[:3]) + '{"account": "torn')

    second = venue("2014-05-02T20:00:00Z")

    assert expected == (second.transactions(), second.summary())
    third = venue("2014-05-02T20:00:01Z")
    assert expected[0] == third.transactions()


def test_state_ahead_of_the_clock_and_damaged_state_are_refused(make_lab, tmp_path):
    store = Store(tmp_path / "state")
    make_lab("2014-05-02T10:00:00Z", store=store)

    with pytest.raises(StateError, match="expected a clock at or after"):
        make_lab("2014-05-02T09:00:00Z", store=Store(tmp_path / "state"))
    (tmp_path / "state").write_text("broken\n")
    with pytest.raises(StateError, match="expected JSON lines"):
        make_lab("2014-05-02T11:00:00Z", store=Store(tmp_path / "state"))
