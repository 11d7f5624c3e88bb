"""Surface and resolver as they are run, against a simulated OANDA that misbehaves."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import count
from pathlib import Path

import httpx
import pytest

from audit.logs import verify_all
from fleet.demo_home import DEMO_FX
from journal import read

ROOT = Path(__file__).parents[2]
TOKEN = "sesame-7f3a9c"
# A lively afternoon of the recording, five hours of it in a minute.
START, SPEED = "2014-05-06T12:00:00Z", 300
ACCOUNTS = [f"101-001-{number:03d}-001" for number in range(12)]
# The demo's settings, livelier still: wide brackets pay for their spread, and time ends what they do not within
# twelve minutes, which are 2.4 seconds.
LIVELY = DEMO_FX | {
    "FX_MARKETS": "EUR_USD,NZD_USD",
    "FX_LOOP_S": "15",
    "FX_SIGNAL_TTL_S": "100000",
    "RISK_MIN_EDGE_BP": "0",
    "RISK_MAX_QUOTE_AGE_S": "600",
    "RISK_MAX_SPREAD_BP": "10",
    "RISK_MAX_SLIPPAGE_BP": "10",
    "RISK_COOLDOWN_S": "1",
    "RISK_DEDUP_WINDOW_S": "60",
    "RISK_STORM_STOP_OUTS": "1000",
    "STRATEGY_STOP_ATR": "5",
    "STRATEGY_TARGET_ATR": "6",
    "FX_MAX_HOLDING_HOURS": "0.2",
    "STRATEGY_MAX_TILT": "0.25",
    "OANDA_READ_TIMEOUT_S": "2",
    "OANDA_FRESH_ORDER_GRACE_S": "2.5",
    "OANDA_QUOTE_SILENCE_S": "1",
    "OANDA_POLL_INTERVAL_S": "0.2",
}


def until(condition, what, seconds=20.0):
    """Return the first true answer of ``condition``."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return answer


class Simulator:
    """The venue's process and its control page."""

    def __init__(self):
        self.clock = f"sim:{START}@{SPEED},anchor={time.time():.3f}"
        command = [sys.executable, "-m", "simulators.oanda", "--port", "0", "--clock", self.clock]
        for account in ACCOUNTS:
            command += ["--account", f"{account}:{TOKEN}:USD:100000"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split()[-1]
        self.accounts = iter(ACCOUNTS)
        self.numbers = count()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=10)
        self.process.stdout.close()


class Desk:
    """One account at the venue, its home, and the two processes that trade it."""

    def __init__(self, simulator, home):
        self.simulator = simulator
        self.account = next(simulator.accounts)
        self.home = home
        self.faults = []
        self.running = {}
        self.client = httpx.Client(base_url=simulator.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
        (home / "logs").mkdir(parents=True)

    def fault(self, action, **params):
        name = f"fault-{next(self.simulator.numbers)}"
        match = {"account": self.account, **params.pop("match", {})}
        reply = self.client.post("/_sim/faults", json={"name": name, "action": action, "match": match, **params})
        assert reply.status_code == 201, reply.text
        self.faults.append(name)
        return name

    def fired(self, name):
        faults = self.client.get("/_sim/faults").json()["faults"]
        return next(fault["fired"] for fault in faults if fault["name"] == name)

    def start(self, *modules, **changes):
        environment = LIVELY | {
            "TBOT_HOME": str(self.home),
            "TBOT_CLOCK": self.simulator.clock,
            "OANDA_ACCOUNT_ID": self.account,
            "OANDA_TOKEN": TOKEN,
            "OANDA_API_URL": self.simulator.url,
            **changes,
        }
        for module in modules or ("surfaces", "resolver"):
            with (self.home / f"{module}.log").open("a") as log:
                command = [sys.executable, "-m", module, "fx"]
                self.running[module] = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        return self

    def end(self, number=signal.SIGTERM):
        for process in self.running.values():
            process.send_signal(number)
        codes = [process.wait(timeout=15) for process in self.running.values()]
        self.running = {}
        return codes

    def close(self):
        for name in self.faults:
            self.client.delete("/_sim/faults", params={"name": name})
        self.end(signal.SIGKILL)
        self.client.close()

    def records(self, stream, kind):
        directory = self.home / "logs" / "fx" / stream
        return [entry.record for entry in read(directory) if entry.kind == kind] if directory.exists() else []

    def resolved(self):
        return {row["signal_id"] for row in self.records("resolutions", "resolution")}

    def wait_for_ends(self, number):
        until(lambda: len(self.resolved()) >= number, f"{number} resolutions")

    def venue(self, page, **query):
        return self.client.get(f"/v3/accounts/{self.account}/{page}", params=query).json()

    def requests(self):
        return self.client.get("/_sim/requests").json()["requests"]

    def entries(self):
        """Return the client order ids of every trade the venue opened, in order."""
        rows = {row["id"]: row for row in self.venue("transactions/sinceid", id=0)["transactions"]}
        opened = [row["tradeOpened"] for row in rows.values() if row.get("tradeOpened")]
        return [trade["clientExtensions"]["id"] for trade in opened]

    def held(self):
        return {trade["clientExtensions"]["id"] for trade in self.venue("openTrades")["trades"]}

    def is_settled(self):
        done, held = self.resolved(), self.held()
        return all(signal_of(key) in done or key in held for key in self.entries())

    def finish(self):
        """Stop entries, wait until all that ended is resolved, end both processes and check everything."""
        (self.home / "logs" / "STOP").touch()
        until(self.is_settled, "every entry resolved or open")
        time_to_publish = lambda: {signal_of(key) for key in self.entries()} <= self.opened().keys()  # noqa: E731
        until(time_to_publish, "every entry published")
        assert [process.poll() for process in self.running.values()] == [None, None], self.said()
        assert self.end() == [0, 0], self.said()
        self.assert_sound()

    def opened(self):
        return Counter(row["signal_id"] for row in self.records("signals", "signal") if row["action"] == "open")

    def assert_sound(self):
        entries, done = self.entries(), self.resolved()
        assert max(Counter(entries).values()) == 1
        intended = Counter(row["client_order_id"] for row in self.records("orders", "order_intent"))
        assert set(entries) <= intended.keys()
        assert set(intended.values()) == {1}
        assert self.opened() == Counter(signal_of(key) for key in entries)
        assert Counter(row["signal_id"] for row in self.records("resolutions", "signal")) == Counter(done)
        assert len(self.records("resolutions", "resolution")) == len(done)
        assert all(report.ok for report in verify_all(self.home / "logs").values())
        events = self.records("resolutions", "order_event") + self.records("orders", "order_event")
        assert max(Counter(e["transaction_id"] for e in events if e["quantity"] != "0").values()) == 1

    def said(self):
        return "\n".join((self.home / f"{module}.log").read_text()[-3000:] for module in ("surfaces", "resolver"))


def signal_of(key):
    return f"sig_{key.split('-')[2]}"


@pytest.fixture(scope="module")
def simulator():
    made = Simulator()
    yield made
    made.stop()


@pytest.fixture
def desk(simulator, tmp_path):
    made = Desk(simulator, tmp_path / "home")
    yield made
    made.close()


ORDERS = {"match": {"method": "POST", "path": "/v3/accounts/*/orders"}}


def test_an_order_whose_reply_was_lost_is_found_not_sent_again(desk):
    lost = desk.fault("drop_after_accept", times=1, **ORDERS)
    desk.start().wait_for_ends(2)
    desk.finish()

    states = {}
    for event in desk.records("orders", "order_event"):
        states.setdefault(event["client_order_id"], []).append(event["state"])
    assert desk.fired(lost) == 1
    assert ["unknown", "filled"] in states.values()


def test_a_price_stream_that_stalls_is_replaced_by_polling(desk):
    stalled = desk.fault("stall_stream", match={"path": "/v3/accounts/*/pricing/stream"})
    desk.start()
    until(lambda: desk.fired(stalled), "a stalled stream")
    desk.wait_for_ends(3)
    desk.finish()

    polls = [row for row in desk.requests() if row["path"].endswith(f"{desk.account}/pricing")]
    assert len(polls) > 3


def test_transactions_told_twice_are_booked_once(desk):
    doubled = desk.fault("duplicate_transactions")
    desk.start().wait_for_ends(2)
    desk.finish()

    assert desk.fired(doubled) >= 2


def test_a_position_that_lost_its_stop_gets_it_back(desk):
    lost = desk.fault("lose_bracket", times=1, **ORDERS)
    desk.start()
    until(lambda: desk.fired(lost), "an order without its bracket")
    first = until(desk.entries, "an entry")[0]

    def stops():
        rows = desk.venue("transactions/sinceid", id=0)["transactions"]
        return [row for row in rows if row["type"] == "STOP_LOSS_ORDER" and row["reason"] == "CLIENT_ORDER"]

    made = until(stops, "a stop made by the resolver")
    trade = desk.venue(f"trades/@{first}")["trade"]
    desk.wait_for_ends(1)
    desk.finish()

    assert made[0]["tradeID"] == trade["id"]


def test_a_burst_of_server_errors_and_a_lost_reply_in_it_double_nothing(desk):
    accepted = desk.fault("status", status=502, after_accept=True, times=1, **ORDERS)
    desk.start().wait_for_ends(1)
    burst = desk.fault("status", status=503, times=40)
    until(lambda: desk.fired(burst) == 40, "the end of the burst")
    before = len(desk.resolved())
    desk.wait_for_ends(before + 1)
    desk.finish()

    assert desk.fired(accepted) == 1


def test_killing_both_processes_again_and_again_doubles_and_loses_nothing(desk):
    desk.fault("delay", seconds=0.3, after_accept=True, times=3, **ORDERS)
    for _ in range(3):
        desk.start()
        entries = len(desk.entries())
        until(lambda before=entries: len(desk.entries()) > before, "one more entry")
        desk.end(signal.SIGKILL)
    desk.start()
    ends = len(desk.resolved())
    desk.wait_for_ends(ends + 1)
    desk.finish()


def misconfigured(module, **environment):
    """Run a process that must not come up; return what it said in one line."""
    known = {"OANDA_ACCOUNT_ID": "101-001-1-001", "OANDA_TOKEN": TOKEN, "RISK_BANKROLL": "1000"} | environment
    known = {key: value for key, value in known.items() if value is not None}
    command = [sys.executable, "-m", module, "fx"]
    done = subprocess.run(command, cwd=ROOT, env=known, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (78, "", 1), done
    assert TOKEN not in done.stderr
    return done.stderr


@pytest.mark.parametrize("module", ["surfaces", "resolver"])
def test_wrong_settings_end_the_process_with_one_line_that_names_the_key(module, tmp_path):
    home = {"TBOT_HOME": str(tmp_path)}

    assert "did you mean 'FX_LOOP_S'?" in misconfigured(module, FX_LOPS_S="1", **home)
    assert "OANDA_TOKEN" in misconfigured(module, OANDA_TOKEN=None, **home)
    wrong = misconfigured(module, RISK_DAILY_LOSS="much", **home)
    assert "RISK_DAILY_LOSS" in wrong
    assert "much" in wrong
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("module", ["surfaces", "resolver"])
def test_real_money_needs_three_keys_and_the_right_host(module, tmp_path):
    live = {"TBOT_HOME": str(tmp_path), "FX_MODE": "live", "OANDA_ENVIRONMENT": "live"}
    missing = misconfigured(module, **live)
    wrong_account = misconfigured(module, FX_LIVE="true", FX_LIVE_ACCOUNT="101-001-2-001", **live)
    paper = misconfigured(module, **live | {"FX_MODE": "paper"})
    practice = misconfigured(module, **live | {"OANDA_ENVIRONMENT": "practice"})

    for key in ("FX_LIVE=true", "FX_LIVE_ACCOUNT=101-001-1-001", "state/fx.armed holding 101-001-1-001"):
        assert key in missing
    assert "FX_LIVE_ACCOUNT=101-001-1-001" in wrong_account
    assert "FX_LIVE=true" not in wrong_account
    assert "FX_MODE=paper" in paper
    assert "FX_MODE=live" in practice
    assert os.listdir(tmp_path) == []


def test_a_dry_run_lives_through_whole_trades_without_an_order(desk):
    desk.start(FX_MODE="dry_run").wait_for_ends(2)

    assert desk.end() == [0, 0], desk.said()
    assert desk.entries() == []
    assert {row["resolution_source"] for row in desk.records("resolutions", "resolution")} == {"sim"}
    assert {row["clean"] for row in desk.records("decisions", "reconciliation")} == {True}
    assert all(report.ok for report in verify_all(desk.home / "logs").values())
