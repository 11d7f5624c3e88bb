"""Outages of the simulated Client Portal gateway by script: sessions that end, resets, the penalty box."""

import portal_sim
import pytest
from portal_sim import SPY


@pytest.fixture(scope="module")
def running():
    started = portal_sim.start_portal("--limits", "off")
    yield started
    started.stop()


@pytest.fixture
def gate(running):
    running.tidy()
    yield running
    running.tidy()


def authenticated(gate):
    return gate.post("/iserver/auth/status")["authenticated"]


def initialise(gate, compete=True):
    return gate.post("/iserver/auth/ssodh/init", {"publish": True, "compete": compete})


def test_session_expired_ends_the_brokerage_session_only(gate):
    fault = gate.fault("session_expired")
    refused = gate.send("GET", "/iserver/account/orders")
    tickled = gate.post("/tickle")
    answer = initialise(gate)

    assert refused.status_code == 401
    assert tickled["iserver"]["authStatus"]["authenticated"] is False
    assert answer["authenticated"] is True
    assert gate.fired(fault) == 1


def test_a_new_brokerage_session_has_forgotten_preflights_and_accounts(gate):
    gate.snapshot(SPY)
    fault = gate.fault("session_expired")
    gate.send("GET", "/iserver/accounts")
    initialise(gate)
    refused = gate.send("GET", "/iserver/marketdata/snapshot", conids=SPY, fields="31")
    gate.get("/iserver/accounts")

    assert refused.status_code == 400
    assert "31" not in gate.get("/iserver/marketdata/snapshot", conids=SPY, fields="31")[0]
    assert gate.fired(fault) == 1


def test_a_reply_does_not_outlive_the_brokerage_session(gate):
    question = gate.order("BUY", 1, cOID="ft-outlived")
    fault = gate.fault("session_expired")
    gate.send("GET", "/iserver/accounts")
    initialise(gate)
    refused = gate.send("POST", f"/iserver/reply/{question[0]['id']}", {"confirmed": True})

    assert refused.status_code == 400
    assert gate.fired(fault) == 1


def test_competing_session_is_taken_back_by_competing(gate):
    fault = gate.fault("competing_session")
    status = gate.post("/iserver/auth/status")
    polite = initialise(gate, compete=False)
    taken = initialise(gate)

    assert (status["authenticated"], status["competing"], status["connected"]) == (False, True, True)
    assert (polite["authenticated"], polite["competing"]) == (False, True)
    assert (taken["authenticated"], taken["competing"]) == (True, False)
    assert gate.fired(fault) == 1


def test_signing_out_ends_the_login_too(gate):
    out = gate.post("/logout")
    tried = gate.send("POST", "/iserver/auth/ssodh/init", {"publish": True, "compete": True})
    lifted = gate.login()

    assert out == {"status": True}
    assert tried.status_code == 401
    assert lifted["standing"] == "up"


def test_first_list_of_executions_of_a_session_is_empty(gate):
    gate.login()
    gate.entered("BUY", 1, "MKT", cOID="out-first-list")
    gate.until(lambda: any(row.get("order_ref") == "out-first-list" for row in gate.trades()))
    gate.login()
    first, second = (gate.get("/iserver/account/trades") for _ in range(2))

    assert first == []
    assert any(row.get("order_ref") == "out-first-list" for row in second)


def test_publish_has_to_be_true(gate):
    fault = gate.fault("session_expired")
    gate.send("GET", "/iserver/accounts")
    refused = gate.send("POST", "/iserver/auth/ssodh/init", {"publish": False, "compete": True})

    assert refused.status_code == 500
    assert gate.post("/iserver/reauthenticate") == {"message": "triggered"}
    assert authenticated(gate)
    assert gate.fired(fault) == 1


@pytest.mark.parametrize(("form", "status"), [("401", 401), ("body", 200)])
def test_no_session_in_both_forms(gate, form, status):
    fault = gate.fault("no_session", form=form, times=2)
    found = [gate.send("POST", "/tickle"), gate.send("GET", "/iserver/accounts")]

    assert [reply.status_code for reply in found] == [status, status]
    assert (found[0].text == "Access Denied") is (form == "401")
    assert (found[1].text == '{"error":"no session"}') is (form == "body")
    assert gate.send("POST", "/tickle").status_code == 200
    assert gate.fired(fault) == 2


def test_needs_login_is_lifted_by_a_person_only(gate):
    fault = gate.fault("needs_login")
    tickled = gate.send("POST", "/tickle")
    tried = gate.send("POST", "/iserver/auth/ssodh/init", {"publish": True, "compete": True})
    gate.send("POST", "/logout")
    still = gate.send("GET", "/iserver/accounts")
    standing = gate.state()["session"]["standing"]
    lifted = gate.login()

    assert [reply.status_code for reply in (tickled, tried, still)] == [401, 401, 401]
    assert (standing, lifted["standing"]) == ("needs login", "up")
    assert authenticated(gate)
    assert gate.fired(fault) == 1


def test_daily_reset_is_away_for_a_while_and_then_not_authenticated(gate):
    fault = gate.fault("daily_reset", seconds=0.4)
    away = gate.send("POST", "/tickle")
    back = gate.until(lambda: gate.send("POST", "/tickle").status_code == 200)
    after = authenticated(gate)

    assert away.status_code == 503
    assert back
    assert after is False
    assert initialise(gate)["authenticated"] is True
    assert gate.fired(fault) == 1


def test_penalty_box_refuses_everything_until_it_is_over(gate):
    fault = gate.fault("penalty_box", seconds=0.4)
    found = {gate.send("POST", path).status_code for path in ("/tickle", "/logout", "/iserver/auth/status")}
    gate.until(lambda: gate.send("POST", "/tickle").status_code == 200)

    assert found == {429}
    assert gate.fired(fault) == 1
