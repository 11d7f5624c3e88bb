"""What the simulated weather service answers: shapes of the real one, and temperatures that agree with each other."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from rest_sim import Lab

from simulators.nws.api import KIND
from simulators.recordings import climate, outlook

SHAPES = json.loads(Path(__file__).with_name("nws_shapes.json").read_text())
DAY = date(2014, 5, 6)
HIGH, LOW = 47, 35
CLI = "/products/types/CLI/locations/NYC"
FORECAST = "/gridpoints/OKX/34,45/forecast"
OBSERVATIONS = "/stations/KNYC/observations"


@pytest.fixture
def lab():
    return Lab(KIND, "2014-05-06T19:00:00Z")


def same_keys(expected, found, depth=9):
    """Compare field names, and those of the first item of each list; a geometry may be of any kind."""
    if depth and isinstance(expected, dict) and isinstance(found, dict):
        assert set(found) - {"@context"} == set(expected)
        for key in expected:
            if key != "geometry":
                same_keys(expected[key], found[key], depth - 1)
    elif depth and isinstance(expected, list) and isinstance(found, list) and expected and found:
        same_keys(expected[0], found[0], depth - 1)
    return True


@pytest.mark.parametrize(
    ("path", "shape", "depth"),
    [
        ("/points/40.7794,-73.9692", "point", 9),
        (FORECAST, "forecast", 9),
        (f"{FORECAST}/hourly", "forecast_hourly", 9),
        (f"{OBSERVATIONS}/latest", "latest_observation", 9),
        # the older fixture of a list names a quality for two more fields
        (OBSERVATIONS, "observations", 4),
        ("/gridpoints/OKX/34,45/stations", "stations", 9),
    ],
)
def test_replies_have_the_fields_of_the_real_service(lab, path, shape, depth):
    assert same_keys(SHAPES[shape], lab.get(path), depth)


def test_every_address_leads_back_to_this_service(lab):
    point = lab.get("/points/40.7794,-73.9692")["properties"]

    assert lab.get(point["forecast"].removeprefix("http://127.0.0.1:1"))
    assert lab.get(point["forecastHourly"].removeprefix("http://127.0.0.1:1"))
    stations = lab.get(point["observationStations"].removeprefix("http://127.0.0.1:1"))
    assert stations["observationStations"] == ["http://127.0.0.1:1/stations/KNYC"]
    assert lab.get("/stations/KNYC")["properties"]["stationIdentifier"] == "KNYC"


def test_point_with_too_many_decimals_is_sent_to_four_and_one_elsewhere_is_not_found(lab):
    precise, elsewhere = lab.send("/points/40.779400,-73.969212"), lab.send("/points/34.05,-118.25")

    assert (precise.status, precise.headers["Location"]) == (301, "http://127.0.0.1:1/points/40.7794,-73.9692")
    assert elsewhere.status == 404


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/stations/KJFK/observations/latest", {}, 404),
        ("/products/not-a-product", {}, 404),
        ("/points/here", {}, 400),
        ("/points/95,10", {}, 400),
        (OBSERVATIONS, {"limit": "501"}, 400),
        (OBSERVATIONS, {"start": "yesterday"}, 400),
        (OBSERVATIONS, {"start": "2014-05-06T00:00:00"}, 400),
        (f"{OBSERVATIONS}/2014-05-06T25:00:00Z", {}, 400),
        (CLI, {"limit": "0"}, 400),
    ],
)
def test_errors_are_problems_as_rfc_7807_has_them(lab, path, query, status):
    response = lab.send(path, **query)
    problem = json.loads(response.body)

    assert response.status == problem["status"] == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert set(problem) == {"correlationId", "title", "type", "status", "detail", "instance"}


@pytest.mark.parametrize("agent", [None, "", "  "])
def test_request_without_a_user_agent_is_forbidden(lab, agent):
    assert lab.send(FORECAST, agent=agent).status == 403


def test_only_reading_is_allowed(lab):
    assert lab.send(FORECAST, method="POST").status == 405


def temperatures(features):
    return [feature["properties"]["temperature"]["value"] for feature in features]


def fahrenheit(celsius):
    return celsius * 1.8 + 32


def test_warmest_report_of_a_day_is_the_recorded_high_to_the_degree(lab):
    lab.at("2014-05-07T05:10:00Z")
    day = lab.get(OBSERVATIONS, start="2014-05-06T05:00:00Z", end="2014-05-07T04:59:00+00:00")["features"]
    found = [fahrenheit(value) for value in temperatures(day)]

    assert (round(max(found)), round(min(found))) == (HIGH, LOW)
    assert len(day) == 24 * 12 + 24


def test_hourly_reports_alone_show_the_high_and_say_it_in_their_metar(lab):
    lab.at("2014-05-07T05:10:00Z")
    day = lab.get(OBSERVATIONS, start="2014-05-06T05:00:00Z", end="2014-05-07T04:59:00Z")["features"]
    hourly = [feature["properties"] for feature in day if feature["properties"]["rawMessage"]]
    warmest = max(hourly, key=lambda report: report["temperature"]["value"])

    assert len(hourly) == 24
    assert all(report["timestamp"][14:16] == "51" for report in hourly)
    assert round(fahrenheit(warmest["temperature"]["value"])) == HIGH
    tenths = re.search(r" T(\d)(\d{3})\d{4}$", warmest["rawMessage"])
    assert int(tenths[2]) / 10 == warmest["temperature"]["value"]


def test_metar_writes_frost_with_an_m_and_a_one(lab):
    lab.at("2014-05-11T12:00:00Z")
    frost = lab.get(OBSERVATIONS, limit=500)["features"]
    reports = [feature["properties"] for feature in frost if feature["properties"]["rawMessage"]]
    cold = [report for report in reports if report["temperature"]["value"] < -0.5]

    assert cold
    for report in cold:
        assert re.search(r" M\d\d/M\d\d A\d{4} RMK AO2 SLP\d{3} T1\d{3}1\d{3}$", report["rawMessage"])


def test_reports_come_newest_first_and_none_is_from_the_last_four_minutes(lab):
    features = lab.get(OBSERVATIONS, limit=30)["features"]
    times = [datetime.fromisoformat(feature["properties"]["timestamp"]) for feature in features]
    latest = lab.get(f"{OBSERVATIONS}/latest")

    assert times == sorted(times, reverse=True)
    assert len(times) == 30
    assert times[0] == datetime(2014, 5, 6, 18, 55, tzinfo=UTC)
    assert latest["properties"] == features[0]["properties"]
    one = lab.get(f"{OBSERVATIONS}/{times[3].isoformat()}")
    assert one["properties"] == features[3]["properties"]
    assert lab.send(f"{OBSERVATIONS}/2014-05-06T19:00:00+00:00").status == 404


def test_forecast_of_the_high_is_the_recorded_one_in_whole_degrees(lab):
    lab.at("2014-05-06T12:00:00Z")
    periods = lab.get(FORECAST)["properties"]["periods"]

    assert [period["name"] for period in periods[:4]] == ["Today", "Tonight", "Wednesday", "Wednesday Night"]
    assert [period["number"] for period in periods] == list(range(1, 15))
    assert periods[0]["temperature"] == round(climate.climate_day(DAY).forecast_f)
    assert periods[2]["temperature"] == round(outlook.forecast_high_f(DAY + timedelta(days=1), lab.clock.moment))
    assert all(type(period["temperature"]) is int for period in periods)


@pytest.mark.parametrize(
    ("moment", "name"),
    [
        ("2014-05-06T08:30:00Z", "Overnight"),
        ("2014-05-06T10:00:00Z", "Today"),
        ("2014-05-06T18:00:00Z", "This Afternoon"),
        ("2014-05-06T23:00:00Z", "Tonight"),
    ],
)
def test_forecast_begins_with_the_running_half_day(lab, moment, name):
    first, second = lab.at(moment).get(FORECAST)["properties"]["periods"][:2]

    assert first["name"] == name
    assert first["endTime"] == second["startTime"]
    assert first["isDaytime"] != second["isDaytime"]


def test_hours_of_a_forecast_day_peak_at_its_high(lab):
    lab.at("2014-05-06T12:00:00Z")
    hours = lab.get(f"{FORECAST}/hourly")["properties"]["periods"]
    today = [hour["temperature"] for hour in hours if hour["startTime"].startswith("2014-05-06")]

    assert len(hours) == 156
    assert max(today) == round(climate.climate_day(DAY).forecast_f)
    assert all(a["endTime"] == b["startTime"] for a, b in pairwise(hours))


def text_of(lab, index=0):
    head = lab.get(CLI)["@graph"][index]
    return lab.get(f"/products/{head['id']}")["productText"]


def reading(text, name):
    return int(re.search(rf"^ +{name} +(-?\d+)", text, re.MULTILINE)[1])


def test_final_report_has_the_recorded_extremes_in_the_layout_of_the_office(lab):
    lab.at("2014-05-07T07:00:00Z")
    text = text_of(lab)

    assert text.splitlines()[:6] == [
        "000",
        f"CDUS41 KOKX 07{climate.final_report_time(DAY):%H%M}",
        "CLINYC",
        "",
        "CLIMATE REPORT",
        "NATIONAL WEATHER SERVICE NEW YORK, NY",
    ]
    assert "...THE CENTRAL PARK NY CLIMATE SUMMARY FOR MAY 6 2014..." in text
    assert "AM EDT WED MAY 7 2014" in text
    assert "YESTERDAY" in text
    assert "VALID TODAY" not in text
    assert (reading(text, "MAXIMUM"), reading(text, "MINIMUM"), reading(text, "AVERAGE")) == (HIGH, LOW, 41)
    assert re.search(r"MAXIMUM +47 +\d{3,4} PM  MM", text)


def test_afternoon_report_says_what_it_is_and_knows_only_the_afternoon(lab):
    lab.at("2014-05-06T22:00:00Z")
    text = text_of(lab)

    assert "VALID TODAY AS OF 0400 PM LOCAL TIME." in text
    assert "TODAY" in text.split("TEMPERATURE (F)")[1]
    assert reading(text, "MAXIMUM") <= HIGH


def test_some_afternoon_reports_are_below_the_final_one():
    differing = 0
    for step in range(0, 105, 2):
        day = climate.FIRST + timedelta(days=step)
        lab = Lab(KIND, (climate.midnight(day) + timedelta(hours=28)).isoformat())
        texts = [text_of(lab, index) for index in range(4)]
        found = [reading(text, "MAXIMUM") for text in texts if f"SUMMARY FOR {spoken(day)}" in text]
        assert found[0] == climate.climate_day(day).high_f
        differing += found[-1] != found[0]

    assert 2 < differing < 20


def spoken(day):
    return f"{day:%b} {day.day} {day.year}".upper()


def test_products_appear_when_issued_and_are_kept_a_week(lab):
    issue = climate.final_report_time(DAY)
    before = lab.at((issue - timedelta(seconds=1)).isoformat()).get(CLI)["@graph"]
    after = lab.at(issue.isoformat()).get(CLI)["@graph"]

    assert [head for head in after if head not in before] == after[:1]
    assert after[0]["issuanceTime"] == issue.isoformat()
    assert set(after[0]) == {
        "@id", "id", "wmoCollectiveId", "issuingOffice", "issuanceTime", "productCode", "productName",
    }  # fmt: skip
    assert min(head["issuanceTime"] for head in after) > (issue - timedelta(days=7)).isoformat()
    assert len(lab.get(CLI, limit=3)["@graph"]) == 3
    assert lab.get(f"{CLI}/latest")["id"] == after[0]["id"]
    later = lab.at((issue + timedelta(days=8)).isoformat())
    assert later.send(f"/products/{after[0]['id']}").status == 404


def test_now_and_then_a_final_report_is_corrected_without_another_high():
    corrected = 0
    for step in range(0, 105, 7):
        lab = Lab(KIND, (climate.midnight(climate.FIRST) + timedelta(days=step + 9)).isoformat())
        for head in lab.get(CLI)["@graph"]:
            text = lab.get(f"/products/{head['id']}")["productText"]
            if "CLIMATE REPORT...CORRECTED" in text:
                corrected += 1
                day = climate.date_of(datetime.fromisoformat(head["issuanceTime"])) - timedelta(days=1)
                assert text.splitlines()[1].endswith(" CCA")
                assert reading(text, "MAXIMUM") == climate.climate_day(day).high_f

    assert 4 < corrected < 30
