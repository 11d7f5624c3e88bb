"""Beliefs about a day's high, from the weather service's forecast and a station's reports."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from brokers.nws.client import NwsClient
from brokers.nws.values import Observation
from domain.contract import Contract, RuleKind, SettlementRule
from domain.errors import Retry
from domain.vocabulary import Kind
from forecast.error_model import HighErrors
from forecast.weather import METHOD, Outlook, Reports, WeatherEstimate, estimate_weather, reports_from
from surfaces.kalshi.belief import Belief

Record = Mapping[str, Any]
# All brackets of a day ask for the same facts; the service's own cache holds them about so long.
FACTS_HOLD = timedelta(minutes=5)
HOUR = timedelta(hours=1)
# Hours before the end of a climate day from which its highest report stands for the whole of it.
LAST_REPORTS_LEAD = 3.0
# What lies outside was misread: one high of 561 degrees would bend every forecast after it.
COLDEST_F, HOTTEST_F = -90.0, 140.0


@dataclass(frozen=True, slots=True)
class _Facts:
    outlook: Outlook
    reports: Reports | None
    at: datetime


class WeatherEstimator:
    """Asks the weather service, once for all brackets of a day, and reckons the chance of each."""

    def __init__(self, nws: NwsClient) -> None:
        self._nws = nws
        self._lock = threading.Lock()
        self._facts: dict[tuple[str, datetime | None], _Facts] = {}
        self.history = WeatherHistory()

    def takes(self, rule: SettlementRule) -> bool:
        return rule.kind is RuleKind.DAILY_HIGH

    def costs_usd(self, contract: Contract, rule: SettlementRule) -> Decimal:
        return Decimal(0)

    def believe(self, contract: Contract, rule: SettlementRule, now: datetime) -> Belief:
        facts = self._facts_of(rule, now)
        try:
            found = self.history.estimate(rule, facts.outlook, facts.reports, now)
        except ValueError as error:
            raise Retry(f"weather of {rule.station}", str(error), "asked again when it is due") from error
        return Belief(method=found.method, certainty=found.certainty, probability=found.probability, facts=found.facts)

    def _facts_of(self, rule: SettlementRule, now: datetime) -> _Facts:
        with self._lock:
            key = (rule.station, rule.begins_at)
            known = self._facts.get(key)
            if known is None or now - known.at >= FACTS_HOLD:
                known = self._facts[key] = self._read(rule, now)
                for old in [key for key, facts in self._facts.items() if now - facts.at > 24 * HOUR]:
                    del self._facts[old]
            return known

    def _read(self, rule: SettlementRule, now: datetime) -> _Facts:
        forecast = self._nws.hourly(rule.station)
        hours = tuple((hour.at, float(hour.temperature_f)) for hour in forecast if _is_weather(hour.temperature_f))
        if not hours:
            # Without hours ahead the highest so far would pass for the day's.
            raise Retry(f"a forecast for {rule.station} that can be weather", "none", "asked again when it is due")
        outlook = Outlook(issued_at=forecast[0].issued_at, hours=hours)
        has_begun = rule.begins_at is not None and now > rule.begins_at + HOUR
        seen = self._nws.observations(rule.station, rule.begins_at) if has_begun and rule.begins_at else ()
        return _Facts(outlook, reports_of(seen), now)


def reports_of(observations: Sequence[Observation]) -> Reports | None:
    """Return what a station's observations say of the day so far.

    Those without a temperature say nothing, and those with one no place ever had are a broken sensor's.
    """
    return reports_from(
        [
            (seen.at, float(seen.temperature_f), seen.is_exact)
            for seen in observations
            if seen.temperature_f is not None and _is_weather(seen.temperature_f)
        ]
    )


def _is_weather(degrees_f: Decimal | float) -> bool:
    return COLDEST_F <= degrees_f <= HOTTEST_F


class WeatherHistory:
    """How wrong forecasts were, read back from the surface's own decisions and the highs that came of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._errors = HighErrors()
        self._latest: datetime | None = None
        self._forecasts: dict[str, dict[int, tuple[float, float]]] = {}
        self._reports: dict[str, tuple[float, float]] = {}
        self._group_of: dict[str, str] = {}

    def estimate(
        self, rule: SettlementRule, outlook: Outlook, reports: Reports | None, now: datetime
    ) -> WeatherEstimate:
        """Return the chance of a bracket, with what was learnt of the forecasts' errors."""
        with self._lock:
            # A clock that stepped back must not make the past look like the future.
            moment = max(now, self._latest) if self._latest is not None else now
            return estimate_weather(rule, outlook, reports, self._errors, moment)

    def apply(self, record: Record) -> None:
        """Take in one journal record: a forecast beside its decision, or the high that settled it."""
        with self._lock:
            if record["kind"] == Kind.DECISION and record["estimate"].get("method") == METHOD:
                self._decision(record)
            elif record["kind"] == Kind.OUTCOME:
                self._outcome(record)

    def _decision(self, record: Record) -> None:
        facts, candidate = dict(record["estimate"]["facts"]), record["candidate"]
        lead, group = float(facts["lead_hours"]), candidate["group"]
        self._group_of[candidate["market"]] = group
        if lead < LAST_REPORTS_LEAD and facts["reported_high_f"] != "none":
            self._reports[group] = (float(facts["reported_high_f"]), float(facts["reports_per_hour"]))
        if facts["forecast_high_f"] != "none":
            # One forecast for each six hours of lead: a day is asked about many times, and is one day all the same.
            self._forecasts.setdefault(group, {})[int(lead // 6)] = (lead, float(facts["forecast_high_f"]))

    def _outcome(self, record: Record) -> None:
        group = self._group_of.pop(record["market"], None)
        high = _degrees(record["read_as"])
        if group is None or high is None:
            return
        moment = self._latest = datetime.fromisoformat(record["ts"])
        reports = self._reports.pop(group, None)
        if reports is not None:
            self._errors.learn_report(moment, reports[0], high, per_hour=reports[1])
        for lead, forecast in self._forecasts.pop(group, {}).values():
            self._errors.learn(moment, lead, forecast, high)


def _degrees(text: str) -> float | None:
    """Return the high a venue read, None where it names none that a day on earth has had."""
    try:
        high = float(text.split()[0].rstrip("°F"))
    except (ValueError, IndexError):
        return None
    return high if _is_weather(high) else None
