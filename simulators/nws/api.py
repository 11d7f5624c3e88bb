"""Routes of the weather service."""

import re
from collections.abc import Callable
from datetime import datetime

from simulators.nws import forecasts, observations, points, products
from simulators.nws.place import CENTRAL_PARK, GRID
from simulators.nws.replies import failed, missing, moved, problem
from simulators.recordings.climate import climate_day, date_of
from simulators.recordings.outlook import is_recorded
from simulators.rest.faults import NUMBER, Action, Json, one_of
from simulators.rest.service import Call, Kind, Refused
from simulators.rest.transport import Response

_OBSERVATIONS, _PRODUCTS, _FORECASTS = "/stations/*/observations*", "/products*", "/gridpoints/*/forecast*"
_WHOLE = ("a whole number of degrees from 1", lambda value: type(value) is int and value > 0)
ACTIONS = {
    "null_temperature": Action(path=_OBSERVATIONS),
    "stale_observation": Action({"minutes": NUMBER}, path=_OBSERVATIONS),
    "coarse_observations": Action(path=_OBSERVATIONS),
    "wrong_station": Action(),
    "missing_period": Action(path=_FORECASTS),
    "no_cli": Action({"hours": NUMBER}, path=_PRODUCTS),
    "corrected_cli": Action({"degrees": _WHOLE, "issue": one_of("preliminary", "final")}, path=_PRODUCTS),
    "redirect": Action(),
}
_STATION, _GRID = f"/stations/{CENTRAL_PARK.id}", f"/gridpoints/{GRID}"
_CLI = "/products/types/CLI/locations"
_PLAIN: dict[str, Callable[[Call], Response]] = {
    f"{_GRID}/forecast": forecasts.half_days,
    f"{_GRID}/forecast/hourly": forecasts.hourly,
    f"{_GRID}/stations": points.stations,
    _STATION: points.station,
    f"{_STATION}/observations": observations.listed,
    f"{_STATION}/observations/latest": observations.latest,
    _CLI: products.types,
    f"{_CLI}/{CENTRAL_PARK.climate_id}": products.listed,
    f"{_CLI}/{CENTRAL_PARK.climate_id}/latest": products.latest,
}
_WITH_NAME: tuple[tuple[re.Pattern[str], Callable[[Call, str], Response]], ...] = (
    (re.compile(r"/points/([^/]+)\Z"), points.point),
    (re.compile(rf"{_STATION}/observations/([^/]+)\Z"), observations.at),
    (re.compile(r"/products/([0-9a-f-]{36})\Z"), products.one),
)


def answer(call: Call) -> Response:
    """Return the reply to a request.

    Raises:
        Refused: it is answered with a problem.
    """
    if not call.request.headers.get("user-agent", "").strip():
        raise Refused(problem(403, "A User-Agent that names your application is required.", "Forbidden"))
    if call.request.method != "GET":
        raise Refused(problem(405, f"{call.request.method} is not allowed here.", "MethodNotAllowed"))
    if "redirected" not in call.request.query and call.fault("redirect") is not None:
        return moved(f"{call.host}{call.path}?redirected=1")
    if (plain := _PLAIN.get(call.path)) is not None:
        return plain(call)
    for pattern, named in _WITH_NAME:
        if (found := pattern.match(call.path)) is not None:
            return named(call, found[1])
    raise missing(call.path)


def _source(now: datetime) -> Json:
    day = climate_day(date_of(now))
    forecast = "recorded, Open-Meteo" if is_recorded(day.day) else "synthetic"
    return {
        "climate_day": day.day.isoformat(),
        "recorded_on": day.source.isoformat(),
        "high_and_low": "recorded, shown once observed",
        "observations": "synthetic",
        "forecast_of_the_high": forecast,
    }


KIND = Kind(name="simulators.nws", answer=answer, actions=ACTIONS, fail=failed, source=_source)
