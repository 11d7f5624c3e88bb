"""Orders through the TWS adapter: kinds, exits beside stops, the resolver as another client, restarts, accounts."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tws_desk import TwsDesk, desks, started

from brokers.connect import connect_ibkr
from domain.errors import Misconfigured, Refuse, Retry
from domain.vocabulary import ExitReason, Link, Mode, OrderState

D = Decimal


@pytest.fixture(scope="module")
def gateway():
    yield from started()


@pytest.fixture
def desk(gateway):
    for made in desks(gateway):
        made.connect()
        yield made


@pytest.fixture
def resolver(gateway, desk):
    """The same account through the next client id, as the resolver's process has it."""
    other = TwsDesk(gateway, desk.account, desk.client + 1)
    other.connect()
    yield other
    other.close()


def only(desk, reference):
    (order,) = desk.orders(reference)
    return order


@pytest.mark.parametrize(
    ("changes", "entry", "stop"),
    [
        ({}, "STP", "TRAIL"),
        ({"price_bound": D("180.50")}, "STP LMT", "TRAIL"),
        ({"trigger": None, "price_bound": D("150.10")}, "LMT", "TRAIL"),
        ({"trailing_offset": D("0.10")}, "STP", "TRAIL LIMIT"),
        ({"trailing_percent": None}, "STP", "STP"),
        ({"trailing_percent": None, "trailing_distance": D("2.50")}, "STP", "TRAIL"),
    ],
)
def test_entry_and_its_stop_leave_in_one_piece(desk, changes, entry, stop):
    intent = desk.far(**changes)
    events = desk.executor.submit(intent)
    parent, child = only(desk, intent.client_order_id), only(desk, desk.stop_of(intent))

    assert events[-1].state is OrderState.ACCEPTED
    assert (parent["kind"], child["kind"]) == (entry, stop)
    assert child["parent"] == parent["perm_id"]
    assert child["oca_group"] == str(parent["perm_id"])  # whatever name it is given
    assert {order.client_order_id for order in desk.executor.resting()} == set(desk.live_refs())


def test_prices_are_put_on_the_tick_away_from_the_market(desk):
    intent = desk.far(trigger=D("180.001"), trailing_percent=None, stop_loss=D("150.009"))
    desk.executor.submit(intent)

    assert only(desk, intent.client_order_id)["stop"] == "180.01"
    assert only(desk, desk.stop_of(intent))["stop"] == "150"


def test_every_order_has_a_time_in_force_an_account_and_a_reference(desk):
    intent = desk.far()
    desk.executor.submit(intent)
    entry, stop = (row["fields"] for row in desk.gateway.requests("placeOrder")[-2:])

    assert [("DAY" in entry, "GTC" in stop)] == [(True, True)]
    assert all(desk.account in row for row in (entry, stop))


def test_target_is_refused_because_only_the_stop_rests(desk):
    with pytest.raises(Refuse):
        desk.executor.submit(desk.far(take_profit=D("190")))


def test_exit_takes_its_stop_back(desk):
    cursor = desk.executor.account().cursor
    intent = desk.bought()
    events = desk.executor.submit(desk.exit_of(intent))
    fills, _ = desk.executor.fills_since(cursor)

    assert events[-1].state is OrderState.FILLED
    assert events[-1].realised == (events[-1].price - fills[0].price) * 10
    assert [(one.closes, one.opened_by, one.reason) for one in fills] == [
        (False, intent.client_order_id, None),
        (True, intent.client_order_id, None),
    ]
    assert desk.eventually(lambda: desk.live_refs() == [])


def test_exit_joins_the_group_that_its_stop_was_put_into(desk):
    intent = desk.bought()
    (stop,) = desk.orders(desk.stop_of(intent))
    desk.executor.submit(desk.exit_of(intent))

    assert stop["oca_group"] != intent.client_order_id.removesuffix("-entry-1")
    assert only(desk, desk.exit_of(intent).client_order_id)["oca_group"] == stop["oca_group"]


@pytest.mark.parametrize("code", [10224, 10326, 10327])
def test_exit_that_is_refused_for_its_group_leaves_without_one(desk, code):
    intent = desk.bought()
    fault = desk.fault("rejected", times=1, code=code, match=desk.mine())
    events = desk.executor.submit(desk.exit_of(intent))

    assert desk.gateway.fired(fault) == 1
    assert events[-1].state is OrderState.FILLED
    assert desk.position() == 0
    assert desk.live_refs() == [desk.stop_of(intent)]


def test_exit_of_a_stop_placed_anew_takes_that_one_back(desk):
    intent = desk.bought()
    desk.executor.protect(intent.client_order_id, stop_loss=D("155.00"), take_profit=None, trailing_distance=D("3.00"))
    desk.executor.submit(desk.exit_of(intent))

    assert desk.eventually(lambda: desk.live_refs() == [])


def test_part_of_a_position_is_closed_and_its_stop_stays(desk):
    intent = desk.bought()
    part = desk.executor.submit(desk.exit_of(intent, quantity=D(4)))
    desk.executor.amend(desk.stop_of(intent), quantity=D(6))
    (stop,) = desk.executor.resting()

    assert part[-1].state is OrderState.FILLED
    assert (desk.position(), stop.quantity) == (D(6), D(6))


def test_exit_that_would_go_beyond_the_position_is_not_sent(desk):
    intent = desk.bought()
    too_much = desk.executor.submit(desk.exit_of(intent, quantity=D(11)))
    other = desk.executor.submit(desk.exit_of(desk.far(market="IBM")))

    assert [(one.state, one.reason) for one in (*too_much, *other)] == [
        (OrderState.REJECTED, "CLOSE_TRADE_UNITS_EXCEED_TRADE_SIZE"),
        (OrderState.REJECTED, "TRADE_DOESNT_EXIST"),
    ]
    with pytest.raises(Refuse):
        desk.executor.submit(replace(desk.exit_of(intent), broker_trade_id=None))
    assert desk.position() == D(10)


def test_resolver_closes_what_the_surface_opened_and_both_read_the_fill(desk, resolver):
    cursor = resolver.executor.account().cursor
    intent = desk.bought()
    (trade,) = resolver.eventually(resolver.executor.open_trades)
    events = resolver.executor.submit(resolver.exit_of(intent))
    seen = [desk.eventually(lambda one=one: one.executor.fills_since(cursor)[0][1:]) for one in (desk, resolver)]

    assert trade.client_order_id == intent.client_order_id
    assert trade.trailing_percent == D(10)
    assert events[-1].state is OrderState.FILLED
    assert [[fill.transaction_id for fill in fills] for fills in seen] == [[events[-1].transaction_id]] * 2
    assert desk.eventually(lambda: desk.live_refs() == [])


def test_resolver_leaves_orders_of_the_surface_to_it(desk, resolver):
    intent = desk.bought()
    with pytest.raises(Retry):
        resolver.executor.cancel(desk.stop_of(intent))
    with pytest.raises(Retry):
        resolver.executor.amend(desk.stop_of(intent), quantity=D(5))

    assert resolver.states(desk.stop_of(intent)) == ["accepted"]
    assert desk.live_refs() == [desk.stop_of(intent)]


@pytest.mark.parametrize("stage", ["resting", "open", "closed"])
def test_restart_twice_changes_nothing_at_the_broker(desk, stage):
    cursor = desk.executor.account().cursor
    intent = desk.far() if stage == "resting" else desk.bought()
    if stage == "resting":
        desk.executor.submit(intent)
    if stage == "closed":
        desk.executor.submit(desk.exit_of(intent))
        desk.eventually(lambda: not desk.live_refs())
    before, fills = (desk.live_refs(), desk.position(), len(desk.orders())), desk.executor.fills_since(cursor)[0]
    answers = []
    for _ in range(2):
        desk.restart()
        answers.append(desk.executor.submit(intent)[-1].state)

    assert (desk.live_refs(), desk.position(), len(desk.orders())) == before
    assert set(answers) == {OrderState.ACCEPTED if stage == "resting" else OrderState.FILLED}
    assert desk.executor.fills_since(cursor)[0] == fills


def test_position_of_somebody_else_is_told_as_theirs(desk):
    desk.gateway.trade("SPY", 7, desk.account)
    (trade,) = desk.eventually(desk.executor.open_trades)

    assert (trade.client_order_id, trade.market, trade.quantity) == (None, "SPY", D(7))
    with pytest.raises(Refuse):
        desk.executor.protect(trade.trade_id, stop_loss=D(150), take_profit=None, trailing_distance=None)


def test_whole_position_is_told_even_where_it_is_not_all_ours(desk):
    intent = desk.bought()
    desk.gateway.trade("SPY", 60, desk.account)
    trade = desk.eventually(lambda: (one := desk.executor.open_trades()[0]).quantity == D(70) and one)

    assert trade.client_order_id == intent.client_order_id


def test_sale_by_hand_is_an_exit_of_ours(desk):
    cursor = desk.executor.account().cursor
    intent = desk.bought()
    desk.gateway.trade("SPY", -10, desk.account)
    fills = desk.eventually(lambda: len(found := desk.executor.fills_since(cursor)[0]) > 1 and found)

    assert (fills[1].closes, fills[1].opened_by, fills[1].reason, fills[1].client_order_id) == (
        True,
        intent.client_order_id,
        ExitReason.BROKER,
        None,
    )


def test_protect_replaces_a_stop_by_exactly_one_other(desk):
    intent = desk.bought()
    desk.executor.protect(intent.client_order_id, stop_loss=D("155.00"), take_profit=None, trailing_distance=D("3.00"))
    (stop,) = desk.executor.resting()

    assert (stop.client_order_id, stop.trailing_distance) == (desk.stop_of(intent, 2), D(3))
    with pytest.raises(Refuse):
        desk.executor.protect("nobody", stop_loss=D(1), take_profit=None, trailing_distance=None)


def test_account_that_the_login_does_not_manage_is_misconfigured(gateway):
    desk = TwsDesk(gateway, "DU999", 890)
    desk.connect(up=False)
    try:
        with pytest.raises(Misconfigured) as refused:
            desk.executor.account()
    finally:
        desk.close()

    assert "DU1, DU2" in str(refused.value)
    assert "DU999" in str(refused.value)


def test_dry_run_trades_on_live_prices_and_sends_nothing(gateway):
    desk = TwsDesk(gateway, next(gateway.accounts), 700)
    data, executor = connect_ibkr(Mode.DRY_RUN, desk.config(), desk.clock, balance=D(10_000), currency="USD")
    desk.data = data
    try:
        quote = desk.quote()
        intent = desk.at_market(market="SPY", stop_loss=quote.bid - 5, take_profit=None)
        events = executor.submit(intent)
    finally:
        data.close()

    assert events[-1].state is OrderState.FILLED
    assert executor.link()[0] is Link.UP
    assert desk.orders() == []
    assert desk.position() == 0
