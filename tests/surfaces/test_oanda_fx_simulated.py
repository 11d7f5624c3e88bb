"""Surface and resolver as they are run, against a simulated OANDA that misbehaves."""

import os
import signal

import pytest
import warm_start
from fx_venue import TOKEN, Desk, Simulator
from waiting import until

from audit.logs import verify_all


@pytest.fixture(scope="module")
def simulator():
    made = Simulator()
    yield made
    made.stop()


@pytest.fixture
def desk(simulator, tmp_path):
    made = Desk(simulator, tmp_path / "home")
    yield made
    made.close()


ORDERS = {"match": {"method": "POST", "path": "/v3/accounts/*/orders"}}


def test_an_order_whose_reply_was_lost_is_found_not_sent_again(desk):
    lost = desk.fault("drop_after_accept", times=1, **ORDERS)
    desk.start().wait_for_ends(2)
    desk.finish()

    states = {}
    for event in desk.records("orders", "order_event"):
        states.setdefault(event["client_order_id"], []).append(event["state"])
    assert desk.fired(lost) == 1
    assert ["unknown", "filled"] in states.values()


def test_a_price_stream_that_stalls_is_replaced_by_polling(desk):
    stalled = desk.fault("stall_stream", match={"path": "/v3/accounts/*/pricing/stream"})
    desk.start()
    until(lambda: desk.fired(stalled), "a stalled stream")
    desk.wait_for_ends(3)
    desk.finish()

    polls = [row for row in desk.requests() if row["path"].endswith(f"{desk.account}/pricing")]
    assert len(polls) > 3


def test_transactions_told_twice_are_booked_once(desk):
    doubled = desk.fault("duplicate_transactions")
    desk.start().wait_for_ends(2)
    desk.finish()

    assert desk.fired(doubled) >= 2


def test_a_position_that_lost_its_stop_gets_it_back(desk):
    lost = desk.fault("lose_bracket", times=1, **ORDERS)
    desk.start()
    until(lambda: desk.fired(lost), "an order without its bracket")
    first = until(desk.entries, "an entry")[0]

    def stops():
        rows = desk.venue("transactions/sinceid", id=0)["transactions"]
        return [row for row in rows if row["type"] == "STOP_LOSS_ORDER" and row["reason"] == "CLIENT_ORDER"]

    made = until(stops, "a stop made by the resolver")
    trade = desk.venue(f"trades/@{first}")["trade"]
    desk.wait_for_ends(1)
    desk.finish()

    assert made[0]["tradeID"] == trade["id"]


def test_a_burst_of_server_errors_and_a_lost_reply_in_it_double_nothing(desk):
    accepted = desk.fault("status", status=502, after_accept=True, times=1, **ORDERS)
    desk.start().wait_for_ends(1)
    burst = desk.fault("status", status=503, times=40)
    until(lambda: desk.fired(burst) == 40, "the end of the burst")
    before = len(desk.resolved())
    desk.wait_for_ends(before + 1)
    desk.finish()

    assert desk.fired(accepted) == 1


def test_killing_both_processes_again_and_again_doubles_and_loses_nothing(desk):
    desk.fault("delay", seconds=0.3, after_accept=True, times=3, **ORDERS)
    for _ in range(3):
        desk.start()
        entries = len(desk.entries())
        until(lambda before=entries: len(desk.entries()) > before, "one more entry")
        desk.end(signal.SIGKILL)
    desk.start()
    ends = len(desk.resolved())
    desk.wait_for_ends(ends + 1)
    desk.finish()


def misconfigured(module, **environment):
    """Run a process that must not come up; return what it said in one line."""
    known = {"OANDA_ACCOUNT_ID": "101-001-1-001", "OANDA_TOKEN": TOKEN, "RISK_BANKROLL": "1000"} | environment
    known = {key: value for key, value in known.items() if value is not None}
    done = warm_start.run(["-m", module, "fx"], env=known)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (78, "", 1), done
    assert TOKEN not in done.stderr
    return done.stderr


@pytest.mark.parametrize("module", ["surfaces", "resolver"])
def test_wrong_settings_end_the_process_with_one_line_that_names_the_key(module, tmp_path):
    home = {"TBOT_HOME": str(tmp_path)}

    assert "did you mean 'FX_LOOP_S'?" in misconfigured(module, FX_LOPS_S="1", **home)
    assert "OANDA_TOKEN" in misconfigured(module, OANDA_TOKEN=None, **home)
    wrong = misconfigured(module, RISK_DAILY_LOSS="much", **home)
    assert "RISK_DAILY_LOSS" in wrong
    assert "much" in wrong
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("module", ["surfaces", "resolver"])
def test_real_money_needs_three_keys_and_the_right_host(module, tmp_path):
    live = {"TBOT_HOME": str(tmp_path), "FX_MODE": "live", "OANDA_ENVIRONMENT": "live"}
    missing = misconfigured(module, **live)
    wrong_account = misconfigured(module, FX_LIVE="true", FX_LIVE_ACCOUNT="101-001-2-001", **live)
    paper = misconfigured(module, **live | {"FX_MODE": "paper"})
    practice = misconfigured(module, **live | {"OANDA_ENVIRONMENT": "practice"})

    for key in ("FX_LIVE=true", "FX_LIVE_ACCOUNT=101-001-1-001", "state/fx.armed holding 101-001-1-001"):
        assert key in missing
    assert "FX_LIVE_ACCOUNT=101-001-1-001" in wrong_account
    assert "FX_LIVE=true" not in wrong_account
    assert "FX_MODE=paper" in paper
    assert "FX_MODE=live" in practice
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("module", ["surfaces", "resolver"])
def test_failures_armed_for_a_test_are_refused_where_real_money_is_traded(module, tmp_path):
    armed = {"TBOT_HOME": str(tmp_path), "FX_MODE": "live", "TBOT_FAILPOINTS": "before_order=eio"}
    said = misconfigured(module, **armed)
    misspelt = misconfigured(module, **armed | {"FX_MODE": "paper", "TBOT_FAILPOINTS": "before_odrer=eio"})

    assert "expected no TBOT_FAILPOINTS with FX_MODE=live" in said
    assert "did you mean 'before_order'?" in misspelt
    assert os.listdir(tmp_path) == []


def test_a_dry_run_lives_through_whole_trades_without_an_order(desk):
    desk.start(FX_MODE="dry_run").wait_for_ends(2)

    assert desk.end() == [0, 0], desk.said()
    assert desk.entries() == []
    assert {row["resolution_source"] for row in desk.records("resolutions", "resolution")} == {"sim"}
    assert {row["clean"] for row in desk.records("decisions", "reconciliation")} == {True}
    assert all(report.ok for report in verify_all(desk.home / "logs").values())
