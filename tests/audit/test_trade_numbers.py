"""Numbers of closed trades: those of the field where it has a number, and an unknown where there is none."""

import random
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.trade_numbers import Closed, ClosedTrades, of_trades

HOUR = 3600.0


def trade(profit, *, opened=0.0, hours=1.0, **changes):
    facts = {"fees": 0.0, "mae_bp": 10.0, "mfe_bp": 20.0, **changes}
    return Closed(profit=profit, opened_s=opened * HOUR, closed_s=(opened + hours) * HOUR, **facts)


def numbers(*trades):
    columns = ClosedTrades()
    for one in trades:
        columns.add(one)
    return of_trades(columns)


def in_a_row(*profits):
    return numbers(*(trade(profit, opened=n) for n, profit in enumerate(profits)))


def test_numbers_of_a_seeded_list_are_those_of_quantstats():
    # quantstats 0.0.86 (win_rate, profit_factor, payoff_ratio, kelly_criterion, avg_win, avg_loss, consecutive_wins and
    # consecutive_losses), worked out once on this list.
    draw = random.Random(20140506)
    for _ in range(500):
        draw.gauss(0.0006, 0.011)
    profits = [round(draw.gauss(3, 40), 2) for _ in range(200)]
    profits[17] = 0.0
    found = in_a_row(*profits)

    assert found.net == pytest.approx(261.49)
    assert found.win_rate == pytest.approx(0.4824120603015075)
    assert found.profit_factor == pytest.approx(1.0898106519850117)
    assert found.payoff == pytest.approx(1.1692760120255854)
    assert found.kelly == pytest.approx(0.039755292887068396)
    assert found.average_win == pytest.approx(33.052708333333335)
    assert found.average_loss == pytest.approx(-28.267669902912623)
    assert (found.longest_wins, found.longest_losses) == (7, 6)
    assert found.expectancy == pytest.approx(261.49 / 200)


def test_no_trade_has_no_number():
    found = numbers()

    assert (found.count, found.net, found.max_drawdown, found.hours_in_market) == (0, 0.0, 0.0, 0.0)
    unknown = (found.win_rate, found.payoff, found.profit_factor, found.expectancy, found.kelly, found.sqn)
    assert set(unknown) == {None}
    assert found.unbounded == ()


def test_without_a_loss_the_ratios_are_unbounded_and_kelly_is_unknown():
    found = in_a_row(5, 7)

    assert (found.win_rate, found.payoff, found.profit_factor, found.kelly) == (1.0, None, None, None)
    assert found.unbounded == ("payoff", "profit_factor")


def test_a_trade_that_ended_even_counts_and_neither_wins_nor_loses():
    found = in_a_row(4, 0, -2)

    assert (found.count, found.wins, found.losses, found.win_rate) == (3, 1, 1, 0.5)
    assert found.expectancy == pytest.approx(2 / 3)
    assert found.kelly == pytest.approx(0.5 - 0.5 / 2)


def test_runs_and_the_deepest_fall_follow_the_ends_and_not_the_order_of_writing():
    late = trade(-5, opened=10)
    found = numbers(late, trade(3, opened=0), trade(4, opened=1), trade(-2, opened=9))

    assert (found.longest_wins, found.longest_losses, found.max_drawdown) == (2, 2, -7.0)


def test_fees_are_a_share_of_what_was_earned_before_them():
    earned = numbers(trade(8, fees=2.0), trade(-1, fees=1.0))
    lost = numbers(trade(-8, fees=2.0))

    assert (earned.gross, earned.fees, earned.fee_share) == (10.0, 3.0, 0.3)
    assert lost.fee_share is None


def test_multiples_of_risk_make_expectancy_and_system_quality():
    found = numbers(trade(10, multiple=1.0), trade(-5, multiple=-0.5), trade(25, multiple=2.5), trade(1))

    # mean 1, sample deviation 1.5 of the three that are known
    assert found.expectancy_r == pytest.approx(1.0)
    assert found.sqn == pytest.approx(3**0.5 / 1.5)


def test_one_multiple_alone_has_no_system_quality():
    assert numbers(trade(10, multiple=1.0)).sqn is None


def test_overlapping_trades_are_in_the_market_once():
    found = numbers(trade(1, opened=0, hours=2), trade(1, opened=1, hours=2), trade(1, opened=9, hours=1))

    assert found.hours_in_market == 4.0
    assert found.market_share == pytest.approx(0.4)
    assert (found.hours_mean, found.hours_median) == (pytest.approx(5 / 3), 2.0)


def test_unknown_slippage_is_left_out_and_said():
    found = numbers(trade(1, slippage_bp=4.0), trade(1, slippage_bp=-2.0), trade(1, slippage_bp=nan))

    assert (found.slippage_bp, found.slippage_known) == (1.0, 2)
    assert (found.mae_bp, found.mfe_bp) == (10.0, 20.0)
    assert numbers(trade(1)).slippage_bp is None


def test_a_trade_without_duration_takes_no_time():
    found = numbers(trade(1, hours=0.0))

    assert (found.hours_in_market, found.market_share) == (0.0, None)


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 99), st.integers(0, 20)), max_size=30), st.randoms())
def test_the_order_of_writing_changes_no_number(rows, chance):
    trades = [trade(profit, opened=opened + n / 64, hours=hours) for n, (profit, opened, hours) in enumerate(rows)]
    shuffled = chance.sample(trades, len(trades))

    assert numbers(*trades) == numbers(*shuffled)
