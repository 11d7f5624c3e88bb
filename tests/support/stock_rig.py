"""The stock surface and its resolver at a simulated IBKR: one account with a home of its own."""

import asyncio
import json
import shutil
import time
from collections import Counter
from decimal import Decimal

from pair import Pair
from stock_venue import calendar_of
from tws_client import Client

from audit.logs import verify_all
from domain.clock import iso, parse_clock
from domain.operation import OperatorAction
from domain.vocabulary import Kind, Mode, Surface
from journal import Journal, encode_fields
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
    # An entry follows the market down, so that the next rise fills it: the recorded one comes once.
    "STRATEGY_REPRICE_PCT": "0.001",
    "STRATEGY_REPRICE_MIN_S": "10",
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
# An entry that rests and never fills.
FAR = {"STRATEGY_ENTRY_PCT": "3", "STRATEGY_REPRICE_MIN_S": "300"}


class StockRig(Pair):
    """One account, one home, a surface and its resolver."""

    def __init__(self, venue, home, *, account=None, client=1, **changes):
        self.venue = venue
        self.account = account or next(venue.accounts)
        self.clock = parse_clock(venue.clock)
        who = {"IBKR_ACCOUNT": self.account, "IBKR_CLIENT_ID": str(client)}
        environ = SETTINGS | {"TBOT_HOME": str(home), "TBOT_CLOCK": venue.clock} | venue.environ() | who | changes
        super().__init__(home, Surface.STK, self.clock.now(), environ)
        self.give_calendar()

    def move(self, venue):
        """Go on at another gateway, which knows what the last one did, with another clock."""
        self.venue, self.clock = venue, parse_clock(venue.clock)
        self.environ |= venue.environ() | {"TBOT_CLOCK": venue.clock}
        self.give_calendar()

    def give_calendar(self):
        """Put today's calendar where the processes look for it."""
        shutil.copytree(calendar_of(iso(self.clock.now())), self.house.state / "calendars", dirs_exist_ok=True)

    # ---------------------------------------------------------------- turned by hand

    def open(self, *, resolver=True):
        """Put both together as their processes do, and start the surface up."""
        stack, config = self.begin(), load(self.environ)
        self.books, self.loop = stack.enter_context(trading.opened(config, self.clock, self._stop))
        self.fold = self.books.fold
        if resolver:
            parts = resolving.load(self.environ)
            _, self.resolver = stack.enter_context(resolving.opened(parts, self.clock, self._stop))
        assert self.loop.startup()
        return self

    def restart(self, times=2):
        """End and begin anew, so many times in a row, with a few turns in each life."""
        for _ in range(times):
            self.close()
            self.open()
            self.turn(5)

    def turn_for(self, seconds):
        """Turn for so many real seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
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

    def withdraw_all(self):
        """Cancel every order of the account, as its owner can with a click."""
        if not self.venue.is_tws:
            self.venue.gateway.send("DELETE", f"/iserver/account/{self.account}/order/-1")
            return

        async def cancel():
            async with Client(self.venue.gateway, 99) as client:
                client.ib.reqGlobalCancel()
                await client.until(lambda: not self.story().stops())

        asyncio.run(cancel())

    def resolved(self, count=1):
        self.until(lambda: len(self.resolutions()) >= count, f"{count} resolutions")
        return self

    # ---------------------------------------------------------------- what the venue and the journals say

    def story(self):
        return self.venue.story(self.account)

    def intents(self):
        found = [*self.records("orders", Kind.ORDER_INTENT), *self.records("resolutions", Kind.ORDER_INTENT)]
        return [row["client_order_id"] for row in found]

    def events(self):
        return self.records("orders", Kind.ORDER_EVENT)

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
        events = [(row["client_order_id"][-9:], row["state"], row["reason"]) for row in self.events()[-6:]]
        orders = [(o["ref"][-9:], o["side"], o["kind"], o["quantity"], o["status"]) for o in self.story().orders[-6:]]
        return f"{state}; {dict(self.codes())}\n{events}\n{orders}\nwaits {self.waits()}\n{super().said()}"

    def waits(self):
        return self.loop._desk.keeper.waits if self.loop else {}
