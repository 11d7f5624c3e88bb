"""The stop-entry strategy's proposals: the rule walked over bars, and an estimate that says no more than they do."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import exp
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.ids import is_id
from domain.quotes import Bar, Instrument, Ohlc, Quote
from domain.vocabulary import Side, Surface, TimeInForce
from strategies.stop_entry.actions import ArmEntry
from strategies.stop_entry.entries import StopEntryStrategy
from strategies.stop_entry.levels import levels
from strategies.stop_entry.params import StopEntryParams
from strategies.stop_entry.track import Track
from strategies.track_record import Fees, Prior, Trade, cost, estimate, odds_of_bracket, odds_of_trailing

D = Decimal
TICK = D("0.01")
OPEN = datetime(2014, 5, 5, 13, 30, tzinfo=UTC)
PARAMS = StopEntryParams(atr=2, history_bars=100)
TSLA = Instrument(
    name="TSLA",
    base="TSLA",
    quote_currency="USD",
    tick=TICK,
    pip=TICK,
    quantity_step=D(1),
    quantity_min=D(1),
    quantity_max=D(10_000),
    margin_rate=D(1),
)
ARMED = ArmEntry(
    trigger=D("105.00"),
    limit=None,
    trail_percent=D(10),
    trail_offset=None,
    tif=TimeInForce.DAY,
    outside_hours=False,
    session="2014-05-06",
)
NOW = datetime(2014, 5, 6, 14, 0, tzinfo=UTC)
QUOTE = Quote(market="TSLA", bid=D("99.99"), ask=D("100.01"), at=NOW, received_at=NOW, tradeable=True, last=D(100))


def bars(rows: Sequence[tuple[float, float, float, float]], start: datetime = OPEN) -> list[Bar]:
    """Return half-hour bars from (open, high, low, close), 13 a day as between 9:30 and 16:00."""
    made = []
    for number, row in enumerate(rows):
        prices = Ohlc(**dict(zip(("open", "high", "low", "close"), (D(str(value)) for value in row), strict=True)))
        at = start + timedelta(days=number // 13, minutes=30 * (number % 13))
        made.append(Bar(market="TSLA", start=at, period_s=1800, bid=prices, ask=prices, volume=1))
    return made


def walked(rows: Sequence[tuple[float, float, float, float]], params: StopEntryParams = PARAMS) -> list[Trade]:
    track = Track("TSLA", TICK, params)
    for bar in bars(rows):
        track.on_bar(bar)
    return list(track.trades)


FLAT = (100.0, 100.0, 100.0, 100.0)


def test_the_rule_buys_at_its_trigger_and_sells_ten_percent_below_the_best_price() -> None:
    found = walked([FLAT, (100, 106, 100, 106), (106, 120, 106, 120), (120, 120, 100, 101)])

    assert [round(one.return_bp) for one in found] == [round((120 * 0.9 / 105 - 1) * 10_000)]
    assert found[0].hours == 1.25  # from the middle of the bar that filled


def test_a_gap_over_the_trigger_fills_at_the_open() -> None:
    found = walked([FLAT, (110, 110, 110, 110), (110, 110, 98, 98)])

    assert [round(one.return_bp) for one in found] == [-1000]


def test_a_stop_limit_is_not_filled_beyond_its_bound_unless_the_market_comes_back() -> None:
    params = replace(PARAMS, stop_limit=True)
    back = walked([FLAT, (110, 112, 106, 108)], params)

    assert walked([FLAT, (110, 112, 107, 108)], params) == []
    assert [round(one.return_bp) for one in back] == [round((108 / 106.05 - 1) * 10_000)]


def test_a_trade_still_open_counts_at_its_latest_price() -> None:
    (found,) = walked([FLAT, (100, 106, 100, 106), (106, 130, 106, 130)])

    assert (round(found.return_bp), found.hours) == (round((130 / 105 - 1) * 10_000), 0.75)


def test_after_a_stop_out_the_rule_rests_for_its_cooldown() -> None:
    out = [FLAT, (100, 105, 100, 105), (105, 105, 90, 90), (90, 99, 90, 99)]
    rested, eager = walked(out), walked(out, replace(PARAMS, cooldown_min=D(0)))

    assert (len(rested), len(eager)) == (1, 2)


def test_an_entry_follows_a_falling_market_down() -> None:
    fallen = [FLAT, (100, 100, 90, 90), (90, 95, 90, 95)]

    assert len(walked(fallen)) == 1
    assert walked(fallen, replace(PARAMS, reprice_pct=D(20))) == []


def test_each_session_arms_anew_from_its_opening() -> None:
    quiet = [FLAT] * 13

    assert walked([*quiet, (103, 107, 103, 107)]) == []
    assert len(walked([*quiet, (103, 108.2, 103, 108)])) == 1


def test_a_split_in_raw_bars_is_no_trade() -> None:
    split = [FLAT] * 13 + [(14.3, 14.3, 14.3, 14.3)] * 3

    assert walked(split) == []
    assert walked([FLAT, (100, 106, 100, 106), *[(106.0,) * 4] * 11, (15, 15, 15, 15)]) == []


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.floats(-0.06, 0.06), st.floats(0, 0.03), st.floats(0, 0.03)), min_size=1, max_size=60),
    cut=st.integers(1, 60),
)
def test_a_bar_still_to_come_changes_no_finished_trade(steps: list[tuple[float, float, float]], cut: int) -> None:
    close, rows = 100.0, []
    for move, above, below in steps:
        opening, close = close, round(close * (1 + move), 2)
        high, low = max(opening, close) * (1 + above), min(opening, close) * (1 - below)
        rows.append((opening, round(high, 2), round(low, 2), close))
    early, late = walked(rows[:cut]), walked(rows)

    # The last of the early ones may be open still, and then goes on.
    assert early[:-1] == late[: max(len(early) - 1, 0)]
    assert len(late) >= len(early)


def strategy(rows: Sequence[tuple[float, float, float, float]], params: StopEntryParams = PARAMS) -> StopEntryStrategy:
    made = StopEntryStrategy(TSLA, params, Surface.STK)
    for bar in bars(rows):
        made.on_bar(bar)
    return made


def test_the_candidate_is_the_armed_entry() -> None:
    proposal = strategy([FLAT] * 5).propose(ARMED, QUOTE, NOW, budget=D(1000))

    assert proposal is not None
    candidate = proposal.candidate
    assert is_id(candidate.id, "cnd")
    assert (candidate.market, candidate.group, candidate.category) == ("TSLA", "TSLA", "equity")
    assert (candidate.strategy, candidate.sub_strategy, candidate.thesis) == (
        "stop_entry",
        "momentum",
        "momentum:2014-05-06",
    )
    assert (candidate.side, candidate.trigger, candidate.limit) == (Side.BUY, D(105), None)
    assert (candidate.stop_loss, candidate.take_profit, candidate.trailing_percent) == (D("94.50"), None, D(10))
    assert (candidate.decision_price, candidate.stop_distance) == (D(105), D("10.50"))
    assert candidate.tif is TimeInForce.DAY


def test_a_session_is_one_bet_and_the_next_one_another() -> None:
    made = strategy([FLAT] * 5)
    today, later = (made.propose(ARMED, QUOTE, NOW + timedelta(seconds=s)) for s in (0, 60))
    tomorrow = made.propose(replace(ARMED, session="2014-05-07"), QUOTE, NOW)

    assert today is not None
    assert later is not None
    assert tomorrow is not None
    assert today.candidate.key == later.candidate.key != tomorrow.candidate.key
    assert today.candidate.id != later.candidate.id
    assert today == made.propose(ARMED, QUOTE, NOW)


def test_nothing_is_proposed_before_there_is_an_average_range() -> None:
    assert strategy([FLAT] * 2).propose(ARMED, QUOTE, NOW) is None
    assert strategy([FLAT] * 3).ready


def test_without_a_trade_the_estimate_is_the_prior_and_its_confidence_nothing() -> None:
    proposal = strategy([(100, 101, 99, 100)] * 5).propose(ARMED, QUOTE, NOW, budget=D(1000))

    assert proposal is not None
    found = proposal.estimate
    # Nine shares at 105: two orders of one dollar each, and a spread of two cents.
    cost_bp = D("2.0000") / D(945) * 10_000 + D("0.02") / D(105) * 10_000
    assert found.cost_bp == pytest.approx(cost_bp, abs=D("0.0002"))
    assert (found.gross_edge_bp, found.edge_bp, found.confidence) == (0, -found.cost_bp, 0)
    assert float(found.probability) == pytest.approx(exp(-1 - float(cost_bp) / 1000), abs=1e-4)
    # 10.50 to the stop, 2 dollars in half an hour, hence 2.83 in an hour.
    assert float(found.eta_hours) == pytest.approx(10.5 / (2 * 2**0.5), abs=1e-4)
    assert dict(found.facts)["trades"] == "0"


def test_with_trades_the_edge_is_their_mean_shrunk_towards_the_prior() -> None:
    won = [FLAT, (100, 106, 100, 106), (106, 120, 106, 120), (120, 120, 100, 101)]
    params = replace(PARAMS, prior_edge_bp=D(50), prior_weight=D(3))
    proposal = strategy(won, params).propose(ARMED, QUOTE, NOW, budget=D(1000))

    assert proposal is not None
    found, mean = proposal.estimate, (108 / 105 - 1) * 10_000
    assert float(found.gross_edge_bp) == pytest.approx((mean + 3 * 50) / 4, abs=1e-3)
    assert found.edge_bp == found.gross_edge_bp - found.cost_bp
    assert 0 < found.confidence < D("0.25")
    assert found.eta_hours == D("1.25")
    assert dict(found.facts)["wins"] == "1"


@settings(max_examples=100)
@given(
    returns=st.lists(st.floats(-1000, 3000), max_size=30),
    weight=st.floats(0, 50),
    prior_edge=st.floats(-50, 50),
)
def test_the_edge_lies_between_prior_and_record_and_evidence_is_never_more_than_seen(
    returns: list[float], weight: float, prior_edge: float
) -> None:
    prior = Prior(weight=weight, edge_bp=prior_edge, odds=0.3, deviation_bp=1000.0, hours=5.0)
    costs = cost(D(100), D("0.02"), D(1000), Fees(share=D("0.005"), least=D(1), most_pct=D(1)))
    found = estimate([Trade(value, 1.0) for value in returns], prior, costs)

    mean = sum(returns) / len(returns) if returns else prior_edge
    low, high = sorted((mean, prior_edge))
    assert low - 1e-3 <= float(found.gross_edge_bp) <= high + 1e-3
    assert 0 <= found.probability <= 1
    assert 0 <= float(found.confidence) <= len(returns) / max(len(returns) + weight, 1e-9) + 1e-4
    assert found.eta_hours > 0


def test_commissions_have_a_least_and_before_it_a_most() -> None:
    fees = Fees(share=D("0.005"), least=D(1), most_pct=D(1))

    assert [fees.of(D(n), D(n) * 100) for n in (9, 200, 1000)] == [1, 1, 5]
    assert fees.of(D(5), D(50)) == D("0.5")
    assert cost(D(2000), D(0), D(1000), fees).commission_bp == 10  # a share is bought, whatever it costs


def test_the_odds_of_walks_without_drift() -> None:
    assert odds_of_trailing(1000, 0) == pytest.approx(exp(-1))
    assert odds_of_trailing(1000, 1000) == pytest.approx(exp(-2))
    assert odds_of_bracket(100, 200) == pytest.approx(1 / 3)


def test_bars_and_quotes_of_somebody_else_are_refused_and_seen_ones_ignored() -> None:
    made = strategy([FLAT] * 3)
    first = bars([FLAT])[0]
    made.on_bar(first)

    assert (made.bars, made.gaps) == (3, 0)
    with pytest.raises(ValueError, match="TSLA"):
        made.on_bar(replace(first, market="NVDA"))
    with pytest.raises(ValueError, match="1800"):
        made.on_bar(replace(first, period_s=60))
    with pytest.raises(ValueError, match="NVDA"):
        made.propose(ARMED, replace(QUOTE, market="NVDA"), NOW)
    with pytest.raises(ValueError, match="aware"):
        made.propose(ARMED, QUOTE, datetime(2014, 5, 6))  # noqa: DTZ001 - a naive time is what is tested


def test_the_worked_example_of_the_documentation_is_what_comes_out(root: Path) -> None:
    page = (root / "docs" / "strategies.md").read_text()
    text = " ".join(page.partition("\n## Stop entry\n")[2].partition("\n## ")[0].split())
    params = StopEntryParams(overrides="TSLA:usd=1500", stop_limit=True, trailing_limit=True)
    where = levels("TSLA", D("248.37"), TICK, params)
    costs = cost(D("260.79"), D("0.04"), D(1500), params.fees)
    prior = Prior(weight=10, edge_bp=0.0, odds=0.3, deviation_bp=1000.0, hours=1.0)
    found = estimate([Trade(1040 / 12, 10.0)] * 12, prior, costs)

    assert where is not None
    told = (where.trigger, where.stop, where.limit, where.trail_offset)
    assert [str(one) for one in told if f"{one}" not in text] == []
    bp = [round(one, 2) for one in (costs.commission_bp, costs.spread_bp, found.gross_edge_bp, found.edge_bp)]
    assert bp == [D("15.34"), D("1.53"), D("47.27"), D("30.40")]
    assert [str(one) for one in bp if str(one) not in text] == []
