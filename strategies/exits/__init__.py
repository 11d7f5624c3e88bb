"""How positions end: the exit engine of live trading, resolvers and backtests, and its answers about the past.

The engine itself is ``domain.exits``, because a dry run's account goes by it too and brokers import no strategies.

    plan = ExitPlan(stop=Decimal(95), trailing=Trailing(percent=Decimal(10)))
    state = start(plan, Side.BUY, Decimal(100), Decimal(20), opened_at)
    state, exits = on_bar(plan, state, bar)  # or on_quote(plan, state, quote, now)
"""

from domain.exits.plan import Breakeven, ExitPlan, Target, Trailing
from domain.exits.state import ExitLeg, ExitState, replanned, rescaled, start
from domain.exits.walk import on_bar, on_quote
from strategies.exits.history import Exit, Settlement, excursions, first_exit, ratchet, settle
from strategies.exits.proposed import plan_of

__all__ = [
    "Breakeven",
    "Exit",
    "ExitLeg",
    "ExitPlan",
    "ExitState",
    "Settlement",
    "Target",
    "Trailing",
    "excursions",
    "first_exit",
    "on_bar",
    "on_quote",
    "plan_of",
    "ratchet",
    "replanned",
    "rescaled",
    "settle",
    "start",
]
