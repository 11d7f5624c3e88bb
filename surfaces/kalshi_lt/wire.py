"""The long-term surface put together from its parts: a panel of models, and a ledger of what they cost."""

import threading
from collections.abc import Mapping

from domain.clock import parse_clock
from forecast.panel import Panel
from journal import process_log
from journal.keys import Signer
from surfaces.costs import CostBook
from surfaces.kalshi.config import load_lt
from surfaces.kalshi.learning import Learner
from surfaces.kalshi.panel import PanelEstimator
from surfaces.kalshi.wire import require_keys, trade

# A call under way at the end may be billed: its answer is awaited so long, after that its reservation stays spent.
LATE_ANSWERS_S = 5.0


def run(environ: Mapping[str, str], stop: threading.Event) -> None:
    """Trade until ``stop`` is set.

    Raises:
        Misconfigured: the settings are wrong, the key to sign with is missing, or live trading is not armed.
        Halt: a journal can't be trusted or written any more.
    """
    config = load_lt(environ)
    require_keys(config)
    clock = parse_clock(config.house.clock)
    process_log.configure(config.program, clock)
    signer = Signer.load(config.house.keys, config.surface, clock.now())
    with CostBook(config.house, config.surface, config.settings.mode, clock, config.limits, signer) as costs:
        kept = config.house.state / f"{config.surface}-answers.json"
        panel = Panel(config.models, budget=costs, clock=clock, cache_file=kept)
        learner = Learner()
        try:
            trade(config, clock, signer, learner, [PanelEstimator(panel)], stop, spent=costs.spent)
        finally:
            panel.close(LATE_ANSWERS_S)
