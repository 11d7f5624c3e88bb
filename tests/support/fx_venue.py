"""The FX surface and its resolver as the processes they are, against a simulated OANDA that does what a test asks."""

import signal
from collections import Counter

import httpx
import simulator
from pair import Pair
from waiting import until

from audit.logs import verify_all
from domain.clock import parse_iso
from domain.vocabulary import Surface
from fleet.demo_oanda import DEMO_FX

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


class Simulator(simulator.Simulator):
    """The venue's process and its control page."""

    def __init__(self, accounts=12):
        names = [f"101-001-{number:03d}-001" for number in range(accounts)]
        listed = [word for name in names for word in ("--account", f"{name}:{TOKEN}:USD:100000")]
        super().__init__("simulators.oanda", simulator.clock_of(START, SPEED), listed)
        self.accounts = iter(names)


class Desk(Pair):
    """One account at the venue, its home, and the two processes that trade it."""

    def __init__(self, simulator, home):
        self.simulator = simulator
        self.account = next(simulator.accounts)
        self.faults = []
        told = {"ACCOUNT_ID": self.account, "TOKEN": TOKEN, "API_URL": simulator.url}
        environ = LIVELY | {"TBOT_HOME": str(home), "TBOT_CLOCK": simulator.clock}
        environ |= {f"OANDA_{key}": value for key, value in told.items()}
        super().__init__(home, Surface.FX, parse_iso(START), environ)
        self.client = httpx.Client(base_url=simulator.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)

    def fault(self, action, **params):
        match = {"account": self.account, **params.pop("match", {})}
        self.faults.append(self.simulator.fault(action, match=match, **params))
        return self.faults[-1]

    def fired(self, name):
        return self.simulator.fired(name)

    def is_alive(self):
        """Assert that nothing that was started has ended by itself; return True."""
        ended = {module: code for module, process in self.running.items() if (code := process.poll()) is not None}
        assert ended == {}, self.said()
        return True

    def close(self):
        for name in self.faults:
            self.simulator.clear(name)
        self.end(signal.SIGKILL)
        self.client.close()

    def resolved(self):
        return {row["signal_id"] for row in self.records("resolutions", "resolution")}

    def wait_for_ends(self, number):
        until(lambda: len(self.resolved()) >= number, f"{number} resolutions")

    def venue(self, page, **query):
        return self.client.get(f"/v3/accounts/{self.account}/{page}", params=query).json()

    def requests(self):
        return self.simulator.requests()

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


def signal_of(key):
    return f"sig_{key.split('-')[2]}"
