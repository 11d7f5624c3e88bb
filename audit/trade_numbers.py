"""What closed trades are worth, kept as columns of numbers so that hundreds of thousands take little memory."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from math import fsum, isnan, nan, sqrt
from typing import NamedTuple

from audit.metrics import deepest_fall, deviation, mean, median

HOUR_S = 3600.0


def _column() -> "array[float]":
    return array("d")


class Closed(NamedTuple):
    """One closed trade in numbers. Money in the account's currency, times in Unix seconds.

    ``mae_bp`` and ``mfe_bp`` are the worst and best excursion and ``slippage_bp`` how much worse than decided the entry
    was, each in basis points of the price (of an event contract: of its payout). ``multiple`` is the profit for what
    was put at risk. nan is unknown.
    """

    profit: float
    fees: float
    opened_s: float
    closed_s: float
    mae_bp: float
    mfe_bp: float
    slippage_bp: float = nan
    multiple: float = nan


@dataclass(slots=True)
class ClosedTrades:
    """Closed trades, a column for each number."""

    profit: "array[float]" = field(default_factory=_column)
    fees: "array[float]" = field(default_factory=_column)
    opened_s: "array[float]" = field(default_factory=_column)
    closed_s: "array[float]" = field(default_factory=_column)
    mae_bp: "array[float]" = field(default_factory=_column)
    mfe_bp: "array[float]" = field(default_factory=_column)
    slippage_bp: "array[float]" = field(default_factory=_column)
    multiple: "array[float]" = field(default_factory=_column)

    def add(self, trade: Closed) -> None:
        self.profit.append(trade.profit)
        self.fees.append(trade.fees)
        self.opened_s.append(trade.opened_s)
        self.closed_s.append(trade.closed_s)
        self.mae_bp.append(trade.mae_bp)
        self.mfe_bp.append(trade.mfe_bp)
        self.slippage_bp.append(trade.slippage_bp)
        self.multiple.append(trade.multiple)

    @classmethod
    def joined(cls, parts: Iterable["ClosedTrades"]) -> "ClosedTrades":
        """Return the trades of all ``parts``."""
        whole = cls()
        for part in parts:
            for column in fields(cls):
                getattr(whole, column.name).extend(getattr(part, column.name))
        return whole


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeNumbers:
    """Numbers of closed trades; docs/cli.md explains each.

    ``win_rate`` leaves trades that ended at exactly nothing out, as quantstats does. A name in ``unbounded`` is a ratio
    that is infinite because nothing was lost.
    """

    count: int
    wins: int
    losses: int
    net: float
    gross: float
    fees: float
    fee_share: float | None
    win_rate: float | None
    average_win: float | None
    average_loss: float | None
    payoff: float | None
    profit_factor: float | None
    expectancy: float | None
    expectancy_r: float | None
    sqn: float | None
    kelly: float | None
    largest_win: float | None
    largest_loss: float | None
    longest_wins: int
    longest_losses: int
    max_drawdown: float
    hours_mean: float | None
    hours_median: float | None
    hours_in_market: float
    market_share: float | None
    mae_bp: float | None
    mfe_bp: float | None
    slippage_bp: float | None
    slippage_known: int
    unbounded: tuple[str, ...]


def of_trades(trades: ClosedTrades) -> TradeNumbers:
    """Work out the numbers of ``trades``; runs and drawdown follow the order in which they ended."""
    order = sorted(range(len(trades.profit)), key=lambda n: (trades.closed_s[n], trades.opened_s[n], trades.profit[n]))
    profits = [trades.profit[n] for n in order]
    wins, losses = [one for one in profits if one > 0], [one for one in profits if one < 0]
    net, fees = fsum(profits), fsum(trades.fees)
    hours = [(end - start) / HOUR_S for start, end in zip(trades.opened_s, trades.closed_s, strict=True)]
    rate = len(wins) / (len(wins) + len(losses)) if wins or losses else None
    average_win, average_loss = _mean(wins), _mean(losses)
    payoff = average_win / -average_loss if average_win is not None and average_loss is not None else None
    multiples, slipped = _known(trades.multiple), _known(trades.slippage_bp)
    in_market = _in_market(trades)
    return TradeNumbers(
        count=len(profits),
        wins=len(wins),
        losses=len(losses),
        net=net,
        gross=net + fees,
        fees=fees,
        fee_share=fees / (net + fees) if net + fees > 0 else None,
        win_rate=rate,
        average_win=average_win,
        average_loss=average_loss,
        payoff=payoff,
        profit_factor=fsum(wins) / -fsum(losses) if losses else None,
        expectancy=_mean(profits),
        expectancy_r=_mean(multiples),
        sqn=_sqn(multiples),
        kelly=rate - (1 - rate) / payoff if rate is not None and payoff is not None else None,
        largest_win=max(wins, default=None),
        largest_loss=min(losses, default=None),
        longest_wins=_longest(profits, 1),
        longest_losses=_longest(profits, -1),
        max_drawdown=deepest_fall(profits),
        hours_mean=_mean(hours),
        hours_median=median(hours),
        hours_in_market=in_market / HOUR_S,
        market_share=_share_of_span(trades, in_market),
        mae_bp=_mean(_known(trades.mae_bp)),
        mfe_bp=_mean(_known(trades.mfe_bp)),
        slippage_bp=_mean(slipped),
        slippage_known=len(slipped),
        unbounded=("payoff", "profit_factor") if wins and not losses else (),
    )


def _known(column: Sequence[float]) -> list[float]:
    return [one for one in column if not isnan(one)]


def _mean(values: Sequence[float]) -> float | None:
    return mean(values) if values else None


def _sqn(multiples: Sequence[float]) -> float | None:
    """Return how many standard errors the mean multiple lies above nothing (Van Tharp's system quality number)."""
    spread = deviation(multiples)
    return sqrt(len(multiples)) * mean(multiples) / spread if spread else None


def _longest(profits: Sequence[float], sign: int) -> int:
    longest = now = 0
    for one in profits:
        now = now + 1 if one * sign > 0 else 0
        longest = max(longest, now)
    return longest


def _in_market(trades: ClosedTrades) -> float:
    """Return for how many seconds at least one trade was open."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(zip(trades.opened_s, trades.closed_s, strict=True)):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def _share_of_span(trades: ClosedTrades, in_market: float) -> float | None:
    """Return which share of the time from the first entry to the last exit something was open."""
    if not trades.profit:
        return None
    span = max(trades.closed_s) - min(trades.opened_s)
    return in_market / span if span > 0 else None
