"""How surfaces have done, as text for a terminal."""

from collections.abc import Sequence
from typing import Any

from audit.metrics import Returns
from audit.performance import Account, Days, Performance
from audit.trade_numbers import TradeNumbers
from audit.words import counted, printable

UNKNOWN = "-"
LATEST_DAYS = 10


def performance_text(found: Performance) -> str:
    """Lay the trades and the days of every surface out."""
    if not found.accounts and not found.days:
        return "no trade has ended and no trading day was closed in this period"
    parts = [*(_account(one) for one in found.accounts), *(_days(one) for one in found.days)]
    text = "\n\n".join("\n".join(printable(line).rstrip() for line in part) for part in parts)
    if any(one.synthetic for one in found.accounts):
        text += "\n\nsynthetic sources (sim) are never added to real ones"
    return text


def _account(one: Account) -> list[str]:
    numbers = one.numbers()
    head = f"{one.surface}, {one.mode}, read from {one.resolution_source}: {counted(numbers.count, 'trade')}"
    share = "" if numbers.fee_share is None else f" ({_percent(numbers.fee_share)} of what was earned)"
    name = f"{one.by:30}"
    return [
        f"{head}, {one.realised:+.2f} {one.currency} after {one.fees:.2f} of fees{share}",
        *_outcomes(numbers),
        *_conduct(numbers),
        f"  {name} trades  win rate  profit factor  a trade          net",
        *(_group(group, found) for group, found in one.groups().items()),
    ]


def _outcomes(numbers: TradeNumbers) -> Sequence[str]:
    return (
        (
            f"  won {numbers.wins}, lost {numbers.losses}, win rate {_percent(numbers.win_rate)}, "
            f"profit factor {_ratio(numbers, 'profit_factor')}, payoff {_ratio(numbers, 'payoff')}, "
            f"Kelly {_percent(numbers.kelly)}, SQN {_number(numbers.sqn)}"
        ),
        (
            f"  a trade {_money(numbers.expectancy)} ({_number(numbers.expectancy_r)} of what it risked), "
            f"a win {_money(numbers.average_win)}, a loss {_money(numbers.average_loss)}, "
            f"best {_money(numbers.largest_win)}, worst {_money(numbers.largest_loss)}"
        ),
    )


def _conduct(numbers: TradeNumbers) -> Sequence[str]:
    return (
        (
            f"  longest run {numbers.longest_wins} won, {numbers.longest_losses} lost; deepest fall "
            f"{_money(numbers.max_drawdown)}; held {_hours(numbers.hours_mean)} on average, half of them at most "
            f"{_hours(numbers.hours_median)}; in the market {_percent(numbers.market_share)} of the time"
        ),
        (
            f"  at worst {_bp(numbers.mae_bp)} against and at best {_bp(numbers.mfe_bp)} for a trade, on average; "
            f"entered {_bp(numbers.slippage_bp)} worse than decided ({numbers.slippage_known} known)"
        ),
    )


def _group(name: str, numbers: TradeNumbers) -> str:
    rate, factor = _percent(numbers.win_rate), _ratio(numbers, "profit_factor")
    sums = f"{_money(numbers.expectancy):>8}  {numbers.net:>+11.2f}"
    return f"  {name:30} {numbers.count:6}  {rate:>8}  {factor:>13}  {sums}"


def _days(one: Days) -> list[str]:
    lines = [
        f"{one.surface}, {one.mode}: {counted(len(one.days), 'trading day')} closed",
        *_returns(one, one.returns()),
        "  day              equity     profit   realised  open  trades",
    ]
    for day in one.days[-LATEST_DAYS:]:
        sums = f"{day.equity:12.2f} {day.profit:>+10.2f} {day.realised:>+10.2f}"
        unmarked = f"  {day.unmarked} without a price" if day.unmarked else ""
        lines.append(f"  {day.day}  {sums} {day.positions:5} {day.trades:7}{unmarked}")
    if len(one.days) > LATEST_DAYS:
        lines.append(f"  and {counted(len(one.days) - LATEST_DAYS, 'earlier day')}, all in the JSON")
    return lines


def _returns(one: Days, found: Returns) -> Sequence[str]:
    return (
        (
            f"  total {_percent(found.total)}, a year {_percent(found.annual)} (CAGR), volatility "
            f"{_percent(found.volatility)}, best day {_percent(found.best)}, worst {_percent(found.worst)}"
        ),
        (
            f"  Sharpe {_number(found.sharpe)}, Sortino {_ratio(found, 'sortino')}, Calmar {_ratio(found, 'calmar')}; "
            f"mean exposure {_percent(one.exposure_share())} of equity"
        ),
        (
            f"  deepest drawdown {_percent(found.max_drawdown)}, {_money(one.drawdown())}; below a peak for "
            f"{counted(found.drawdown_periods, 'day')} at most, for {counted(found.underwater_periods, 'day')} now"
        ),
    )


def _ratio(numbers: Any, name: str) -> str:
    return "no loss" if name in numbers.unbounded else _number(getattr(numbers, name))


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.1%}"


def _money(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:+.2f}"


def _bp(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.1f} bp"


def _hours(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:.1f} h" if value >= 1 else f"{value * 60:.0f} min"
