"""How surfaces have done, as text for a terminal."""

from collections.abc import Sequence

from audit.metrics import Returns, TradeNumbers
from audit.performance import Account, Days, Performance
from audit.words import counted, printable

UNKNOWN = "-"
LATEST_DAYS = 10


def performance_text(found: Performance) -> str:
    """Lay the trades and the days of every surface out."""
    if not found.accounts and not found.days:
        return "no trade has ended and no trading day was closed in this period"
    parts = [*(_account(one) for one in found.accounts), *(_days(one) for one in found.days)]
    text = "\n\n".join("\n".join(printable(line) for line in part) for part in parts)
    if any(one.synthetic for one in found.accounts):
        text += "\n\nsynthetic sources (sim) are never added to real ones"
    return text


def _account(one: Account) -> list[str]:
    numbers = one.numbers()
    head = f"{one.surface}, {one.mode}, read from {one.resolution_source}: {counted(numbers.count, 'trade')}"
    lines = [
        f"{head}, {one.realised:+.2f} {one.currency} after {one.fees:.2f} of fees",
        (
            f"  won {numbers.wins}, lost {numbers.losses}, win rate {_percent(numbers.win_rate)}, "
            f"profit factor {_ratio(numbers, 'profit_factor')}, payoff {_ratio(numbers, 'payoff')}"
        ),
        (
            f"  a trade {_money(numbers.expectancy)}, a win {_money(numbers.average_win)}, "
            f"a loss {_money(numbers.average_loss)}, best {_money(numbers.largest_win)}, worst "
            f"{_money(numbers.largest_loss)}"
        ),
        (
            f"  held {_hours(numbers.hours_mean)} on average, half of them at most {_hours(numbers.hours_median)}; "
            f"longest run {numbers.longest_wins} won, {numbers.longest_losses} lost"
        ),
        "  market                          trades  win rate  profit factor          net",
    ]
    return lines + [_market(name, numbers) for name, numbers in one.markets().items()]


def _market(name: str, numbers: TradeNumbers) -> str:
    rate, factor = _percent(numbers.win_rate), _ratio(numbers, "profit_factor")
    return f"  {name:30} {numbers.count:7}  {rate:>8}  {factor:>13}  {numbers.net:>+11.2f}"


def _days(one: Days) -> list[str]:
    found = one.returns()
    lines = [f"{one.surface}, {one.mode}: {counted(len(one.days), 'trading day')} closed", *_returns(found)]
    lines.append("  day              equity     profit   realised  open  trades")
    for day in one.days[-LATEST_DAYS:]:
        sums = f"{day.equity:12.2f} {day.profit:>+10.2f} {day.realised:>+10.2f}"
        lines.append(f"  {day.day}  {sums} {day.positions:5} {day.trades:7}")
    return lines


def _returns(found: Returns) -> Sequence[str]:
    return (
        f"  total {_percent(found.total)}, a year {_percent(found.annual)}, volatility {_percent(found.volatility)}",
        (
            f"  Sharpe {_number(found.sharpe)}, Sortino {_number(found.sortino)}, deepest drawdown "
            f"{_percent(found.max_drawdown)} ({counted(found.drawdown_periods, 'day')} below a peak at most)"
        ),
    )


def _ratio(numbers: TradeNumbers, name: str) -> str:
    return "no loss" if name in numbers.unbounded else _number(getattr(numbers, name))


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.1%}"


def _money(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:+.2f}"


def _hours(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:.1f} h" if value >= 1 else f"{value * 60:.0f} min"
