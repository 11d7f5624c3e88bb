"""The weather stations whose reports settle contracts.

This module is the single authority for them. A station stands here only when the venue's own rule text was seen to
name it: a forecast for the airport across town is a forecast of something else.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """One place whose daily climate report settles a series.

    ``product`` is the report's name at the weather service, ``places`` the words by which a rule may name the place,
    in lower case; ``standard_offset_hours`` is local standard time, which the climate day keeps all year.
    """

    series: tuple[str, ...]
    station: str
    product: str
    location: str
    places: tuple[str, ...]
    standard_offset_hours: int


STATIONS = (
    Station(
        series=("KXHIGHNY", "HIGHNY"),
        station="KNYC",
        product="CLINYC",
        location="Central Park, New York",
        places=("central park, new york", "central park, ny", "central park, new york city", "new york central park"),
        standard_offset_hours=-5,
    ),
    # Rule text of KXHIGHCHI-26JAN23-T5: "recorded at Chicago Midway, IL". O'Hare (CLIORD) is another station.
    Station(
        series=("KXHIGHCHI", "HIGHCHI"),
        station="KMDW",
        product="CLIMDW",
        location="Chicago Midway, IL",
        places=("chicago midway, il", "chicago midway"),
        standard_offset_hours=-6,
    ),
    # Rule text of KXHIGHTHOU-26JUN02: "recorded at Houston ... CLIHOU ... the location Houston-Hobby, TX".
    Station(
        series=("KXHIGHTHOU",),
        station="KHOU",
        product="CLIHOU",
        location="Houston-Hobby, TX",
        places=("houston-hobby, tx", "houston-hobby", "houston"),
        standard_offset_hours=-6,
    ),
)
_BY_SERIES = {series: station for station in STATIONS for series in station.series}


def station_of(series: str) -> Station | None:
    """Return the station that settles ``series``, None where it is not known."""
    return _BY_SERIES.get(series)
