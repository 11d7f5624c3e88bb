"""Both of the exchange's Python clients, unmodified, against the simulated venue."""

import warnings
from decimal import Decimal

import kalshi_lab
import kalshi_sim
import pytest

from simulators.kalshi.orders import Force
from simulators.kalshi.persistence import Store

with warnings.catch_warnings():
    # kalshi_python 2.1.4 has '\&' in docstrings: a warning when it is compiled for the first time, and not ours
    warnings.simplefilter("ignore", SyntaxWarning)
    warnings.simplefilter("ignore", DeprecationWarning)
    import kalshi_python
    import kalshi_python_sync

TICKER = kalshi_sim.TICKER
EVENT = "KXTEST-14MAY06"
CLIENTS = [kalshi_python, kalshi_python_sync]


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    started = kalshi_sim.start(tmp_path_factory.mktemp("sdk"))
    yield started
    started.stop()


@pytest.fixture(params=CLIENTS, ids=lambda module: module.__name__)
def module(request):
    return request.param


@pytest.fixture
def client(venue, module):
    # each package has an account of its own, so that they do not see each other's orders
    one = venue.members[CLIENTS.index(module)]
    configuration = module.Configuration(host=venue.base_url)
    configuration.api_key_id, configuration.private_key_pem = one.key_id, one.private_pem
    made = module.KalshiClient(configuration)
    yield made
    getattr(made, "_api_client", made).rest_client.pool_manager.clear()


def test_markets_events_and_books_are_read(client, module):
    market = client.get_market(TICKER).market
    listed = client.get_markets(limit=10, series_ticker="KXTEST", status="open").markets
    event = client.get_event(EVENT, with_nested_markets=True)
    book = client.get_market_orderbook(TICKER, depth=2).orderbook

    assert (market.yes_bid, market.yes_ask, market.status) == (49, 51, "active")
    assert TICKER in [found.ticker for found in listed]
    assert event.event.event_ticker == EVENT
    assert TICKER in [found.ticker for found in event.markets]
    assert client.get_exchange_status().trading_active
    if module is kalshi_python_sync:
        assert book.yes_dollars[-1] == ["0.4900", "200.00"]
    else:
        # its model calls the sides "true" and "false" (YAML for yes and no), so it sees neither, at the venue as here
        assert book is not None


def test_an_order_is_created_read_and_cancelled(client, module):
    named = f"sdk-{module.__name__}"

    made = client.create_order(
        ticker=TICKER, side="no", action="buy", count=5, type="limit", no_price=40, client_order_id=named
    ).order
    resting = client.get_orders(ticker=TICKER, status="resting").orders
    read = client.get_order(made.order_id).order
    gone = client.cancel_order(made.order_id)

    assert (made.side, made.no_price, made.remaining_count, made.client_order_id) == ("no", 40, 5, named)
    assert [order.order_id for order in resting] == [made.order_id]
    assert str(read.status).lower().endswith("resting")
    assert gone.reduced_by == 5
    assert not client.get_orders(ticker=TICKER, status="resting").orders


def test_a_fill_changes_balance_positions_and_fills(client, venue, module):
    who = CLIENTS.index(module)
    before = client.get_balance().balance

    order = client.create_order(ticker=TICKER, side="yes", action="buy", count=10, type="limit", yes_price=55).order
    fill = client.get_fills(order_id=order.order_id).fills[0]
    positions = client.get_positions()
    rows = positions.market_positions if module is kalshi_python_sync else positions.positions

    assert order.remaining_count == 0
    assert before - client.get_balance().balance == 510 + 18
    assert (fill.count, fill.side, fill.action) == (10, "yes", "buy")
    assert [(row.ticker, row.position) for row in rows] == [(TICKER, 10)]
    assert Decimal(venue.state()["accounts"][f"key-{who}"]["cash"]) * 100 == client.get_balance().balance


def test_a_duplicate_and_an_unpayable_order_raise(client, module):
    order = {"ticker": TICKER, "side": "yes", "action": "buy", "type": "limit", "yes_price": 10}
    named = f"twice-{module.__name__}"
    client.create_order(**order, count=1, client_order_id=named)

    with pytest.raises(module.exceptions.ApiException) as twice:
        client.create_order(**order, count=1, client_order_id=named)
    with pytest.raises(module.exceptions.ApiException) as dear:
        client.create_order(**order, count=1_000_000)

    assert (twice.value.status, dear.value.status) == (409, 400)
    assert "order_already_exists" in twice.value.body
    assert "insufficient_balance" in dear.value.body


def test_the_newer_client_reads_series_trades_candles_batches_and_amends(venue):
    configuration = kalshi_python_sync.Configuration(host=venue.base_url)
    configuration.api_key_id, configuration.private_key_pem = venue.key_id, venue.private_pem
    client = kalshi_python_sync.KalshiClient(configuration)
    asked = {"ticker": TICKER, "side": "yes", "action": "buy", "count": 3, "type": "limit", "yes_price": 12}

    batch = client.batch_create_orders(orders=[{**asked, "client_order_id": "batch"}]).orders
    order = batch[0].order.order_id
    changed = client.amend_order(
        order,
        ticker=TICKER,
        side="yes",
        action="buy",
        client_order_id="batch",
        updated_client_order_id="batch-2",
        yes_price=13,
        count=4,
    )
    fewer = client.decrease_order(order, reduce_by=1).order
    gone = client.batch_cancel_orders(ids=[order]).orders
    candles = client.get_market_candlesticks(
        "KXTEST", TICKER, start_ts=1399345200, end_ts=1399359600, period_interval=60
    )

    assert (changed.old_order.yes_price, changed.order.yes_price, fewer.remaining_count) == (12, 13, 3)
    assert gone[0].reduced_by == 3
    assert [candle.yes_bid.close for candle in candles.candlesticks] == [49] * 5
    assert client.get_trades(ticker=TICKER, limit=3).trades
    assert client.get_series_list().series[0].ticker == "KXTEST"
    client.api_client.rest_client.pool_manager.clear()


def test_its_signer_sends_a_request_of_the_current_wire(venue):
    """The newer package signs a raw call, which is how it can speak today's wire."""
    configuration = kalshi_python_sync.Configuration(host=venue.base_url)
    configuration.api_key_id, configuration.private_key_pem = venue.key_id, venue.private_pem
    client = kalshi_python_sync.KalshiClient(configuration)
    body = {
        "ticker": TICKER,
        "side": "ask",
        "count": "2.00",
        "price": "0.4900",
        "time_in_force": "immediate_or_cancel",
        "self_trade_prevention_type": "taker_at_cross",
    }

    reply = client.call_api(
        "POST",
        f"{venue.base_url}/portfolio/events/orders",
        header_params={"Content-Type": "application/json"},
        body=body,
    )
    reply.read()

    assert reply.status == 201
    assert b'"fill_count":"2.00"' in reply.data


def test_both_read_what_a_finished_market_paid(tmp_path):
    market, state = kalshi_sim.market(hours=1), tmp_path / "state.jsonl"
    earlier = kalshi_lab.lab(kalshi_lab.catalogue(tmp_path, [market]), balances=("1000",), store=Store(state))
    earlier.order("bid", "0.51", 10, force=Force.IOC)
    earlier.later(hours=6)
    begin, options = "2014-05-06T14:00:00Z", ["--state", str(state)]
    venue = kalshi_sim.start(tmp_path, [market], begin=begin, options=options)
    try:
        read = []
        for module in CLIENTS:
            configuration = module.Configuration(host=venue.base_url)
            configuration.api_key_id, configuration.private_key_pem = venue.key_id, venue.private_pem
            client = module.KalshiClient(configuration)
            read.append((client.get_settlements().settlements[0], client.get_balance().balance))
            getattr(client, "_api_client", client).rest_client.pool_manager.clear()
    finally:
        venue.stop()

    for settlement, balance in read:
        assert (settlement.ticker, settlement.yes_count, settlement.revenue) == (TICKER, 10, 1000)
        assert balance == 100_000 - 510 - 18 + 1000
