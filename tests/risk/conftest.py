"""One sound foreign-exchange trade that every gate admits, to be spoilt one value at a time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.quotes import Instrument, Quote
from domain.vocabulary import Gate, Side, State, Surface
from risk import sizing
from risk.chain import CHAIN, Outcome, decide
from risk.limits import Limits
from risk.state import Exposure, RiskState

D = Decimal
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)

QUOTE = Quote(
    market="EUR_USD",
    bid=D("1.0999"),
    ask=D("1.1000"),
    at=NOW - timedelta(seconds=2),
    received_at=NOW - timedelta(seconds=1),
    tradeable=True,
    home_rate=D(1),
)
INSTRUMENT = Instrument(
    name="EUR_USD",
    base="EUR",
    quote_currency="USD",
    tick=D("0.00001"),
    pip=D("0.0001"),
    quantity_step=D(1),
    quantity_min=D(1),
    quantity_max=D(100_000_000),
    margin_rate=D("0.02"),
)
CANDIDATE = Candidate(
    id="cnd_1",
    surface=Surface.FX,
    market="EUR_USD",
    group="EUR",
    category="majors",
    strategy="breakout",
    sub_strategy="breakout.h1",
    side=Side.BUY,
    thesis="range",
    quote=QUOTE,
    decision_price=D("1.1000"),
    stop_loss=D("1.0950"),
    take_profit=D("1.1100"),
    trailing_distance=None,
    atr=D("0.003"),
    found_at=NOW,
)
ESTIMATE = Estimate(
    probability=D("0.6"),
    gross_edge_bp=D(8),
    cost_bp=D(1),
    edge_bp=D(7),
    confidence=D("0.7"),
    eta_hours=D(6),
)
STATE = RiskState(
    now=NOW,
    state=State.RUN,
    stop_files=(),
    equity=D(10000),
    day_start_equity=D(10000),
    breaker_tripped=False,
    exposures=(),
    cooldowns={},
    recent={},
    suspended={},
    market_open=True,
    quote=QUOTE,
    instrument=INSTRUMENT,
    spent_day_usd=D(0),
    spent_month_usd=D(0),
)
LIMITS = Limits(bankroll=D(10000))


@dataclass(frozen=True)
class Case:
    """A candidate with all that is needed to decide about it."""

    candidate: Candidate = CANDIDATE
    estimate: Estimate = ESTIMATE
    state: RiskState = STATE
    limits: Limits = LIMITS

    def but(self, **changes: Mapping[str, Any]) -> "Case":
        """Return the case with fields of its parts changed: ``but(state={"equity": D(1)})``."""
        return replace(self, **{part: replace(getattr(self, part), **fields) for part, fields in changes.items()})

    def decide(self) -> Outcome:
        return decide(self.candidate, self.estimate, self.state, self.limits)

    def size(self) -> Size:
        return sizing.size(self.candidate, self.state, self.limits)

    def ask(self, gate: Gate) -> Verdict:
        """Ask one gate alone, with the size the chain would hand it."""
        step = next(step for step in CHAIN if step.gate is gate)
        return step.ask(self.candidate, self.estimate, self.size(), self.state, self.limits)


def exposure(**changes: Any) -> Exposure:
    """Return an open position in another market and group, changed as asked."""
    other = Exposure(
        market="USD_JPY",
        group="JPY",
        side=Side.SELL,
        thesis="range",
        notional=D(1000),
        risk=D(10),
        margin=D(20),
        status="open",
    )
    return replace(other, **changes)


@pytest.fixture(scope="session")
def case() -> Case:
    return Case()


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The values of the sound trade and the builders beside them."""
    build: Callable[..., Exposure] = exposure
    return SimpleNamespace(now=NOW, quote=QUOTE, instrument=INSTRUMENT, exposure=build)
