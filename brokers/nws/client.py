"""Weather of one station and the climate reports it is judged by.

Source: weather.gov, "API Web Service". Addresses in answers are absolute; only their path is used.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

from brokers.nws import climate_text, parse
from brokers.nws.config import NwsConfig
from brokers.nws.values import ClimateReport, DailyForecast, HourlyForecast, Observation
from brokers.rest import RestReader, readable
from domain.clock import Clock, iso, parse_iso
from domain.errors import Retry

T = TypeVar("T")
# A report about a day comes out between its afternoon and, corrected, some days later.
FIRST_REPORT, LAST_REPORT = timedelta(hours=12), timedelta(days=7)
# The most observations a request gives.
MOST = 500
_UNREADABLE = (KeyError, ValueError, TypeError, IndexError, AttributeError, ArithmeticError)


class NwsClient:
    """Reads the weather. Every call raises Retry when there is nothing to trust now, Refuse for an unknown place."""

    def __init__(self, config: NwsConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._rest = RestReader(
            "the weather service",
            config.url,
            {"User-Agent": config.user_agent, "Accept": "application/geo+json, application/ld+json;q=0.9"},
            connect_s=config.connect_timeout_s,
            read_s=config.read_timeout_s,
            attempts=config.read_attempts,
        )
        self._forecasts: dict[str, tuple[str, str]] = {}
        self._reports: dict[str, climate_text.Reading] = {}

    def forecast_highs(self, station: str) -> Sequence[DailyForecast]:
        """Return the forecast highs of the days to come, soonest first; today's is gone once its daytime is over."""
        found = self._read(f"the forecast of {station}", self._paths(station)[0], parse.daily)
        return self._fresh(f"the forecast of {station}", found, found[0].issued_at if found else None)

    def hourly(self, station: str) -> Sequence[HourlyForecast]:
        """Return the forecast temperatures of the hours to come, soonest first."""
        found = self._read(f"the hours of {station}", self._paths(station)[1], parse.hourly)
        return self._fresh(f"the hours of {station}", found, found[0].issued_at if found else None)

    def observations(self, station: str, since: datetime, until: datetime | None = None) -> Sequence[Observation]:
        """Return a station's reports from ``since`` to ``until`` (now unless given), oldest first.

        Reports without a temperature are left out, and so are those of another station.

        Raises:
            Retry: up to now was asked for, and the newest report is older than ``observation_max_age_s``.
        """
        what = f"observations of {station}"
        end = until or self._clock.now()
        rows = self._pages(what, station, since, end)
        own = [row for row in rows if row.station == station]
        if rows and not own:
            raise Retry(f"{what}", f"only those of {rows[0].station}", "ask again")
        told = sorted({row.at: row for row in own if row.temperature_f is not None}.values(), key=lambda row: row.at)
        if until is None:
            self._require_recent(what, told[-1].at if told else None, since)
        return [row for row in told if since <= row.at <= end]

    def cli_report(self, location: str, day: date) -> ClimateReport | None:
        """Return the newest final report about a day, else its newest one so far, else None.

        Args:
            location: of the product, ``NYC`` for CLINYC.

        Raises:
            Retry: there are reports from the right time, and none can be read or is about this place.
        """
        what = f"climate reports of {location}"
        begin = datetime.combine(day, time(), UTC) + FIRST_REPORT
        heads = self._read(
            what,
            f"/products/types/CLI/locations/{quote(location, safe='')}",
            lambda body: [(str(row["id"]), parse_iso(row["issuanceTime"])) for row in body["@graph"]],
        )
        wanted = [head for head in heads if begin <= head[1] <= begin + LAST_REPORT]
        newest_first = sorted(wanted, key=lambda head: head[1], reverse=True)
        return self._choose(what, location, day, newest_first)

    def close(self) -> None:
        """Give the connections back."""
        self._rest.close()

    def _pages(self, what: str, station: str, since: datetime, end: datetime) -> list[Observation]:
        """Read reports back to ``since``: each answer gives the newest it has room for."""
        found: list[Observation] = []
        last = end
        while True:
            page = self._read(
                what,
                f"/stations/{quote(station, safe='')}/observations",
                lambda body: [parse.observation(feature) for feature in body["features"]],
                start=_utc(since),
                end=_utc(last),
                limit=str(MOST),
            )
            found += page
            oldest = min((row.at for row in page), default=since)
            if len(page) < MOST or oldest <= since or oldest >= last:
                return found
            last = oldest - timedelta(seconds=1)

    def _choose(
        self, what: str, location: str, day: date, heads: Sequence[tuple[str, datetime]]
    ) -> ClimateReport | None:
        first_guess: ClimateReport | None = None
        problem = ""
        for product_id, issued_at in heads:
            try:
                reading = self._reading(product_id)
            except ValueError as error:
                problem = str(error)
                continue
            if reading.location != location:
                problem = f"a report of {reading.location}"
                continue
            if reading.day != day or reading.high_f is None:
                continue
            report = _report(location, reading, product_id, issued_at)
            if report.is_final:
                return report
            first_guess = first_guess or report
        if first_guess is None and problem:
            raise Retry(f"{what} about {day}", problem, "ask again")
        return first_guess

    def _reading(self, product_id: str) -> climate_text.Reading:
        """Return what a product says, which never changes: a correction is a product of its own.

        Raises:
            ValueError: its text cannot be read.
        """
        if product_id not in self._reports:
            body = self._rest.json("a climate report", f"/products/{quote(product_id, safe='')}")
            text = body.get("productText") if isinstance(body, dict) else None
            if not isinstance(text, str):
                raise ValueError("expected productText, found none")
            reading = climate_text.read(text)
            self._reports[product_id] = reading
        return self._reports[product_id]

    def _paths(self, station: str) -> tuple[str, str]:
        """Return the paths of a station's two forecasts, which stay the same for years."""
        if station not in self._forecasts:
            latitude, longitude = self._read(f"station {station}", f"/stations/{quote(station, safe='')}", parse.place)
            self._forecasts[station] = self._read(
                f"the grid of {station}",
                f"/points/{latitude},{longitude}",
                lambda body: (
                    self._rest.own_path(body["properties"]["forecast"]),
                    self._rest.own_path(body["properties"]["forecastHourly"]),
                ),
            )
        return self._forecasts[station]

    def _read(self, what: str, path: str, read: Callable[[Any], T], **params: str) -> T:
        body = self._rest.json(what, path, **params)
        try:
            return read(body)
        except _UNREADABLE as error:
            raise readable(what, error) from error

    def _fresh(self, what: str, found: Sequence[T], issued_at: datetime | None) -> Sequence[T]:
        if issued_at is None:
            raise Retry(what, "no period in it", "ask again")
        age_s = (self._clock.now() - issued_at).total_seconds()
        if age_s > self._config.forecast_max_age_s:
            raise Retry(what, f"one of {iso(issued_at)}, {age_s / 3600:.1f} h old", "ask again")
        return found

    def _require_recent(self, what: str, newest: datetime | None, since: datetime) -> None:
        """Refuse to pass a thermometer that fell silent off as one that shows nothing new."""
        age_s = (self._clock.now() - (newest or since)).total_seconds()
        if age_s > self._config.observation_max_age_s:
            found = "none with a temperature" if newest is None else f"none since {iso(newest)}"
            raise Retry(f"{what} of the last {self._config.observation_max_age_s / 3600:g} h", found, "ask again")


def _report(location: str, reading: climate_text.Reading, product_id: str, issued_at: datetime) -> ClimateReport:
    assert reading.high_f is not None
    return ClimateReport(
        station=location,
        day=reading.day,
        high_f=reading.high_f,
        is_final=reading.is_final,
        is_correction=reading.is_correction,
        issued_at=issued_at,
        product_id=product_id,
    )


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
