"""KXBTCD: whether bitcoin is above a strike at the full hour, seven strikes for every hour."""

import math
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial

from simulators.kalshi.catalogue.chances import below, kept_open
from simulators.kalshi.catalogue.codes import NEW_YORK, hour_code, spoken_date
from simulators.kalshi.listing import Listing, Series
from simulators.recordings.bitcoin import MINUTE, bar_at, last_close, source_of, trailing_volatility
from simulators.recordings.seeded import pick, wave

TICKER = "KXBTCD"
SERIES = Series(
    ticker=TICKER,
    title="Bitcoin price at the hour",
    category="Crypto",
    frequency="hourly",
    settlement_sources=(("CF Benchmarks", "https://www.cfbenchmarks.com/data/indices/BRTI"),),
)
_LIFE = timedelta(hours=3)
_STRIKES_EACH_SIDE = 3
_STEPS = (1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000)
# the market's volatility is wrong by this much (log), slowly changing
_MISPERCEPTION, _WAVE = 0.15, timedelta(hours=2)
_WINDOW_MINUTES = 120
_LEAST_VOLATILITY = 0.0002
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=16)
def of_day(day: date) -> tuple[Listing, ...]:
    """Return the contracts on the hours of a UTC date."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    hours = [start + timedelta(hours=hour) for hour in range(24)]
    # the hour that New York's clocks show twice is listed once
    return tuple(one for hour in hours if not hour.astimezone(NEW_YORK).fold for one in _of_hour(hour))


def _of_hour(hour: datetime) -> list[Listing]:
    price = last_close(hour - _LIFE)
    step = min(_STEPS, key=lambda width: abs(math.log(width / (price * 0.005))))
    centre = round(price / step) * step
    levels = [centre + step * place for place in range(-_STRIKES_EACH_SIDE, _STRIKES_EACH_SIDE + 1)]
    return [_listing(hour, level - 0.01) for level in levels]


def settlement_value(hour: datetime) -> float:
    """Return the price that settles an hour: the mean of open, high, low and close of the last minute before it."""
    last = bar_at(hour - MINUTE)
    return round((last.open + last.high + last.low + last.close) / 4, 2)


def chance_above(strike: float, hour: datetime, moment: datetime) -> float:
    """Return the synthetic market's chance: a digital option under the trailing volatility, seen a little wrong."""
    moment = moment.replace(second=0, microsecond=0)
    left = max((hour - moment) / MINUTE, 0.5)
    return kept_open(below(math.log(last_close(moment) / strike) / (perceived_volatility(moment) * math.sqrt(left))))


@lru_cache(maxsize=4096)
def perceived_volatility(moment: datetime) -> float:
    """Return the one-minute volatility the market believes in: that of two hours, times a seeded slow error."""
    error = _MISPERCEPTION * wave((moment - _EPOCH) / _WAVE, "misperception")
    return max(trailing_volatility(moment, _WINDOW_MINUTES), _LEAST_VOLATILITY) * math.exp(error)


def _listing(hour: datetime, strike: float) -> Listing:
    local = hour.astimezone(NEW_YORK)
    when = f"{spoken_date(local.date())} at {local.hour:02}:00 {local.tzname()}"
    event, label = f"{TICKER}-{hour_code(hour)}", f"${strike + 0.01:,.2f} or above"
    determined = hour + MINUTE
    value = settlement_value(hour)
    return Listing(
        ticker=f"{event}-T{strike:.2f}",
        event_ticker=event,
        series_ticker=TICKER,
        title=f"Bitcoin price above ${strike:,.2f} on {when}?",
        event_title=f"Bitcoin price on {when}?",
        yes_sub_title=label,
        no_sub_title=label,
        rules_primary=_primary(strike, when),
        rules_secondary=_SECONDARY,
        strike_type="greater",
        floor_strike=round(strike, 2),
        cap_strike=None,
        open_time=hour - _LIFE,
        close_time=hour,
        expected_expiration_time=hour + timedelta(minutes=5),
        latest_expiration_time=hour + timedelta(days=7),
        determined_at=determined,
        settled_at=determined + timedelta(minutes=3),
        result="yes" if value > strike else "no",
        expiration_value=f"{value:.2f}",
        can_close_early=False,
        mutually_exclusive=False,
        fair=partial(chance_above, strike, hour),
        half_spread=0.01,
        depth=100 + 50 * pick(5, "depth", event, f"{strike:.2f}"),
        note=_note(hour),
    )


def _primary(strike: float, when: str) -> str:
    return (
        f"If the mean price of bitcoin in dollars over the minute before {when} is above {strike:.2f}, "
        "then the market resolves to Yes."
    )


_SECONDARY = (
    "The price is the mean over the sixty seconds before the hour of the reference price of bitcoin in US dollars. "
    "It is compared unrounded with the strike; a mean equal to the strike resolves to No. Later revisions of the "
    "source are ignored. If the source publishes nothing for that minute, the market is void and every contract is "
    "paid at its last fair price."
)


def _note(hour: datetime) -> str:
    source = source_of((hour - MINUTE).date())
    return (
        f"Result: recorded BTC-USD minute bars of Coinbase, {source.isoformat()}, moved by whole days, level chained; "
        "the mean of open, high, low and close of the last minute stands for the sixty-second mean of the reference "
        "price. Strikes, price and size: synthetic (a digital under the trailing volatility with a seeded "
        "misperception)."
    )
