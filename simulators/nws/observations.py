"""Observations of Central Park: SYNTHETIC readings through the recorded low and high of each climate day.

The station reports every five minutes and, with a METAR in full, at 51 minutes past each hour. A report can be read
four minutes after its time. Temperatures are given in tenths of a degree Celsius, so that the warmest report of a day,
back in Fahrenheit and rounded, is the recorded high.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from simulators.nws.place import CENTRAL_PARK, LA_GUARDIA, LA_GUARDIA_WARMER_F, Station
from simulators.nws.replies import CONTEXT, invalid, missing, reply
from simulators.recordings.climate import date_of
from simulators.recordings.seeded import pick, wave
from simulators.recordings.thermometer import report_times, temperature_f
from simulators.rest.faults import Json, parse_moment
from simulators.rest.service import Call
from simulators.rest.transport import Response

_LAG, _KEPT, _LIMIT = timedelta(minutes=4), timedelta(days=7), 500
_HOURLY_MINUTE = 51
_STALE_MINUTES = 180.0


def latest(call: Call) -> Response:
    """Answer ``/stations/{id}/observations/latest``."""
    newest = next(_times(call.now - _lag(call), call.now - _KEPT))
    return reply({"@context": CONTEXT, **_feature(call, newest, _bends(call))})


def listed(call: Call) -> Response:
    """Answer ``/stations/{id}/observations``, the newest first."""
    query = call.request.query
    end = min(_moment(query, "end") or call.now, call.now - _lag(call))
    start = max(_moment(query, "start") or call.now - _KEPT, call.now - _KEPT)
    limit, bends = _count(query), _bends(call)
    features = []
    for time in _times(end, start):
        features.append(_feature(call, time, bends))
        if len(features) == limit:
            break
    return reply({"@context": CONTEXT, "type": "FeatureCollection", "features": features})


def at(call: Call, text: str) -> Response:
    """Answer ``/stations/{id}/observations/{time}``."""
    try:
        time = parse_moment(text)
    except ValueError as exc:
        raise invalid("time", str(exc)) from exc
    if time > call.now - _LAG or time not in report_times(date_of(time)):
        raise missing("The requested observation")
    return reply({"@context": CONTEXT, **_feature(call, time, _bends(call))})


def _lag(call: Call) -> timedelta:
    if (stale := call.fault("stale_observation")) is not None:
        return timedelta(minutes=stale.get("minutes", _STALE_MINUTES))
    return _LAG


def _bends(call: Call) -> set[str]:
    names = ("null_temperature", "wrong_station", "coarse_observations")
    return {name for name in names if call.fault(name) is not None}


def _times(newest: datetime, oldest: datetime) -> Iterator[datetime]:
    day = date_of(newest)
    while day >= date_of(oldest):
        yield from (time for time in reversed(report_times(day)) if oldest <= time <= newest)
        day -= timedelta(days=1)


def _moment(query: dict[str, str], name: str) -> datetime | None:
    if name not in query:
        return None
    try:
        # a plus sign that was not escaped arrives as a blank
        return parse_moment(query[name].replace(" ", "+"))
    except ValueError as exc:
        raise invalid(name, str(exc)) from exc


def _count(query: dict[str, str]) -> int:
    text = query.get("limit", str(_LIMIT))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _LIMIT:
        raise invalid("limit", f"expected 1 to {_LIMIT}; found {text!r}")
    return int(text)


def _feature(call: Call, time: datetime, bends: set[str]) -> dict[str, Any]:
    place = LA_GUARDIA if "wrong_station" in bends else CENTRAL_PARK
    url = f"{call.host}/stations/{place.id}/observations/{time.isoformat()}"
    return {
        "id": url,
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [place.longitude, place.latitude]},
        "properties": {"@id": url, "@type": "wx:ObservationStation", **_properties(call.host, place, time, bends)},
    }


def _properties(host: str, place: Station, time: datetime, bends: set[str]) -> dict[str, Any]:
    warmer = LA_GUARDIA_WARMER_F if place is LA_GUARDIA else 0
    celsius = round((temperature_f(time) + warmer - 32) / 1.8, 1)
    hourly = time.minute == _HOURLY_MINUTE
    if "coarse_observations" in bends and not hourly:
        celsius = float(round(celsius))
    dewpoint = round(celsius - 4 - 2 * pick(3, "dewpoint", date_of(time)), 1)
    pressure = 101600 + round(300 * wave(time.timestamp() / 21600, "pressure") / 10) * 10
    gone = "null_temperature" in bends
    return {
        "elevation": {"unitCode": "wmoUnit:m", "value": place.elevation_m},
        "station": f"{host}/stations/{place.id}",
        "timestamp": time.isoformat(),
        "rawMessage": _metar(place.id, time, celsius, dewpoint, pressure) if hourly and not gone else "",
        "textDescription": "Partly Cloudy",
        "icon": "https://api.weather.gov/icons/land/day/sct?size=medium",
        "presentWeather": [],
        "temperature": _value("wmoUnit:degC", None if gone else celsius, "Z" if gone else "V"),
        "dewpoint": _value("wmoUnit:degC", dewpoint, "V"),
        "windDirection": _value("wmoUnit:degree_(angle)", 230, "V"),
        "windSpeed": _value("wmoUnit:km_h-1", 11.16, "V"),
        "windGust": _value("wmoUnit:km_h-1", None, "Z"),
        "barometricPressure": _value("wmoUnit:Pa", pressure, "V"),
        "seaLevelPressure": _value("wmoUnit:Pa", pressure + 10, "V"),
        "visibility": _value("wmoUnit:m", 16090, "C"),
        "maxTemperatureLast24Hours": {"unitCode": "wmoUnit:degC", "value": None},
        "minTemperatureLast24Hours": {"unitCode": "wmoUnit:degC", "value": None},
        "precipitationLastHour": _value("wmoUnit:m", None, "Z"),
        "precipitationLast3Hours": _value("wmoUnit:m", None, "Z"),
        "precipitationLast6Hours": _value("wmoUnit:m", None, "Z"),
        "relativeHumidity": _value("wmoUnit:percent", round(100 - 5 * (celsius - dewpoint), 6), "V"),
        "windChill": _value("wmoUnit:degC", None, "V"),
        "heatIndex": _value("wmoUnit:degC", None, "V"),
        "cloudLayers": [{"base": {"unitCode": "wmoUnit:m", "value": 1520}, "amount": "SCT"}],
    }


def _value(unit: str, value: float | None, quality: str) -> Json:
    return {"unitCode": unit, "value": value, "qualityControl": quality}


def _metar(station: str, time: datetime, celsius: float, dewpoint: float, pressure: int) -> str:
    inches = round(pressure / 3386.39 * 100)
    whole = "/".join(_signed(value, "M", 1, 2) for value in (celsius, dewpoint))
    tenths = "".join(_signed(value, "1", 10, 3, plus="0") for value in (celsius, dewpoint))
    sea_level = round(pressure / 10) % 1000
    when = time.astimezone(UTC)
    return f"{station} {when:%d%H%M}Z 23006KT 10SM SCT050 {whole} A{inches} RMK AO2 SLP{sea_level:03} T{tenths}"


def _signed(value: float, minus: str, scale: int, width: int, plus: str = "") -> str:
    # METAR rounds half a degree up, also below zero
    number = int((value * scale + 0.5) // 1) if scale == 1 else round(value * scale)
    return f"{minus if value < 0 else plus}{abs(number):0{width}}"
