"""The crossover strategy: when it turns, where its levels lie, and what its own positions returned."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from math import sin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.ids import is_id
from domain.quotes import Bar, Instrument, Ohlc, Quote
from domain.vocabulary import Side, Surface
from strategies.crossover.params import Average, CrossParams
from strategies.crossover.strategy import CrossoverStrategy
from strategies.proposal import Proposal

D = Decimal
TICK = D("0.01")
START = datetime(2014, 5, 5, 13, 30, tzinfo=UTC)
QUICK = CrossParams(period_s=60, fast=2, slow=4, atr=2, history_bars=20)
SPY = Instrument(
    name="SPY",
    base="SPY",
    quote_currency="USD",
    tick=TICK,
    pip=TICK,
    quantity_step=D(1),
    quantity_min=D(1),
    quantity_max=D(10_000),
    margin_rate=D(1),
)
WAVE = [round(100 + 3 * sin(n / 4) + n * 0.01, 2) for n in range(120)]


def bars(closes: Sequence[float], reach: float = 0.05) -> list[Bar]:
    made, before = [], D(str(closes[0]))
    for number, value in enumerate(closes):
        close = D(str(value))
        high, low = max(before, close) + D(str(reach)), min(before, close) - D(str(reach))
        prices = Ohlc(open=before, high=high, low=low, close=close)
        start = START + timedelta(minutes=number)
        made.append(Bar(market="SPY", start=start, period_s=60, bid=prices, ask=prices, volume=1))
        before = close
    return made


def quote(bar: Bar, spread: str = "0.02") -> Quote:
    half = D(spread) / 2
    close, at = bar.bid.close, bar.end
    return Quote(market="SPY", bid=close - half, ask=close + half, at=at, received_at=at, tradeable=True, last=close)


def run(closes: Sequence[float], params: CrossParams = QUICK) -> tuple[CrossoverStrategy, list[list[Proposal]]]:
    made, found = CrossoverStrategy(SPY, params, Surface.STK), []
    for bar in bars(closes):
        made.on_bar(bar)
        found.append(made.propose(quote(bar), bar.end, budget=D(1000)))
    return made, found


@pytest.mark.parametrize("average", Average)
def test_each_crossing_is_proposed_once_and_sides_take_turns(average: Average) -> None:
    params = replace(QUICK, average=average)
    _, found = run(WAVE, params)
    sides = [proposal.candidate.side for each in found for proposal in each]

    assert len(sides) >= 6
    assert all(one is not other for one, other in pairwise(sides))
    assert all(len(each) <= 1 for each in found)


def test_a_rise_after_a_fall_is_bought_at_market_in_a_bracket_of_atrs_and_risks() -> None:
    params = replace(QUICK, trailing_atr=1.5)
    made, found = run([100, 99, 98, 97, 96, 97, 99, 101], params)
    ((proposal,),) = [each for each in found if each]
    candidate = proposal.candidate

    assert (candidate.strategy, candidate.sub_strategy, candidate.thesis) == ("crossover", "cross_up", "crossover:up")
    assert (candidate.group, candidate.category, candidate.trigger) == ("SPY", "equity", None)
    assert candidate.side is made.desired is Side.BUY
    assert candidate.decision_price == candidate.quote.ask
    risk = candidate.decision_price - candidate.stop_loss
    assert 0 <= risk - 2 * candidate.atr < TICK
    assert candidate.take_profit is not None
    assert abs(candidate.take_profit - candidate.decision_price - 2 * risk) <= TICK / 2
    assert candidate.trailing_distance is not None
    assert 0 <= candidate.trailing_distance - candidate.atr * D("1.5") < TICK
    assert is_id(candidate.id, "cnd")


def test_without_a_target_only_the_stop_ends_the_trade() -> None:
    _, found = run(WAVE, replace(QUICK, target_risks=None))

    assert {proposal.candidate.take_profit for each in found for proposal in each} == {None}


def test_its_own_position_ends_by_its_bracket_and_waits_for_the_next_crossing() -> None:
    rise = [100, 99, 98, 97, 96, 97, 99, 101]
    made, _ = run([*rise, 130])

    assert run(rise)[0].desired is Side.BUY
    assert made.desired is None
    assert run([*rise, 130, 131, 132, 133])[0].desired is None
    assert run([*rise, 130, 90, 80])[0].desired is Side.SELL


def test_a_crossing_back_turns_its_own_position_round() -> None:
    wide = replace(QUICK, stop_atr=50, target_risks=None)
    made, _ = run([100, 99, 98, 97, 96, 97, 99, 101, 99, 96, 94], wide)

    assert made.desired is Side.SELL


def test_averages_nearer_than_the_least_gap_do_not_cross() -> None:
    every, wide = run(WAVE)[1], run(WAVE, replace(QUICK, min_gap_atr=100))[1]

    assert any(every)
    assert not any(wide)


def test_the_estimate_is_the_record_of_its_own_trades_on_that_side() -> None:
    _, found = run(WAVE, replace(QUICK, prior_weight=D(0)))
    estimates = [proposal.estimate for each in found for proposal in each if proposal.candidate.side is Side.BUY]
    counts = [int(dict(one.facts)["trades"]) for one in estimates]

    assert counts == list(range(len(counts)))
    assert estimates[0].confidence == 0
    assert estimates[0].gross_edge_bp == 0
    assert all(one.edge_bp == one.gross_edge_bp - one.cost_bp for one in estimates)
    assert estimates[-1].gross_edge_bp == D(dict(estimates[-1].facts)["mean_return_bp"])
    assert all(one.eta_hours > 0 for one in estimates)


def test_a_spread_wider_than_the_stop_leaves_nothing_to_propose() -> None:
    made = CrossoverStrategy(SPY, QUICK, Surface.STK)
    found = []
    for bar in bars(WAVE):
        made.on_bar(bar)
        found += made.propose(quote(bar, "40"), bar.end)

    assert found == []


def test_a_market_that_stands_still_never_crosses() -> None:
    made, found = run([100.0] * 60)

    assert not any(found)
    assert (made.ready, made.desired) == (False, None)


@settings(max_examples=60, deadline=None)
@given(moves=st.lists(st.floats(-1, 1), min_size=6, max_size=80), cut=st.integers(1, 80))
def test_a_bar_still_to_come_changes_no_proposal_and_every_level_is_on_its_side(moves: list[float], cut: int) -> None:
    closes = [100.0]
    for move in moves:
        closes.append(round(closes[-1] + move, 2))
    _, whole = run(closes)

    assert run(closes[:cut])[1] == whole[:cut]
    for proposal in (one for each in whole for one in each):
        candidate, sign = proposal.candidate, proposal.candidate.side.sign
        assert (candidate.quote.exit_price(candidate.side) - candidate.stop_loss) * sign > 0
        assert candidate.stop_loss % TICK == 0
        assert 0 <= proposal.estimate.probability <= 1
        assert 0 <= proposal.estimate.confidence <= 1


def test_a_restart_after_the_windows_sees_the_crossings_of_the_running_process() -> None:
    _, running = run(WAVE)
    _, restarted = run(WAVE[40:])
    theses = [[[one.candidate.thesis for one in each] for each in found] for found in (running[60:], restarted[20:])]

    assert theses[0] == theses[1]


def test_bars_and_quotes_of_somebody_else_are_refused_and_seen_ones_ignored() -> None:
    made = CrossoverStrategy(SPY, QUICK, Surface.STK)
    first, second, third = bars([100.0, 101.0, 102.0])
    for bar in (first, second, first, replace(third, start=third.start + timedelta(hours=1))):
        made.on_bar(bar)

    assert (made.bars, made.gaps) == (3, 1)
    with pytest.raises(ValueError, match="SPY"):
        made.on_bar(replace(first, market="QQQ"))
    with pytest.raises(ValueError, match="QQQ"):
        made.propose(replace(quote(first), market="QQQ"), START)
    with pytest.raises(ValueError, match="aware"):
        made.propose(quote(first), datetime(2014, 5, 5))  # noqa: DTZ001 - a naive time is what is tested
