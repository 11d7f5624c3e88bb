"""Journals of an event surface, written by the product's own writers as surface and resolver would."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any

from audit.fold import SurfaceFold
from domain.candidate import Candidate, Estimate, Missing, Vote
from domain.clock import FakeClock
from domain.contract import RuleKind, SettlementRule
from domain.decision import Decision, Size, Verdict
from domain.house import House
from domain.ids import client_order_id, new_id
from domain.order import OrderEvent
from domain.outcome import Outcome
from domain.quotes import Quote
from domain.resolution import Resolution
from domain.vocabulary import (
    Code,
    ExitReason,
    Gate,
    Kind,
    Leg,
    Mode,
    OrderState,
    ResolutionSource,
    Side,
    Surface,
)
from forecast.budget import PaidCall, Usage
from resolver.books import ResolverBooks
from risk.limits import Limits
from surfaces.books import Books
from surfaces.costs import CostBook

D = Decimal
START = datetime(2014, 5, 6, 7, tzinfo=UTC)
CLOSE = START + timedelta(hours=20)
PASSED = Verdict(gate=Gate.STOP_FILE, passed=True, code=None, value=D(0), limit=D(0), unit="reasons")
EDGE = Verdict(gate=Gate.EDGE, passed=False, code=Code.EDGE, value=D(300), limit=D(400), unit="bp")
RULE = SettlementRule(
    kind=RuleKind.DAILY_HIGH,
    source="National Weather Service, CLINYC",
    station="KNYC",
    location="New York",
    subject="highest temperature",
    low=D(60),
    high=D(61),
    unit="degF",
    resolution=D(1),
    observed_on=date(2014, 5, 6),
    begins_at=datetime(2014, 5, 6, 5, tzinfo=UTC),
    ends_at=datetime(2014, 5, 7, 5, tzinfo=UTC),
    rounding="whole degrees, as reported",
    revision="the report at expiration counts",
    void="the last fair price without a report",
)


def vote(model: str, probability: str, **changes: Any) -> Vote:
    plain = Vote(
        model=model, probability=D(probability), weight=D(1), cost_usd=D("0.0041"), tokens_in=812, tokens_out=140
    )
    return replace(plain, **changes)


def missing(model: str, reason: str, cost: str = "0") -> Missing:
    return Missing(model=model, reason=reason, cost_usd=D(cost))


def cost_verdict(limit: str, note: str = "day") -> Verdict:
    return Verdict(gate=Gate.COST, passed=True, code=None, value=D(0), limit=D(limit), unit="USD", note=note)


class EventJournals:
    """Writes what happened, a second apart; use it as a context."""

    def __init__(self, home: Path, surface: Surface = Surface.LT, mode: Mode = Mode.PAPER) -> None:
        house = House(home=home)
        self.logs = house.logs
        self.clock = FakeClock(START)
        self._surface = surface
        self._mode = mode
        limits = Limits(
            bankroll=D(1000),
            cost_day_usd=D(5),
            cost_month_usd=D(60),
            fleet_cost_day_usd=D(50),
            fleet_cost_month_usd=D(600),
        )
        self.books = Books(house, surface, mode, self.clock, SurfaceFold(D(1000), "USD"))
        self.resolver = ResolverBooks(
            house, surface, mode, self.clock, SurfaceFold(D(1000), "USD"), source=ResolutionSource.KALSHI_RESOLUTION
        )
        self.costs = CostBook(house, surface, mode, self.clock, limits)

    def __enter__(self) -> "EventJournals":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.books.__exit__(kind, error, trace)
        self.resolver.__exit__(kind, error, trace)
        self.costs.__exit__(kind, error, trace)

    def estimate(
        self,
        market: str,
        *,
        event: str = "",
        price: str = "0.5",
        model: str | None = "0.6",
        blended: str = "0.55",
        method: str = "panel",
        refusals: tuple[Verdict, ...] = (EDGE,),
        more: tuple[Verdict, ...] = (),
        rule: SettlementRule | None = RULE,
        unread: str = "",
        **changes: Any,
    ) -> Decision:
        """Write a decision about a contract: admitted when nothing refuses it."""
        self.clock.advance(1)
        estimate = Estimate(
            probability=D(blended),
            gross_edge_bp=D(500),
            cost_bp=D(200),
            edge_bp=D(300),
            confidence=D("0.7"),
            eta_hours=D(20),
            disagreement=D("0.4"),
            method=method,
            model_probability=None if model is None else D(model),
            market_probability=D(price),
        )
        now = self.clock.now()
        decision = Decision(
            id=new_id("dec", now),
            surface=self._surface,
            mode=self._mode,
            candidate=self._candidate(market, event or market, rule, unread),
            estimate=replace(estimate, **changes),
            size=Size(quantity=D(10), notional=D(5), risk=D(5), margin=D(5), currency="USD"),
            verdicts=(PASSED, *refusals, *more),
            admitted=not refusals,
            code=refusals[0].code if refusals else None,
            signal_id=None if refusals else new_id("sig", now),
        )
        self.books.decided(decision)
        return decision

    def trade(self, market: str, *, filled: int = 10, **options: Any) -> Decision:
        """Write a decision that was admitted, and what came of its order: a fill, or a rejection of nothing filled."""
        decision = self.estimate(market, refusals=(), **options)
        assert decision.signal_id is not None
        order = client_order_id(self._surface, decision.signal_id, Leg.ENTRY, 1)
        event = OrderEvent(
            client_order_id=order,
            signal_id=decision.signal_id,
            leg=Leg.ENTRY,
            state=OrderState.FILLED if filled else OrderState.REJECTED,
            happened_at=self.clock.now(),
            learned_at=self.clock.now(),
            quantity=D(filled),
            price=D("0.5") if filled else None,
            transaction_id=f"fill-{decision.signal_id}" if filled else None,
        )
        self.books.happened([event])
        return decision

    def end(self, market: str, value: str, *, closed_at: datetime = CLOSE, read_as: str = "61") -> None:
        """Write how a contract ended; the clock goes on to just after its close."""
        self.clock.advance(max((closed_at - self.clock.now()).total_seconds(), 0) + 1)
        result = {D(1): "yes", D(0): "no"}.get(D(value), "scalar")
        self.books.ended(Outcome(market=market, value=D(value), result=result, read_as=read_as, closed_at=closed_at))

    def resolve(self, decision: Decision, value: str, **changes: Any) -> None:
        """Write how a trade ended, or was seen to end."""
        self.clock.advance(1)
        assert decision.signal_id is not None
        now = self.clock.now()
        resolution = Resolution(
            id=new_id("res", now),
            signal_id=decision.signal_id,
            surface=self._surface,
            mode=self._mode,
            market=decision.candidate.market,
            side=decision.candidate.side,
            strategy="event",
            sub_strategy="event.panel",
            quantity=D(10),
            entry_price=D("0.5"),
            exit_price=D(value),
            reason=ExitReason.SETTLED,
            resolution_source=self.resolver.source,
            realised=(D(value) - D("0.5")) * 10,
            fees=D("0.18"),
            currency="USD",
            mae=D(0),
            mfe=D(0),
            opened_at=now - timedelta(hours=3),
            resolved_at=now,
            eta_hours=D(20),
            actual_hours=D(3),
            late=False,
            outcome={D(1): "yes", D(0): "no"}.get(D(value), value),
        )
        self.resolver.write([(Kind.RESOLUTION, resolution.id, replace(resolution, **changes))])

    def call(
        self,
        model: str,
        *,
        worst: str = "0.0500",
        cost: str | None = "0.0041",
        outcome: str = "answered",
        provider: str = "anthropic",
        tokens: tuple[int, int] = (812, 140),
    ) -> str:
        """Reserve a call and, unless ``cost`` is None, settle it."""
        self.clock.advance(1)
        call = PaidCall(provider=provider, model=model, question="KXFED-26DEC", worst_usd=D(worst))
        reservation = self.costs.reserve(call)
        if cost is not None:
            self.costs.settle(reservation, Usage(tokens_in=tokens[0], tokens_out=tokens[1]), D(cost), outcome)
        return reservation

    def _candidate(self, market: str, event: str, rule: SettlementRule | None, unread: str) -> Candidate:
        now = self.clock.now()
        quote = Quote(
            market=market, bid=D("0.49"), ask=D("0.51"), at=now, received_at=now, tradeable=True, home_rate=D(1)
        )
        return Candidate(
            id=new_id("cnd", now),
            surface=self._surface,
            market=market,
            group=event,
            category="Politics",
            strategy="event",
            sub_strategy="event.panel",
            side=Side.BUY,
            thesis="settlement",
            quote=quote,
            decision_price=D("0.51"),
            stop_loss=D(0),
            take_profit=D(1),
            trailing_distance=None,
            atr=D(0),
            found_at=now,
            closes_at=CLOSE,
            rule=rule,
            unread=unread,
        )
