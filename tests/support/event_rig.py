"""Event surfaces and their resolvers against the simulated venue and the sources of facts that a test asks for.

A `Trader` is one account with a home of its own. A test turns its surface and resolver by hand (``turn``, ``until``),
which is what the processes do by themselves, or starts the processes (``start``, ``end``).
"""

import dataclasses
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal

import kalshi_sim
import warm_start
from coinbase_sim import start_coinbase
from models_sim import PROVIDERS, ModelsSim
from nws_sim import start_nws
from sweeping import Fuse

from audit.fold import SurfaceFold
from audit.logs import verify_all
from brokers.coinbase.client import CoinbaseClient
from brokers.connect import connect_kalshi
from brokers.nws.client import NwsClient
from domain.clock import iso, parse_clock, parse_iso
from domain.house import House
from domain.vocabulary import Kind, Leg, Mode, ResolutionSource, Surface
from forecast.panel import Panel
from journal import read
from journal.beat import Heartbeat
from journal.key_files import create_key
from resolver.books import ResolverBooks
from resolver.kalshi.sighting import Lookout, VenueWitness
from resolver.kalshi.thermometer import Thermometer
from resolver.kalshi.wire import Payouts
from resolver.loop import Loop as ResolverLoop
from strategies.event.fees import fee_of
from surfaces.books import Books
from surfaces.costs import CostBook
from surfaces.kalshi.belief import Belief
from surfaces.kalshi.config import load_lt, load_st
from surfaces.kalshi.desk import EventDesk
from surfaces.kalshi.learning import Learner
from surfaces.kalshi.panel import PanelEstimator
from surfaces.kalshi.price import PriceEstimator
from surfaces.kalshi.weather import WeatherEstimator
from surfaces.loop import Loop
from surfaces.mirror import MirrorExecutor
from surfaces.stop import stop_reasons

D = Decimal
START = parse_iso("2014-05-06T12:00:00Z")
SPEED = 600
ACCOUNTS = 40
BALANCE = D(1000)
ORDERS = {"method": "POST", "path": "*/portfolio/events/orders"}
HOUSEKEEPING = frozenset({Kind.SEGMENT_START, Kind.SEGMENT_END, Kind.RECOVERY})
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


def until(condition, what, seconds=15.0):
    """Return the first true answer of ``condition``."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return answer


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


class _FusedBooks(Books):
    """Books whose every write goes past a fuse."""

    fuse = Fuse()

    def _append(self, *words, **more):
        self.fuse.around(lambda: super(_FusedBooks, self)._append(*words, **more), self.fold)

    def happened(self, events):
        self.fuse.around(lambda: super(_FusedBooks, self).happened(events), self.fold)


class _FusedResolverBooks(ResolverBooks):
    fuse = Fuse()

    def write(self, rows):
        self.fuse.around(lambda: super(_FusedResolverBooks, self).write(rows), self.fold)


class Trader:
    """One account, one home, one surface and its resolver."""

    def __init__(self, world, home, surface=Surface.LT, **changes):
        self.world, self.home, self.surface = world, home, surface
        self.member = next(world.ids)
        self.environ = world.environ(surface, self.member, home) | changes
        self.house = House(home=home)
        self.oracle = Oracle()
        self.fuse = Fuse()
        self.running = {}
        self._faults = []
        self._open = []
        self.loop = self.resolver = None
        (home / "logs").mkdir(parents=True, exist_ok=True)
        if not self.house.keys.exists():
            create_key(self.house.keys, surface, world.clock.now())

    # ---------------------------------------------------------------- turned by hand

    def open(self, estimators: Sequence | None = None, *, resolver=True):
        """Put surface and resolver together as their processes do; ``oracle`` estimates unless told otherwise."""
        self.config = (load_st if self.surface is Surface.ST else load_lt)(self.environ)
        self.clock = parse_clock(self.config.house.clock)
        self._open_surface([self.oracle] if estimators is None else estimators)
        if resolver:
            self._open_resolver()
        assert self.loop.startup()
        return self

    def _connect(self):
        limits = self.config.limits
        data, executor = connect_kalshi(
            self.mode, self.config.kalshi, self.clock, balance=limits.bankroll, currency="USD", fee=fee_of
        )
        self._open += [data.close, executor.close]
        return data, executor

    @property
    def mode(self):
        return self.config.settings.mode

    def _open_surface(self, estimators):
        config, learner = self.config, Learner()
        made = self._facts(estimators)
        fold = SurfaceFold(config.limits.bankroll, "USD", self.mode)
        self.books = _FusedBooks(self.house, self.surface, self.mode, self.clock, fold, also=learner.apply)
        self.books.fuse = self.fuse
        self._open.append(lambda books=self.books: books.__exit__(None, None, None))
        self.data, executor = self._connect()
        self.desk = EventDesk(
            self.data, self.surface, config.settings, made, learner, self.clock, None, self.books.ended
        )
        files = self.house.stop_files(self.surface)
        spent = {"spent": self.costs.spent} if self.costs is not None else {}
        self.loop = Loop(
            books=self.books,
            executor=executor if self.mode is not Mode.DRY_RUN else MirrorExecutor(executor, fold),
            desk=self.desk,
            limits=config.limits,
            settings=config.settings,
            heartbeat=Heartbeat(self.house.heartbeat(config.program), self.clock),
            stop_reasons=lambda: stop_reasons(files),
            stop=threading.Event(),
            workers=config.settings.asks_at_once,
            cancel_all=getattr(executor, "cancel_all", lambda: None),
            **spent,
        )
        self._open.append(self.loop.shutdown)

    costs = None

    def _facts(self, wanted):
        """Return estimators: those given, or the surface's own where a word names them."""
        self.costs, made = None, []
        for one in wanted:
            if one == "weather":
                made.append(WeatherEstimator(NwsClient(self.config.nws, self.clock)))
            elif one == "price":
                made.append(PriceEstimator(CoinbaseClient(self.config.coinbase, self.clock)))
            elif one == "panel":
                made.append(PanelEstimator(self._panel()))
            else:
                made.append(one)
        return made

    def _panel(self):
        config = self.config
        self.costs = CostBook(config.house, self.surface, config.settings.mode, self.clock, config.limits)
        kept = config.house.state / f"{self.surface}-answers.json"
        panel = Panel(config.models, budget=self.costs, clock=self.clock, cache_file=kept)
        self._open += [panel.close, lambda book=self.costs: book.__exit__(None, None, None)]
        return panel

    def _open_resolver(self):
        config = self.config
        fold = SurfaceFold(config.limits.bankroll, "USD", self.mode)
        books = _FusedResolverBooks(
            self.house, self.surface, self.mode, self.clock, fold, None, ResolutionSource.KALSHI_RESOLUTION
        )
        books.fuse = self.fuse
        self._open.append(lambda: books.__exit__(None, None, None))
        data, executor = self._connect()
        witnesses = [VenueWitness(data.contract)]
        if self.surface is Surface.ST and self.world.nws:
            witnesses.append(Thermometer(NwsClient(config.nws, self.clock), self.clock))
        lookout = Lookout(books, witnesses, 30.0)
        imagined = Payouts(books, data, executor).advance if self.mode is Mode.DRY_RUN else lambda: None

        def advance():
            imagined()
            lookout.advance()

        self.resolver = ResolverLoop(
            books=books,
            executor=executor,
            data=data,
            settings=config.settings,
            heartbeat=Heartbeat(self.house.heartbeat(f"resolver-{self.surface}"), self.clock),
            stop=threading.Event(),
            advance=advance,
        )

    def close(self):
        """Give back what is open, as a process that ends does."""
        self.loop = self.resolver = None
        while self._open:
            self._open.pop()()

    def turn(self):
        """Let surface and resolver turn once."""
        self.loop.on_tick()
        if self.resolver is not None:
            self.resolver.on_tick()

    def until(self, condition: Callable, what, seconds=15.0):
        """Turn until ``condition`` has a true answer, and return it."""
        deadline = time.monotonic() + seconds
        while not (answer := condition()):
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}; {self.said()}"
            self.turn()
            time.sleep(0.02)
        return answer

    # ---------------------------------------------------------------- as processes

    def start(self, *modules, **changes):
        """Start surface and resolver, or those named, as the processes they are."""
        for module in modules or ("surfaces", "resolver"):
            log = self.home / f"{module}.log"
            self.running[module] = warm_start.start(
                ["-m", module, str(self.surface)], env=self.environ | changes, log=log
            )
        return self

    def end(self, number=signal.SIGTERM):
        """Send a signal to every process and return their exit codes."""
        for process in self.running.values():
            process.send_signal(number)
        codes = [process.wait(timeout=15) for process in self.running.values()]
        self.running = {}
        return codes

    def finish(self):
        """End everything and let go of the account's faults."""
        self.end(signal.SIGKILL)
        self.close()
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

    def records(self, stream, kind=None):
        directory = self.house.log(self.surface, stream)
        rows = [entry.record for entry in read(directory)] if directory.exists() else []
        return [row for row in rows if (row["kind"] == kind if kind else row["kind"] not in HOUSEKEEPING)]

    def decisions(self, market=None):
        found = self.records("decisions", Kind.DECISION)
        return [one for one in found if market in (None, one["candidate"]["market"])]

    def codes(self, market=None):
        return Counter(one["code"] for one in self.decisions(market))

    def signals(self, action="open"):
        stream = "signals" if action == "open" else "resolutions"
        return [row for row in self.records(stream, Kind.SIGNAL) if row["action"] == action]

    def resolutions(self, *, provisional=False):
        found = self.records("resolutions", Kind.RESOLUTION)
        return [row for row in found if row["provisional"] is provisional]

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
        logs = [self.home / f"{module}.log" for module in ("surfaces", "resolver")]
        text = "\n".join(log.read_text()[-1500:] for log in logs if log.exists())
        return f"codes {dict(self.codes())}, events {self.events()[-6:]}\n{text}"
