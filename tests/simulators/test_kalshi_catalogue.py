"""What the simulated Kalshi lists: tickers, lives, rules, results, and a worth that knows no outcome ahead of time."""

import json
import re
import statistics
import subprocess
import sys
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from simulators.kalshi.catalogue import bitcoin as hourly
from simulators.kalshi.catalogue import catalogue, highs, temperature_market
from simulators.kalshi.catalogue import questions as asked
from simulators.kalshi.listing import Listing
from simulators.recordings import bitcoin, climate, outlook, questions

ROOT = Path(__file__).parents[2]
DEMO = date(2014, 5, 6)
START = datetime(2014, 5, 6, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def day_of_all():
    return catalogue(START).listings(START, START + timedelta(days=1))


def of(listings, prefix):
    return [one for one in listings if one.series_ticker.startswith(prefix)]


def test_start_without_an_offset_is_refused():
    with pytest.raises(ValueError, match="expected a time with an offset"):
        catalogue(datetime(2014, 5, 6, 7))  # noqa: DTZ001 - a naive time is the point


def test_listings_come_in_the_order_of_opening_once_each_and_overlap_the_span(day_of_all):
    tickers = [one.ticker for one in day_of_all]

    assert len(set(tickers)) == len(tickers)
    assert [one.open_time for one in day_of_all] == sorted(one.open_time for one in day_of_all)
    assert all(one.open_time < START + timedelta(days=1) and one.settled_at >= START for one in day_of_all)


def test_neighbouring_spans_miss_no_contract():
    whole = catalogue(START).listings(START, START + timedelta(days=2))
    parts = [catalogue(START).listings(START + HOUR * step, START + HOUR * (step + 1)) for step in range(48)]

    assert {one.ticker for part in parts for one in part} == {one.ticker for one in whole}


def test_every_listing_is_whole(day_of_all):
    series = {one.ticker: one for one in catalogue(START).series()}
    for one in day_of_all:
        times = (one.open_time, one.close_time, one.determined_at, one.settled_at, one.latest_expiration_time)
        assert list(times) == sorted(times)
        assert one.close_time < one.determined_at
        assert all(time.utcoffset() == timedelta(0) for time in times)
        assert one.result in ("yes", "no")
        assert one.series_ticker in series
        assert one.ticker.startswith(one.event_ticker)
        assert one.event_ticker.startswith(one.series_ticker + "-")
        assert one.rules_primary.endswith("resolves to Yes.")
        assert "void" in one.rules_secondary
        assert "ignored" in one.rules_secondary
        assert "ynthetic" in one.note
        assert "ecorded" in one.note
        assert 0 < one.fair(one.open_time) < 1
        assert 0 < one.fair(one.close_time - timedelta(seconds=1)) < 1


def test_no_contracts_share_a_ticker_within_two_weeks():
    listed = catalogue(START).listings(START, START + timedelta(days=14))

    assert len({one.ticker for one in listed}) == len(listed)


def test_a_climate_day_has_six_contracts_that_cover_every_degree_once():
    listed = highs.of_day(DEMO)

    assert [one.strike_type for one in listed] == ["less", *["between"] * 4, "greater"]
    for degree in range(-30, 120):
        holding = [one for one in listed if holds(one, degree)]
        assert len(holding) == 1


def holds(one, degree):
    """Tell what the strikes, as they stand on the wire, say about a temperature."""
    if one.strike_type == "less":
        return degree < one.cap_strike
    if one.strike_type == "greater":
        return degree > one.floor_strike
    return one.floor_strike <= degree <= one.cap_strike


@pytest.mark.parametrize("step", range(0, 105, 4))
def test_the_recorded_high_decides_a_climate_day(step):
    day = climate.FIRST + timedelta(days=step)
    high = climate.climate_day(day).high_f

    for one in highs.of_day(day):
        assert one.result == ("yes" if holds(one, high) else "no")
        assert one.expiration_value == str(high)


def test_weather_contracts_name_the_clocks_date_station_source_and_hours():
    bracket = highs.of_day(DEMO)[1]

    assert re.fullmatch(r"KXHIGHNY-14MAY06-B\d+\.5", bracket.ticker)
    assert bracket.event_ticker == "KXHIGHNY-14MAY06"
    assert "May 6, 2014" in bracket.title
    assert "2026" not in bracket.title + bracket.rules_primary
    for words in ("Central Park", "CLINYC", "Climatological Report (Daily)", "fahrenheit", "May 6, 2014"):
        assert words in bracket.rules_primary
    for words in ("whole degrees", "local standard time", "preliminary", "revisions after expiration", "void"):
        assert words in bracket.rules_secondary
    assert "2026-02-17" in bracket.note
    assert bracket.open_time == datetime(2014, 5, 5, 14, tzinfo=UTC)
    assert bracket.close_time == datetime(2014, 5, 7, 4, 59, tzinfo=UTC)
    assert datetime(2014, 5, 7, 6, 15, tzinfo=UTC) < bracket.determined_at < datetime(2014, 5, 7, 7, tzinfo=UTC)
    assert bracket.determined_at > climate.final_report_time(DEMO)
    assert bracket.settled_at > bracket.determined_at


def test_weather_prices_add_up_to_about_one_and_sharpen_through_the_day():
    scores = {hour: [] for hour in (1, 20, 29, 37)}
    for step in range(0, 105, 3):
        listed = highs.of_day(climate.FIRST + timedelta(days=step))
        for hour, found in scores.items():
            prices = [one.fair(one.open_time + hour * HOUR) for one in listed]
            assert 0.98 < sum(prices) < 1.05
            results = [one.result == "yes" for one in listed]
            found.append(sum((p - r) ** 2 for p, r in zip(prices, results, strict=True)))
    means = [statistics.mean(found) for found in scores.values()]

    # six contracts, one of them yes: knowing nothing scores 0.83
    assert 0.83 > means[0] > means[2] > means[3]
    assert means[1] > 0.5
    assert means[3] < 0.1


def test_markets_own_error_knows_nothing_of_the_high_to_come():
    days = [climate.FIRST + timedelta(days=step) for step in range(climate.DAYS)]
    for hours in (-10, 0, 8):
        moments = [climate.midnight(day) + hours * HOUR for day in days]
        forecasts = [outlook.forecast_high_f(day, moment) for day, moment in zip(days, moments, strict=True)]
        guesses = [temperature_market.first_guess_f(day, moment) for day, moment in zip(days, moments, strict=True)]
        own = [guess - forecast for guess, forecast in zip(guesses, forecasts, strict=True)]
        missed = [climate.climate_day(day).high_f - forecast for day, forecast in zip(days, forecasts, strict=True)]

        # by chance alone 105 days give 0.1
        assert abs(statistics.correlation(own, missed)) < 0.25
        assert statistics.pstdev(own) > 0.4


def test_weather_price_stands_still_between_two_reports():
    for one in highs.of_day(DEMO):
        late = climate.midnight(DEMO) + timedelta(hours=22, minutes=1)

        assert one.fair(late) == one.fair(late + timedelta(minutes=3))


def test_bracket_below_what_was_observed_is_worth_next_to_nothing():
    evening = climate.midnight(DEMO) + timedelta(hours=20)
    high = climate.climate_day(DEMO).high_f

    for one in highs.of_day(DEMO):
        if one.cap_strike is not None and one.cap_strike < high - 1:
            assert one.fair(evening) == pytest.approx(0.005)
        if one.result == "yes":
            assert one.fair(evening) > 0.8


def test_bitcoin_hour_has_seven_strikes_around_the_price_at_opening():
    noon = [one for one in hourly.of_day(DEMO) if one.close_time == datetime(2014, 5, 6, 12, tzinfo=UTC)]
    price = bitcoin.last_close(noon[0].open_time)
    strikes = [one.floor_strike for one in noon]

    assert len(strikes) == 7
    assert strikes[0] < price < strikes[-1]
    assert {round(b - a, 2) for a, b in pairwise(strikes)} == {25.0}
    assert noon[0].event_ticker == "KXBTCD-14MAY0608"
    assert noon[0].ticker == f"KXBTCD-14MAY0608-T{strikes[0]:.2f}"
    assert noon[0].title == f"Bitcoin price above ${strikes[0]:,.2f} on May 6, 2014 at 08:00 EDT?"
    assert noon[0].determined_at == noon[0].close_time + timedelta(minutes=1)
    assert noon[0].open_time == noon[0].close_time - timedelta(hours=3)
    assert "2017-09-03" in noon[0].note


def test_last_minute_before_the_hour_decides_bitcoin_and_lower_strikes_are_worth_more():
    noon = datetime(2014, 5, 6, 12, tzinfo=UTC)
    last = bitcoin.bar_at(noon - timedelta(minutes=1))
    value = round((last.open + last.high + last.low + last.close) / 4, 2)
    listed = [one for one in hourly.of_day(DEMO) if one.close_time == noon]

    assert [one.result for one in listed] == ["yes" if value > one.floor_strike else "no" for one in listed]
    assert {one.expiration_value for one in listed} == {f"{value:.2f}"}
    for minutes in (179, 60, 5):
        prices = [one.fair(noon - timedelta(minutes=minutes)) for one in listed]
        assert prices == sorted(prices, reverse=True)


def test_bitcoin_market_is_right_on_the_whole_and_its_volatility_sometimes_wrong():
    listed = [one for step in range(3) for one in hourly.of_day(DEMO + timedelta(days=step))]
    hour_before = [(one.fair(one.close_time - HOUR) - (one.result == "yes")) ** 2 for one in listed]
    errors = [
        hourly.perceived_volatility(START + HOUR * step) / bitcoin.trailing_volatility(START + HOUR * step, 120)
        for step in range(60)
    ]

    assert statistics.mean(hour_before) < 0.2
    assert min(errors) < 0.87 < 1.15 < max(errors)


def test_hour_that_new_york_shows_twice_is_listed_once():
    tickers = [one.ticker for one in hourly.of_day(date(2014, 11, 2))]

    assert len(set(tickers)) == len(tickers) == 23 * 7


def test_question_contract_carries_its_text_price_dates_and_source():
    occurrence = questions.resolving_on(DEMO)[0]
    one = next(one for one in asked.of_day(DEMO) if one.title == occurrence.question.text)

    assert re.fullmatch(r"KXFB(INF|MAN|MET|PLY)[A-Z]{3}-14MAY06-[0-9A-F]{6}", one.ticker)
    assert one.result == ("yes" if occurrence.question.outcome else "no")
    assert one.fair(one.open_time) == pytest.approx(max(occurrence.question.freeze_price, 0.005), abs=1e-6)
    assert occurrence.question.text in one.rules_primary
    assert occurrence.question.source in one.rules_secondary
    assert occurrence.question.id in one.note
    assert str(occurrence.question.resolved) in one.note


def test_question_price_walks_without_looking_at_the_outcome():
    listed = [one for step in range(7) for one in asked.of_day(DEMO + timedelta(days=step))]
    prices = [questions_price(one) for one in listed]
    middle = [(one, start) for one, start in zip(listed, prices, strict=True) if 0.1 < start < 0.9]
    drift = {
        result: statistics.mean(moved(one) for one, _ in middle if one.result == result) for result in ("yes", "no")
    }

    assert abs(drift["yes"] - drift["no"]) < 0.03
    assert statistics.pstdev(moved(one) for one, _ in middle) > 0.02


def questions_price(one):
    return one.fair(one.open_time)


def moved(one):
    return one.fair(one.close_time - timedelta(minutes=1)) - one.fair(one.open_time)


@pytest.mark.parametrize("day", [6, 7, 8])
def test_demo_days_have_enough_open_questions_and_resolutions(day):
    start = datetime(2014, 5, day, 6, tzinfo=UTC)
    listed = of(catalogue(START).listings(start, start + timedelta(hours=16)), "KXFB")
    resolving = [one for one in listed if start <= one.determined_at < start + timedelta(hours=16)]
    live = [sum(one.open_time <= start + HOUR * h < one.close_time for one in listed) for h in (0, 4, 8)]

    assert len(resolving) / 16 > 5
    assert all(85 <= count <= 160 for count in live)


def test_friday_has_fewer_questions_but_some_every_few_hours():
    start = datetime(2014, 5, 9, 6, tzinfo=UTC)
    listed = of(catalogue(START).listings(start, start + timedelta(hours=16)), "KXFB")
    resolving = sorted(one.determined_at for one in listed if start <= one.determined_at < start + timedelta(hours=16))

    assert len(resolving) > 40
    assert max(later - earlier for earlier, later in pairwise(resolving)) < timedelta(hours=3)


def table(*arguments):
    line = [sys.executable, "-m", "simulators.kalshi.catalogue", *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=30)


def test_table_shows_a_moment_without_its_outcomes():
    text, found = (
        table("--clock", "sim:2014-05-06T07:00:00Z@1"),
        table("--clock", "sim:2014-05-06T07:00:00Z@1", "--json"),
    )
    listed = json.loads(found.stdout)

    assert text.returncode == found.returncode == 0
    assert f"{len(listed)} contracts at 2014-05-06 07:00 UTC" in text.stdout
    assert "KXHIGHNY-14MAY06-" in text.stdout
    assert "KXBTCD-14MAY0604-T" in text.stdout
    hidden = {"result", "expiration_value"}
    assert {frozenset(one) for one in listed} == {frozenset({field.name for field in fields(Listing)} - hidden)}


def test_table_refuses_a_wrong_clock_in_one_line():
    done = table("--clock", "sim:now@1")

    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "expected" in done.stderr
