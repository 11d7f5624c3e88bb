"""The FX surface and its resolver as the processes they are, against a simulated OANDA that does what a test asks."""

import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import count
from pathlib import Path

import httpx
import warm_start

from audit.logs import verify_all
from domain.clock import parse_iso
from domain.house import House
from domain.vocabulary import Surface
from fleet.demo_oanda import DEMO_FX
from journal import read
from journal.key_files import create_key

ROOT = Path(__file__).parents[2]
TOKEN = "sesame-7f3a9c"
# A lively afternoon of the recording, five hours of it in a minute.
START, SPEED = "2014-05-06T12:00:00Z", 300
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

    def __init__(self, accounts=12):
        names = [f"101-001-{number:03d}-001" for number in range(accounts)]
        self.clock = f"sim:{START}@{SPEED},anchor={time.time():.3f}"
        command = [sys.executable, "-m", "simulators.oanda", "--port", "0", "--clock", self.clock]
        for account in names:
            command += ["--account", f"{account}:{TOKEN}:USD:100000"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split()[-1]
        self.accounts = iter(names)
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
        create_key(House(home=home).keys, Surface.FX, parse_iso(START))

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

    def start(self, *modules, segment_bytes=None, **changes):
        environment = LIVELY | {
            "TBOT_HOME": str(self.home),
            "TBOT_CLOCK": self.simulator.clock,
            "OANDA_ACCOUNT_ID": self.account,
            "OANDA_TOKEN": TOKEN,
            "OANDA_API_URL": self.simulator.url,
            **changes,
        }
        for module in modules or ("surfaces", "resolver"):
            words = [*arguments(module, segment_bytes), "fx"]
            self.running[module] = warm_start.start(words, env=environment, log=self.home / f"{module}.log")
        return self

    def end(self, number=signal.SIGTERM):
        for process in self.running.values():
            process.send_signal(number)
        codes = [process.wait(timeout=15) for process in self.running.values()]
        self.running = {}
        return codes

    def is_alive(self):
        """Assert that nothing that was started has ended by itself; return True."""
        ended = {module: code for module, process in self.running.items() if (code := process.poll()) is not None}
        assert ended == {}, self.said()
        return True

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
        logs = [self.home / f"{module}.log" for module in ("surfaces", "resolver")]
        return "\n".join(log.read_text()[-3000:] for log in logs if log.exists())


def arguments(module, segment_bytes):
    """Return how python runs a module, if asked for with segments so small that they rotate within seconds."""
    if segment_bytes is None:
        return ["-m", module]
    small = f"inspect.unwrap(Journal.open.__func__).__kwdefaults__['segment_bytes'] = {segment_bytes}"
    run = f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    return ["-c", f"import inspect, runpy; from journal import Journal; {small}; {run}"]


def signal_of(key):
    return f"sig_{key.split('-')[2]}"
