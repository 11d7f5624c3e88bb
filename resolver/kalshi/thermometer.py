"""The weather service as a witness: its climate report, and before that a thermometer that rules a bracket out."""

from decimal import Decimal

from brokers.nws.client import NwsClient
from domain.clock import Clock
from domain.contract import RuleKind, SettlementRule
from domain.ledger.position import Position
from domain.vocabulary import ResolutionSource
from resolver.kalshi.sighting import Sighting

ONE, ZERO = Decimal(1), Decimal(0)
# Reports go from Fahrenheit to Celsius and back: the official high may be a degree below the highest of them.
ALLOWANCE_F = Decimal(2)
NWS = ResolutionSource.NWS_OBSERVATION


class Thermometer:
    """Looks up the daily high a contract is about; silent about everything else."""

    def __init__(self, nws: NwsClient, clock: Clock) -> None:
        self._nws = nws
        self._clock = clock

    def look(self, position: Position, rule: SettlementRule) -> Sighting | None:
        """Return what the final report says once there is one, and until then what a maximum has ruled out."""
        if rule.kind is not RuleKind.DAILY_HIGH or rule.begins_at is None or rule.observed_on is None:
            return None
        now = self._clock.now()
        if now < rule.begins_at:
            return None
        return self._reported(rule) if now >= rule.ends_at else self._observed(rule)

    def _reported(self, rule: SettlementRule) -> Sighting | None:
        if rule.observed_on is None:
            return None
        report = self._nws.cli_report(rule.source.rpartition("CLI")[2], rule.observed_on)
        if report is None or not report.is_final:
            return None
        correction = ", corrected" if report.is_correction else ""
        said = f"high {report.high_f} {rule.unit} in {report.station} of {report.day}{correction}"
        return Sighting(source=NWS, value=ONE if rule.decides(report.high_f) else ZERO, outcome=said)

    def _observed(self, rule: SettlementRule) -> Sighting | None:
        """Return what no later hour can change: a maximum only rises."""
        if rule.begins_at is None:
            return None
        seen = self._nws.observations(rule.station, rule.begins_at)
        told = [one.temperature_f for one in seen if one.temperature_f is not None]
        if not told:
            return None
        highest = max(told)
        if rule.high is not None and highest > rule.high + ALLOWANCE_F:
            return Sighting(source=NWS, value=ZERO, outcome=f"no: {rule.station} is above {rule.high} {rule.unit}")
        if rule.high is None and rule.low is not None and highest >= rule.low + ALLOWANCE_F:
            return Sighting(source=NWS, value=ONE, outcome=f"yes: {rule.station} is above {rule.low} {rule.unit}")
        return None
