"""One quote, candidate, admitted decision and position, to be changed one value at a time."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from domain.candidate import Candidate, Estimate
from domain.decision import Decision, Size
from domain.ledger.position import Lot, Position
from domain.quotes import Instrument, Quote
from domain.vocabulary import Mode, Side, Surface

D = Decimal
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
QUOTE = Quote(
    market="EUR_USD", bid=D("1.0999"), ask=D("1.1001"), at=NOW, received_at=NOW, tradeable=True, home_rate=D("0.9")
)
INSTRUMENT = Instrument(
    name="EUR_USD",
    base="EUR",
    quote_currency="USD",
    tick=D("0.00005"),
    pip=D("0.0001"),
    quantity_step=D(10),
    quantity_min=D(100),
    quantity_max=D(1_000_000),
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
    decision_price=D("1.1001"),
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
SIZE = Size(quantity=D(1000), notional=D(1100), risk=D(5), margin=D(22), currency="USD")


def candidate(**changes: Any) -> Candidate:
    return replace(CANDIDATE, **changes)


def sold(**changes: Any) -> Candidate:
    """Return the mirror image: a sale with its stop above and its target below."""
    return candidate(side=Side.SELL, stop_loss=D("1.1100"), take_profit=D("1.0950"), **changes)


def lot(transaction_id: str, quantity: str, price: str = "1.1", **changes: Any) -> Lot:
    return Lot(transaction_id=transaction_id, quantity=D(quantity), price=D(price), at=NOW, **changes)


def position(*entries: Lot, side: Side = Side.BUY) -> Position:
    decision = Decision(
        id="dec_1",
        surface=Surface.FX,
        mode=Mode.PAPER,
        candidate=candidate() if side is Side.BUY else sold(),
        estimate=ESTIMATE,
        size=SIZE,
        verdicts=(),
        admitted=True,
        code=None,
        signal_id="sig_1",
    )
    return Position(signal_id="sig_1", decision=decision, broker_trade_id="7", entries=entries)


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The values above and the builders beside them."""
    build: Callable[..., Position] = position
    return SimpleNamespace(
        now=NOW,
        quote=QUOTE,
        instrument=INSTRUMENT,
        estimate=ESTIMATE,
        candidate=candidate,
        sold=sold,
        lot=lot,
        position=build,
    )
