"""A gateway that comes back without its orders, and a process that comes back without its memory."""

from decimal import Decimal

import pytest
from tws_desk import TwsDesk, desks, started

from domain.errors import Ask
from domain.vocabulary import Link, OrderState

D = Decimal
# An answer may take its time on a busy machine: what no test here waits for is not doubted soon.
PATIENT = {"order_timeout_s": 10, "fresh_order_grace_s": 10}


@pytest.fixture(scope="module")
def gateway():
    yield from started()


@pytest.fixture
def desk(gateway):
    for made in desks(gateway):
        made.connect(**PATIENT)
        yield made


@pytest.fixture
def lone():
    """A gateway of its own, for faults that befall every client of one."""
    for gateway in started():
        made = TwsDesk(gateway)
        made.connect(**PATIENT)
        yield made
        made.close()


def test_orders_that_a_restarted_gateway_lists_late_are_not_given_up(desk):
    intent = desk.far()
    desk.executor.submit(intent)
    late = desk.fault("late_orders", seconds=2, times=1, match={"client": desk.client})
    drop = desk.fault("drop_socket", times=1, match=desk.mine(message="reqCurrentTime"))
    desk.eventually(lambda: desk.gateway.fired(late))
    desk.until_link(Link.UP)
    found = desk.states(intent)
    resting = {one.client_order_id for one in desk.eventually(desk.executor.resting)}

    assert desk.gateway.fired(drop) == 1
    assert found == ["accepted"]
    assert resting == {intent.client_order_id, desk.stop_of(intent)}


def test_order_in_flight_is_not_absent_because_a_restarted_gateway_lists_it_late(lone):
    lone.restart(probe_interval_s=30, order_timeout_s=0.5, fresh_order_grace_s=2)
    lost = lone.fault("lost_reply", times=2, match=lone.mine())
    intent = lone.far()
    with pytest.raises(Ask):
        lone.executor.submit(intent)
    late = lone.fault("late_orders", seconds=1, times=1, match={"client": lone.client})
    reset = lone.fault("nightly_reset", seconds=3)
    lone.eventually(lambda: lone.gateway.fired(late))
    found = lone.states(intent)

    assert (lone.gateway.fired(lost), lone.gateway.fired(reset)) == (2, 1)
    assert found == ["accepted"]
    assert len(lone.orders(intent.client_order_id)) == 1


def test_order_that_is_known_is_never_said_not_to_have_left(lone):
    intent = lone.far()
    lone.executor.submit(intent)
    lone.fault("connectivity_lost")
    lone.until_link(Link.DOWN)
    with pytest.raises(Ask):
        lone.executor.submit(intent)

    assert len(lone.orders(intent.client_order_id)) == 1


def test_order_that_filled_in_parts_is_told_in_parts_after_a_restart(desk):
    fault = desk.fault("partial_fill", fraction=0.4, seconds=0.2, times=1, match=desk.mine())
    intent = desk.at_market()
    desk.executor.submit(intent)
    desk.until_state(intent, "filled")
    desk.restart(**PATIENT)
    found = desk.find(intent)

    assert desk.gateway.fired(fault) == 1
    assert [(one.state, one.quantity) for one in found] == [(OrderState.PARTIAL, D(4)), (OrderState.FILLED, D(6))]


def test_order_that_was_taken_back_after_a_part_of_it_filled_is_told_so_after_a_restart(desk):
    fault = desk.fault("partial_fill", fraction=0.4, times=1, match=desk.mine())
    intent = desk.at_market()
    desk.executor.submit(intent)
    desk.executor.cancel(intent.client_order_id)
    desk.restart(**PATIENT)
    found = desk.find(intent)

    assert desk.gateway.fired(fault) == 1
    assert [(one.state, one.quantity) for one in found] == [(OrderState.PARTIAL, D(4)), (OrderState.CANCELLED, D(0))]


def test_trailing_limit_that_follows_the_market_takes_another_quantity(desk):
    intent = desk.bought(trailing_offset=D("0.10"))
    (stop,) = desk.executor.resting()
    desk.executor.amend(desk.stop_of(intent), quantity=D(4))
    (amended,) = desk.executor.resting()

    assert stop.limit is not None
    assert (amended.quantity, amended.trailing_percent) == (D(4), D(10))
