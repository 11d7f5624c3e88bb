"""Recorded days: what is bundled, how it lies on the clock, and what is made up around it."""

import re
import statistics
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from simulators.recordings import bitcoin, climate, outlook, questions, seeded, thermometer

DATA = Path(climate.DATA)
DEMO = date(2014, 5, 6)
CYCLE = [climate.FIRST + timedelta(days=step) for step in range(climate.DAYS)]


def test_notice_names_every_bundled_file_and_the_licence_of_each():
    notice = (DATA / "NOTICE.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([^`]+)` .*\| ([^|]+) \|$", notice, re.MULTILINE))

    assert {path.name for path in DATA.iterdir()} - {"NOTICE.md"} == set(rows)
    assert "public domain" in rows["knyc_cli_daily.csv"]
    assert rows["openmeteo_nyc_daily_high.csv"] == "CC BY 4.0"
    assert rows["forecastbench_questions.csv.gz"] == "CC BY-SA 4.0"
    assert rows["btc_usd_m1.csv.gz"] == "Apache-2.0"
    assert f"{len(questions.questions())} questions" in notice


def test_bundled_data_stay_small():
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 150_000


def test_weather_shows_itself_on_its_own_dates_and_elsewhere_a_day_whole_weeks_away():
    recorded, demo = climate.climate_day(date(2026, 2, 17)), climate.climate_day(DEMO)

    assert (recorded.source, recorded.high_f, recorded.low_f, recorded.forecast_f) == (date(2026, 2, 17), 47, 35, 46.6)
    assert (demo.source, demo.high_f, demo.day) == (date(2026, 2, 17), 47, DEMO)
    for day in (DEMO, date(1999, 12, 31), date(2031, 7, 1)):
        assert (day - climate.climate_day(day).source).days % 7 == 0


def test_weather_repeats_after_fifteen_weeks():
    later = climate.climate_day(DEMO + timedelta(weeks=15))

    assert climate.climate_day(DEMO).source == later.source


def test_climate_day_keeps_standard_time_in_summer():
    assert climate.date_of(datetime(2014, 5, 6, 4, 59, tzinfo=UTC)) == date(2014, 5, 5)
    assert climate.date_of(datetime(2014, 5, 6, 5, 0, tzinfo=UTC)) == date(2014, 5, 6)
    assert climate.midnight(date(2014, 5, 6)) == datetime(2014, 5, 6, 5, tzinfo=UTC)


@pytest.mark.parametrize("day", CYCLE[::3])
def test_synthetic_temperatures_reach_the_recorded_extremes_and_pass_neither(day):
    recorded = climate.climate_day(day)
    readings = [thermometer.temperature_f(time) for time in thermometer.report_times(day)]

    assert (max(readings), min(readings)) == (recorded.high_f, recorded.low_f)
    assert thermometer.temperature_f(thermometer.high_time(day)) == recorded.high_f
    assert thermometer.observed(climate.midnight(day) + timedelta(hours=23, minutes=59))[1:] == (
        recorded.high_f,
        recorded.low_f,
    )


def test_synthetic_temperatures_change_by_less_than_a_degree_between_reports_even_at_midnight():
    times = [time for day in CYCLE for time in thermometer.report_times(day)]
    steps = [
        abs(thermometer.temperature_f(later) - thermometer.temperature_f(earlier)) for earlier, later in pairwise(times)
    ]

    assert max(steps) < 1


def test_observed_high_is_that_of_the_reports_until_then():
    for minutes in (0, 4, 5, 50, 51, 52, 600, 806, 1439):
        moment = climate.midnight(DEMO) + timedelta(minutes=minutes)
        until = [thermometer.temperature_f(time) for time in thermometer.report_times(DEMO) if time <= moment]

        assert thermometer.observed(moment) == (until[-1], max(until), min(until))


def test_forecast_is_the_recorded_one_where_there_is_one_and_else_has_the_measured_error():
    morning = datetime(2014, 5, 6, 12, tzinfo=UTC)
    synthetic = [day for day in CYCLE if not outlook.is_recorded(day)]
    errors = [climate.climate_day(day).high_f - outlook.short_lead_f(day) for day in synthetic]

    assert outlook.forecast_high_f(DEMO, morning) == climate.climate_day(DEMO).forecast_f
    assert abs(statistics.mean(errors) - outlook.BIAS_F) < 0.6
    assert abs(statistics.stdev(errors) - outlook.SPREAD_F) < 0.5


def test_forecasts_are_worse_the_further_ahead_and_stand_still_between_issues():
    def spread(days):
        errors = [
            outlook.forecast_high_f(day, climate.midnight(day) - timedelta(days=days)) - outlook.short_lead_f(day)
            for day in CYCLE
        ]
        return statistics.pstdev(errors)

    early, late = datetime(2014, 5, 4, 12, 1, tzinfo=UTC), datetime(2014, 5, 4, 17, 59, tzinfo=UTC)

    assert 0.3 < spread(1) < spread(5) < 4
    assert outlook.forecast_high_f(DEMO, early) == outlook.forecast_high_f(DEMO, late)


def test_questions_are_unique_readable_and_keep_the_sets_ratio():
    found = questions.questions()
    texts = [question.text for question in found]

    assert 300 < len(found) == len({question.id for question in found}) == len(set(texts))
    assert {question.source for question in found} == {"infer", "manifold", "metaculus", "polymarket"}
    assert 0.27 < statistics.mean(question.outcome for question in found) < 0.32
    assert all(15 <= len(text) < 159 and text == text.strip() for text in texts)
    assert all(question.due < question.resolved for question in found)
    assert len({min(int(question.freeze_price * 10), 9) for question in found}) == 10


def test_question_resolves_once_a_week_on_its_weekday_after_a_life_of_a_day_or_two():
    week = [occurrence for step in range(7) for occurrence in questions.resolving_on(DEMO + timedelta(days=step))]

    assert sorted(occurrence.question.id for occurrence in week) == sorted(q.id for q in questions.questions())
    for occurrence in week:
        day = occurrence.resolves.date()
        assert day - occurrence.question.resolved == timedelta(weeks=occurrence.weeks)
        assert 6 <= occurrence.resolves.hour < 22
        longest = 42 if day.weekday() in (1, 2, 3) else 67.3
        assert timedelta(hours=18) <= occurrence.resolves - occurrence.opens <= timedelta(hours=longest, minutes=1)


def test_bitcoin_moves_are_recorded_and_the_chain_has_no_seam():
    start = datetime(2014, 5, 5, 23, tzinfo=UTC)
    bars = bitcoin.bars(start, start + timedelta(days=4))
    jumps = [abs(later.open / earlier.close - 1) for earlier, later in pairwise(bars)]

    assert [bitcoin.source_of(DEMO + timedelta(days=step)) for step in range(3)] == list(bitcoin.SOURCES)
    assert len(bars) == 4 * 24 * 60
    assert max(jumps) < 0.005
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)


def test_bitcoin_returns_differ_from_the_recording_by_less_than_a_thousandth_of_a_percent():
    recorded = bitcoin._recorded()
    start = datetime(2014, 5, 6, tzinfo=UTC)
    bars = bitcoin.bars(start, start + timedelta(days=3))

    worst = max(
        abs(bar.close / bar.open - close / first) for bar, (first, _, _, close, _) in zip(bars, recorded, strict=True)
    )

    # cents are rounded: 0.01 of 4,500 is twice 0.0001 %
    assert worst < 1.5e-5


def test_price_at_a_moment_is_that_of_the_last_minute_that_is_over():
    noon = datetime(2014, 5, 6, 12, tzinfo=UTC)

    before = bitcoin.last_close(noon - timedelta(seconds=1))
    after = bitcoin.last_close(noon + timedelta(seconds=59))

    assert before == bitcoin.bar_at(noon - timedelta(minutes=2)).close
    assert after == bitcoin.last_close(noon) == bitcoin.bar_at(noon - timedelta(minutes=1)).close


def test_trailing_volatility_reads_nothing_of_the_running_minute():
    noon = datetime(2014, 5, 6, 12, tzinfo=UTC)

    assert bitcoin.trailing_volatility(noon) == bitcoin.trailing_volatility(noon + timedelta(seconds=59))
    assert 0 < bitcoin.trailing_volatility(noon) < 0.01


def test_seeded_chance_is_even_normal_and_the_same_in_every_process():
    shares = [seeded.share("test", step) for step in range(2000)]
    normals = [seeded.normal("test", step) for step in range(2000)]

    assert seeded.share("test", 0) == 0.09806018620766999
    assert 0 < min(shares) < max(shares) < 1
    assert abs(statistics.mean(shares) - 0.5) < 0.03
    assert abs(statistics.pstdev(normals) - 1) < 0.06
    assert seeded.wave(3.0, "w") == seeded.normal("w", 3)
