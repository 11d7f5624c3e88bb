"""Settings of the stock surface, read once from its own env file."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from brokers.ibkr.config import IbkrConfig, shared
from domain import settings
from domain.errors import Misconfigured
from domain.house import House
from domain.stock_settings import StockSettings
from domain.surface_settings import PREFIXES
from domain.vocabulary import Surface
from risk.stock_limits import StockLimits
from strategies.crossover.params import CrossParams
from strategies.stop_entry.params import StopEntryParams
from strategies.stop_entry.watchlist import Complaint, Watchlist, is_symbol, parse_watchlist

SOURCE = "env/stk.env"


@dataclass(frozen=True, slots=True, kw_only=True)
class StockConfig:
    """Everything the stock surface was told, by part; ``markets`` are the symbols watched.

    ``complaints`` are about the lines of the watchlist that were passed over.
    """

    house: House
    settings: StockSettings
    limits: StockLimits
    stop_entry: StopEntryParams
    crossover: CrossParams
    ibkr: IbkrConfig
    markets: tuple[str, ...]
    complaints: tuple[Complaint, ...] = ()


def load(environ: Mapping[str, str]) -> StockConfig:
    """Read the settings, and the watchlist they name.

    Raises:
        Misconfigured: a key is unknown, missing or wrong, or the watchlist can't be read.
    """
    settings.refuse_strays(environ, PREFIXES[Surface.STK], source=SOURCE)
    house = settings.load(House, environ, prefix="TBOT_", source=SOURCE)
    surface = settings.load(StockSettings, environ, prefix="STK_", source=SOURCE)
    strategy = settings.load(StopEntryParams, environ, prefix="STRATEGY_", source=SOURCE)
    limits = settings.load(StockLimits, environ, prefix="RISK_", source=SOURCE)
    # An entry that filled once positions are to be flat would be sold again at once.
    ends_min = max(strategy.cancel_before_close_min, Decimal(surface.flat_before_close_min or 0))
    strategy = replace(strategy, cancel_before_close_min=ends_min)
    # What the strategy says of single symbols goes before what the limits say of all.
    cooldown_s = int(strategy.cooldown_min * 60)
    listed = _listed(surface.watchlist_file)
    budgets = (*limits.market_budgets, *strategy.market_budgets)
    return StockConfig(
        house=house,
        settings=surface,
        limits=replace(limits, market_budgets=budgets, cooldown_s=max(limits.cooldown_s, cooldown_s)),
        stop_entry=strategy,
        crossover=settings.load(CrossParams, environ, prefix="CROSS_", source=SOURCE),
        ibkr=shared(settings.load(IbkrConfig, environ, prefix="IBKR_", source=SOURCE), house),
        markets=_watched(surface, listed.symbols, is_default="STK_MARKETS" not in environ),
        complaints=listed.complaints,
    )


def _watched(surface: StockSettings, listed: tuple[str, ...], *, is_default: bool) -> tuple[str, ...]:
    """Return the symbols of the settings and of the watchlist file, each once; a file goes before the default ones."""
    named = () if is_default and surface.watchlist_file is not None else tuple(one.upper() for one in surface.markets)
    for symbol in named:
        if not is_symbol(symbol):
            raise Misconfigured("STK_MARKETS as symbols such as SPY or BRK B", repr(symbol), f"correct it in {SOURCE}")
    if not (named or listed):
        file = f"STK_WATCHLIST_FILE={surface.watchlist_file}"
        raise Misconfigured(f"a symbol in {file}", "none", f"add one, or set STK_MARKETS in {SOURCE}")
    return tuple(dict.fromkeys((*named, *listed)))


def _listed(path: Path | None) -> Watchlist:
    if path is None:
        return Watchlist(symbols=(), complaints=())
    try:
        # A byte that is no UTF-8 costs its line, not the watchlist.
        return parse_watchlist(path.read_bytes().decode("utf-8", errors="replace"))
    except OSError as error:
        raise Misconfigured(
            f"a text with one symbol a line in STK_WATCHLIST_FILE={path}", str(error), f"correct it in {SOURCE}"
        ) from error
