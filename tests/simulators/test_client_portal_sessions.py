"""Sessions and pacing of the simulated Client Portal gateway, on clocks moved by hand."""

from datetime import datetime, timedelta

import pytest

from simulators.client_portal.gateway import Gateway, Rules
from simulators.client_portal.pacing import LIMITS, Pacer
from simulators.client_portal.session import Lives, Session, Standing
from simulators.ibkr.accounts import AccountSpec
from simulators.ibkr.tape import Tape
from simulators.ibkr.venue import Venue

TUESDAY = datetime.fromisoformat("2014-05-06T14:00:00+00:00")


class Wall:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Hands:
    """A clock of simulated time that a test moves."""

    def __init__(self, text):
        self.at(text)

    def at(self, text):
        self.ms = round(at(text).timestamp() * 1000)

    def now_ms(self):
        return self.ms


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def session(wall):
    return Session(TUESDAY, Lives(idle_seconds=300, reset_seconds=120), wall)


def at(text):
    return datetime.fromisoformat(text)


def test_a_session_begins_signed_in_and_authenticated(session):
    assert session.look(TUESDAY) is Standing.UP
    assert session.expires_in_ms(TUESDAY) == 24 * 3600 * 1000


def test_a_brokerage_session_nobody_uses_ends_and_one_in_use_does_not(session, wall):
    wall.now = 299
    session.keep_alive()
    wall.now = 598
    kept = session.look(TUESDAY)
    wall.now = 600
    lost = session.look(TUESDAY)

    assert (kept, lost) == (Standing.UP, Standing.UNAUTHENTICATED)


def test_the_daily_reset_comes_at_one_in_new_york_and_leaves_no_brokerage_session(session):
    before = session.look(at("2014-05-07T04:59:59+00:00"))
    during = session.look(at("2014-05-07T05:00:01+00:00"))
    after = session.look(at("2014-05-07T05:02:01+00:00"))

    assert (before, during, after) == (Standing.UP, Standing.RESETTING, Standing.UNAUTHENTICATED)
    assert session.authenticate(at("2014-05-07T05:02:02+00:00"), compete=False)
    assert session.look(at("2014-05-08T04:59:00+00:00")) is Standing.UP


def test_the_daily_reset_follows_daylight_saving(wall):
    winter = Session(at("2014-01-07T14:00:00+00:00"), Lives(), wall)

    assert winter.look(at("2014-01-08T05:30:00+00:00")) is Standing.UP
    assert winter.look(at("2014-01-08T06:01:00+00:00")) is Standing.RESETTING


def test_sunday_s_reset_needs_a_person(session):
    saturday = at("2014-05-10T12:00:00+00:00")
    session.look(saturday)
    session.authenticate(saturday, compete=False)
    sunday = at("2014-05-11T05:10:00+00:00")
    standing = session.look(sunday)
    tried = session.authenticate(sunday, compete=True)
    session.sign_in(sunday)

    assert standing is Standing.NEEDS_LOGIN
    assert not tried
    assert session.look(sunday) is Standing.UP


def test_a_token_that_is_not_renewed_runs_out(session):
    soon = at("2014-05-07T05:30:00+00:00")
    later = at("2014-05-07T14:00:01+00:00")

    assert session.look(soon) is Standing.UNAUTHENTICATED
    assert session.look(later) is Standing.NO_SESSION
    assert not session.authenticate(later, compete=True)


def test_without_a_calendar_nothing_ends_by_itself(wall):
    session = Session(TUESDAY, Lives(calendar=False), wall)

    assert session.look(TUESDAY + timedelta(days=30)) is Standing.UP


def test_ending_the_competing_session_needs_the_will_to_compete(session):
    session.lose_to_another()

    assert session.standing is Standing.COMPETING
    assert not session.authenticate(TUESDAY, compete=False)
    assert session.authenticate(TUESDAY, compete=True)


def test_ten_requests_a_second_and_the_eleventh_is_boxed(wall):
    pacer = Pacer(wall, wall, 600)
    admitted = [pacer.admit("/portfolio/x") for _ in range(11)]
    wall.now = 599
    during = pacer.admit("/portfolio/x")
    wall.now = 601

    assert admitted == [True] * 10 + [False]
    assert not during
    assert pacer.refused == 2
    assert pacer.admit("/portfolio/x")


@pytest.mark.parametrize(("page", "limit"), LIMITS.items())
def test_each_page_has_its_own_limit(wall, page, limit):
    number, seconds = limit
    pacer = Pacer(wall, wall, 1)
    admitted = [pacer.admit(page) for _ in range(number + 1)]
    wall.now = seconds + 1

    assert admitted[:number] == [True] * number
    assert not admitted[number]
    assert pacer.admit(page)


def test_five_histories_at_once_and_no_more(wall):
    pacer = Pacer(wall, wall, 600)
    page = "/iserver/marketdata/history"
    with pacer.answering(page), pacer.answering(page), pacer.answering(page), pacer.answering(page):
        fifth = pacer.admit(page)
        with pacer.answering(page):
            sixth = pacer.admit(page)

    assert (fifth, sixth) == (True, False)


def test_limits_can_be_off(wall):
    pacer = Pacer(None, wall, 600)

    assert all(pacer.admit("/tickle") for _ in range(100))
    pacer.box()
    assert not pacer.admit("/tickle")
    pacer.release()
    assert pacer.admit("/tickle")


def test_the_gateway_keeps_the_calendar_of_the_simulated_clock():
    clock = Hands("2014-05-07T04:59:59+00:00")
    gateway = Gateway(Venue(Tape(), clock, [AccountSpec(id="DU1")]), Rules())
    found = []
    for moment in ("2014-05-07T04:59:59+00:00", "2014-05-07T05:00:00+00:00", "2014-05-07T05:02:00+00:00"):
        clock.at(moment)
        gateway.tick()
        found.append(gateway.session.standing)

    assert found == [Standing.UP, Standing.RESETTING, Standing.UNAUTHENTICATED]
