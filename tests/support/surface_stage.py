"""A surface, and the resolver beside it, on a fake broker: real journals, a clock moved by hand, restarts at will."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sweeping import Crash, Fuse, TornFuse, instrument

from audit.fold import SurfaceFold
from brokers.fake import Accident, FakeBroker
from domain.candidate import Candidate, Estimate
from domain.clock import FakeClock
from domain.decision import Decision
from domain.house import House
from domain.ids import new_id
from domain.quotes import Instrument, Quote
from domain.surface_settings import SurfaceSettings
from domain.vocabulary import ExitReason, Kind, Mode, Side, Surface
from journal import Entry, Journal, decode, encode_fields, head, read, verify
from journal.beat import Heartbeat
from market import sessions
from resolver.books import ResolverBooks
from resolver.loop import Loop as ResolverLoop
from risk.limits import Limits
from surfaces.books import Books
from surfaces.loop import Loop
from surfaces.proposal import Proposal, judged
from surfaces.stop import stop_reasons

D = Decimal
# A Tuesday, five hours before its trading day ends in New York.
START = datetime(2026, 3, 3, 17, tzinfo=UTC)
MARKETS = ("EUR_USD", "GBP_USD", "AUD_USD", "NZD_USD")
STREAMS = ("decisions", "orders", "signals", "resolutions")
ESTIMATE = Estimate(
    probability=D("0.6"), gross_edge_bp=D(8), cost_bp=D(1), edge_bp=D(7), confidence=D("0.7"), eta_hours=D(6)
)


class FusedBooks(Books):
    fuse: Fuse

    def _append(self, *args: Any, **kwargs: Any) -> None:
        self.fuse.around(lambda: super(FusedBooks, self)._append(*args, **kwargs), self.fold)

    def happened(self, events: Any) -> None:
        self.fuse.around(lambda: super(FusedBooks, self).happened(events), self.fold)


class FusedResolverBooks(ResolverBooks):
    fuse: Fuse

    def write(self, rows: Any) -> None:
        self.fuse.around(lambda: super(FusedResolverBooks, self).write(rows), self.fold)


class Impatient(threading.Event):
    """A stop event nobody waits for: waiting calls ``on_wait``, in which a test changes the world."""

    def __init__(self) -> None:
        super().__init__()
        self.on_wait: Callable[[], None] = lambda: None

    def wait(self, timeout: float | None = None) -> bool:
        self.on_wait()
        return self.is_set()


class ScriptedDesk:
    """Proposes what is listed in ``script``; a new desk, as after a restart, proposes the last minute's once more."""

    def __init__(self, broker: FakeBroker, script: list[tuple[Candidate, Estimate]]) -> None:
        self.broker = broker
        self.script = script
        self.done: set[str] = set()

    def startup(self) -> None:
        self.broker.instruments(MARKETS)

    def instrument(self, market: str) -> Instrument | None:
        return self.broker.instruments([market]).get(market)

    def quotes(self) -> dict[str, Quote]:
        return dict(self.broker.quotes(MARKETS))

    def scan(self, now: datetime) -> Iterator[Proposal]:
        for candidate, estimate in self.script:
            if candidate.id not in self.done and now - candidate.found_at < timedelta(seconds=60):
                self.done.add(candidate.id)
                yield judged(candidate, estimate)

    def is_open(self, market: str, now: datetime) -> bool:
        return sessions.is_open(now)

    def trading_day(self, now: datetime):
        return sessions.trading_day(now)

    def day_start(self, day):
        return sessions.day_bounds(day)[0]

    def trouble(self):
        return ""

    def close(self) -> None: ...


class Stage:
    """The world of one surface. Broker, clock and journals live on through ``restart``.

    ``fuse`` makes either process die at an append.
    """

    Accident, Crash, Fuse, TornFuse, FusedBooks = Accident, Crash, Fuse, TornFuse, FusedBooks

    def __init__(self, home: Path, mode: Mode = Mode.PAPER) -> None:
        self.house = House(home=home)
        self.mode = mode
        self.clock = FakeClock(START)
        self.broker = FakeBroker(self.clock, [instrument(name) for name in MARKETS])
        for market in MARKETS:
            self.broker.price(market, "1.0999", "1.1000")
        self.limits = Limits(bankroll=D(10_000))
        self.settings = SurfaceSettings(mode=mode)
        self.fuse = Fuse()
        self.script: list[tuple[Candidate, Estimate]] = []
        self.stop = Impatient()
        self.books: Books | None = None
        self.resolver_books: ResolverBooks | None = None

    def start(self) -> "Stage":
        """Start the surface's process and let it get ready."""
        self.open().startup()
        return self

    def open(self) -> Loop:
        """Start the surface's process without letting it do anything."""
        fold = self.new_fold()
        FusedBooks.fuse = FusedResolverBooks.fuse = self.fuse
        self.books = FusedBooks(self.house, Surface.FX, self.mode, self.clock, fold)
        self.desk = ScriptedDesk(self.broker, self.script)
        files = self.house.stop_files(Surface.FX)
        self.loop = Loop(
            books=self.books,
            executor=self.broker,
            desk=self.desk,
            limits=self.limits,
            settings=self.settings,
            heartbeat=Heartbeat(self.house.heartbeat("oanda-fx"), self.clock),
            stop_reasons=lambda: stop_reasons(files),
            stop=self.stop,
        )
        return self.loop

    def new_fold(self) -> SurfaceFold:
        return SurfaceFold(self.limits.bankroll, self.limits.currency)

    def end(self) -> None:
        """End both processes, however they are doing."""
        for books in (self.books, self.resolver_books):
            if books is not None:
                books.__exit__(None, None, None)
        self.books = self.resolver_books = None

    def restart(self) -> "Stage":
        self.end()
        return self.start()

    def tick(self, seconds: float = 5.0) -> bool:
        """Let time pass and the surface turn once."""
        self.clock.advance(seconds)
        return self.loop.on_tick()

    def settle(self) -> None:
        """Let the resolver turn once."""
        if self.resolver_books is None:
            fold = self.new_fold()
            self.resolver_books = FusedResolverBooks(self.house, Surface.FX, self.mode, self.clock, fold)
            self.resolver = ResolverLoop(
                books=self.resolver_books,
                executor=self.broker,
                data=self.broker,
                settings=self.settings,
                heartbeat=Heartbeat(self.house.heartbeat("resolver-fx"), self.clock),
                stop=self.stop,
            )
        self.resolver.on_tick()

    def propose(self, market: str = "EUR_USD", estimate: Estimate = ESTIMATE, **changes: Any) -> Candidate:
        """Have the desk propose a sound buy (``changes`` spoil it) from now on for a minute."""
        now = self.clock.now()
        quote = self.broker.quotes([market])[market]
        candidate = Candidate(
            id=new_id("cnd", now),
            surface=Surface.FX,
            market=market,
            group=market[:3],
            category="fx",
            strategy="fx_trend",
            sub_strategy="breakout",
            side=Side.BUY,
            thesis="range",
            quote=quote,
            decision_price=quote.ask,
            stop_loss=D("1.0950"),
            take_profit=D("1.1100"),
            trailing_distance=None,
            atr=D("0.003"),
            found_at=now,
        )
        candidate = replace(candidate, **changes)
        self.script.append((candidate, estimate))
        return candidate

    def trade(self, market: str = "EUR_USD", **changes: Any) -> str:
        """Propose, turn, and return the signal id of what was admitted."""
        self.propose(market, **changes)
        self.tick()
        return self.decisions()[-1].signal_id

    def stop_out(self, signal_id: str, price: str = "1.0950", reason: str = "stop_loss") -> None:
        """Let the broker end a trade and the resolver say so."""
        number = next(key for key, trade in self.broker.trades.items() if signal_id[4:] in trade.client_order_id)
        self.broker.end(number, ExitReason(reason), D(price))
        self.settle()
        self.settle()

    def records(self, stream: str, kind: Kind | None = None) -> list[dict[str, Any]]:
        """Return what a journal holds on disk, its own housekeeping left out."""
        housekeeping = (Kind.SEGMENT_START, Kind.SEGMENT_END, Kind.RECOVERY)
        found = [entry.record for entry in read(self.house.log(Surface.FX, stream))]
        return [r for r in found if (r["kind"] == kind if kind else r["kind"] not in housekeeping)]

    def entries(self) -> dict[str, list[Entry]]:
        """Return stream -> everything in its journal on disk."""
        folders = {stream: self.house.log(Surface.FX, stream) for stream in STREAMS}
        return {stream: list(read(folder)) if folder.exists() else [] for stream, folder in folders.items()}

    def heads(self) -> dict[str, int]:
        """Return stream -> how many records its journal holds."""
        found = {stream: head(self.house.log(Surface.FX, stream)) for stream in STREAMS}
        return {stream: 0 if at is None else at.seq for stream, at in found.items()}

    def decisions(self) -> list[Decision]:
        return [decode(record, Decision) for record in self.records("decisions", Kind.DECISION)]

    def events(self) -> list[str]:
        """Return the states that orders went through, in order."""
        return [record["state"] for record in self.records("orders", Kind.ORDER_EVENT)]

    def signals(self) -> list[dict[str, Any]]:
        return self.records("signals", Kind.SIGNAL)

    def order(self, **action: Any) -> None:
        """Write an operator's action."""
        with Journal.open(self.house.log("operator", "actions"), clock=self.clock) as journal:
            journal.append(
                Kind.OPERATOR_ACTION, surface=Surface.FX, mode=self.mode, id=None, fields=encode_fields(action)
            )

    def verify(self) -> None:
        for stream in STREAMS:
            directory = self.house.log(Surface.FX, stream)
            if directory.exists():
                report = verify(directory)
                assert report.ok, report
