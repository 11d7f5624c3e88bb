"""What the service says about a point and about the stations near it."""

from typing import Any

from simulators.nws.place import CENTRAL_PARK, GRID, LATITUDE, LONGITUDE, OFFICE, REACH_DEGREES, Station
from simulators.nws.replies import CONTEXT, invalid, missing, moved, reply
from simulators.rest.service import Call
from simulators.rest.transport import Response

_DECIMALS = 4


def point(call: Call, text: str) -> Response:
    """Answer ``/points/{latitude},{longitude}``."""
    latitude, longitude = _coordinates(text)
    short = f"{_trimmed(latitude)},{_trimmed(longitude)}"
    if any(len(part.partition(".")[2]) > _DECIMALS for part in text.split(",")):
        return moved(f"{call.host}/points/{short}")
    if abs(latitude - LATITUDE) > REACH_DEGREES or abs(longitude - LONGITUDE) > REACH_DEGREES:
        raise missing(f"Data for the requested point {short}")
    url = f"{call.host}/points/{short}"
    return reply(
        {
            "@context": CONTEXT,
            "id": url,
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [longitude, latitude]},
            "properties": _properties(call.host, url),
        }
    )


def _properties(host: str, url: str) -> dict[str, Any]:
    x, y = (int(part) for part in GRID.partition("/")[2].split(","))
    return {
        "@id": url,
        "@type": "wx:Point",
        "cwa": OFFICE,
        "forecastOffice": f"{host}/offices/{OFFICE}",
        "gridId": OFFICE,
        "gridX": x,
        "gridY": y,
        "forecast": f"{host}/gridpoints/{GRID}/forecast",
        "forecastHourly": f"{host}/gridpoints/{GRID}/forecast/hourly",
        "forecastGridData": f"{host}/gridpoints/{GRID}",
        "observationStations": f"{host}/gridpoints/{GRID}/stations",
        "relativeLocation": {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [-74.0279259, 40.7858]},
            "properties": {
                "city": "West New York",
                "state": "NJ",
                "distance": {"unitCode": "wmoUnit:m", "value": 4935.2},
                "bearing": {"unitCode": "wmoUnit:degree_(angle)", "value": 98},
            },
        },
        "forecastZone": f"{host}/zones/forecast/NYZ072",
        "county": f"{host}/zones/county/NYC061",
        "fireWeatherZone": f"{host}/zones/fire/NYZ212",
        "timeZone": "America/New_York",
        "radarStation": "KDIX",
    }


def _coordinates(text: str) -> tuple[float, float]:
    try:
        latitude, longitude = (float(part) for part in text.split(","))
    except ValueError as exc:
        raise invalid("point", f"expected latitude,longitude; found {text!r}") from exc
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise invalid("point", f"expected a point on earth; found {text!r}")
    return latitude, longitude


def _trimmed(value: float) -> str:
    return f"{value:.{_DECIMALS}f}".rstrip("0").rstrip(".")


def stations(call: Call) -> Response:
    """Answer ``/gridpoints/{grid}/stations``."""
    url = f"{call.host}/stations/{CENTRAL_PARK.id}"
    return reply(
        {
            "@context": CONTEXT,
            "type": "FeatureCollection",
            "features": [station_feature(call.host, CENTRAL_PARK)],
            "observationStations": [url],
            "pagination": {"next": f"{call.host}/stations?limit=500"},
        }
    )


def station(call: Call) -> Response:
    """Answer ``/stations/{id}``."""
    return reply({"@context": CONTEXT, **station_feature(call.host, CENTRAL_PARK)})


def station_feature(host: str, place: Station) -> dict[str, Any]:
    """Return a station as a feature."""
    url = f"{host}/stations/{place.id}"
    return {
        "id": url,
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [place.longitude, place.latitude]},
        "properties": {
            "@id": url,
            "@type": "wx:ObservationStation",
            "elevation": {"unitCode": "wmoUnit:m", "value": place.elevation_m},
            "stationIdentifier": place.id,
            "name": place.name,
            "timeZone": "America/New_York",
            "forecast": f"{host}/zones/forecast/NYZ072",
            "county": f"{host}/zones/county/NYC061",
            "fireWeatherZone": f"{host}/zones/fire/NYZ212",
        },
    }
