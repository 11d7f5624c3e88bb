"""The adapter at the Client Portal simulator asked directly: other accounts, and entries that no list has."""

from datetime import timedelta
from decimal import Decimal as D

import pytest

from tbot_client.brokers.port import Levels, Order
from tbot_client.clock import parse_clock
from tbot_client.errors import Ask


@pytest.fixture
def live(client, portal_venue):
    """Return a client on the venue's clock."""
    client.clock = parse_clock(portal_venue.spec)
    return client


def select(portal_venue, account):
    """Select an account at the gateway, as another program that shares it does."""
    portal_venue.http.post("/v1/api/iserver/account", json={"acctId": account})
    assert portal_venue.state()["selected"] == account


def aig(portal_venue, number):
    """Return an order to buy, to be sent without a signal."""
    price = D(portal_venue.quote()[1])
    levels = Levels(stop=(price * D("0.9")).quantize(D("0.01")), target=None)
    client_id = f"tc-{number:026d}-entry-1"
    return Order(client_id=client_id, instrument="AIG", side="buy", units=D(10), levels=levels, reference=price + 1)


def test_a_gateway_that_another_program_turned_to_its_own_account_still_tells_of_ours(live, portal_venue, make_ibkr):
    broker = make_ibkr()
    broker.positions()
    select(portal_venue, "DU2")
    (opened,) = broker.place(aig(portal_venue, 1))
    (position,) = broker.positions()

    assert (opened.units, position.client_id) == (10, opened.client_id)
    assert portal_venue.state()["selected"] == "DU2"
    select(portal_venue, "DU1")


def test_an_entry_that_was_taken_in_and_that_no_list_has_never_counts_as_not_traded(live, portal_venue, make_ibkr):
    name = portal_venue.fault("swallowed_order", acknowledged=True, times=1)
    broker, order = make_ibkr(), aig(portal_venue, 2)
    with pytest.raises(Ask):
        broker.place(order)
    again = make_ibkr()
    portal_venue.until(lambda: is_absent(again, order))

    assert portal_venue.fired(name) == 1
    assert again.is_taken(order.client_id)


def test_a_day_after_it_was_taken_in_an_entry_that_no_list_has_was_not_filled(live, portal_venue, make_ibkr):
    portal_venue.fault("swallowed_order", acknowledged=True, times=1)
    broker, order = make_ibkr(), aig(portal_venue, 3)
    with pytest.raises(Ask):
        broker.place(order)
    now = live.clock.now
    live.clock.now = lambda: now() + timedelta(days=1)
    found = []
    portal_venue.until(lambda: not is_asking(lambda: found.extend(broker.find(order.client_id))))

    assert [(event.client_id, event.reason) for event in found] == [(order.client_id, "NOT_FILLED")]
    assert not broker.is_taken(order.client_id)


def is_absent(broker, order):
    return not is_asking(lambda: broker.find(order.client_id))


def is_asking(question):
    try:
        question()
    except Ask:
        return True
    return False
