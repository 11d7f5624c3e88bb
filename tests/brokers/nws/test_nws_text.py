"""The text of climate reports: what they say, and what is not taken for one."""

from datetime import date
from decimal import Decimal

import pytest

from brokers.nws import climate_text, parse
from brokers.nws.climate_text import read

D = Decimal
FINAL = """
000
CDUS41 KOKX 250617
CLINYC

CLIMATE REPORT
NATIONAL WEATHER SERVICE NEW YORK, NY
217 AM EDT THU MAY 25 2023

...................................

...THE CENTRAL PARK NY CLIMATE SUMMARY FOR MAY 24 2023...

CLIMATE NORMAL PERIOD 1991 TO 2020
CLIMATE RECORD PERIOD 1869 TO 2023

WEATHER ITEM   OBSERVED TIME   RECORD YEAR NORMAL DEPARTURE LAST
                VALUE   (LST)  VALUE       VALUE  FROM      YEAR
...................................................................
TEMPERATURE (F)
 YESTERDAY
  MAXIMUM         77    205 PM  93    1972  73      4       67
  MINIMUM         53    513 AM  39    1963  57     -4       57
  AVERAGE         65                        65      0       62

THE CENTRAL PARK NY CLIMATE NORMALS FOR TODAY
                         NORMAL    RECORD    YEAR
 MAXIMUM TEMPERATURE (F)   74        95      1880
"""
PRELIMINARY = FINAL.replace("FOR MAY 24 2023...", "FOR MAY 24 2023...\nVALID TODAY AS OF 0400 PM LOCAL TIME.").replace(
    "YESTERDAY", "TODAY"
)


def test_final_report_is_about_yesterday():
    reading = read(FINAL)

    assert (reading.location, reading.day, reading.high_f) == ("NYC", date(2023, 5, 24), D(77))
    assert (reading.is_final, reading.is_correction) == (True, False)


def test_report_of_the_running_day_is_not_final():
    assert not read(PRELIMINARY).is_final


def test_record_marks_and_degrees_below_zero_are_read():
    assert read(FINAL.replace("MAXIMUM         77 ", "MAXIMUM         77R")).high_f == D(77)
    assert read(FINAL.replace("MAXIMUM         77 ", "MAXIMUM         -7 ")).high_f == D(-7)


def test_missing_value_is_none():
    assert read(FINAL.replace("MAXIMUM         77 ", "MAXIMUM         MM ")).high_f is None


@pytest.mark.parametrize(
    "changed", [("CLIMATE REPORT\n", "CLIMATE REPORT...CORRECTED\n"), ("KOKX 250617", "KOKX 250617 CCA")]
)
def test_correction_is_named(changed):
    assert read(FINAL.replace(*changed)).is_correction


def test_month_may_be_written_out():
    assert read(FINAL.replace("FOR MAY 24", "FOR DECEMBER 4")).day == date(2023, 12, 4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (("CLINYC", "CLI"), "a line CLI"),
        (("CLIMATE SUMMARY FOR MAY 24 2023", "CLIMATE SUMMARY"), "CLIMATE SUMMARY FOR"),
        (("FOR MAY 24", "FOR MOY 24"), "a month"),
        (("FOR MAY 24", "FOR MAY 32"), "day"),
        (("MAXIMUM         77", "MAXIMUM         ..."), "a maximum"),
        (("TEMPERATURE (F)\n YESTERDAY", "TEMPERATURE (F)\n LAST WEEK"), "a maximum"),
        (("MAY 24 2023...", "MAY 24 2023...\nVALID TODAY AS OF 0400 PM LOCAL TIME."), "marks of both"),
        (("CLINYC", "CLINYC\nCLILGA"), "once"),
    ],
)
def test_text_that_is_not_clear_is_an_error(changed, message):
    with pytest.raises(ValueError, match=message):
        read(FINAL.replace(*changed))


def feature(value, raw="", unit="wmoUnit:degC", station="KNYC"):
    return {
        "properties": {
            "station": f"https://api.weather.gov/stations/{station}",
            "timestamp": "2026-03-16T17:51:00+00:00",
            "rawMessage": raw,
            "temperature": {"unitCode": unit, "value": value, "qualityControl": "V"},
        }
    }


@pytest.mark.parametrize(
    ("value", "raw", "unit", "fahrenheit", "exact"),
    [
        (22.800000000000001, "", "wmoUnit:degC", D("73.04"), False),
        (23, "KNYC 161751Z 23006KT 23/18 A3008 RMK AO2 T02280183", "wmoUnit:degC", D("73.04"), True),
        (-1, "KNYC 161751Z M01/M04 RMK AO2 T10061044", "wmoUnit:degC", D("30.92"), True),
        (70, "", "unit:degF", D(70), False),
        (None, "", "wmoUnit:degC", None, False),
    ],
)
def test_observation_prefers_the_tenths_of_its_metar(value, raw, unit, fahrenheit, exact):
    seen = parse.observation(feature(value, raw, unit))

    assert (seen.temperature_f, seen.is_exact, seen.station) == (fahrenheit, exact, "KNYC")


def test_temperature_of_an_unknown_unit_is_an_error():
    with pytest.raises(ValueError, match="degC or degF"):
        parse.observation(feature(295.0, unit="wmoUnit:K"))


def test_forecast_highs_are_those_of_the_daytime_periods():
    periods = [
        {"startTime": "2026-03-16T18:00:00-04:00", "isDaytime": False, "temperature": 40, "temperatureUnit": "F"},
        {"startTime": "2026-03-17T06:00:00-04:00", "isDaytime": True, "temperature": 55, "temperatureUnit": "F"},
        {"startTime": "2026-03-18T06:00:00-04:00", "isDaytime": True, "temperature": 10, "temperatureUnit": "C"},
        {"startTime": "2026-03-19T06:00:00-04:00", "isDaytime": True, "temperature": None, "temperatureUnit": "F"},
    ]
    found = parse.daily({"properties": {"updateTime": "2026-03-16T20:00:00+00:00", "periods": periods}})

    assert [(one.day, one.high_f) for one in found] == [(date(2026, 3, 17), D(55)), (date(2026, 3, 18), D("50.00"))]


def test_module_names_its_own_patterns_once():
    assert climate_text.read(FINAL) == climate_text.read(FINAL.replace("\n", "\r\n"))
