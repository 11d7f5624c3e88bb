"""The weather service's GeoJSON read into values."""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from brokers.nws.values import DailyForecast, HourlyForecast, Observation
from domain.clock import parse_iso

Json = Mapping[str, Any]
# A METAR's remark with tenths of a degree: T02280183 is 22.8, its dew point 18.3; a leading 1 is a minus.
_TENTHS = re.compile(r"\bT([01])(\d{3})[01]\d{3}\b")
_CENTIDEGREE = Decimal("0.01")


def fahrenheit(celsius: Decimal) -> Decimal:
    return (celsius * 9 / 5 + 32).quantize(_CENTIDEGREE)


def observation(feature: Json) -> Observation:
    """Read one report; the tenths of its METAR win over the value, which some stations round."""
    data = feature["properties"]
    tenths = _TENTHS.search(str(data.get("rawMessage") or ""))
    value = None
    if tenths is not None:
        value = fahrenheit(Decimal(tenths[2]) / 10 * (-1 if tenths[1] == "1" else 1))
    elif (data.get("temperature") or {}).get("value") is not None:
        value = _in_fahrenheit(data["temperature"])
    return Observation(
        station=str(data["station"]).rstrip("/").rpartition("/")[2],
        at=parse_iso(data["timestamp"]),
        temperature_f=value,
        is_exact=tenths is not None,
    )


def daily(body: Json) -> list[DailyForecast]:
    """Read the highs of the half-day forecast: those of its daytime periods, by the local day they lie in."""
    data = body["properties"]
    issued_at = _issued(data)
    return [
        DailyForecast(
            day=datetime.fromisoformat(period["startTime"]).date(),
            high_f=_period_f(period),
            issued_at=issued_at,
        )
        for period in data["periods"]
        if period["isDaytime"] and period.get("temperature") is not None
    ]


def hourly(body: Json) -> list[HourlyForecast]:
    data = body["properties"]
    issued_at = _issued(data)
    return [
        HourlyForecast(at=parse_iso(period["startTime"]), temperature_f=_period_f(period), issued_at=issued_at)
        for period in data["periods"]
        if period.get("temperature") is not None
    ]


def place(feature: Json) -> tuple[str, str]:
    """Return latitude and longitude with the four decimals the service takes."""
    longitude, latitude = feature["geometry"]["coordinates"][:2]
    return _trimmed(latitude), _trimmed(longitude)


def _issued(data: Json) -> datetime:
    return parse_iso(data.get("updateTime") or data.get("updated") or data["generatedAt"])


def _period_f(period: Json) -> Decimal:
    """Read a period's temperature: a whole number with its unit beside it, or a value with its unit inside."""
    value = period["temperature"]
    if isinstance(value, Mapping):
        return _in_fahrenheit(value)
    unit, degrees = period["temperatureUnit"], _number(value)
    if unit not in ("F", "C"):
        raise ValueError(f"expected temperatureUnit F or C, found {unit!r}")
    return degrees if unit == "F" else fahrenheit(degrees)


def _in_fahrenheit(quantity: Json) -> Decimal:
    unit, degrees = str(quantity.get("unitCode")), _number(quantity["value"])
    if not unit.endswith(("degC", "degF")):
        raise ValueError(f"expected unitCode degC or degF, found {unit!r}")
    return degrees if unit.endswith("degF") else fahrenheit(degrees)


def _number(value: Any) -> Decimal:
    if isinstance(value, bool):
        raise ValueError("expected a number, found a truth value")
    # Some replies carry float dust: 22.800000000000001.
    number = Decimal(repr(round(value, 6)) if isinstance(value, float) else str(value))
    if not number.is_finite():
        raise ValueError(f"expected a finite number, found {value!r}")
    return number


def _trimmed(value: Any) -> str:
    return f"{float(value):.4f}".rstrip("0").rstrip(".")
