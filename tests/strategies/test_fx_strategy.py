"""The FX strategy on recorded and generated bars: what it may know, what it proposes, where its levels lie."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.ids import is_id
from domain.quotes import Bar, Instrument, Quote
from domain.vocabulary import Side, Surface
from strategies.fx.strategy import FxParams, FxStrategy, Proposal

QUICK = FxParams(
    period_s=60,
    donchian=5,
    ema_fast=3,
    ema_slow=8,
    atr=5,
    rsi=4,
    adx=4,
    efficiency=5,
    regime=5,
    trailing_atr=1.5,
    max_tilt=0.15,
)
STEPS = st.lists(st.tuples(st.integers(-30, 30), st.integers(0, 20), st.integers(0, 20)), min_size=12, max_size=80)
QuoteMaker = Callable[..., Quote]


def run(instrument: Instrument, params: FxParams, bars: list[Bar], quote: QuoteMaker) -> list[list[Proposal]]:
    """Return the proposals after each bar, made a second after its close."""
    strategy = FxStrategy(instrument, params, Surface.FX)
    found = []
    for bar in bars:
        strategy.on_bar(bar)
        found.append(strategy.propose(quote(bar), bar.end + timedelta(seconds=1)))
    return found


@pytest.fixture(scope="module")
def proposals(eur_usd: Instrument, recorded: list[Bar], closing_quote: QuoteMaker) -> list[list[Proposal]]:
    return run(
        eur_usd, replace(QUICK, donchian=20, ema_fast=8, ema_slow=21, atr=14, regime=30), recorded, closing_quote
    )


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, cut=st.integers(1, 80))
def test_a_bar_still_to_come_changes_no_proposal(
    steps: list[tuple[int, int, int]],
    cut: int,
    eur_usd: Instrument,
    walk_bars: Callable[..., list[Bar]],
    closing_quote: QuoteMaker,
) -> None:
    bars = walk_bars(steps, 5)

    assert run(eur_usd, QUICK, bars[:cut], closing_quote) == run(eur_usd, QUICK, bars, closing_quote)[:cut]


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, spread=st.integers(0, 60))
def test_every_level_is_on_the_tick_and_on_its_side_of_the_entry(
    steps: list[tuple[int, int, int]],
    spread: int,
    eur_usd: Instrument,
    walk_bars: Callable[..., list[Bar]],
    closing_quote: QuoteMaker,
) -> None:
    for found in run(eur_usd, QUICK, walk_bars(steps, spread), closing_quote):
        for proposal in found:
            assert_sound(proposal, eur_usd)


def assert_sound(proposal: Proposal, instrument: Instrument) -> None:
    candidate, estimate = proposal.candidate, proposal.estimate
    entry, sign = candidate.decision_price, candidate.side.sign
    assert entry == candidate.quote.entry_price(candidate.side)
    for price in (candidate.stop_loss, candidate.take_profit, candidate.trailing_distance):
        assert price is not None
        assert price % instrument.tick == 0
    assert (candidate.quote.exit_price(candidate.side) - candidate.stop_loss) * sign > 0
    assert (candidate.take_profit - entry) * sign > 0
    # Rounding moves the stop away from the market, never nearer.
    assert candidate.stop_distance >= candidate.atr * Decimal(str(QUICK.stop_atr))
    assert candidate.trailing_distance is not None
    assert candidate.trailing_distance >= Decimal(5) * instrument.pip
    assert estimate.eta_hours > 0
    assert 0 < estimate.probability < 1
    assert 0 <= estimate.confidence <= 1
    assert estimate.edge_bp == estimate.gross_edge_bp - estimate.cost_bp


def test_the_same_bars_give_the_same_proposals_ids_included(
    eur_usd: Instrument, recorded: list[Bar], closing_quote: QuoteMaker
) -> None:
    first = run(eur_usd, QUICK, recorded[:200], closing_quote)

    assert first == run(eur_usd, QUICK, recorded[:200], closing_quote)


def test_candidate_ids_are_well_formed_and_never_repeat(proposals: list[list[Proposal]]) -> None:
    ids = [proposal.candidate.id for found in proposals for proposal in found]

    assert all(is_id(id_, "cnd") for id_ in ids)
    assert len(ids) == len(set(ids))


def test_both_sub_strategies_speak_up_in_both_directions_on_a_lively_day(proposals: list[list[Proposal]]) -> None:
    theses = {proposal.candidate.thesis for found in proposals for proposal in found}

    assert theses == {"breakout:up", "breakout:down", "pullback:up", "pullback:down"}


def test_most_proposals_are_weak_and_a_weak_one_costs_its_spread(proposals: list[list[Proposal]]) -> None:
    estimates = [proposal.estimate for found in proposals for proposal in found]
    worth = [estimate for estimate in estimates if estimate.edge_bp > 0]

    assert 0 < len(worth) < len(estimates) / 2
    assert any(estimate.gross_edge_bp == 0 and estimate.edge_bp == -estimate.cost_bp for estimate in estimates)


def test_each_bar_is_proposed_once(eur_usd: Instrument, recorded: list[Bar], closing_quote: QuoteMaker) -> None:
    strategy = FxStrategy(eur_usd, QUICK, Surface.FX)
    for bar in recorded:
        strategy.on_bar(bar)
        if strategy.propose(closing_quote(bar), bar.end):
            strategy.on_bar(bar)

            assert strategy.propose(closing_quote(bar), bar.end) == []
            return
    pytest.fail("nothing was ever proposed")


def test_nothing_is_proposed_before_every_indicator_is_ready(eur_usd: Instrument, recorded: list[Bar]) -> None:
    for params in (QUICK, FxParams(period_s=60), replace(QUICK, donchian=40), replace(QUICK, rsi=30, adx=12)):
        strategy = FxStrategy(eur_usd, params, Surface.FX)
        ready = []
        for bar in recorded[: params.required_bars + 1]:
            strategy.on_bar(bar)
            ready.append(strategy.ready)

        assert ready.index(True) + 1 == params.required_bars


def test_a_market_that_stands_still_has_no_bias(
    eur_usd: Instrument, walk_bars: Callable[..., list[Bar]], closing_quote: QuoteMaker
) -> None:
    found = run(eur_usd, QUICK, walk_bars([(0, 0, 0)] * 60, 10), closing_quote)

    assert found == [[]] * 60


def test_a_spread_wider_than_the_stop_leaves_nothing_to_propose(
    eur_usd: Instrument, recorded: list[Bar], closing_quote: QuoteMaker
) -> None:
    found = run(eur_usd, QUICK, recorded[:200], lambda bar: closing_quote(bar, wider=5000))

    assert found == [[]] * 200


def test_a_steady_rise_is_bought_and_a_steady_fall_sold(
    eur_usd: Instrument, walk_bars: Callable[..., list[Bar]], closing_quote: QuoteMaker
) -> None:
    for move, side in ((20, Side.BUY), (-20, Side.SELL)):
        last = run(eur_usd, QUICK, walk_bars([(move, 2, 2)] * 60, 5), closing_quote)[-1]

        assert {p.candidate.side for p in last} == {side}
        assert last[0].candidate.sub_strategy == "breakout"
        assert last[0].estimate.gross_edge_bp > 0


def test_a_dip_in_a_rise_is_a_pullback_once_the_rsi_turns(
    eur_usd: Instrument, walk_bars: Callable[..., list[Bar]], closing_quote: QuoteMaker
) -> None:
    params = replace(QUICK, ema_slow=30, min_trend_atr=0.05)
    dip = [(30, 2, 2)] * 60 + [(-40, 2, 2)] * 4
    falling, turning = run(eur_usd, params, walk_bars([*dip, (15, 2, 2)], 5), closing_quote)[-2:]

    (near,), (met,) = ([p for p in found if p.candidate.sub_strategy == "pullback"] for found in (falling, turning))
    assert (near.candidate.thesis, met.candidate.thesis) == ("pullback:up", "pullback:up")
    assert near.estimate.gross_edge_bp == 0 < met.estimate.gross_edge_bp


def test_bars_already_seen_are_ignored_and_gaps_counted(eur_usd: Instrument, recorded: list[Bar]) -> None:
    strategy = FxStrategy(eur_usd, QUICK, Surface.FX)
    for bar in [recorded[0], recorded[1], recorded[0], recorded[1]]:
        strategy.on_bar(bar)
    strategy.on_bar(replace(recorded[2], start=recorded[1].end + timedelta(minutes=5)))

    assert (strategy.bars, strategy.gaps) == (3, 1)


def test_a_restart_after_the_warm_up_sees_what_the_running_process_saw(
    eur_usd: Instrument, recorded: list[Bar], closing_quote: QuoteMaker
) -> None:
    warmup = QUICK.warmup_bars
    running = run(eur_usd, QUICK, recorded, closing_quote)[-100:]
    restarted = run(eur_usd, QUICK, recorded[-100 - warmup :], closing_quote)[-100:]

    theses = [[[p.candidate.thesis for p in found] for found in each] for each in (running, restarted)]
    assert theses[0] == theses[1]
    for was, now in zip(running, restarted, strict=True):
        for before, after in zip(was, now, strict=True):
            assert float(after.candidate.atr) == pytest.approx(float(before.candidate.atr), rel=0.02)
            assert float(after.estimate.edge_bp) == pytest.approx(float(before.estimate.edge_bp), abs=0.05)


def test_bars_and_quotes_of_somebody_else_are_refused(
    eur_usd: Instrument, recorded: list[Bar], closing_quote: QuoteMaker
) -> None:
    strategy = FxStrategy(eur_usd, QUICK, Surface.FX)
    quote = closing_quote(recorded[0])

    with pytest.raises(ValueError, match="EUR_USD"):
        strategy.on_bar(replace(recorded[0], market="NZD_USD"))
    with pytest.raises(ValueError, match="60"):
        strategy.on_bar(replace(recorded[0], period_s=120))
    with pytest.raises(ValueError, match="NZD_USD"):
        strategy.propose(replace(quote, market="NZD_USD"), quote.at)
    with pytest.raises(ValueError, match="aware"):
        strategy.propose(quote, datetime(2014, 5, 2))  # noqa: DTZ001 - a naive time is what is tested
