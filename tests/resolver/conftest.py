"""A resolver on a fake broker, with a surface's journals written by hand beside it."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sweeping import Crash, Fuse, TornFuse, instrument

from audit.fold import SurfaceFold
from brokers.fake import Accident, FakeBroker
from brokers.port import BrokerTrade
from domain.candidate import Candidate, Estimate
from domain.clock import FakeClock
from domain.decision import Decision, Size
from domain.house import House
from domain.ids import client_order_id, new_id
from domain.operation import StateChange
from domain.order import OrderEvent, OrderIntent
from domain.quotes import Bar, Ohlc
from domain.signal import SignalOpen
from domain.surface_settings import SurfaceSettings
from domain.vocabulary import ExitReason, Kind, Leg, Mode, OrderState, Side, State, Surface
from journal import read, verify
from journal.beat import Heartbeat
from resolver.books import ResolverBooks
from resolver.loop import Loop
from surfaces.books import Books

D = Decimal
START = datetime(2026, 3, 3, 12, tzinfo=UTC)
MARKETS = ("EUR_USD", "GBP_USD")
BANKROLL = D(10_000)
STOP, TARGET = D("1.0950"), D("1.1100")


class FusedBooks(ResolverBooks):
    fuse: Fuse

    def write(self, rows: Any) -> None:
        self.fuse.around(lambda: super(FusedBooks, self).write(rows), self.fold)


class Stage:
    """The world of one resolver. Broker, clock and journals live on through ``restart``."""

    Accident, Crash, Fuse, TornFuse = Accident, Crash, Fuse, TornFuse

    def __init__(self, home: Path, mode: Mode = Mode.PAPER, surface: Surface = Surface.FX) -> None:
        self.house = House(home=home)
        self.mode = mode
        self.surface = surface
        self.clock = FakeClock(START)
        self.broker = FakeBroker(self.clock, [instrument(name) for name in MARKETS])
        for market in MARKETS:
            self.broker.price(market, "1.0999", "1.1000")
        self.settings = SurfaceSettings(mode=mode)
        self.fuse = Fuse()
        self.resolver_books: ResolverBooks | None = None
        self.books = Books(self.house, self.surface, mode, self.clock, SurfaceFold(BANKROLL, "USD"))

    # ---------------------------------------------------------------- what the surface does

    def trade(
        self,
        market: str = "EUR_USD",
        side: Side = Side.BUY,
        *,
        published: bool = True,
        known: bool = True,
        **changes: Any,
    ) -> str:
        """Open a position at the broker and write it down as a surface would; return its signal id."""
        intent = self.decide(market, side, **changes)
        events = self.broker.submit(intent)
        if known:
            self.books.happened(events)
            if published:
                self.publish(intent.signal_id)
        return intent.signal_id

    def decide(self, market: str, side: Side = Side.BUY, **changes: Any) -> OrderIntent:
        """Write an admitted decision and the intent of its order."""
        now = self.clock.now()
        levels = (STOP, TARGET) if side is Side.BUY else (D("1.1050"), D("1.0900"))
        candidate = Candidate(
            id=new_id("cnd", now),
            surface=self.surface,
            market=market,
            group=market[:3],
            category="fx",
            strategy="fx_trend",
            sub_strategy="breakout",
            side=side,
            thesis="range",
            quote=self.broker.quotes([market])[market],
            decision_price=D("1.1000"),
            stop_loss=levels[0],
            take_profit=levels[1],
            trailing_distance=None,
            atr=D("0.003"),
            found_at=now,
        )
        candidate = replace(candidate, **changes)
        odds = {"probability": D("0.6"), "confidence": D("0.7"), "eta_hours": D(6)}
        decision = Decision(
            id=new_id("dec", now),
            surface=self.surface,
            mode=self.mode,
            candidate=candidate,
            estimate=Estimate(gross_edge_bp=D(8), cost_bp=D(1), edge_bp=D(7), **odds),
            size=Size(quantity=D(1000), notional=D(1100), risk=D(5), margin=D(22), currency="USD"),
            verdicts=(),
            admitted=True,
            code=None,
            signal_id=new_id("sig", now),
        )
        self.books.decided(decision)
        intent = OrderIntent(
            client_order_id=client_order_id(self.surface, decision.signal_id, Leg.ENTRY, 1),
            signal_id=decision.signal_id,
            surface=self.surface,
            mode=self.mode,
            market=market,
            leg=Leg.ENTRY,
            attempt=1,
            side=side,
            quantity=D(1000),
            decision_id=decision.id,
            stop_loss=candidate.stop_loss,
            take_profit=candidate.take_profit,
            trailing_distance=candidate.trailing_distance,
        )
        self.books.intended(intent)
        return intent

    def learn(self, signal_id: str) -> None:
        """Have the surface hear late of its fill."""
        key = client_order_id(self.surface, signal_id, Leg.ENTRY, 1)
        self.books.happened(self.broker.find(key, since=START))

    def publish(self, signal_id: str) -> None:
        position, now = self.books.fold.position(signal_id), self.clock.now()
        candidate = position.decision.candidate
        signal = SignalOpen(
            id=signal_id,
            signal_id=signal_id,
            surface=self.surface,
            mode=self.mode,
            market=candidate.market,
            side=candidate.side,
            strategy=candidate.strategy,
            sub_strategy=candidate.sub_strategy,
            thesis=candidate.thesis,
            reference_price=position.entry_price,
            stop_loss=candidate.stop_loss,
            take_profit=candidate.take_profit,
            trailing_distance=None,
            quantity=position.quantity_in,
            quote_currency="USD",
            edge_bp=D(7),
            confidence=D("0.7"),
            eta_hours=D(6),
            decision_id=position.decision.id,
            opened_at=position.opened_at,
            published_at=now,
            expires_at=now + timedelta(seconds=600),
        )
        self.books.published(signal)

    def report_exit(self, signal_id: str, quantity: Decimal) -> None:
        """Write an exit fill into the surface's own journal, as nobody should but somebody might."""
        now = self.clock.now()
        event = OrderEvent(
            client_order_id=client_order_id(self.surface, signal_id, Leg.EXIT, 0),
            signal_id=signal_id,
            leg=Leg.EXIT,
            state=OrderState.FILLED,
            happened_at=now,
            learned_at=now,
            quantity=quantity,
            price=STOP,
            transaction_id="99999",
        )
        self.books.happened([event])

    def set_state(self, state: State, *, flatten: bool = False) -> None:
        self.books.changed(StateChange(state=state, reason="test", flatten=flatten))

    # ---------------------------------------------------------------- what the broker and the market do

    def number(self, signal_id: str) -> str:
        """Return the broker's id of a signal's open trade."""
        wanted = client_order_id(self.surface, signal_id, Leg.ENTRY, 1)
        return next(key for key, trade in self.broker.trades.items() if trade.client_order_id == wanted)

    def hit(
        self, signal_id: str, reason: ExitReason = ExitReason.STOP_LOSS, price: str = "1.0950", **part: Any
    ) -> None:
        self.broker.end(self.number(signal_id), reason, D(price), **part)

    def split_trade(self, number: str, new: int) -> BrokerTrade:
        """Return a trade of the broker after a split of ``new`` for one."""
        trade = self.broker.trades[number]
        return replace(trade, quantity=trade.quantity * new, price=trade.price / new)

    def bar(
        self, start: datetime, low: str, high: str, *, period_s: int = 60, market: str = "EUR_USD", at: str = "1.1000"
    ) -> None:
        """Add a bar that opens and closes at one price and reaches this far."""
        prices = Ohlc(open=D(at), high=D(high), low=D(low), close=D(at))
        made = Bar(market=market, start=start, period_s=period_s, bid=prices, ask=prices, volume=1)
        self.broker.history.setdefault(market, []).append(made)

    # ---------------------------------------------------------------- the resolver

    def start(self) -> "Stage":
        FusedBooks.fuse = self.fuse
        fold = SurfaceFold(BANKROLL, "USD")
        self.resolver_books = FusedBooks(self.house, self.surface, self.mode, self.clock, fold)
        self.loop = Loop(
            books=self.resolver_books,
            executor=self.broker,
            data=self.broker,
            settings=self.settings,
            heartbeat=Heartbeat(self.house.heartbeat(f"resolver-{self.surface}"), self.clock),
            stop=threading.Event(),
        )
        return self

    def end(self) -> None:
        if self.resolver_books is not None:
            self.resolver_books.__exit__(None, None, None)
            self.resolver_books = None

    def restart(self) -> "Stage":
        self.end()
        return self.start()

    def tick(self, seconds: float = 61.0) -> bool:
        """Let time pass, by default enough for a look at the open trades, and turn once."""
        if self.resolver_books is None:
            self.start()
        self.clock.advance(seconds)
        return self.loop.on_tick()

    @property
    def fold(self) -> SurfaceFold:
        return self.resolver_books.fold

    def records(self, kind: Kind | None = None) -> list[dict[str, Any]]:
        """Return what the resolver wrote, its journal's housekeeping left out."""
        housekeeping = (Kind.SEGMENT_START, Kind.SEGMENT_END, Kind.RECOVERY)
        found = [entry.record for entry in read(self.house.log(self.surface, "resolutions"))]
        return [r for r in found if (r["kind"] == kind if kind else r["kind"] not in housekeeping)]

    def resolution(self, signal_id: str) -> Any:
        return self.fold.resolutions[signal_id]

    def exits(self) -> list[OrderIntent]:
        """Return the exit orders that were sent."""
        return [intent for intent in self.broker.sent if intent.leg is Leg.EXIT]

    def verify(self) -> None:
        assert verify(self.house.log(self.surface, "resolutions")).ok

    def close(self) -> None:
        self.end()
        self.books.__exit__(None, None, None)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def make_stage(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """For sweeps, which need a new world for each life."""
    made: list[Stage] = []

    def make(name: str, **options: Any) -> Stage:
        made.append(Stage(tmp_path / name, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()
