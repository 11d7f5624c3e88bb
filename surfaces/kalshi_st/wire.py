"""The short-term surface put together from its parts: a thermometer, a price, and odds where there are any."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brokers.coinbase.client import CoinbaseClient
from brokers.nws.client import NwsClient
from domain.clock import Clock
from forecast.sports import JsonOdds
from surfaces.kalshi.belief import Estimator
from surfaces.kalshi.config import StConfig, load_st
from surfaces.kalshi.game import GameEstimator
from surfaces.kalshi.learning import Learner
from surfaces.kalshi.price import PriceEstimator
from surfaces.kalshi.weather import WeatherEstimator
from surfaces.kalshi.wire import begin, opened


def run(environ: Mapping[str, str], stop: threading.Event) -> None:
    """Trade until ``stop`` is set.

    Raises:
        Misconfigured: the settings are wrong, the key to sign with is missing, or live trading is not armed.
        Halt: a journal can't be trusted or written any more.
    """
    config = load_st(environ)
    clock, signer = begin(config)
    learner, weather = Learner(), WeatherEstimator(NwsClient(config.nws, clock))

    def learn(record: Mapping[str, Any]) -> None:
        learner.apply(record)
        weather.history.apply(record)

    made = _estimators(config, clock, weather)
    with opened(config, clock, signer, learner, made, stop, learn=learn) as (_, loop):
        loop.run()


def _estimators(config: StConfig, clock: Clock, weather: WeatherEstimator) -> list[Estimator]:
    estimators: list[Estimator] = [weather, PriceEstimator(CoinbaseClient(config.coinbase, clock))]
    if config.settings.odds_file:
        odds = JsonOdds(Path(config.settings.odds_file))
        odds.check()
        estimators.append(GameEstimator(odds))
    return estimators
