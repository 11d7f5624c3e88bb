"""A surface's history, told event by event and kept as the records its four journals would hold."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from audit.fold import SurfaceFold
from domain.candidate import Candidate, Estimate
from domain.clock import FakeClock, iso, parse_iso
from domain.decision import Decision, Size, Verdict
from domain.ids import client_order_id
from domain.operation import Cooldown, StateChange, Suspension
from domain.order import OrderEvent, OrderIntent
from domain.quotes import Quote
from domain.resolution import Resolution
from domain.signal import SignalAmend, SignalClose, SignalOpen
from domain.vocabulary import (
    Cause,
    Code,
    ExitReason,
    Gate,
    Kind,
    Leg,
    Mode,
    OrderState,
    ResolutionSource,
    Side,
    State,
    Surface,
)
from journal import Journal, encode_fields
from risk.breaker import Breaker

D = Decimal
START = datetime(2026, 3, 4, 12, tzinfo=UTC)
STREAMS = ("decisions", "orders", "signals", "resolutions")


class Story:
    """Appends records as surface and resolver would; trades are named by a number.

    Attributes:
        streams: stream -> its records, as read back from a journal.
    """

    Leg, OrderState, Gate, Code, State = Leg, OrderState, Gate, Code, State

    def __init__(self, surface: Surface = Surface.FX, mode: Mode = Mode.PAPER) -> None:
        self.surface = surface
        self.mode = mode
        self.now = START
        self.streams: dict[str, list[dict[str, Any]]] = {stream: [] for stream in STREAMS}

    @property
    def records(self) -> list[dict[str, Any]]:
        """All records in the order in which they were written."""
        return sorted((r for records in self.streams.values() for r in records), key=lambda record: record["ts"])

    def write(self, logs: Path, **options: Any) -> None:
        """Put the records into real journals, each with its own time."""
        for stream, records in self.streams.items():
            clock = FakeClock(START)
            with Journal.open(logs / self.surface / stream, clock=clock, durable=False, **options) as journal:
                for record in records:
                    clock.advance((parse_iso(record["ts"]) - clock.now()).total_seconds())
                    fields = {k: v for k, v in record.items() if k not in ("ts", "kind", "id", "surface", "mode")}
                    kind = record["kind"]
                    journal.append(kind, surface=self.surface, mode=self.mode, id=record["id"], fields=fields)

    def signal(self, n: int) -> str:
        return f"sig_{self._ulid(n)}"

    def order(self, n: int, leg: Leg = Leg.ENTRY, attempt: int = 1) -> str:
        return client_order_id(self.surface, self.signal(n), leg, attempt)

    def decide(self, n: int, *, market: str = "EUR_USD", verdicts: tuple[Verdict, ...] = ()) -> dict[str, Any]:
        """Write a decision: admitted unless a verdict refuses."""
        refusal = next((verdict for verdict in verdicts if verdict.passed is False), None)
        admitted = refusal is None
        decision = Decision(
            id=f"dec_{self._ulid(n)}",
            surface=self.surface,
            mode=self.mode,
            candidate=self._candidate(n, market),
            estimate=ESTIMATE,
            size=Size(quantity=D(100), notional=D(110), risk=D(1), margin=D(2), currency="USD"),
            verdicts=verdicts,
            admitted=admitted,
            code=None if refusal is None else refusal.code,
            signal_id=self.signal(n) if admitted else None,
        )
        return self._append("decisions", Kind.DECISION, decision, decision.id)

    def refuse(self, n: int, gate: Gate, value: str, limit: str, *, market: str = "EUR_USD") -> dict[str, Any]:
        """Write a decision refused by one gate, which an earlier gate passed."""
        passed = Verdict(gate=Gate.STOP_FILE, passed=True, code=None, value=D(0), limit=D(0), unit="files")
        verdict = Verdict(gate=gate, passed=False, code=Code.EDGE, value=D(value), limit=D(limit), unit="bp")
        return self.decide(n, market=market, verdicts=(passed, verdict))

    def intend(self, n: int, leg: Leg = Leg.ENTRY, attempt: int = 1) -> dict[str, Any]:
        intent = OrderIntent(
            client_order_id=self.order(n, leg, attempt),
            signal_id=self.signal(n),
            surface=self.surface,
            mode=self.mode,
            market="EUR_USD",
            leg=leg,
            attempt=attempt,
            side=Side.BUY if leg is Leg.ENTRY else Side.SELL,
            quantity=D(100),
            decision_id=f"dec_{self._ulid(n)}",
        )
        return self._append(self._orders(leg), Kind.ORDER_INTENT, intent, intent.client_order_id)

    def happen(
        self,
        n: int,
        state: OrderState,
        quantity: int = 0,
        transaction: str | None = None,
        *,
        leg: Leg = Leg.ENTRY,
        attempt: int = 1,
        realised: int = 0,
        price: str = "1.1",
    ) -> dict[str, Any]:
        event = OrderEvent(
            client_order_id=self.order(n, leg, attempt),
            signal_id=self.signal(n),
            leg=leg,
            state=state,
            happened_at=self.now,
            learned_at=self.now,
            quantity=D(quantity),
            price=D(price) if quantity else None,
            realised=D(realised),
            broker_trade_id=f"trade-{n}" if quantity else None,
            transaction_id=transaction,
        )
        return self._append(self._orders(leg), Kind.ORDER_EVENT, event)

    def repeat(self, record: dict[str, Any]) -> None:
        """Write an order event once more, as a second report of the same execution would."""
        leg = Leg(record["leg"])
        again = {key: value for key, value in record.items() if key not in ("ts", "id", "kind", "surface", "mode")}
        self._append(self._orders(leg), Kind.ORDER_EVENT, again)

    def publish(self, n: int) -> dict[str, Any]:
        signal = SignalOpen(
            id=self.signal(n),
            signal_id=self.signal(n),
            surface=self.surface,
            mode=self.mode,
            market="EUR_USD",
            side=Side.BUY,
            strategy="breakout",
            sub_strategy="breakout.h1",
            thesis="range",
            reference_price=D("1.1"),
            stop_loss=D("1.0950"),
            take_profit=D("1.1100"),
            trailing_distance=None,
            quantity=D(100),
            quote_currency="USD",
            edge_bp=D(7),
            confidence=D("0.7"),
            eta_hours=D(6),
            decision_id=f"dec_{self._ulid(n)}",
            opened_at=self.now,
            published_at=self.now,
            expires_at=self.now + timedelta(seconds=600),
        )
        return self._append("signals", Kind.SIGNAL, signal, signal.id)

    def amend(self, n: int) -> dict[str, Any]:
        amend = SignalAmend(
            id=f"amd_{self._ulid(n)}",
            signal_id=self.signal(n),
            surface=self.surface,
            mode=self.mode,
            market="EUR_USD",
            stop_loss=D("1.0960"),
            take_profit=D("1.1100"),
            trailing_distance=None,
            reason="trail",
            published_at=self.now,
        )
        return self._append("signals", Kind.SIGNAL, amend, amend.id)

    def close(self, n: int) -> dict[str, Any]:
        close = SignalClose(
            id=f"cls_{self._ulid(n)}",
            signal_id=self.signal(n),
            surface=self.surface,
            mode=self.mode,
            market="EUR_USD",
            side=Side.BUY,
            exit_price=D("1.095"),
            reason=ExitReason.STOP_LOSS,
            closed_at=self.now,
            published_at=self.now,
        )
        return self._append("resolutions", Kind.SIGNAL, close, close.id)

    def resolve(self, n: int, realised: str = "5", **changes: Any) -> dict[str, Any]:
        resolution = Resolution(
            id=f"res_{self._ulid(n)}",
            signal_id=self.signal(n),
            surface=self.surface,
            mode=self.mode,
            market="EUR_USD",
            side=Side.BUY,
            strategy="breakout",
            sub_strategy="breakout.h1",
            quantity=D(100),
            entry_price=D("1.1"),
            exit_price=D("1.095"),
            reason=ExitReason.STOP_LOSS,
            resolution_source=ResolutionSource.OANDA_CANDLES,
            realised=D(realised),
            fees=D("0.1"),
            currency="USD",
            mae=D("0.005"),
            mfe=D(0),
            opened_at=self.now,
            resolved_at=self.now,
            eta_hours=D(6),
            actual_hours=D(3),
            late=False,
        )
        return self._append("resolutions", Kind.RESOLUTION, replace(resolution, **changes), resolution.id)

    def cool(self, n: int, *, minutes: int = 60, market: str = "EUR_USD") -> dict[str, Any]:
        until = self.now + timedelta(minutes=minutes)
        cooldown = Cooldown(market=market, until=until, reason="stop_loss", signal_id=self.signal(n))
        return self._append("decisions", Kind.COOLDOWN, cooldown)

    def change(self, state: State, reason: str = "test", cause: Cause = Cause.OPERATOR) -> dict[str, Any]:
        return self._append("decisions", Kind.STATE, StateChange(state=state, reason=reason, cause=cause))

    def begin_day(self, equity: str = "10000") -> dict[str, Any]:
        day = Breaker(day=self.now.date(), start_equity=D(equity))
        return self._append("decisions", Kind.DAY, day)

    def suspend(self, name: str) -> dict[str, Any]:
        return self._append("decisions", Kind.SUSPENSION, Suspension(name=name, reason="storm", until=self.now))

    def _append(self, stream: str, kind: Kind, value: Any, id: str | None = None) -> dict[str, Any]:
        self.now += timedelta(seconds=1)
        envelope = {"ts": iso(self.now), "id": id, "kind": str(kind), "surface": self.surface, "mode": self.mode}
        record = encode_fields(value) | encode_fields(envelope)
        self.streams[stream].append(record)
        return record

    def _orders(self, leg: Leg) -> str:
        return "orders" if leg is Leg.ENTRY else "resolutions"

    def _ulid(self, n: int) -> str:
        return f"01KJX1V2R0{n:016d}"

    def _candidate(self, n: int, market: str) -> Candidate:
        quote = Quote(
            market=market,
            bid=D("1.0999"),
            ask=D("1.1001"),
            at=self.now,
            received_at=self.now,
            tradeable=True,
            home_rate=D(1),
        )
        return Candidate(
            id=f"cnd_{self._ulid(n)}",
            surface=self.surface,
            market=market,
            group="EUR",
            category="majors",
            strategy="breakout",
            sub_strategy="breakout.h1",
            side=Side.BUY,
            thesis=f"range-{n % 2}",
            quote=quote,
            decision_price=D("1.1001"),
            stop_loss=D("1.0950"),
            take_profit=D("1.1100"),
            trailing_distance=D("0.002"),
            atr=D("0.003"),
            found_at=self.now,
        )


ESTIMATE = Estimate(
    probability=D("0.6"), gross_edge_bp=D(8), cost_bp=D(1), edge_bp=D(7), confidence=D("0.7"), eta_hours=D(6)
)


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture(scope="session")
def new_story() -> type[Story]:
    """For property tests, which need a new history for each example."""
    return Story


@pytest.fixture
def fold() -> Callable[[Iterable[dict[str, Any]]], SurfaceFold]:
    """Fold records over a bankroll of 1,000 USD."""

    def of(records: Iterable[dict[str, Any]]) -> SurfaceFold:
        folded = SurfaceFold(D(1000), "USD")
        for record in records:
            folded.apply(record)
        return folded

    return of
