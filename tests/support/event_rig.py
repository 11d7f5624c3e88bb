"""Event surfaces and their resolvers against the simulated venue and the sources of facts that a test asks for.

A `Trader` is one account with a home of its own.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import kalshi_sim
from coinbase_sim import start_coinbase
from models_sim import PROVIDERS, ModelsSim
from nws_sim import start_nws
from pair import Pair
from sweeping import Fuse

from audit.logs import verify_all
from brokers.coinbase.client import CoinbaseClient
from brokers.nws.client import NwsClient
from domain.clock import iso, parse_clock, parse_iso
from domain.vocabulary import Kind, Leg, Surface
from forecast.panel import Panel
from journal.keys import Signer
from resolver.kalshi import wire as resolving
from resolver.kalshi.thermometer import Thermometer
from surfaces.costs import CostBook
from surfaces.kalshi import wire as trading
from surfaces.kalshi.belief import Belief
from surfaces.kalshi.config import load_lt, load_st
from surfaces.kalshi.learning import Learner
from surfaces.kalshi.panel import PanelEstimator
from surfaces.kalshi.price import PriceEstimator
from surfaces.kalshi.weather import WeatherEstimator

D = Decimal
START = parse_iso("2014-05-06T12:00:00Z")
SPEED = 600
ACCOUNTS = 40
BALANCE = D(1000)
ORDERS = {"method": "POST", "path": "*/portfolio/events/orders"}
PANEL = (
    "anthropic:claude-sonnet-4-6",
    "openai:gpt-5.4-mini",
    "gemini:gemini-3.5-flash",
    "deepseek:deepseek-v4-flash",
)
# Lively: everything is due at once, nothing is too old, and the market's price counts for nothing.
COMMON = {
    "RISK_BANKROLL": "1000",
    "RISK_MAX_QUOTE_AGE_S": "7200",
    "RISK_DEDUP_WINDOW_S": "0",
    "RISK_MIN_CONFIDENCE": "0",
    "RISK_MIN_QUORUM": "0",
    "RISK_MAX_SLIPPAGE_BP": "2000",
    "KALSHI_READ_TIMEOUT_S": "1.0",
    "KALSHI_FRESH_ORDER_GRACE_S": "1.1",
    "KALSHI_LATE_FILL_S": "1.0",
    "KALSHI_POLL_INTERVAL_S": "0.05",
    "KALSHI_QUOTE_MAX_AGE_S": "86400",
    "KALSHI_RATE_SHARE": "1",
}
OWN = {
    "MODE": "paper",
    "LOOP_S": "15",
    "LIST_S": "60",
    "ASK_S": "300",
    "HORIZON_HOURS": "48",
    "MARKET_WEIGHT": "0",
    "VOID_IN_TERMS": "true",
    "UNKNOWN_QUERY_S": "60",
    "SIGNAL_TTL_S": "1000000",
    "RECORD_QUOTES": "false",
    "MAX_SLIP_BP": "500",
}


def question(name, *, closes=START + timedelta(hours=30), lasts_s=120, series=None, **more):
    """Return a market of a series of its own about an announced outcome; paid ``lasts_s`` after its result."""
    day = closes.strftime("%B %-d, %Y")
    words = {
        "title": f"Will the ferry of {name} sail?",
        "event_title": f"Will the ferry of {name} sail?",
        "rules_primary": f'If the answer to the question "Will the ferry of {name} sail?" is yes, then the market '
        "resolves to Yes.",
        "rules_secondary": f"Its answer is that of the port's log. It is decided on {day}. Later changes of the answer "
        "are ignored. If the question was annulled at its source, the market is void and every contract is paid at "
        "its last fair price.",
    }
    times = {
        "open_time": iso(START - timedelta(hours=6)),
        "close_time": iso(closes),
        "determined_at": iso(closes + timedelta(seconds=60)),
        "settled_at": iso(closes + timedelta(seconds=60 + lasts_s)),
        "expected_expiration_time": iso(closes + timedelta(seconds=60)),
    }
    ticker = f"{series or f'KX{name}'}-14MAY06-{name}"
    return {"ticker": ticker, "result": "yes", "fair": 0.5, **words, **times, **more}


def row_of(listing, **changes):
    """Return one of the venue's own contracts as a row of a catalogue file."""
    row = {field.name: getattr(listing, field.name) for field in dataclasses.fields(listing)}
    row = {key: iso(value) if key.endswith(("_time", "_at")) else value for key, value in row.items()}
    assert "fair" in changes, "the worth of a listing is a function; a test says what it is"
    return row | changes


class World:
    """A venue, and beside it the sources of facts that were asked for, all on one clock."""

    def __init__(
        self, folder, markets, *, speed=SPEED, begin=START, series=(), nws=False, coinbase=False, models=False
    ):
        key = kalshi_sim.key_pair(0)
        members = [kalshi_sim.Member(f"key-{number}", *key, f"{BALANCE}.00") for number in range(ACCOUNTS)]
        self.kalshi = kalshi_sim.start(folder, markets, series=series, members=members, speed=speed, begin=iso(begin))
        self.clock = parse_clock(self.kalshi.clock)
        self.nws = start_nws(self.kalshi.clock) if nws else None
        self.coinbase = start_coinbase(self.kalshi.clock) if coinbase else None
        self.models = ModelsSim(clock=self.kalshi.clock) if models else None
        self.key_file = folder / "kalshi.pem"
        self.key_file.touch(mode=0o600)
        self.key_file.write_text(key[0])
        self.ids = iter(members)
        self.speed = speed

    def environ(self, surface, member, home):
        """Return what an env file of this surface would say."""
        prefix, url = f"{surface.upper()}_", self.kalshi.url
        values = COMMON | {f"{prefix}{key}": value for key, value in OWN.items()}
        values |= {
            "TBOT_HOME": str(home),
            "TBOT_CLOCK": self.kalshi.clock,
            f"{prefix}MARKETS": "*",
            "KALSHI_KEY_ID": member.key_id,
            "KALSHI_PRIVATE_KEY_FILE": str(self.key_file),
            "KALSHI_API_URL": f"{url}/trade-api/v2",
        }
        return values | (self._facts() if surface is Surface.ST else self._models())

    def _facts(self):
        nowhere = "http://127.0.0.1:9"
        return {
            "NWS_URL": self.nws.url if self.nws else nowhere,
            "NWS_USER_AGENT": "tbot tests",
            "COINBASE_URL": self.coinbase.url if self.coinbase else nowhere,
        }

    def _models(self):
        urls = self.models.urls if self.models else dict.fromkeys(PROVIDERS, "http://127.0.0.1:9")
        keys = {f"MODELS_{name.upper()}_KEY": f"simulated-{name}-key" for name in PROVIDERS}
        where = {f"MODELS_{name.upper()}_URL": urls[name] for name in PROVIDERS}
        panel = {"MODELS_PANEL": ",".join(PANEL), "MODELS_PRICES": "deepseek-v4-flash:0.30/1.20"}
        return keys | where | panel | {"LT_CATEGORIES": ""}

    def stop(self):
        for one in (self.kalshi, self.nws, self.coinbase, self.models):
            if one is not None:
                one.stop()


class Oracle:
    """An estimator that says of every contract what a test tells it to."""

    def __init__(self, probability="0.80"):
        self.probability = D(probability)
        self.asked = []

    def takes(self, rule):
        return True

    def costs_usd(self, contract, rule):
        return D(0)

    def believe(self, contract, rule, now):
        self.asked.append(contract.ticker)
        return Belief(method="oracle", probability=self.probability)


class Trader(Pair):
    """One account, one home, one surface and its resolver."""

    def __init__(self, world, home, surface=Surface.LT, **changes):
        self.world, self.member = world, next(world.ids)
        super().__init__(home, surface, world.clock.now(), world.environ(surface, self.member, home) | changes)
        self.oracle = Oracle()
        self.fuse = Fuse()
        self._faults = []

    # ---------------------------------------------------------------- turned by hand

    def open(self, estimators: Sequence | None = None, *, resolver=True):
        """Put surface and resolver together as their processes do; ``oracle`` estimates unless told otherwise."""
        stack = self.begin()
        self.config = (load_st if self.surface is Surface.ST else load_lt)(self.environ)
        self.clock, self.costs = parse_clock(self.config.house.clock), None
        made = [self._estimator(one, stack) for one in ([self.oracle] if estimators is None else estimators)]
        signer = Signer.load(self.house.keys, self.surface, self.clock.now())
        spent = {"spent": self.costs.spent} if self.costs is not None else {}
        surface = trading.opened(self.config, self.clock, signer, Learner(), made, self._stop, **spent)
        self.books, self.loop = stack.enter_context(surface)
        self.fuse.guard(self.books, "_append", "happened")
        self.desk = self.loop._desk
        self.data = self.desk._data
        if resolver:
            self._open_resolver(stack)
        assert self.loop.startup()
        return self

    def _estimator(self, wanted, stack):
        """Return an estimator: the one given, or the surface's own that a word names."""
        if wanted == "weather":
            return WeatherEstimator(NwsClient(self.config.nws, self.clock))
        if wanted == "price":
            return PriceEstimator(CoinbaseClient(self.config.coinbase, self.clock))
        return PanelEstimator(self._panel(stack)) if wanted == "panel" else wanted

    def _panel(self, stack):
        config = self.config
        self.costs = stack.enter_context(
            CostBook(config.house, self.surface, config.settings.mode, self.clock, config.limits)
        )
        kept = config.house.state / f"{self.surface}-answers.json"
        panel = Panel(config.models, budget=self.costs, clock=self.clock, cache_file=kept)
        stack.callback(panel.close)
        return panel

    def _open_resolver(self, stack):
        told = resolving.load(self.environ, self.surface, type(self.config.settings))
        watches = self.surface is Surface.ST and self.world.nws
        witnesses = [Thermometer(NwsClient(self.config.nws, self.clock), self.clock)] if watches else []
        books, self.resolver = stack.enter_context(
            resolving.opened(told, self.clock, self._stop, witnesses, look_s=30.0)
        )
        self.fuse.guard(books, "write")

    def finish(self):
        """End everything and let go of the account's faults."""
        super().finish()
        for name in self._faults:
            self.world.kalshi.clear(name)

    # ---------------------------------------------------------------- the venue

    def fault(self, action, match=None, **params):
        """Script a fault for this account; one of a market says so with ``ticker``."""
        chosen = match or {}
        if "ticker" not in chosen or "path" in chosen:
            chosen = {"account": self.member.key_id, **chosen}
        name = self.world.kalshi.fault(action, match=chosen, **params)
        self._faults.append(name)
        return name

    def clear(self, name):
        self.world.kalshi.clear(name)
        self._faults.remove(name)

    def fired(self, name):
        return self.world.kalshi.fired(name)

    @property
    def who(self):
        return self.world.kalshi.members.index(self.member)

    def ask(self, path, **query):
        """Return the JSON of a page of the venue, signed by this account."""
        return self.world.kalshi.get(path, who=self.who, **query)

    def cash(self):
        return D(str(self.ask("/portfolio/balance")["balance_dollars"]))

    def created(self):
        """Return client order id -> orders the venue made under it, for this surface's account."""
        state = self.world.kalshi.state()
        ours = {intent["client_order_id"] for intent in self.records("orders", Kind.ORDER_INTENT)}
        ours |= {intent["client_order_id"] for intent in self.records("resolutions", Kind.ORDER_INTENT)}
        return {key: number for key, number in state["created"].items() if key in ours}

    def held(self):
        """Return ticker -> contracts the account holds, NO below zero."""
        rows = self.ask("/portfolio/positions")["market_positions"]
        found = {row["ticker"]: D(str(row["position_fp"])) for row in rows}
        return {ticker: number for ticker, number in found.items() if number}

    # ---------------------------------------------------------------- what was written

    def resolutions(self, *, provisional=False):
        return [row for row in super().resolutions() if row["provisional"] is provisional]

    def events(self, leg=Leg.ENTRY):
        stream = "orders" if leg is Leg.ENTRY else "resolutions"
        return [row["state"] for row in self.records(stream, Kind.ORDER_EVENT)]

    def assert_sound(self):
        """Assert that nothing was doubled or lost, and that every journal proves itself."""
        made = self.created()
        assert all(number == 1 for number in made.values()), made
        intents = Counter(row["client_order_id"] for row in self.records("orders", Kind.ORDER_INTENT))
        assert set(intents.values()) <= {1}
        done = Counter(row["signal_id"] for row in self.resolutions())
        assert set(done.values()) <= {1}, done
        opened = Counter(row["signal_id"] for row in self.signals())
        assert set(opened.values()) <= {1}, opened
        closed = Counter(row["signal_id"] for row in self.signals("close"))
        assert closed.keys() <= opened.keys()
        assert set(closed.values()) <= {1}, closed
        assert all(report.ok for report in verify_all(self.house.logs).values())

    def realised(self):
        return sum((D(row["realised"]) for row in self.resolutions()), D(0))

    def said(self):
        """Return the last that is known, for a failing test's message."""
        return f"codes {dict(self.codes())}, events {self.events()[-6:]}\n{super().said()}"
