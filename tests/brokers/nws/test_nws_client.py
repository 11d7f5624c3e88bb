"""The weather client against the simulated service: own station, own day, nothing stale and no foreign host."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from nws_sim import start_nws

from brokers.nws.client import NwsClient
from brokers.nws.config import NwsConfig
from domain import settings
from domain.clock import parse_clock
from domain.errors import Misconfigured, Refuse, Retry

D = Decimal
START = "2014-05-06T15:00:00Z"


class Weather:
    """The service, and clients of it."""

    def __init__(self, start=START, speed=60):
        self.spec = f"sim:{start}@{speed},anchor={time.time()}"
        self.process = start_nws(self.spec)
        self.clock = parse_clock(self.spec)
        self._clients = []

    def client(self, **changes):
        given = {"user_agent": "tests (tests@example.org)", "url": self.process.url, "read_timeout_s": 2.0}
        made = NwsClient(NwsConfig(**(given | changes)), self.clock)
        self._clients.append(made)
        return made

    def fault(self, action, **params):
        self.process.fault(action, **params)

    def fired(self, action):
        return self.process.fired(action)

    def tidy(self):
        self.process.clear()
        while self._clients:
            self._clients.pop().close()

    def today(self):
        return (self.clock.now() - timedelta(hours=5)).date()


@pytest.fixture(scope="module")
def service():
    running = Weather()
    yield running
    running.process.stop()


@pytest.fixture
def weather(service):
    yield service
    service.tidy()


def test_forecast_names_the_highs_of_the_days_to_come(weather):
    found = weather.client().forecast_highs("KNYC")

    assert [one.day for one in found][:2] == [weather.today(), weather.today() + timedelta(days=1)]
    assert all(0 < one.high_f < 120 and one.issued_at <= weather.clock.now() for one in found)


def test_hours_follow_one_another(weather):
    found = weather.client().hourly("KNYC")

    assert {later.at - earlier.at for earlier, later in pairwise(found)} == {timedelta(hours=1)}
    assert found[0].at <= weather.clock.now() < found[1].at


def test_day_whose_period_is_missing_is_not_forecast(weather):
    weather.fault("missing_period")
    found = weather.client().forecast_highs("KNYC")

    assert weather.today() not in [one.day for one in found]
    assert weather.fired("missing_period") >= 1


def test_observations_are_the_stations_own_oldest_first(weather):
    since = weather.clock.now() - timedelta(hours=3)
    found = weather.client().observations("KNYC", since)

    assert [one.at for one in found] == sorted(one.at for one in found)
    assert since <= found[0].at < found[-1].at <= weather.clock.now()
    assert {one.station for one in found} == {"KNYC"}
    assert any(one.is_exact for one in found)
    assert not all(one.is_exact for one in found)


def test_observations_go_back_farther_than_one_answer_holds(weather):
    since = weather.clock.now() - timedelta(days=3)
    found = weather.client().observations("KNYC", since)

    assert len(found) > 600
    assert found[0].at - since < timedelta(minutes=10)
    assert len({one.at for one in found}) == len(found)


def test_reports_without_a_temperature_are_left_out_and_a_silent_thermometer_is_said(weather):
    weather.fault("null_temperature")
    client = weather.client()
    now = weather.clock.now()

    assert client.observations("KNYC", now - timedelta(hours=3), now) == []
    with pytest.raises(Retry, match="none with a temperature"):
        client.observations("KNYC", now - timedelta(hours=3))
    assert weather.fired("null_temperature") >= 2


def test_stale_observations_are_said(weather):
    weather.fault("stale_observation", minutes=240)

    with pytest.raises(Retry, match="of the last 2 h; found none since"):
        weather.client().observations("KNYC", weather.clock.now() - timedelta(hours=6))
    assert weather.fired("stale_observation") >= 1


def test_observations_of_another_station_are_refused(weather):
    weather.fault("wrong_station")

    with pytest.raises(Retry, match="only those of KLGA"):
        weather.client().observations("KNYC", weather.clock.now() - timedelta(hours=1))
    assert weather.fired("wrong_station") >= 1


def test_final_report_of_yesterday_is_found(weather):
    yesterday = weather.today() - timedelta(days=1)
    report = weather.client().cli_report("NYC", yesterday)

    assert (report.station, report.day, report.is_final) == ("NYC", yesterday, True)
    assert D(0) < report.high_f < D(120)
    assert report.issued_at <= weather.clock.now()
    assert report.product_id


def test_day_without_a_report_has_none(weather):
    assert weather.client().cli_report("NYC", weather.today() + timedelta(days=1)) is None


def test_report_of_the_running_day_is_preliminary(weather):
    running = Weather("2014-05-06T22:30:00Z")
    try:
        report = running.client().cli_report("NYC", running.today())
    finally:
        running.tidy()
        running.process.stop()

    assert (report.day, report.is_final) == (datetime(2014, 5, 6, tzinfo=UTC).date(), False)


def test_report_of_another_station_is_no_report(weather):
    weather.fault("wrong_station")

    with pytest.raises(Retry, match="a report of LGA"):
        weather.client().cli_report("NYC", weather.today() - timedelta(days=1))
    assert weather.fired("wrong_station") >= 1


def test_correction_counts_and_what_it_corrects_does_not(weather):
    right = weather.client().cli_report("NYC", weather.today() - timedelta(days=1)).high_f
    weather.fault("corrected_cli", degrees=3, issue="final")
    report = weather.client().cli_report("NYC", weather.today() - timedelta(days=1))

    assert (report.high_f, report.is_correction) == (right, True)
    assert weather.fired("corrected_cli") >= 1


def test_missing_reports_are_none(weather):
    weather.fault("no_cli", hours=72)

    assert weather.client().cli_report("NYC", weather.today() - timedelta(days=1)) is None
    assert weather.fired("no_cli") >= 1


def test_report_is_read_once_because_its_text_never_changes(weather):
    client, day = weather.client(), weather.today() - timedelta(days=1)
    first = client.cli_report("NYC", day)
    weather.fault("status", status=503, match={"path": "/products/????????-*"})

    assert client.cli_report("NYC", day) == first


def test_redirect_is_followed_on_our_own_host(weather):
    weather.fault("redirect", times=1)

    assert weather.client().forecast_highs("KNYC")
    assert weather.fired("redirect") == 1


def test_addresses_in_answers_are_followed_by_their_path_alone(weather):
    rest = weather.client()._rest

    assert (
        rest.own_path("https://evil.example/gridpoints/OKX/34,45/forecast?x=1") == "/gridpoints/OKX/34,45/forecast?x=1"
    )


def test_failure_that_passes_is_not_noticed_and_one_that_stays_is_retry(weather):
    client = weather.client()
    weather.fault("status", status=503, times=1)
    found = client.forecast_highs("KNYC")
    weather.process.clear()
    weather.fault("status", status=503)

    assert found
    with pytest.raises(Retry, match="status 503"):
        client.hourly("KNYC")
    assert weather.fired("status") >= 3


def test_unknown_station_is_refused(weather):
    with pytest.raises(Refuse, match="404"):
        weather.client().observations("KXXX", weather.clock.now() - timedelta(hours=1))


def test_old_forecast_is_not_passed_off_as_news(weather):
    with pytest.raises(Retry, match="h old"):
        weather.client(forecast_max_age_s=1.0).forecast_highs("KNYC")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "NWS_USER_AGENT"),
        ({"NWS_USER_AGENT": " "}, "names you"),
        ({"NWS_USER_AGENT": "put-your-mail-address-here"}, "still the example's"),
        ({"NWS_USER_AGENT": "x", "NWS_URL": "ftp://x"}, "NWS_URL must be an https address"),
        ({"NWS_USER_AGENT": "x", "NWS_URL": "http://evil.example"}, "NWS_URL must be an https address"),
        ({"NWS_USER_AGENT": "x", "NWS_URL": "https://a:b@api.weather.gov"}, "plain https"),
        ({"NWS_USER_AGENT": "x", "NWS_READ_ATTEMPTS": "0"}, "above 0"),
    ],
)
def test_settings_that_make_no_sense_name_their_key(given, message):
    with pytest.raises(Misconfigured, match=message):
        settings.load(NwsConfig, given, prefix="NWS_", source="x")
