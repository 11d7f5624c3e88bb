"""Microseconds that sizing and the ten gates take for one candidate, beside ten calls of an empty function.

python -m bench.gates [rounds]
"""

import sys
import timeit
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict, make_verdict
from domain.quotes import Instrument, Quote
from domain.vocabulary import Gate, Side, State, Surface
from risk import sizing
from risk.chain import CHAIN, Outcome, decide
from risk.limits import Limits
from risk.state import Exposure, RiskState

TARGET_US = 20.0
# Many short runs: on a shared machine a few long ones may all have company.
REPEATS = 100
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
ESTIMATE = Estimate(
    probability=Decimal("0.6"), gross_edge_bp=Decimal(8), cost_bp=Decimal("1.2"), edge_bp=Decimal("6.8"),
    confidence=Decimal("0.7"), eta_hours=Decimal(6), disagreement=Decimal("0.05"),
)  # fmt: skip


def main(rounds: int) -> int:
    """Print the figures; return 0 whether or not the target is met, 1 if the chain stopped answering as it should."""
    candidate, estimate, state, limits = _scenario()
    size = sizing.size(candidate, state, limits)
    outcome = decide(candidate, estimate, state, limits)
    refused = decide(candidate, estimate, replace(state, stop_files=("logs/STOP",)), limits)
    if not outcome.admitted or refused.admitted:
        return 1

    def empty(
        candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits
    ) -> Verdict | Outcome:
        return outcome

    def baseline() -> None:
        for _ in CHAIN:
            empty(candidate, estimate, size, state, limits)

    nothing = _us(baseline, rounds)
    whole = _us(lambda: decide(candidate, estimate, state, limits), rounds)
    print(f"ten empty calls     {nothing:7.2f} us")
    print(f"size and ten gates  {whole:7.2f} us a candidate ({whole / nothing:.0f}x), {1e6 / whole:,.0f} a second")
    print(f"target              {TARGET_US:7.2f} us  {'met' if whole <= TARGET_US else 'missed; where the time goes:'}")
    if whole > TARGET_US:
        _profile(candidate, estimate, size, state, limits, rounds)
    return 0


def _profile(
    candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits, rounds: int
) -> None:
    print(f"  {'sizing':<16} {_us(lambda: sizing.size(candidate, state, limits), rounds):7.2f} us")
    for gate, ask, *_ in CHAIN:
        taken = _us(lambda ask=ask: ask(candidate, estimate, size, state, limits), rounds)  # type: ignore[misc]
        print(f"  {gate:<16} {taken:7.2f} us")
    print(f"  {'(one Verdict)':<16} {_us(_verdict, rounds):7.2f} us, ten of which are built")


def _verdict() -> Verdict:
    return make_verdict(Gate.EDGE, True, None, Decimal(3), Decimal(2), "bp", "")


def _us(work: Callable[[], object], rounds: int) -> float:
    """Return microseconds of one call, the best of several runs: anything slower was another process."""
    return min(timeit.repeat(work, number=rounds, repeat=REPEATS)) / rounds * 1e6


def _scenario() -> tuple[Candidate, Estimate, RiskState, Limits]:
    quote = Quote(
        market="EUR_USD", bid=Decimal("1.08500"), ask=Decimal("1.08512"), at=NOW, received_at=NOW, tradeable=True,
        home_rate=Decimal(1),
    )  # fmt: skip
    return candidate_at(quote, NOW), ESTIMATE, _state(quote), Limits(bankroll=Decimal(10000))


def candidate_at(quote: Quote, now: datetime) -> Candidate:
    """Return a sound buy at that quote."""
    return Candidate(
        id="cnd_0", surface=Surface.FX, market="EUR_USD", group="EUR", category="majors", strategy="breakout",
        sub_strategy="breakout.h1", side=Side.BUY, thesis="range", quote=quote, decision_price=Decimal("1.08512"),
        stop_loss=Decimal("1.08312"), take_profit=Decimal("1.08912"), trailing_distance=None, atr=Decimal("0.0013"),
        found_at=now,
    )  # fmt: skip


def _state(quote: Quote) -> RiskState:
    held = [
        Exposure(market=market, group=group, side=Side.SELL, thesis="range", notional=Decimal(9000), risk=Decimal(25),
                 margin=Decimal(300), status="open")
        for market, group in (("USD_JPY", "JPY"), ("AUD_USD", "AUD"), ("USD_CHF", "CHF"))
    ]  # fmt: skip
    instrument = Instrument(
        name="EUR_USD", base="EUR", quote_currency="USD", tick=Decimal("0.00001"), pip=Decimal("0.0001"),
        quantity_step=Decimal(1), quantity_min=Decimal(1), quantity_max=Decimal(100_000_000),
        margin_rate=Decimal("0.0333"),
    )  # fmt: skip
    return RiskState(
        now=NOW + timedelta(seconds=1), state=State.RUN, stop_files=(), equity=Decimal(9950),
        day_start_equity=Decimal(10000), breaker_tripped=False, exposures=tuple(held),
        cooldowns={"EUR_USD": NOW - timedelta(hours=1)},
        recent={("EUR_USD", Side.BUY, "range"): NOW - timedelta(hours=2)}, suspended={}, market_open=True, quote=quote,
        instrument=instrument, spent_day_usd=Decimal(0), spent_month_usd=Decimal(0),
    )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 400))
