"""The stock surface and its resolver at a simulated IBKR: one account with a home of its own.

A test turns both loops by hand (``turn``, ``until``), which is what the processes do by themselves, or starts the
processes (``start``, ``end``).
"""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from decimal import Decimal
from functools import cache
from pathlib import Path

import warm_start

from audit.logs import verify_all
from domain.clock import iso, parse_clock
from domain.errors import Retry
from domain.house import House
from domain.operation import OperatorAction
from domain.vocabulary import Kind, Mode, Surface
from journal import Journal, encode_fields, read
from journal.key_files import create_key
from resolver.ibkr_stk import wire as resolving
from surfaces.ibkr_stk import wire as trading
from surfaces.ibkr_stk.config import load

D = Decimal
# Everything at once: entries a cent or two above the market, stops far below it, and short waits of every kind.
SETTINGS = {
    "STK_MODE": "paper",
    "STK_LOOP_S": "0.05",
    "STK_KEEP_S": "0.05",
    "STK_UNKNOWN_QUERY_S": "0.3",
    "STK_RECONCILE_S": "2",
    "STK_MARKETS": "SPY",
    "STK_SIGNAL_TTL_S": "1000000",
    "STK_DAY_TRADE_RULE": "off",
    "STK_RECORD_QUOTES": "false",
    "STRATEGY_ENTRY_PCT": "0.007",
    "STRATEGY_TRAIL_PCT": "5",
    "STRATEGY_REPRICE_PCT": "0.01",
    "STRATEGY_REPRICE_MIN_S": "300",
    "STRATEGY_REARM_S": "2",
    "STRATEGY_RETRY_S": "2",
    "STRATEGY_SETTLE_S": "2",
    "STRATEGY_COOLDOWN_MIN": "0.05",
    "STRATEGY_PERIOD_S": "900",
    "STRATEGY_HISTORY_BARS": "40",
    "STRATEGY_PRIOR_EDGE_BP": "100",
    "STRATEGY_PRIOR_WEIGHT": "1000000",
    "RISK_BANKROLL": "20000",
    "RISK_MARKET_BUDGET": "2000",
    "RISK_MAX_MARKET_NOTIONAL": "4000",
    "RISK_MAX_GROUP_NOTIONAL": "4000",
    "RISK_DAILY_LOSS": "1000",
    "RISK_MAX_QUOTE_AGE_S": "60",
    "RISK_MAX_SPREAD_BP": "40",
    "RISK_MIN_EDGE_BP": "0",
    "RISK_MIN_CONFIDENCE": "0",
    "RISK_COOLDOWN_S": "3",
    "RISK_DEDUP_WINDOW_S": "0",
    "RISK_STORM_STOP_OUTS": "50",
    # Two of these times would do for a real account; a test has none to lose.
    "IBKR_CONNECT_TIMEOUT_S": "2",
    "IBKR_REQUEST_TIMEOUT_S": "4",
    "IBKR_ORDER_TIMEOUT_S": "1.2",
    "IBKR_FRESH_ORDER_GRACE_S": "1.5",
    "IBKR_COMMISSION_WAIT_S": "0.3",
    "IBKR_RECONNECT_MIN_S": "0.1",
    "IBKR_RECONNECT_MAX_S": "0.5",
    "IBKR_PROBE_INTERVAL_S": "0.3",
    "IBKR_PROBE_TIMEOUT_S": "3",
    "IBKR_POLL_INTERVAL_S": "0.05",
    "IBKR_QUOTE_SILENCE_S": "1",
}


@cache
def _calendar(at: str) -> Path:
    """Compute the calendar of a day once for all tests: it costs two seconds of pandas."""
    folder = Path(tempfile.mkdtemp(prefix="tbot-calendar-"))
    words = [sys.executable, "-W", "ignore", "-m", "market.calendar_source", "XNYS", "--directory", str(folder)]
    subprocess.run([*words, "--at", at], check=True, capture_output=True, cwd=warm_start.ROOT)
    return folder


class StockRig:
    """One account, one home, a surface and its resolver."""

    def __init__(self, venue, home, *, account=None, client=1, **changes):
        self.venue = venue
        self.home = home
        self.account = account or next(venue.accounts)
        self.house = House(home=home)
        who = {"IBKR_ACCOUNT": self.account, "IBKR_CLIENT_ID": str(client)}
        self.environ = SETTINGS | {"TBOT_HOME": str(home), "TBOT_CLOCK": venue.clock} | venue.environ() | who | changes
        self.clock = parse_clock(venue.clock)
        self.running = {}
        self.loop = self.books = self.resolver = None
        for name in ("logs", "state", "run", "keys", "env"):
            (home / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        if not any(self.house.keys.iterdir()):
            create_key(self.house.keys, Surface.STK, self.clock.now())
        self.give_calendar()

    def move(self, venue):
        """Go on at another gateway, which knows what the last one did, with another clock."""
        self.venue, self.clock = venue, parse_clock(venue.clock)
        self.environ |= venue.environ() | {"TBOT_CLOCK": venue.clock}
        self.give_calendar()

    def give_calendar(self):
        """Put today's calendar where the processes look for it."""
        shutil.copytree(
            _calendar(iso(self.clock.now())[:10] + "T00:00:00Z"), self.house.state / "calendars", dirs_exist_ok=True
        )

    # ---------------------------------------------------------------- turned by hand

    def open(self, *, resolver=True):
        """Put both together as their processes do, and start the surface up."""
        self._stack, self._stop = ExitStack(), threading.Event()
        config = load(self.environ)
        self.books, self.loop = self._stack.enter_context(trading.opened(config, self.clock, self._stop))
        self.fold = self.books.fold
        if resolver:
            parts = resolving.load(self.environ)
            _, self.resolver = self._stack.enter_context(resolving.opened(parts, self.clock, self._stop))
        assert self.loop.startup()
        return self

    def close(self):
        """Give back what is open, as processes that are told to end do."""
        if self.loop is None:
            return
        self._stop.set()
        if self.resolver is not None:
            self.resolver.run()
        self.loop.shutdown()
        self._stack.close()
        self.loop = self.resolver = self.books = None

    def restart(self, times=2):
        """End and begin anew, so many times in a row, with a few turns in each life."""
        for _ in range(times):
            self.close()
            self.open()
            self.turn(5)

    def turn(self, times=1):
        for _ in range(times):
            self.loop.on_tick()
            if self.resolver is not None:
                self.resolver.on_tick()
            time.sleep(0.01)

    def turn_for(self, seconds):
        """Turn for so many real seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.turn()

    def until(self, condition, what, seconds=30.0):
        """Turn until ``condition`` has a true answer, and return it; Retry is no answer."""
        deadline = time.monotonic() + seconds
        while True:
            with suppress(Retry):
                if answer := condition():
                    return answer
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}\n{self.said()}"
            self.turn()

    # ---------------------------------------------------------------- points of a bracket's life

    def armed(self):
        """Turn until an entry rests at the venue."""
        self.until(lambda: self.story().live("BUY"), "an entry rests")
        return self

    def bought(self, symbol="SPY"):
        """Turn until an entry has filled, the journals know it, and it is published."""
        self.until(lambda: self.signals() and self.fold.positions(), "an entry fills")
        self.until(lambda: symbol not in self.waiting(), "the entry is done")
        return self

    def waiting(self):
        """Return the symbols for which an entry rests at the venue."""
        return {order["symbol"] for order in self.story().live("BUY")}

    def order(self, **action):
        """Write an operator's action."""
        with Journal.open(self.house.log("operator", "actions"), clock=self.clock) as journal:
            fields = encode_fields(OperatorAction(**action))
            journal.append(Kind.OPERATOR_ACTION, surface=Surface.STK, mode=Mode.PAPER, id=None, fields=fields)

    def stop_file(self):
        """Touch the surface's STOP file and return it."""
        file = self.house.stop_files(Surface.STK)[1]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        return file

    def resolved(self, count=1):
        self.until(lambda: len(self.resolutions()) >= count, f"{count} resolutions")
        return self

    # ---------------------------------------------------------------- as processes

    def start(self, *modules, cold=False, **changes):
        """Start surface and resolver, or those named, as the processes they are; ``cold`` forks none from another."""
        for module in modules or ("surfaces", "resolver"):
            words, env, log = ["-m", module, "stk"], self.environ | changes, self.home / f"{module}.log"
            if cold:
                with log.open("ab") as said:
                    command = [sys.executable, *words]
                    self.running[module] = subprocess.Popen(
                        command, env=env, cwd=warm_start.ROOT, stdout=said, stderr=subprocess.STDOUT
                    )
            else:
                self.running[module] = warm_start.start(words, env=env, log=log)
        return self

    def end(self, number=signal.SIGTERM):
        """Send a signal to every process and return their exit codes."""
        for process in self.running.values():
            process.send_signal(number)
        codes = [process.wait(timeout=15) for process in self.running.values()]
        self.running = {}
        return codes

    def finish(self):
        self.end(signal.SIGKILL)
        self.close()

    # ---------------------------------------------------------------- what the venue and the journals say

    def story(self):
        return self.venue.story(self.account)

    def records(self, stream, kind=None):
        directory = self.house.log(Surface.STK, stream)
        rows = [entry.record for entry in read(directory)] if directory.exists() else []
        return [row for row in rows if kind in (None, row["kind"])]

    def intents(self):
        found = [*self.records("orders", Kind.ORDER_INTENT), *self.records("resolutions", Kind.ORDER_INTENT)]
        return [row["client_order_id"] for row in found]

    def events(self):
        return self.records("orders", Kind.ORDER_EVENT)

    def decisions(self):
        return self.records("decisions", Kind.DECISION)

    def signals(self, action="open"):
        stream = "resolutions" if action == "close" else "signals"
        return [row for row in self.records(stream, Kind.SIGNAL) if row["action"] == action]

    def resolutions(self):
        return self.records("resolutions", Kind.RESOLUTION)

    def trouble(self):
        """Return what the surface's heartbeat says keeps it from trading."""
        path = self.house.heartbeat(trading.PROGRAM)
        return json.loads(path.read_text())["trouble"] if path.exists() else ""

    def state(self):
        return self.fold.state.state

    def assert_sound(self):
        """Assert that nothing was doubled, that no fill was lost, and that every journal proves itself."""
        for side, leg in (("BUY", "entry"), ("SELL", "exit")):
            # What the venue did a moment ago may still be on its way.
            self.until(lambda s=side, g=leg: self._booked(g) == self._executed(s), f"every {leg} is booked", 10)
        refs = Counter(ref for ref in self.story().refs if ref)
        assert set(refs.values()) <= {1}, refs
        assert set(Counter(self.intents()).values()) <= {1}
        assert set(Counter(row["signal_id"] for row in self.signals()).values()) <= {1}
        assert set(Counter(row["signal_id"] for row in self.resolutions()).values()) <= {1}
        assert all(report.ok for report in verify_all(self.house.logs).values())

    def _executed(self, side):
        """Return signal -> shares that our own orders traded."""
        found = Counter()
        for ref, quantity in self.story().quantities(side).items():
            if ref.startswith("tb-stk-"):
                found["sig_" + ref.split("-")[2]] += quantity
        return +found

    def _booked(self, leg):
        latest = {}
        for row in [*self.events(), *self.records("resolutions", Kind.ORDER_EVENT)]:
            if row["leg"] == leg:
                # A correction takes the place of what it corrects.
                latest[row["transaction_id"] or len(latest)] = row
        found = Counter()
        for row in latest.values():
            found[row["signal_id"]] += D(row["quantity"])
        return +found

    def said(self):
        """Return the last that is known, for a failing test's message."""
        state = f"{self.state()} {self.loop._trouble}" if self.loop else "closed"
        codes = Counter(row["code"] for row in self.decisions())
        events = [(row["client_order_id"][-9:], row["state"], row["reason"]) for row in self.events()[-6:]]
        orders = [(o["ref"][-9:], o["side"], o["kind"], o["quantity"], o["status"]) for o in self.story().orders[-6:]]
        logs = "\n".join(path.read_text()[-1500:] for path in self.home.glob("*.log"))
        return f"{state}; {dict(codes)}\n{events}\n{orders}\nwaits {self.waits()}\n{logs}"

    def waits(self):
        return self.loop._desk.keeper.waits if self.loop else {}
