"""Forecasts of the grid cell of Central Park.

The high of a day is Open-Meteo's recorded forecast where there is one, else a SYNTHETIC one with the error that was
measured (simulators/recordings/outlook.py); lows, hours and everything but temperatures are synthetic. Temperatures are
whole degrees Fahrenheit, as the service gives them.
"""

import math
from datetime import date, datetime, time, timedelta
from typing import Any

from simulators.nws.place import LATITUDE, LONGITUDE, NEW_YORK
from simulators.nws.replies import CONTEXT, reply
from simulators.recordings.climate import date_of, midnight
from simulators.recordings.outlook import forecast_high_f, forecast_low_f, issued
from simulators.rest.service import Call
from simulators.rest.transport import Response

_HALF_DAYS, _HOURS = 14, 156
_DAY_STARTS, _NIGHT_STARTS = 6, 18
# when a forecast day is coldest and warmest, in hours of standard time
_COLDEST, _WARMEST = 6, 15
_HOUR = timedelta(hours=1)


def half_days(call: Call) -> Response:
    """Answer ``/gridpoints/{grid}/forecast``: days and nights."""
    periods: list[dict[str, Any]] = []
    start = call.now.astimezone(NEW_YORK).replace(minute=0, second=0, microsecond=0)
    while len(periods) < _HALF_DAYS:
        periods.append(_half_day(call, start))
        start = _half_day_end(start)
    if call.fault("missing_period") is not None:
        first = next(i for i, period in enumerate(periods) if period["isDaytime"])
        del periods[first]
    return _forecast(call, "BaselineForecastGenerator", periods, "P7DT12H")


def hourly(call: Call) -> Response:
    """Answer ``/gridpoints/{grid}/forecast/hourly``."""
    first = call.now.replace(minute=0, second=0, microsecond=0)
    starts = [first + step * _HOUR for step in range(_HOURS)]
    periods = [_hour(call, start) for start in starts]
    if call.fault("missing_period") is not None:
        tomorrow = date_of(call.now) + timedelta(days=1)
        gone = {start.astimezone(NEW_YORK).isoformat() for start in starts if date_of(start) == tomorrow}
        periods = [period for period in periods if period["startTime"] not in gone]
    return _forecast(call, "HourlyForecastGenerator", periods, "P7DT12H")


def _forecast(call: Call, generator: str, periods: list[dict[str, Any]], span: str) -> Response:
    for number, period in enumerate(periods, 1):
        period["number"] = number
    updated = issued(call.now).isoformat()
    corner = [[LONGITUDE + x, LATITUDE + y] for x, y in ((0, 0), (0, 0.02), (0.03, 0.02), (0.03, 0), (0, 0))]
    return reply(
        {
            "@context": CONTEXT,
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [corner]},
            "properties": {
                "updated": updated,
                "units": "us",
                "forecastGenerator": generator,
                "generatedAt": call.now.replace(microsecond=0).isoformat(),
                "updateTime": updated,
                "validTimes": f"{updated}/{span}",
                "elevation": {"unitCode": "wmoUnit:m", "value": 18.8976},
                "periods": periods,
            },
        }
    )


def _half_day_end(start: datetime) -> datetime:
    day, hour = start.date(), start.hour
    if _DAY_STARTS <= hour < _NIGHT_STARTS:
        return datetime.combine(day, time(_NIGHT_STARTS), NEW_YORK)
    following = day if hour < _DAY_STARTS else day + timedelta(days=1)
    return datetime.combine(following, time(_DAY_STARTS), NEW_YORK)


def _half_day(call: Call, start: datetime) -> dict[str, Any]:
    end = _half_day_end(start)
    daytime = end.hour == _NIGHT_STARTS
    if daytime:
        temperature = round(forecast_high_f(start.date(), call.now))
    else:
        temperature = round(forecast_low_f(end.date(), call.now))
    name, words = _name(call, start, daytime), "high" if daytime else "low"
    detail = f"Partly cloudy, with a {words} near {temperature}."
    return _period(start, end, daytime, temperature) | {"name": name, "detailedForecast": detail}


def _name(call: Call, start: datetime, daytime: bool) -> str:
    days = (start.date() - call.now.astimezone(NEW_YORK).date()).days
    if days == 0:
        if daytime:
            return "This Afternoon" if start.hour >= 12 else "Today"
        return "Overnight" if start.hour < _DAY_STARTS else "Tonight"
    return f"{start:%A}" if daytime else f"{start:%A} Night"


def _hour(call: Call, start: datetime) -> dict[str, Any]:
    local = start.astimezone(NEW_YORK)
    daytime = _DAY_STARTS <= local.hour < _NIGHT_STARTS
    return _period(local, (start + _HOUR).astimezone(NEW_YORK), daytime, round(_expected_f(call, start)))


def _expected_f(call: Call, moment: datetime) -> float:
    """Return the forecast temperature of a moment, between forecast lows and highs."""
    day = date_of(moment)
    hour = (moment - midnight(day)) / _HOUR
    night = 24 - _WARMEST + _COLDEST
    if hour < _COLDEST:
        first, last, part = _high(call, day, -1), _low(call, day, 0), (hour + 24 - _WARMEST) / night
    elif hour <= _WARMEST:
        first, last, part = _low(call, day, 0), _high(call, day, 0), (hour - _COLDEST) / (_WARMEST - _COLDEST)
    else:
        first, last, part = _high(call, day, 0), _low(call, day, 1), (hour - _WARMEST) / night
    return first + (last - first) * (1 - math.cos(math.pi * part)) / 2


def _high(call: Call, day: date, days: int) -> float:
    return forecast_high_f(day + timedelta(days=days), call.now)


def _low(call: Call, day: date, days: int) -> float:
    return forecast_low_f(day + timedelta(days=days), call.now)


def _period(start: datetime, end: datetime, daytime: bool, temperature: int) -> dict[str, Any]:
    celsius = (temperature - 32) / 1.8
    return {
        "number": 0,
        "name": "",
        "startTime": start.isoformat(),
        "endTime": end.isoformat(),
        "isDaytime": daytime,
        "temperature": temperature,
        "temperatureUnit": "F",
        "temperatureTrend": None,
        "probabilityOfPrecipitation": {"unitCode": "wmoUnit:percent", "value": 10},
        "dewpoint": {"unitCode": "wmoUnit:degC", "value": round(celsius - 6, 6)},
        "relativeHumidity": {"unitCode": "wmoUnit:percent", "value": 64},
        "windSpeed": "7 mph",
        "windDirection": "SW",
        "icon": f"https://api.weather.gov/icons/land/{'day' if daytime else 'night'}/sct?size=medium",
        "shortForecast": "Partly Sunny" if daytime else "Partly Cloudy",
        "detailedForecast": "",
    }
