"""Either IBKR simulator as tests of the stock surface use it, and what an account did there, told by the venue."""

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path

import portal_sim
import tws_sim
from simulator import ROOT

D = Decimal
ACCOUNTS = [f"DU{number}" for number in range(1, 31)]
CASH = D(50_000)
# On this Wednesday, which plays 9 October 2013, SPY climbs from 165.71 to 165.93 within 20 seconds and falls back.
CLIMB = "2014-05-07T18:00:58Z"
CONIDS = {"SPY": 756733, "AAPL": 265598, "IBM": 8314, "AIG": 61319701}
PROTECTIVE = ("STP", "TRAIL", "TRAIL LIMIT", "STP LMT")
LIVE = ("PreSubmitted", "Submitted", "PendingCancel")


def calendar_of(moment):
    """Return the folder of the calendar of a moment's day."""
    return _calendar(f"{moment[:10]}T00:00:00Z")


@cache
def _calendar(at):
    """Compute a calendar once for all tests: it costs two seconds of pandas."""
    folder = Path(tempfile.mkdtemp(prefix="tbot-calendar-"))
    words = [sys.executable, "-W", "ignore", "-m", "market.calendar_source", "XNYS", "--directory", str(folder)]
    subprocess.run([*words, "--at", at], check=True, capture_output=True, cwd=ROOT)
    return folder


class Venue:
    """A gateway's process and the accounts at it.

    Args:
        transport: ``tws`` or ``portal``.
        options: more of the command line.
        settings: of the clock: ``speed``, ``begin``, ``anchor``.
    """

    def __init__(self, transport, *options, kind="cash", **settings):
        self.transport = transport
        self.is_tws = transport == "tws"
        accounts = ",".join(f"{name}:{CASH}:{kind}" for name in ACCOUNTS)
        given = {"begin": CLIMB, "speed": 1} | settings
        # Before the venue's clock begins to run: what a test does first must not wait for it.
        calendar_of(given["begin"])
        if self.is_tws:
            self.gateway = tws_sim.start(accounts=accounts, options=options, **given)
        else:
            chosen = ("--limits", "off", *(() if "--calendar" in options else ("--no-calendar",)))
            options = tuple(one for one in options if one != "--calendar")
            self.gateway = portal_sim.start_portal(*chosen, *options, accounts=accounts, **given)
        self.clock = self.gateway.clock
        self.accounts = iter(ACCOUNTS)

    def environ(self):
        """Return the settings that lead to this gateway."""
        if self.is_tws:
            return {"IBKR_TRANSPORT": "tws", "IBKR_HOST": "127.0.0.1", "IBKR_PORT": str(self.gateway.port)}
        pace = {"REQUESTS_PER_S": "500", "PAGE_PAUSE_S": "0.05", "LATE_FILL_S": "0.4", "URL": self.gateway.base_url}
        return {"IBKR_TRANSPORT": "portal"} | {f"IBKR_PORTAL_{key}": value for key, value in pace.items()}

    def fault(self, action, **fields):
        """Add a fault; one that a connection names differently is translated by whoever calls."""
        return self.gateway.fault(action, **fields)

    def fired(self, name):
        return self.gateway.fired(name)

    def clear(self, name=None):
        self.gateway.clear(name)

    def trade(self, symbol, quantity, account):
        """Trade signed shares by hand, outside any client."""
        if self.is_tws:
            return self.gateway.trade(symbol, quantity, account)
        return self.gateway.trade_by_hand(CONIDS[symbol], quantity, account)

    def split(self, symbol, new, orders="keep"):
        """Split a stock now; resting orders are kept, cancelled or scaled."""
        if self.is_tws:
            return self.fault("split", symbol=symbol, new=new, orders=orders)
        return self.fault("split", conid=CONIDS[symbol], new=new, old=1, orders=orders)

    def sent(self):
        """Return how many orders, changes of orders and cancels all clients sent."""
        counts = self.gateway.state()["requests"]
        names = ("placeOrder", "cancelOrder", "reqGlobalCancel") if self.is_tws else ()
        pages = [key for key in counts if "/order" in key and key.startswith(("POST", "DELETE"))]
        return {name: counts.get(name, 0) for name in (*names, *pages)}

    def story(self, account):
        reply = self.gateway.pages.get("/_sim/story", params={"account": account})
        assert reply.status_code == 200, reply.text
        return Story(reply.json())

    def stop(self):
        self.gateway.stop()


@dataclass(frozen=True)
class Story:
    """One account's orders, executions and belongings, as the venue tells them."""

    told: dict

    @property
    def orders(self):
        return self.told["orders"]

    @property
    def executions(self):
        """Return the executions that stand: a correction takes the place of what it corrects."""
        latest = {}
        for one in self.told["executions"]:
            latest[one["exec_id"].rpartition(".")[0]] = one
        return [one for one in latest.values() if D(one["quantity"])]

    @property
    def refs(self):
        return [order["ref"] for order in self.orders]

    def live(self, side=None):
        return [one for one in self.orders if one["status"] in LIVE and side in (None, one["side"])]

    def stops(self):
        """Return the live protective orders."""
        return [one for one in self.live("SELL") if one["kind"] in PROTECTIVE]

    def position(self, symbol="SPY"):
        return D(self.told["positions"].get(symbol, "0"))

    def quantities(self, side):
        """Return reference -> shares executed."""
        found = {}
        for one in self.executions:
            if one["side"] == side:
                found[one["ref"]] = found.get(one["ref"], D(0)) + D(one["quantity"])
        return found

    def filled(self):
        """Return the references of our orders that traded, in the order in which they began to."""
        return list(dict.fromkeys(one["ref"] for one in self.executions))

    def paid(self, side="BUY"):
        """Return the average price of everything executed on one side."""
        mine = [(D(one["quantity"]), D(one["price"])) for one in self.executions if one["side"] == side]
        return sum(quantity * price for quantity, price in mine) / sum(quantity for quantity, _ in mine)

    def cash(self):
        return D(self.told["values"]["TotalCashValue"])

    def facts(self):
        """Return everything that changes only when an order or an execution does."""
        return {key: self.told[key] for key in ("positions", "orders", "executions")}

    def unprotected_s(self, symbol="SPY"):
        """Return the longest time, in simulated seconds, with a position and not exactly one live stop."""
        edges = sorted({*self._moments(symbol), _at(self.told["simulated_time"])})
        longest = run = 0.0
        for begin, end in pairwise(edges):
            bad = self._held_at(symbol, begin) > 0 and self._stops_at(symbol, begin) != 1
            run = run + (end - begin).total_seconds() if bad else 0.0
            longest = max(longest, run)
        return longest

    def _moments(self, symbol):
        for one in self.told["executions"]:
            if one["symbol"] == symbol:
                yield _at(one["at"])
        for order in self._protective(symbol):
            yield _at(order["placed_at"])
            if order["done_at"]:
                yield _at(order["done_at"])

    def _protective(self, symbol):
        kinds = ("STP", "TRAIL", "TRAIL LIMIT", "STP LMT")
        return [
            one for one in self.orders if one["symbol"] == symbol and one["side"] == "SELL" and one["kind"] in kinds
        ]

    def _held_at(self, symbol, moment):
        signed = {"BUY": 1, "SELL": -1}
        mine = [one for one in self.executions if one["symbol"] == symbol and _at(one["at"]) <= moment]
        return sum(signed[one["side"]] * D(one["quantity"]) for one in mine)

    def _stops_at(self, symbol, moment):
        return sum(
            _at(one["placed_at"]) <= moment and (one["done_at"] is None or _at(one["done_at"]) > moment)
            for one in self._protective(symbol)
        )


def _at(text):
    return datetime.fromisoformat(text)


def at_each(*cases):
    """Make a test of a scenario that is played for each case, four at a time: most of its time is spent waiting."""
    cases = [case if isinstance(case, tuple) else (case,) for case in cases]

    def decorate(scenario):
        def test(opened):
            with ThreadPoolExecutor(4) as pool:
                played = [(case, pool.submit(scenario, opened, *case)) for case in cases]
            for case, one in played:
                try:
                    one.result()
                except AssertionError as error:
                    raise AssertionError(f"{case}: {error}") from error

        test.__name__, test.__doc__, test.__module__ = scenario.__name__, scenario.__doc__, scenario.__module__
        return test

    return decorate
