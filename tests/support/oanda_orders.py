"""Orders at a simulated OANDA, as the tests of its adapter send and find them."""

from datetime import timedelta

from domain.errors import Retry
from domain.vocabulary import OrderState


def ago(venue, seconds=600):
    return venue.clock.now() - timedelta(seconds=seconds)


def find(executor, venue, intent):
    """Ask until the grace of a fresh order is over."""

    def ask():
        try:
            return executor.find(intent.client_order_id, since=ago(venue))
        except Retry:
            return None

    return ask


def opened(executor, intent):
    events = executor.submit(intent)
    assert [event.state for event in events] == [OrderState.FILLED]
    return events[0].broker_trade_id
