"""KXHIGHNY: the highest temperature of Central Park on one climate day, six contracts a day."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache, partial

from simulators.kalshi.catalogue.codes import date_code, spoken_date
from simulators.kalshi.catalogue.temperature_market import chance_between, first_guess_f
from simulators.kalshi.listing import Listing, Series
from simulators.recordings.climate import climate_day, final_report_time, midnight
from simulators.recordings.outlook import is_recorded
from simulators.recordings.seeded import pick

TICKER = "KXHIGHNY"
SERIES = Series(
    ticker=TICKER,
    title="Highest temperature in NYC",
    category="Climate and Weather",
    frequency="daily",
    settlement_sources=(
        ("National Weather Service", "https://forecast.weather.gov/product.php?site=OKX&product=CLI&issuedby=NYC"),
    ),
)
_BRACKETS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Strike:
    """What one of the six contracts pays for; ``lowest`` and ``highest`` are whole degrees, None is without end."""

    suffix: str
    kind: str
    floor: float | None
    cap: float | None
    lowest: int | None
    highest: int | None
    label: str
    words: str

    def holds(self, high_f: int) -> bool:
        return (self.lowest is None or high_f >= self.lowest) and (self.highest is None or high_f <= self.highest)


def _strikes(bottom: int) -> list[_Strike]:
    """Return the lower tail, four brackets of two degrees from ``bottom`` up, and the upper tail."""
    top = bottom + 2 * _BRACKETS - 1
    lower = _Strike(
        suffix=f"T{bottom}", kind="less", floor=None, cap=float(bottom), lowest=None, highest=bottom - 1,
        label=f"{bottom - 1}° or below", words=f"less than {bottom}°",
    )  # fmt: skip
    upper = _Strike(
        suffix=f"T{top}", kind="greater", floor=float(top), cap=None, lowest=top + 1, highest=None,
        label=f"{top + 1}° or above", words=f"greater than {top}°",
    )  # fmt: skip
    return [lower, *(_bracket(low) for low in range(bottom, top, 2)), upper]


def _bracket(low: int) -> _Strike:
    return _Strike(
        suffix=f"B{low}.5", kind="between", floor=float(low), cap=float(low + 1), lowest=low, highest=low + 1,
        label=f"{low}° to {low + 1}°", words=f"between {low}-{low + 1}°",
    )  # fmt: skip


def opens(day: date) -> datetime:
    """Return when trading of a climate day begins: 14:00 UTC the day before."""
    return midnight(day) - timedelta(hours=15)


@lru_cache(maxsize=64)
def of_day(day: date) -> tuple[Listing, ...]:
    """Return the contracts on one climate day."""
    bottom = round(first_guess_f(day, opens(day))) - 4 + pick(2, "strikes", day)
    return tuple(_listing(day, strike) for strike in _strikes(bottom))


def _listing(day: date, strike: _Strike) -> Listing:
    event, when = f"{TICKER}-{date_code(day)}", spoken_date(day)
    closes = midnight(day) + timedelta(hours=24, minutes=-1)
    determined = final_report_time(day) + timedelta(minutes=10)
    recorded = climate_day(day)
    fair: Callable[[datetime], float] = partial(chance_between, day, strike.lowest, strike.highest)
    return Listing(
        ticker=f"{event}-{strike.suffix}",
        event_ticker=event,
        series_ticker=TICKER,
        title=f"Will the high temp in NYC be {strike.words} on {when}?",
        event_title=f"Highest temperature in NYC on {when}?",
        yes_sub_title=strike.label,
        no_sub_title=strike.label,
        rules_primary=_primary(strike.words, when),
        rules_secondary=_SECONDARY,
        strike_type=strike.kind,
        floor_strike=strike.floor,
        cap_strike=strike.cap,
        open_time=opens(day),
        close_time=closes,
        expected_expiration_time=midnight(day) + timedelta(hours=34),
        latest_expiration_time=midnight(day) + timedelta(days=8),
        determined_at=determined,
        settled_at=determined + timedelta(minutes=45),
        result="yes" if strike.holds(recorded.high_f) else "no",
        expiration_value=str(recorded.high_f),
        can_close_early=True,
        mutually_exclusive=True,
        fair=fair,
        half_spread=0.01,
        depth=150 + 50 * pick(5, "depth", event, strike.suffix),
        note=_note(day),
    )


def _primary(words: str, when: str) -> str:
    return (
        f"If the highest temperature recorded at Central Park, New York (CLINYC) for {when} is {words} fahrenheit "
        "according to the National Weather Service's Climatological Report (Daily), then the market resolves to Yes."
    )


_SECONDARY = (
    "The source is the Climatological Report (Daily) for Central Park, issued by the National Weather Service as "
    "CLINYC; it gives whole degrees fahrenheit, and nothing is rounded here. The day runs from midnight to midnight "
    "of local standard time, also in summer. A preliminary report of the same day, hourly or five-minute "
    "observations and other stations do not count. The first final report counts, with any correction issued before "
    "expiration; revisions after expiration are ignored. If no final report is issued within seven days, the market "
    "is void and every contract is paid at its last fair price."
)


def _note(day: date) -> str:
    recorded = climate_day(day)
    lead = "recorded (Open-Meteo)" if is_recorded(day) else "synthetic (recorded high with a seeded error)"
    return (
        f"Result: recorded CLI high of {recorded.source.isoformat()}, moved by whole weeks. Strikes, price, size and "
        f"hours of the reports: synthetic. The price follows a forecast, {lead}, and synthetic observations through "
        "the recorded low and high."
    )
