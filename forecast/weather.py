"""The chance of a day's high: what was reported so far, what is forecast for the hours left, and how wrong both are.

The official high is the greater of two things: the highest so far, which the reports show up to a degree or two, and
the highest of the hours left, which the forecast gives with an error. A high can only rise, so a bracket below the
highest report is out of reach but for one degree of rounding. Chances are of whole degrees Fahrenheit, as the climate
report gives them, and those of a set of brackets that leaves nothing out sum to 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil, erf, floor, sqrt

from domain.contract import RuleKind, SettlementRule
from forecast.error_model import LEAST_LEAD, OVER, Error, HighErrors

METHOD = "weather"
# Forecast errors have fatter tails than a normal's (kurtosis 5 on 48 recorded days): mostly small, now and then a
# front that comes early. Two normals with the same mean and together the same variance: weight -> times the deviation.
_TAILS = ((0.85, 0.80), (0.15, 1.743))
_REACH = 8.0
_HALF_CELSIUS_F = 0.9
_PLACES = Decimal("0.0001")
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """A forecast in °F: hours with the temperature of each, or only the day's high.

    ``hours`` are the beginnings of hours and their temperatures; those outside the climate day are left out.
    """

    issued_at: datetime
    hours: tuple[tuple[datetime, float], ...] = ()
    high_f: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """What a station reported since the climate day began: the highest, when the last was, how many come in an hour."""

    highest_f: float
    last_at: datetime
    per_hour: float = 1.0


@dataclass(frozen=True, slots=True)
class Highs:
    """Whole degrees Fahrenheit -> chance of being the official high; they sum to 1."""

    chances: dict[int, float]

    def between(self, low: Decimal | None, high: Decimal | None) -> float:
        """Return the chance of a high in [low, high]; None is no bound."""
        bottom = -(10**6) if low is None else ceil(low)
        top = 10**6 if high is None else floor(high)
        return min(1.0, sum(chance for degree, chance in self.chances.items() if bottom <= degree <= top))

    @property
    def mean(self) -> float:
        return sum(degree * chance for degree, chance in self.chances.items())

    @property
    def spread(self) -> float:
        return sqrt(sum(chance * (degree - self.mean) ** 2 for degree, chance in self.chances.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class WeatherEstimate:
    """The chance of YES, how far to trust it, and the numbers behind it."""

    probability: Decimal
    certainty: Decimal
    highs: Highs
    facts: tuple[tuple[str, str], ...]
    method: str = METHOD


def estimate_weather(
    rule: SettlementRule, outlook: Outlook, reports: Reports | None, errors: HighErrors, now: datetime
) -> WeatherEstimate:
    """Return the chance that a daily high settles YES.

    Args:
        reports: None while none came in since the climate day began.
        errors: what was learnt of both up to ``now``.

    Raises:
        ValueError: the rule is of another kind, or the forecast says nothing about the hours left and nothing was
            reported either.
    """
    if rule.kind is not RuleKind.DAILY_HIGH or rule.begins_at is None:
        raise ValueError(f"expected a rule about a daily high, found {rule.kind} with a day from {rule.begins_at}")
    if reports is not None and reports.last_at < rule.begins_at:
        reports = None
    lead_hours = max(0.0, (rule.ends_at - now) / _HOUR)
    error = errors.error(lead_hours, now)
    ahead = highest_ahead(outlook, rule.begins_at, rule.ends_at, now)
    excess = None if reports is None else errors.excess(reports.per_hour, now)
    # Hours say themselves that the day cools down: beside them the share of days that are over added nothing.
    over = 0.0 if outlook.hours else share_over(rule.begins_at, now)
    highs = distribution(ahead, error, reports, excess, over)
    probability = highs.between(rule.low, rule.high)
    return WeatherEstimate(
        probability=Decimal(str(probability)).quantize(_PLACES),
        certainty=certainty(outlook, reports, rule, now),
        highs=highs,
        facts=(
            ("forecast_high_f", "none" if ahead is None or lead_hours < LEAST_LEAD else f"{ahead:.1f}"),
            ("forecast_ahead_f", "none" if ahead is None else f"{ahead:.1f}"),
            ("forecast_error_f", f"{error.bias:+.2f} ± {error.spread:.2f}"),
            ("reported_high_f", "none" if reports is None else f"{reports.highest_f:.1f}"),
            ("reports_per_hour", "0" if reports is None else f"{reports.per_hour:.1f}"),
            ("expected_high_f", f"{highs.mean:.1f} ± {highs.spread:.1f}"),
            ("lead_hours", f"{lead_hours:.1f}"),
        ),
    )


def highest_ahead(outlook: Outlook, begins: datetime, ends: datetime, now: datetime) -> float | None:
    """Return the highest temperature forecast for what is left of the day, None where nothing is forecast or left.

    A forecast without hours gives its high while the usual hour of the high, three in the afternoon, is ahead.
    """
    if now >= ends:
        return None
    if outlook.hours:
        left = [degrees for at, degrees in outlook.hours if at < ends and at + _HOUR > max(now, begins)]
        return max(left) if left else None
    return outlook.high_f if now < begins + timedelta(hours=16) else None


def share_over(begins: datetime, now: datetime) -> float:
    """Return on which share of days the high lies behind by this hour of the climate day."""
    hour = floor((now - begins) / _HOUR)
    return 0.0 if hour < 0 else OVER[min(hour, len(OVER) - 1)]


def distribution(
    ahead: float | None, error: Error, reports: Reports | None, excess: dict[int, float] | None, over: float
) -> Highs:
    """Return the chances of whole degrees.

    Where the forecast for the hours left does not pass the highest report, the share of days that are over by this
    hour counts fully; where it is two degrees above, the day is not over and the share counts nothing.

    Raises:
        ValueError: neither is anything forecast nor was anything reported.
    """
    if reports is None or excess is None:
        if ahead is None:
            raise ValueError("expected a forecast or a report of the day, found neither")
        return _from_steps(_degrees(ahead + error.bias, error.spread), lambda top: _below(top + 0.5, ahead, error))
    so_far = {floor(reports.highest_f + 0.5) + step: share for step, share in excess.items()}
    if ahead is None:
        return Highs(so_far)
    done = over * min(1.0, max(0.0, (reports.highest_f + 2.0 - (ahead + error.bias)) / 2.0))

    def below(top: int) -> float:
        behind = sum(share for degree, share in so_far.items() if degree <= top)
        return behind * (done + (1.0 - done) * _below(top + 0.5, ahead, error))

    degrees = _degrees(ahead + error.bias, error.spread)
    return _from_steps(range(min(so_far), max(max(so_far), degrees.stop) + 1), below)


def _from_steps(degrees: range, below: Callable[[int], float]) -> Highs:
    """Return chances from a distribution function; what lies outside ``degrees`` is put on its ends."""
    chances, passed = {}, 0.0
    for degree in degrees[:-1]:
        reached = below(degree)
        chances[degree] = max(0.0, reached - passed)
        passed = reached
    chances[degrees[-1]] = max(0.0, 1.0 - passed)
    return Highs(chances)


def _degrees(middle: float, spread: float) -> range:
    return range(floor(middle - _REACH * spread), ceil(middle + _REACH * spread) + 1)


def _below(limit: float, ahead: float, error: Error) -> float:
    """Return the chance that the hours left stay below ``limit``."""
    distance = (limit - ahead - error.bias) / error.spread
    return sum(weight * 0.5 * (1.0 + erf(distance / (times * sqrt(2.0)))) for weight, times in _TAILS)


def certainty(outlook: Outlook, reports: Reports | None, rule: SettlementRule, now: datetime) -> Decimal:
    """Return in [0, 1] how far the estimate can be trusted beside a market's price.

    It falls by four fifths of the share of days that are over by this hour: what is left then is what the reports
    hide, and recorded quotes knew it by four in the afternoon (Brier 0.0025). A stale forecast (issued 12 hours ago)
    and a silent station (no report for two hours of a day that has run for three) halve it each.
    """
    over = 0.0 if rule.begins_at is None else share_over(rule.begins_at, now)
    value = Decimal(str(1.0 - 0.8 * over)).quantize(_PLACES)
    if now - outlook.issued_at > 12 * _HOUR:
        value /= 2
    running = rule.begins_at is not None and now > rule.begins_at + 3 * _HOUR
    if running and (reports is None or min(now, rule.ends_at) - reports.last_at > 2 * _HOUR):
        value /= 2
    return value


def reports_from(seen: Sequence[tuple[datetime, float, bool]]) -> Reports | None:
    """Return what a station's reports say of the day so far, None if there are none.

    A report that stands at a whole degree Celsius and is not exact may have been rounded up to it by half a degree,
    0.9 °F: what it proves is the lower end.

    Args:
        seen: for each report its time, its temperature in °F, and whether it gives tenths of a degree Celsius.
    """
    if not seen:
        return None
    times = sorted(at for at, _, _ in seen)
    hours = max((times[-1] - times[0]) / _HOUR, 1.0)
    highest = max(
        degrees if is_exact or not _is_whole_celsius(degrees) else degrees - _HALF_CELSIUS_F
        for _, degrees, is_exact in seen
    )
    return Reports(highest_f=highest, last_at=times[-1], per_hour=max(1.0, len(seen) / hours))


def _is_whole_celsius(degrees_f: float) -> bool:
    celsius = (degrees_f - 32.0) / 1.8
    return abs(celsius - round(celsius)) < 0.01


def fahrenheit(celsius: Decimal | float) -> float:
    """Return °F of °C, unrounded."""
    return float(celsius) * 9.0 / 5.0 + 32.0
