"""What goes wrong with the simulated weather service by script, and the process it runs in."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from nws_sim import start_nws
from rest_sim import Lab

from simulators.nws.api import ACTIONS, KIND
from simulators.recordings import climate
from simulators.rest.faults import COMMON, FaultBook, FaultError

ROOT = Path(__file__).parents[2]
CLI, FORECAST = "/products/types/CLI/locations/NYC", "/gridpoints/OKX/34,45/forecast"
OBSERVATIONS = "/stations/KNYC/observations"
HIGH = 47


@pytest.fixture
def lab():
    return Lab(KIND, "2014-05-07T09:00:00Z")


def reading(text):
    return int(re.search(r"MAXIMUM +(-?\d+)", text)[1])


def texts(lab):
    heads = lab.get(CLI)["@graph"]
    found = [(head, lab.get(f"/products/{head['id']}")["productText"]) for head in heads]
    return [(head, text) for head, text in found if "FOR MAY 6 2014" in text]


def test_null_temperature_empties_the_value_and_its_metar(lab):
    lab.fault("null_temperature", times=1)

    bent, next_one = lab.get(f"{OBSERVATIONS}/latest"), lab.get(f"{OBSERVATIONS}/latest")

    assert bent["properties"]["temperature"] == {"unitCode": "wmoUnit:degC", "value": None, "qualityControl": "Z"}
    assert bent["properties"]["rawMessage"] == ""
    assert next_one["properties"]["temperature"]["value"] is not None
    assert lab.fired("null_temperature") == 1


def test_stale_observation_holds_back_the_newest_reports(lab):
    lab.fault("stale_observation", minutes=90)

    latest = lab.get(f"{OBSERVATIONS}/latest")["properties"]["timestamp"]
    newest = lab.get(OBSERVATIONS, limit=1)["features"][0]["properties"]["timestamp"]

    assert latest == newest == "2014-05-07T07:30:00+00:00"
    assert lab.fired("stale_observation") == 2


def test_coarse_observations_round_the_five_minute_reports_to_whole_degrees_celsius(lab):
    lab.fault("coarse_observations")

    features = lab.get(OBSERVATIONS, limit=100)["features"]
    five_minutes = [one["properties"] for one in features if not one["properties"]["rawMessage"]]

    assert all(report["temperature"]["value"] == round(report["temperature"]["value"]) for report in five_minutes)
    assert lab.fired("coarse_observations") == 1


def test_wrong_station_answers_with_a_warmer_one_and_names_it(lab):
    right, (_, right_text) = lab.get(f"{OBSERVATIONS}/latest")["properties"], texts(lab)[0]
    lab.fault("wrong_station")

    wrong, text = lab.get(f"{OBSERVATIONS}/latest")["properties"], lab.get(f"{CLI}/latest")["productText"]

    assert wrong["station"].endswith("/stations/KLGA")
    assert wrong["temperature"]["value"] == pytest.approx(right["temperature"]["value"] + 3 / 1.8, abs=0.11)
    assert "CLILGA" in text
    assert "LA GUARDIA" in text
    assert reading(text) == reading(right_text) + 3
    assert lab.fired("wrong_station") == 2


def test_missing_period_leaves_out_the_next_day(lab):
    whole = lab.get(FORECAST)["properties"]["periods"]
    lab.fault("missing_period")

    periods = lab.get(FORECAST)["properties"]["periods"]
    hours = lab.get(f"{FORECAST}/hourly")["properties"]["periods"]

    assert "Today" in [period["name"] for period in whole]
    assert "Today" not in [period["name"] for period in periods]
    assert [period["number"] for period in periods] == list(range(1, len(periods) + 1))
    assert len(hours) == 156 - 24
    assert lab.fired("missing_period") == 2


def test_no_cli_hides_the_reports_of_the_last_day(lab):
    head, _ = texts(lab)[0]
    lab.fault("no_cli", hours=12)

    listed = lab.get(CLI)["@graph"]
    status = lab.send(f"/products/{head['id']}").status

    assert max(one["issuanceTime"] for one in listed) <= "2014-05-06T21:00:00"
    assert status == 404
    assert lab.fired("no_cli") == 2


def test_no_cli_of_all_time_leaves_no_latest_report(lab):
    lab.fault("no_cli", hours=1000)

    assert lab.send(f"{CLI}/latest").status == 404
    assert lab.get(CLI)["@graph"] == []
    assert lab.fired("no_cli") == 2


def test_corrected_cli_lets_the_final_report_differ_from_the_preliminary(lab):
    plain = [(head["id"], reading(text)) for head, text in texts(lab)]
    lab.fault("corrected_cli", degrees=3)

    bent = [(head["id"], reading(text)) for head, text in texts(lab)]

    assert bent[0][1] == HIGH
    assert bent[-1][1] == plain[-1][1] - 3
    # a client may keep a text by its number: another text has another one
    assert bent[-1][0] != plain[-1][0]
    assert lab.fired("corrected_cli") > 0


def test_corrected_cli_of_the_final_report_is_put_right_by_a_correction(lab):
    lab.fault("corrected_cli", issue="final", degrees=1)

    correction, final, _ = texts(lab)

    assert (reading(correction[1]), reading(final[1])) == (HIGH, HIGH - 1)
    assert "CORRECTED" in correction[1]
    issued = [datetime.fromisoformat(one[0]["issuanceTime"]) for one in (final, correction)]
    assert issued == [
        climate.final_report_time(climate.date_of(issued[0]) - timedelta(days=1)),
        issued[0] + timedelta(minutes=75),
    ]
    assert lab.fired("corrected_cli") > 0


def test_redirect_leads_to_the_same_page_once(lab):
    lab.fault("redirect")

    moved = lab.send(FORECAST)
    followed = lab.send(FORECAST, redirected=1)

    assert (moved.status, moved.headers["Location"]) == (301, f"http://127.0.0.1:1{FORECAST}?redirected=1")
    assert followed.status == 200
    assert lab.fired("redirect") == 1


def test_status_is_a_problem_with_the_status_asked_for(lab):
    lab.fault("status", status=503, retry_after=2, times=1)

    failed, after = lab.send(FORECAST), lab.send(FORECAST)

    assert (failed.status, json.loads(failed.body)["status"], failed.headers["Retry-After"]) == (503, 503, "2")
    assert after.status == 200
    assert lab.fired("status") == 1


def test_malformed_reply_is_cut_in_the_middle(lab):
    lab.fault("malformed")

    response = lab.send(FORECAST)

    assert response.status == 200
    with pytest.raises(ValueError):
        json.loads(response.body)
    assert lab.fired("malformed") == 1


def test_fault_may_pass_some_occasions_and_hold_for_a_span_and_a_path(lab):
    lab.fault(
        "status",
        status=500,
        after=1,
        match={"path": f"{FORECAST}*"},
        between=["2014-05-07T08:00:00Z", "2014-05-07T10:00:00Z"],
    )

    statuses = [lab.send(path).status for path in (CLI, FORECAST, FORECAST)]
    later = lab.at("2014-05-07T10:00:00Z").send(FORECAST).status

    assert statuses == [200, 200, 500]
    assert later == 200
    assert lab.fired("status") == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"action": "status"}, "name"),
        ({"name": "x", "action": "explode"}, "expected one of status"),
        ({"name": "x", "action": "status"}, "status needs an HTTP status"),
        ({"name": "x", "action": "delay", "seconds": "long"}, "seconds: expected a number"),
        ({"name": "x", "action": "no_cli", "minutes": 3}, "unknown field"),
        ({"name": "x", "action": "no_cli", "times": 0}, "times"),
        ({"name": "x", "action": "no_cli", "after": -1}, "after"),
        ({"name": "x", "action": "no_cli", "match": {"account": "1"}}, "match"),
        ({"name": "x", "action": "no_cli", "between": ["2014-05-07T10:00:00", "2014-05-08T10:00:00"]}, "between"),
        ({"name": "x", "action": "corrected_cli", "issue": "first"}, "one of preliminary, final"),
        ("x", "expected an object"),
    ],
)
def test_wrong_fault_is_refused_and_names_the_field(fault, words):
    book = FaultBook(ACTIONS)

    with pytest.raises(FaultError, match=words):
        book.add([{"name": "good", "action": "drop"}, fault])

    assert book.faults == []


def test_two_faults_of_one_name_are_refused():
    with pytest.raises(FaultError, match="name of its own"):
        FaultBook(ACTIONS).add([{"name": "x", "action": "drop"}, {"name": "x", "action": "drop"}])


def test_every_fault_action_stands_in_the_readme():
    section = (
        (ROOT / "simulators" / "README.md").read_text(encoding="utf-8").split("## Weather service")[1].split("\n## ")[0]
    )

    for action in (*COMMON, *ACTIONS):
        assert f"| `{action}` |" in section


@pytest.fixture(scope="module")
def running():
    process = start_nws("sim:2014-05-06T19:00:00Z@1")
    yield process
    assert process.stop() == 0


def test_process_answers_breaks_and_counts_over_loopback(running):
    running.fault("drop", times=1)
    running.fault("delay", seconds=0.05, times=1)

    with pytest.raises(httpx.RemoteProtocolError):
        running.get(FORECAST)
    good = running.get(FORECAST)
    state = httpx.get(f"{running.url}/_sim/state").json()
    asked = httpx.get(f"{running.url}/_sim/requests").json()["requests"]

    assert good.json()["properties"]["periods"]
    assert good.headers["content-type"] == "application/geo+json"
    assert (running.fired("drop"), running.fired("delay")) == (1, 1)
    assert state["requests"][f"GET {FORECAST}"] == 2
    assert state["source"]["recorded_on"] == "2026-02-17"
    assert state["source"]["observations"] == "synthetic"
    assert state["simulated_time"].startswith("2014-05-06T19:0")
    assert [one["status"] for one in asked] == [None, 200]
    assert asked[0]["user_agent"] == "tbot tests"
    running.clear()
    assert httpx.get(f"{running.url}/_sim/faults").json() == {"faults": []}


def test_control_pages_refuse_what_they_do_not_know(running):
    wrong = httpx.post(f"{running.url}/_sim/faults", json=[{"name": "x", "action": "explode"}])
    unknown = httpx.get(f"{running.url}/_sim/nothing")

    assert wrong.status_code == 422
    assert "faults[0].action" in wrong.json()["error"]
    assert unknown.status_code == 404


def command(*arguments, module="simulators.nws"):
    return subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=20
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--clock", "sim:2014-05-06@fast"], "expected"),
        (["--port", "70000"], "--port"),
        (["--faults", "/nowhere.json"], "cannot read"),
    ],
)
def test_misuse_is_one_line_and_code_two(arguments, words):
    done = command(*arguments)

    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert words in done.stderr


def test_taken_port_is_code_one_and_help_names_the_options(running):
    taken = command("--port", running.url.rpartition(":")[2])
    shown = command("--help")

    assert taken.returncode == 1
    assert "cannot listen" in taken.stderr
    assert shown.returncode == 0
    assert all(word in shown.stdout for word in ("--port", "--clock", "--faults"))


def test_faults_may_come_from_a_file_and_the_clock_from_the_environment(tmp_path):
    script = tmp_path / "faults.json"
    script.write_text('[{"name": "down", "action": "status", "status": 502, "times": 1}]')
    process = start_nws(None, "--faults", str(script), env={"TBOT_CLOCK": "sim:2020-01-01T12:00:00Z@1"})

    try:
        statuses = [process.get(FORECAST).status_code for _ in range(2)]
        day = process.get(f"{OBSERVATIONS}/latest").json()["properties"]["timestamp"]
    finally:
        code = process.stop()

    assert (statuses, code) == ([502, 200], 0)
    assert datetime.fromisoformat(day) < datetime(2020, 1, 1, 12, 5, tzinfo=UTC)
    assert day.startswith("2020-01-01T11:5")
