"""What the weather service tells: forecasts, observations and daily climate reports, in degrees Fahrenheit."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyForecast:
    """The high forecast for one local day; ``issued_at`` is when the forecast was made."""

    day: date
    high_f: Decimal
    issued_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HourlyForecast:
    """The temperature forecast for the hour that starts at ``at``."""

    at: datetime
    temperature_f: Decimal
    issued_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One report of a station; ``temperature_f`` is None where the thermometer gave no value.

    ``is_exact`` says that tenths of a degree Celsius were reported. Without them the value went through whole degrees
    Celsius and may be a degree Fahrenheit off.
    """

    station: str
    at: datetime
    temperature_f: Decimal | None
    is_exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClimateReport:
    """The official high of one climate day, which begins at midnight local standard time.

    ``station`` is the report's own name of it, ``NYC`` in CLINYC. A report that is not final was issued while the day
    went on. ``is_correction`` marks one that replaces another.
    """

    station: str
    day: date
    high_f: Decimal
    is_final: bool
    is_correction: bool
    issued_at: datetime
    product_id: str
