"""What the journals say of how a surface has done: trades, their groups, and the days it closed."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from audit.performance import By, as_dict, performance
from audit.performance_pages import performance_text
from domain.corporate import Split
from domain.performance import DayPerformance
from domain.vocabulary import Kind, Mode, ResolutionSource, Side, Surface

D = Decimal
OPENED = datetime(2026, 3, 4, 12, tzinfo=UTC)


def told(day, profit, equity, **changes):
    facts = {"balance": D(equity), "unrealised": D(0), "realised": D(profit), "positions": 0, "exposure": D(0)}
    figures = DayPerformance(
        day=date(2026, 3, day), equity=D(equity), profit=D(profit), trades=1, currency="USD", **facts
    )
    return replace(figures, **changes)


def tell(story, *days):
    for one in days:
        story._append("decisions", Kind.PERFORMANCE, one)


def ended(story, n, realised, *, decided=True, **changes):
    """Let a trade of 100 at 1.1005 end an hour after it began."""
    if decided:
        story.decide(n)
    facts = {"entry_price": D("1.1005"), "opened_at": OPENED, "resolved_at": OPENED + timedelta(hours=1)}
    story.resolve(n, realised, **{**facts, **changes})


def read(story, tmp_path, **options):
    story.write(tmp_path)
    return performance(tmp_path, None, **options)


def test_real_simulated_and_dry_run_trades_never_add_up(story, new_story, tmp_path):
    ended(story, 1, "5")
    ended(story, 2, "7", resolution_source=ResolutionSource.SIM)
    dry = new_story(mode=Mode.DRY_RUN)
    dry.now = story.now
    ended(dry, 3, "11", resolution_source=ResolutionSource.SIM)
    story.write(tmp_path)
    dry.write(tmp_path)
    found = performance(tmp_path, None).accounts

    assert [(one.mode, one.resolution_source, one.synthetic, one.realised) for one in found] == [
        ("dry_run", "sim", True, 11),
        ("paper", "oanda_candles", False, 5),
        ("paper", "sim", True, 7),
    ]


def test_slippage_is_what_the_entry_cost_more_than_was_decided(story, tmp_path):
    ended(story, 1, "5")
    (account,) = read(story, tmp_path).accounts

    # Decided at 1.1001, filled at 1.1005.
    assert account.numbers().slippage_bp == pytest.approx(0.0004 / 1.1001 * 10_000)
    assert account.numbers().slippage_known == 1


def test_a_sale_above_what_was_decided_slipped_to_its_good(story, tmp_path):
    ended(story, 1, "5", side=Side.SELL)
    (account,) = read(story, tmp_path).accounts

    assert account.numbers().slippage_bp == pytest.approx(-0.0004 / 1.1001 * 10_000)


def test_a_trade_without_its_decision_has_no_slippage_and_no_multiple(story, tmp_path):
    ended(story, 1, "5", decided=False)
    (account,) = read(story, tmp_path).accounts
    found = account.numbers()

    assert (found.slippage_bp, found.slippage_known, found.expectancy_r) == (None, 0, None)


def test_a_multiple_is_of_the_risk_of_what_filled(story, tmp_path):
    # Decided: 100 at a risk of 1. Half of it filled, so 0.5 was at risk.
    ended(story, 1, "2", quantity=D(50))
    (account,) = read(story, tmp_path).accounts

    assert account.numbers().expectancy_r == pytest.approx(4.0)


def test_a_split_between_entry_and_exit_leaves_slippage_and_multiple_as_they_were(story, tmp_path):
    story.decide(1)
    split = Split(market="EUR_USD", signal_id=story.signal(1), new=7, old=1, effective_at=OPENED)
    story._append("decisions", Kind.CORPORATE_ACTION, split)
    ended(story, 1, "2", decided=False, quantity=D(700), entry_price=D("1.1005") / 7)
    (account,) = read(story, tmp_path).accounts
    found = account.numbers()

    assert found.slippage_bp == pytest.approx(0.0004 / 1.1001 * 10_000)
    assert found.expectancy_r == pytest.approx(2.0)


def test_basis_points_of_event_contracts_are_of_their_payout(new_story, tmp_path):
    story = new_story(Surface.ST)
    ended(story, 1, "5", entry_price=D("0.45"), mae=D("0.02"), mfe=D("0.10"))
    (account,) = read(story, tmp_path).accounts
    found = account.numbers()

    assert (found.mae_bp, found.mfe_bp) == (pytest.approx(200), pytest.approx(1000))


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (By.MARKET, ["GBP_USD", "EUR_USD"]),
        (By.STRATEGY, ["breakout/breakout.h1"]),
        (By.DAY, ["2026-03-04", "2026-03-09"]),
        (By.WEEK, ["2026-W10", "2026-W11"]),
    ],
)
def test_trades_are_grouped_by_what_is_asked(story, tmp_path, by, names):
    ended(story, 1, "5")
    ended(story, 2, "9", market="GBP_USD", resolved_at=datetime(2026, 3, 9, tzinfo=UTC))
    found = read(story, tmp_path, by=by)
    groups = found.accounts[0].groups()

    assert list(groups) == names
    assert sum(one.net for one in groups.values()) == 14
    assert as_dict(found)["by"] == by


def test_provisional_ends_and_second_resolutions_do_not_count(story, tmp_path):
    ended(story, 1, "5", provisional=True)
    ended(story, 1, "6", decided=False)
    ended(story, 1, "7", decided=False)
    (account,) = read(story, tmp_path).accounts

    assert (account.realised, account.numbers().count) == (6, 1)


def test_since_chooses_by_when_the_end_was_written_and_still_finds_its_decision(story, tmp_path):
    story.decide(1)
    ended(story, 2, "9")
    moment = story.now + timedelta(seconds=1)
    story.now += timedelta(days=3)
    ended(story, 1, "5", decided=False)
    story.write(tmp_path)
    (account,) = performance(tmp_path, moment).accounts

    assert (account.realised, account.numbers().slippage_known) == (5, 1)


def test_days_make_daily_returns_and_a_drawdown_in_money(story, tmp_path):
    tell(story, told(2, "100", "10100"), told(3, "-202", "9898"), told(4, "0", "9898", exposure=D("989.8")))
    (days,) = read(story, tmp_path).days
    found = days.returns()

    assert found.total == pytest.approx(9898 / 10_000 - 1)
    assert (found.max_drawdown, days.drawdown()) == (pytest.approx(-0.02), -202)
    assert (found.drawdown_periods, days.exposure_share()) == (2, pytest.approx(0.1 / 3))


def test_of_two_records_of_a_day_the_later_holds_and_an_old_one_reads(story, tmp_path):
    tell(story, told(2, "1", "10001"), told(2, "100", "10100", unmarked=1, ended=3, capital=D(10_000)))
    old = story.streams["decisions"][0]
    for name in ("unmarked", "ended", "capital"):
        old.pop(name)
    (days,) = read(story, tmp_path).days

    assert [(one.profit, one.unmarked, one.ended) for one in days.days] == [(100, 1, 3)]


def test_money_set_aside_later_is_no_profit(story, tmp_path):
    tell(story, told(2, "100", "10100", capital=D(10_000)), told(3, "0", "20100", capital=D(20_000)))
    (days,) = read(story, tmp_path).days

    assert days.returns().total == pytest.approx(0.01)


def test_the_page_tells_what_is_unknown_and_what_is_infinite(story, tmp_path):
    ended(story, 1, "5", decided=False)
    tell(story, told(2, "100", "10100", unmarked=2))
    text = performance_text(read(story, tmp_path))

    assert "fx, paper, read from oanda_candles: 1 trade, +5.00 USD after 0.10 of fees (2.0% of what was earned)" in text
    assert "profit factor no loss, payoff no loss, Kelly -, SQN -" in text
    assert "entered - worse than decided (0 known)" in text
    assert "Sharpe -" in text
    assert "2 without a price" in text
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


def test_nothing_yet_is_said_in_words(tmp_path):
    assert performance_text(performance(tmp_path, None)).startswith("no trade has ended")
