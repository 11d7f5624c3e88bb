"""How wrong forecasts of a day's high are, by lead time, and how far reports fall short of the official high.

The state is two folds over (moment, …): a process rebuilds it from its journals. Before anything is learnt the
defaults below hold; they fade as outcomes come in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from math import sqrt

from forecast.horizon import Horizon

# Against 48 recorded days of a short-lead forecast of Central Park (January to March 2026) the official high was
# 0.87 °F above the forecast with a standard deviation of 1.75, against 110 days 0.31 above and 1.80; between the two.
BIAS_F, SPREAD_F = 0.5, 1.8
# Not measured here: what a further day of lead adds, in quadrature.
DAY_F = 1.5
# Hours to the end of the climate day -> the class a forecast's error is learnt in.
LEADS = (24.0, 36.0, 60.0, 84.0)
# From noon on a forecast is of what is left of the day, which says nothing about the error of its high.
LEAST_LEAD = 12.0
PRIOR = 20
# How far the official high lay above the highest report, in whole degrees, with the share of days. Hourly reports:
# 270 days of JFK in 2013 (-1: 2, 0: 88, 1: 138, 2: 36, 3 and more: 6 days). Denser reports hide less, but go from
# Fahrenheit to Celsius and back, which can be a degree off either way; those shares are a judgement.
HOURLY = {-1: 0.02, 0: 0.32, 1: 0.50, 2: 0.13, 3: 0.03}
DENSE = {-1: 0.05, 0: 0.67, 1: 0.25, 2: 0.03}
DENSE_PER_HOUR = 6
# Hour of the day in standard time -> share of 541 station days (JFK and LGA, 2013) whose high had been reported by
# then and was not passed later.
OVER = (
    0.01, 0.01, 0.02, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.11, 0.18, 0.28,
    0.44, 0.65, 0.80, 0.90, 0.93, 0.96, 0.97, 0.98, 0.98, 0.99, 0.99, 1.00,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Error:
    """What to add to a forecast, and the standard deviation that remains, in °F."""

    bias: float
    spread: float


def default_error(lead_hours: float) -> Error:
    """Return the error before anything is learnt; ``lead_hours`` counts to the end of the climate day."""
    further_days = max(0.0, lead_hours - 24.0) / 24.0
    return Error(BIAS_F, sqrt(SPREAD_F**2 + DAY_F**2 * further_days))


class HighErrors:
    """Trailing errors of forecasts and reports, pulled towards the defaults as if those were 20 outcomes.

    Args:
        default: the error of a lead before anything is learnt.
    """

    def __init__(self, default: Callable[[float], Error] = default_error) -> None:
        self._default = default
        self._errors: dict[int, list[float]] = {}
        self._excess: dict[bool, dict[int, int]] = {False: {}, True: {}}
        self._horizon = Horizon()

    def learn(self, moment: datetime, lead_hours: float, forecast_f: float, actual_f: float) -> None:
        """Add a forecast whose official high became known at ``moment``; one made after noon teaches nothing."""
        self._horizon.pass_to(moment)
        if lead_hours < LEAST_LEAD:
            return
        self._errors.setdefault(_class_of(lead_hours), []).append(actual_f - forecast_f)

    def learn_report(self, moment: datetime, highest_f: float, actual_f: float, *, per_hour: float) -> None:
        """Add a whole day's highest report whose official high became known at ``moment``."""
        self._horizon.pass_to(moment)
        counts = self._excess[per_hour >= DENSE_PER_HOUR]
        step = round(actual_f) - round(highest_f)
        counts[step] = counts.get(step, 0) + 1

    def error(self, lead_hours: float, at: datetime) -> Error:
        """Return the error to expect of a forecast at ``at``.

        Raises:
            ValueError: an outcome later than ``at`` was learnt.
        """
        self._horizon.require_past(at)
        default, seen = self._default(lead_hours), self._errors.get(_class_of(lead_hours), [])
        count = len(seen) + PRIOR
        bias = (sum(seen) + PRIOR * default.bias) / count
        squares = sum((one - bias) ** 2 for one in seen) + PRIOR * (default.spread**2 + (default.bias - bias) ** 2)
        return Error(bias, sqrt(squares / count))

    def excess(self, per_hour: float, at: datetime) -> dict[int, float]:
        """Return degrees above the highest report -> chance of the official high being there.

        Raises:
            ValueError: an outcome later than ``at`` was learnt.
        """
        self._horizon.require_past(at)
        is_dense = per_hour >= DENSE_PER_HOUR
        counts, default = self._excess[is_dense], DENSE if is_dense else HOURLY
        total = sum(counts.values()) + PRIOR
        # One degree below the highest report is what rounding can explain; further below is another instrument.
        shares = {
            step: (counts.get(step, 0) + PRIOR * default.get(step, 0.0)) / total
            for step in {*counts, *default}
            if step >= -1
        }
        whole = sum(shares.values())
        return {step: share / whole for step, share in sorted(shares.items())}


def _class_of(lead_hours: float) -> int:
    return sum(lead_hours > edge for edge in LEADS)
