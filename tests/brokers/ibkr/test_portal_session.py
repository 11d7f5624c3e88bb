"""The session of the Client Portal: kept, lost, and brought back; numbers are those of docs/brokers.md."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from portal_desk import PortalDesk, desks, started
from portal_sim import start_portal

from brokers.ibkr.config import IbkrConfig
from domain.errors import Misconfigured, Retry
from domain.order import TERMINAL
from domain.vocabulary import Link, OrderState


@pytest.fixture(scope="module")
def gateway():
    yield from started()


@pytest.fixture
def desk(gateway):
    yield from desks(gateway)


@pytest.fixture
def linked(desk):
    desk.connect()
    return desk


def refused(desk):
    """Return why an order is not sent now."""
    with pytest.raises(Retry) as raised:
        desk.executor.submit(desk.entry())
    return str(raised.value)


def test_link_is_down_until_everything_was_read(desk, gateway):
    gateway.fault("slow", seconds=0.3, times=1, name="slow-trades", match={"path": "*/account/trades"})
    desk.connect(up=False)
    before = desk.executor.link()[0]
    words = refused(desk)
    desk.until_up()
    seen = {row["path"].rpartition("/v1/api")[2] for row in gateway.requests()}

    assert gateway.fired("slow-trades") == 1
    assert before is Link.DOWN
    assert "DOWN" in words
    assert {"/iserver/accounts", "/iserver/account/orders", "/iserver/account/trades", "/portfolio/accounts"} <= seen


def test_failure_11_ended_brokerage_session_is_opened_again(linked, gateway):
    name = gateway.fault("session_expired", times=1)
    openings = linked.executor.session.openings
    linked.eventually(lambda: linked.executor.resting() is not None and gateway.fired(name))
    linked.eventually(lambda: linked.executor.session.openings > openings)
    linked.until_up()

    assert linked.executor.submit(linked.entry())[-1].state is OrderState.ACCEPTED


def test_failure_11_competing_session_is_taken_back(linked, gateway):
    name = gateway.fault("competing_session", times=1)
    linked.eventually(lambda: linked.executor.account() and gateway.fired(name))
    openings = linked.executor.session.openings
    linked.executor.session.lost("the test says so")
    linked.eventually(lambda: linked.executor.session.openings > openings)
    linked.until_up()

    assert linked.executor.submit(linked.entry())[-1].state is OrderState.ACCEPTED
    assert not [row for row in gateway.requests() if row["path"].endswith("/logout")]


def test_failure_11_competing_session_is_left_alone_when_so_set(desk, gateway):
    desk.connect(portal_compete=False)
    openings = desk.executor.session.openings
    name = gateway.fault("competing_session", times=1)
    desk.eventually(lambda: desk.executor.account() and gateway.fired(name))
    desk.executor.session.lost("the test says so")
    words = desk.eventually(lambda: "elsewhere" in desk.executor.link()[1] and desk.executor.link()[1])

    assert "IBKR_PORTAL_COMPETE" in words
    assert desk.executor.session.openings == openings


def test_failure_11_lost_login_asks_for_a_person_and_sends_nothing(linked, gateway):
    name = gateway.fault("needs_login", times=1)
    linked.executor.session.lost("the test says so")
    words = linked.eventually(lambda: "browser" in linked.executor.link()[1] and linked.executor.link()[1])
    sent = len(linked.sent())
    refused(linked)
    gateway.login()
    linked.until_up()

    assert gateway.fired(name) == 1
    assert "second factor" in words
    assert len(linked.sent()) == sent == 0
    assert linked.executor.submit(linked.entry())[-1].state is OrderState.ACCEPTED


@pytest.mark.parametrize("form", ["401", "body"])
def test_failure_11_answer_without_a_session_takes_the_link_down_at_once(linked, gateway, form):
    name = gateway.fault("no_session", form=form, times=1, match={"path": "*/orders"})
    with pytest.raises(Retry):
        linked.executor.submit(linked.entry())
    down = linked.executor.link()[0]
    linked.until_up()

    assert gateway.fired(name) == 1
    assert down is Link.DOWN


def test_failure_07_daily_reset_is_outlived_and_explained(gateway, desk):
    desk.connect()
    name = gateway.fault("daily_reset", seconds=20, times=1)
    desk.executor.session.lost("the test says so")
    words = desk.eventually(lambda: gateway.fired(name) and "503" in desk.executor.link()[1] and desk.executor.link())
    desk.until_up()

    assert words[0] is Link.DOWN
    assert desk.executor.submit(desk.entry())[-1].state is OrderState.ACCEPTED


def test_failure_07_gateway_that_answers_503_is_found_out_before_its_next_tickle(linked, gateway):
    name = gateway.fault("daily_reset", seconds=20, times=1)
    with pytest.raises(Retry, match="503"):
        linked.executor.account()
    linked.until_down()
    linked.until_up()

    assert gateway.fired(name) == 1
    assert linked.executor.submit(linked.entry())[-1].state is OrderState.ACCEPTED


def test_failure_07_fill_during_an_absence_is_booked_before_the_link_is_up(linked, gateway):
    intent = linked.entry()
    linked.executor.submit(intent)
    gateway.fault("needs_login", times=1)
    linked.executor.session.lost("the test says so")
    linked.until_down()
    gateway.trade_by_hand(756733, 5, linked.account)
    gateway.login()
    linked.until_up()
    fills, _ = linked.executor.fills_since("1970-01-01T00:00:00.000000Z")

    assert [(fill.client_order_id, fill.quantity) for fill in fills] == [(None, 5)]
    assert linked.states(intent) == ["accepted"]


def test_failure_07_executions_are_known_once_the_link_is_up_though_a_sessions_first_list_is_empty(linked):
    intent = linked.bought()
    linked.gateway.login()
    linked.connect()
    fills, _ = linked.executor._fills.since("1970-01-01T00:00:00.000000Z")

    assert [fill.client_order_id for fill in fills] == [intent.client_order_id]


def test_failure_07_list_of_executions_that_lost_what_it_had_proves_nothing(linked, gateway):
    linked.bought()
    linked.eventually(lambda: linked.executor._ledger.book.all())
    name = gateway.fault("trades_cache_empty", times=1)
    with pytest.raises(Retry, match="executions that were listed before"):
        linked.executor._ledger.read_trades(linked.executor._ledger.now_ns())

    assert gateway.fired(name) == 1
    assert linked.eventually(lambda: linked.executor.fills_since("1970-01-01T00:00:00.000000Z")[0])


def test_failure_07_half_up_gateway_is_not_up(linked, gateway):
    name = gateway.fault("status", status=503, match={"path": "*/account/trades"})
    linked.executor.session.lost("the test says so")
    linked.eventually(lambda: gateway.fired(name) >= 2)
    standing = linked.executor.link()
    gateway.clear(name)
    linked.until_up()

    assert standing[0] is Link.DOWN
    assert "503" in standing[1]


def test_failure_10_penalty_silences_everything_for_as_long_as_the_gateway_says(desk, gateway):
    desk.connect(portal_penalty_s=0.7)
    name = gateway.fault("penalty_box", seconds=4, times=1)
    with pytest.raises(Retry, match="429"):
        desk.executor.account()
    seen = len(gateway.requests())
    words = desk.executor.link()
    refusal = refused(desk)
    with pytest.raises(Retry):
        desk.data.bars("SPY", 60, start=desk.clock.now() - timedelta(hours=1))
    seen_later = len(gateway.requests())
    gateway.release()
    desk.until_up()

    assert gateway.fired(name) == 1
    assert words[0] is Link.DOWN
    assert "429" in words[1]
    assert "DOWN" in refusal
    assert seen_later == seen


def test_failure_10_all_processes_of_a_gateway_keep_within_its_limits_together(tmp_path):
    # Five simulated seconds are one of ours: the limits stay in proportion.
    simulator = start_portal("--no-calendar", "--limits", "simulated", speed=5)
    desks_ = [PortalDesk(simulator, "DU1") for _ in range(2)]
    shared = {"portal_shared": tmp_path / "pace", "portal_requests_per_s": 40.0, "portal_page_pause_s": 1.2}
    try:
        for desk in desks_:
            desk.connect(up=False, **shared)
        with ThreadPoolExecutor() as pool:
            read = list(pool.map(lambda desk: desk.eventually(desk.data_of, 15), desks_))
        state = simulator.state()
    finally:
        for desk in desks_:
            desk.close()
        simulator.stop()

    assert len(read) == 2
    assert state["rate_limited"] == 0
    assert state["requests"]["POST /tickle"] >= 2


def test_failure_18_gateway_that_dies_and_comes_back_is_found_again(tmp_path):
    first = start_portal("--limits", "off", "--no-calendar", speed=1)
    port = int(first.url.rpartition(":")[2])
    desk = PortalDesk(first, "DU1")
    second = None
    try:
        desk.connect()
        desk.quote()
        first.stop()
        desk.until_down()
        with pytest.raises(Retry):
            desk.executor.submit(desk.entry())
        second = start_portal("--limits", "off", "--no-calendar", "--port", str(port), speed=1)
        desk.gateway = second
        desk.until_up()
        state = desk.executor.submit(desk.entry())[-1].state
    finally:
        desk.close()
        if second is not None:
            second.stop()

    assert state is OrderState.ACCEPTED
    assert state not in TERMINAL


def test_certificate_is_checked_unless_so_set_for_this_machine():
    simulator = start_portal("--tls", "--limits", "off", "--no-calendar", speed=1)
    desk = PortalDesk(simulator, "DU1")
    pace = {"portal_requests_per_s": 10.0, "portal_page_pause_s": 5.0}
    try:
        desk.connect(up=False, **pace)
        words = desk.eventually(lambda: "no connection" in desk.executor.link()[1] and desk.executor.link()[1])
        desk.close()
        desk.connect(up=False, portal_insecure=True, **pace)
        desk.eventually(lambda: "no connection" not in desk.executor.link()[1])
        desk.data.quotes(["SPY"])
    finally:
        desk.close()
        simulator.stop()

    assert words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"portal_url": "https://gateway.example/v1/api", "portal_insecure": True}, "PORTAL_INSECURE"),
        ({"portal_url": "http://gateway.example/v1/api"}, "PORTAL_URL"),
        ({"portal_url": "https://localhost:5000/v1/api", "portal_requests_per_s": 50.0}, "PORTAL_REQUESTS_PER_S"),
        ({"portal_url": "https://localhost:5000/v1/api", "portal_page_pause_s": 1.0}, "PORTAL_PAGE_PAUSE_S"),
    ],
)
def test_setting_that_would_harm_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        IbkrConfig(account="DU1", **changes)


def test_certificate_file_that_cannot_be_read_names_its_key(desk, tmp_path):
    changes = {"portal_requests_per_s": 10.0, "portal_page_pause_s": 5.0, "portal_ca": tmp_path / "none.pem"}
    with pytest.raises(Misconfigured, match="IBKR_PORTAL_CA"):
        desk.connect(up=False, portal_url="https://localhost:5000/v1/api", **changes)


def test_account_that_the_login_has_not_is_named(desk):
    desk.account = "DU999"
    desk.connect(up=False)

    assert desk.eventually(lambda: "IBKR_ACCOUNT DU999" in desk.executor.link()[1])
