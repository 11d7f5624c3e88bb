"""The long-term surface put together from its parts: a panel of models, and a ledger of what they cost."""

import threading
from collections.abc import Mapping

from forecast.panel import Panel
from surfaces.costs import CostBook
from surfaces.kalshi.config import load_lt
from surfaces.kalshi.learning import Learner
from surfaces.kalshi.panel import PanelEstimator
from surfaces.kalshi.wire import begin, opened

# A call under way at the end may be billed: its answer is awaited so long, after that its reservation stays spent.
LATE_ANSWERS_S = 5.0


def run(environ: Mapping[str, str], stop: threading.Event) -> None:
    """Trade until ``stop`` is set.

    Raises:
        Misconfigured: the settings are wrong, the key to sign with is missing, or live trading is not armed.
        Halt: a journal can't be trusted or written any more.
    """
    config = load_lt(environ)
    clock, signer = begin(config)
    with CostBook(config.house, config.surface, config.settings.mode, clock, config.limits, signer) as costs:
        kept = config.house.state / f"{config.surface}-answers.json"
        panel = Panel(config.models, budget=costs, clock=clock, cache_file=kept)
        made = [PanelEstimator(panel)]
        try:
            with opened(config, clock, signer, Learner(), made, stop, spent=costs.spent) as (_, loop):
                loop.run()
        finally:
            panel.close(LATE_ANSWERS_S)
