"""The one place this service knows: Central Park, its grid cell and its station."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
LATITUDE, LONGITUDE = 40.7794, -73.9692
# points further away than this are answered with 404
REACH_DEGREES = 0.25
GRID = "OKX/34,45"
OFFICE, OFFICE_STATION = "OKX", "KOKX"


@dataclass(frozen=True, slots=True)
class Station:
    """A station and the heading of its climate report."""

    id: str
    name: str
    climate_id: str
    title: str
    longitude: float
    latitude: float
    elevation_m: float


CENTRAL_PARK = Station("KNYC", "New York City, Central Park", "NYC", "CENTRAL PARK NY", -73.9692, 40.7794, 46.9392)
# what a request is answered with when the script mixes the stations up; it runs warmer by this much
LA_GUARDIA = Station("KLGA", "New York, La Guardia Airport", "LGA", "LA GUARDIA NY", -73.8803, 40.7794, 8.8392)
LA_GUARDIA_WARMER_F = 3
