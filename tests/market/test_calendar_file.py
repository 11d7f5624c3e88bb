"""The calendar's file: computed in a child process, whole or not at all, and closed whenever it can't be trusted."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from domain.clock import FakeClock, iso
from domain.errors import Misconfigured
from market.calendar import Calendar, DailyCalendar

AT = datetime(2014, 5, 6, 15, tzinfo=UTC)


@pytest.fixture
def kept(tmp_path, new_york, tmp_path_factory):
    """Return a folder with a good calendar in it that no other test can spoil."""
    source = next(tmp_path_factory.getbasetemp().glob("calendars*/2014/XNYS.json"))
    (tmp_path / "XNYS.json").write_bytes(source.read_bytes())
    return tmp_path


def damage(content):
    """Move one closing time without touching the checksum."""
    raw = json.loads(content)
    raw["sessions"][0] = raw["sessions"][0].replace("T20:00:00Z", "T21:00:00Z")
    return json.dumps(raw).encode()


def checksum_of(content):
    return sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def with_other_version(content):
    return json.dumps(json.loads(content) | {"version": 99}).encode()


@pytest.mark.parametrize(
    "spoil",
    [damage, with_other_version, lambda content: content[:2000], lambda _: b"", lambda _: b"[]", lambda _: b"\x00\xff"],
    ids=["flipped", "version", "torn", "empty", "no object", "no text"],
)
def test_a_damaged_file_means_closed_and_says_so(kept, spoil):
    path = kept / "XNYS.json"
    path.write_bytes(spoil(path.read_bytes()))
    calendar = Calendar.load(kept, "XNYS")

    assert calendar.is_open(AT) is False
    assert "XNYS.json" in calendar.trouble


def test_a_missing_file_means_closed_and_says_so(tmp_path):
    calendar = Calendar.load(tmp_path, "XNYS")

    assert calendar.is_open(AT) is False
    assert "no file" in calendar.trouble


def test_another_exchanges_file_in_its_place_means_closed(kept):
    (kept / "XNYS.json").rename(kept / "XLON.json")
    calendar = Calendar.load(kept, "XLON")

    assert calendar.is_open(AT) is False
    assert "found XNYS's" in calendar.trouble


def test_a_damaged_file_is_computed_anew(kept):
    path = kept / "XNYS.json"
    path.write_bytes(damage(path.read_bytes()))
    calendar = Calendar.ensure(kept, "XNYS", FakeClock(AT))

    assert calendar.trouble == ""
    assert calendar.is_open(AT) is True


def test_a_fresh_file_is_read_as_it_is_under_every_name_of_the_exchange(kept):
    before = (kept / "XNYS.json").stat().st_ino
    calendars = [Calendar.ensure(kept, name, FakeClock(AT)) for name in ("XNYS", "NYSE", "nasdaq")]

    assert [(one.name, one.is_open(AT)) for one in calendars] == [("XNYS", True)] * 3
    assert (kept / "XNYS.json").stat().st_ino == before


@pytest.mark.parametrize("later", [timedelta(days=1, hours=2), timedelta(days=-2)], ids=["a day", "clock set back"])
def test_a_file_of_another_day_is_computed_anew(kept, later):
    now = AT + later
    calendar = Calendar.ensure(kept, "XNYS", FakeClock(now))

    assert calendar.is_fresh(now)
    assert json.loads((kept / "XNYS.json").read_text())["computed_at"] == iso(now)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("XNYZ", r"that exchange_calendars knows; found 'XNYZ'; take XNYS for New York, or one of: AIXK, .*XNYS.*"),
        ("XTKS", "of an exchange without a lunch break; found 'XTKS'; use another one"),
        ("$$", r"with a name such as XNYS; found '\$\$'; correct it"),
    ],
)
def test_a_calendar_that_there_cannot_be_is_refused_by_the_setting_that_names_it(tmp_path, name, told):
    with pytest.raises(Misconfigured, match=f"^expected STK_CALENDAR as a calendar {told}$"):
        DailyCalendar(tmp_path, name, FakeClock(AT), key="STK_CALENDAR")


def test_one_whose_name_is_known_no_more_goes_on_as_it_was_kept(kept):
    raw = json.loads((kept / "XNYS.json").read_text()) | {"name": "XNYZ"}
    del raw["checksum"]
    (kept / "XNYZ.json").write_text(json.dumps(raw | {"checksum": checksum_of(raw)}))
    calendar = Calendar.ensure(kept, "XNYZ", FakeClock(AT + timedelta(days=2)))

    assert calendar.is_open(AT) is True
    assert "found 'XNYZ'" in calendar.trouble


def test_another_exchange_has_its_own_hours_and_no_extended_ones(tmp_path):
    calendar = Calendar.ensure(tmp_path, "XLON", FakeClock(AT))
    session = calendar.session(AT.date())

    assert (session.open.hour, session.close.hour, session.close.minute) == (7, 15, 30)
    assert (session.pre_open, session.post_close) == (session.open, session.close)


def test_one_that_cannot_be_computed_leaves_the_older_with_its_trouble(kept):
    now = AT + timedelta(days=3)
    (kept / "XNYS.lock").mkdir()  # the child cannot take its lock
    calendar = Calendar.ensure(kept, "XNYS", FakeClock(now))

    assert calendar.is_open(now) is True
    assert "XNYS.lock" in calendar.trouble


def test_two_processes_at_once_compute_it_once(tmp_path):
    command = [sys.executable, "-W", "ignore", "-m", "market.calendar_source", "XNYS", "--directory", str(tmp_path)]
    moments = [iso(AT), iso(AT + timedelta(minutes=1))]
    children = [subprocess.Popen([*command, "--at", moment], stderr=subprocess.PIPE) for moment in moments]
    ends = [(child.communicate(timeout=60)[1], child.returncode) for child in children]

    assert ends == [(b"", 0)] * 2
    assert json.loads((tmp_path / "XNYS.json").read_text())["computed_at"] in moments
    assert Calendar.load(tmp_path, "XNYS").is_open(AT) is True
    assert list(tmp_path.glob(".*.new")) == []


def test_a_long_life_gets_a_new_calendar_every_day_without_waiting(kept):
    clock = FakeClock(AT)
    daily = DailyCalendar(kept, "XNYS", clock)
    first = daily.today()
    clock.advance(86_400 + 60)
    began = time.perf_counter()
    still = daily.today()
    took_s = time.perf_counter() - began
    deadline = time.monotonic() + 30
    while daily.today() is first and time.monotonic() < deadline:
        time.sleep(0.01)

    assert still is first
    assert took_s < 0.1
    assert daily.today().is_fresh(clock.now())


def test_a_long_life_keeps_what_it_has_while_the_file_is_damaged(kept):
    clock = FakeClock(AT)
    daily = DailyCalendar(kept, "XNYS", clock)
    (kept / "XNYS.lock").mkdir()
    clock.advance(86_400 + 60)
    daily.today()
    deadline = time.monotonic() + 30
    while not daily.today().trouble and time.monotonic() < deadline:
        time.sleep(0.01)

    assert "exit" in daily.today().trouble
    assert daily.today().is_open(AT + timedelta(days=1)) is True


def test_a_long_life_that_began_without_a_calendar_asks_again_soon(tmp_path):
    clock = FakeClock(AT)
    (tmp_path / "XNYS.lock").mkdir()
    daily = DailyCalendar(tmp_path, "XNYS", clock)
    at_first = daily.today()
    (tmp_path / "XNYS.lock").rmdir()
    clock.advance(16 * 60)
    deadline = time.monotonic() + 30
    while daily.today() is at_first and time.monotonic() < deadline:
        time.sleep(0.01)

    assert (at_first.is_open(AT), "XNYS.lock" in at_first.trouble) == (False, True)
    assert (daily.today().is_open(AT), daily.today().trouble) == (True, "")


def test_a_loop_that_reads_calendars_and_records_loads_nothing_large():
    names = "market.calendar, market.recorder, market.corporate_actions, market.sessions, risk.day_trades"
    large = "{'pandas', 'numpy', 'duckdb', '_duckdb', 'exchange_calendars'}"
    program = f"import sys, {names}; print(sorted({large} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60).stdout

    assert found.strip() == b"[]"
