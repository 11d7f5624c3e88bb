"""Matching at the simulated Kalshi: limits, netting, fees, order terms, and money that is neither made nor lost."""

from datetime import timedelta
from decimal import Decimal

import kalshi_lab
import kalshi_sim
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulators.kalshi.endpoints.control import state
from simulators.kalshi.fees import settle_fill, trade_fee
from simulators.kalshi.listing import Series
from simulators.kalshi.orders import Force, Prevention, Side, Status
from simulators.kalshi.wire import ApiError

TICKER = kalshi_lab.TICKER


@pytest.fixture
def venue(tmp_path):
    return kalshi_lab.lab(kalshi_lab.catalogue(tmp_path))


def series(**terms):
    return Series(ticker="T", title="T", category="T", frequency="daily", settlement_sources=(), **terms)


@pytest.mark.parametrize(
    ("count", "price", "expected"),
    [(10, "0.50", "0.175"), (100, "0.50", "1.75"), (1, "0.50", "0.0175"), (1, "0.01", "0.0007"), (3, "0.33", "0.0465")],
)
def test_a_taker_pays_seven_percent_of_count_price_and_rest_rounded_up_to_a_hundredth_of_a_cent(count, price, expected):
    assert Decimal(expected) == trade_fee(series(), count, Decimal(price), is_taker=True)


def test_a_maker_pays_only_in_series_that_say_so():
    price = Decimal("0.50")

    assert Decimal(0) == trade_fee(series(), 100, price, is_taker=False)
    assert Decimal("0.4375") == trade_fee(series(fee_type="quadratic_with_maker_fees"), 100, price, is_taker=False)
    assert Decimal("3.5") == trade_fee(series(fee_multiplier=2), 100, price, is_taker=True)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 99)), min_size=1, max_size=30))
def test_many_small_fills_cost_at_most_a_cent_and_a_rebate_more_than_their_exact_fees(fills):
    owed = paid = exact = Decimal(0)

    for count, cents in fills:
        price = Decimal(cents) / 100
        fee = trade_fee(series(), count, price, is_taker=True)
        charge = settle_fill(-price * count, fee, owed)
        owed, paid, exact = charge.owed, paid + charge.fee, exact + fee
        assert charge.change == -price * count - charge.fee
        assert charge.change % Decimal("0.01") == 0
        assert charge.fee >= 0

    assert exact <= paid <= exact + Decimal("0.01")


def test_a_taker_goes_down_the_book_and_never_beyond_its_limit(venue):
    order = venue.order("bid", "0.53", 700, force=Force.IOC)

    prices = [(fill.count, fill.price) for fill in venue.account().fills]
    assert [(200, Decimal("0.51")), (200, Decimal("0.52")), (200, Decimal("0.53"))] == prices
    assert (order.filled, order.remaining, order.status) == (600, 0, Status.CANCELED)
    assert Decimal("0.54") == venue.venue.contracts[TICKER].book.levels(Side.ASK)[0][0]


def test_selling_what_is_not_held_buys_the_other_outcome(venue):
    venue.order("ask", "0.49", 10, force=Force.IOC)

    held = venue.account().positions[TICKER]
    assert (-10, Decimal("5.10")) == (held.count, held.cost)
    assert Decimal("1000") - Decimal("5.10") - Decimal("0.18") == venue.account().cash


def test_opposite_contracts_net_and_pay_a_dollar_back(venue):
    venue.order("bid", "0.51", 10, force=Force.IOC)
    venue.order("ask", "0.49", 25, force=Force.IOC)

    held = venue.account().positions[TICKER]
    assert (-15, Decimal("7.65"), Decimal("-0.20")) == (held.count, held.cost, held.realized)
    fees = Decimal("0.18") + Decimal("0.44")
    assert Decimal("1000") - Decimal("5.10") + Decimal("4.90") - Decimal("7.65") - fees == venue.account().cash


def test_what_takers_used_up_comes_back_at_the_next_redraw(venue):
    venue.order("bid", "0.51", 150, force=Force.IOC)

    before = venue.market()["yes_ask_size_fp"]
    venue.later(seconds=10)

    assert (before, venue.market()["yes_ask_size_fp"]) == ("50.00", "200.00")


def test_an_order_of_an_account_comes_before_synthetic_ones_of_its_price(venue):
    resting = venue.order("ask", "0.51", 5, who=1)
    venue.order("bid", "0.51", 8, force=Force.IOC)

    assert (resting.filled, resting.status) == (5, Status.EXECUTED)
    assert [fill.count for fill in venue.account(0).fills] == [5, 3]
    assert not venue.account(1).fills[0].is_taker


def test_a_better_resting_order_is_met_first_and_the_older_of_two_equal_ones(venue):
    first, second = venue.order("ask", "0.50", 5, who=1), venue.order("ask", "0.50", 5, who=2)

    venue.order("bid", "0.50", 7, force=Force.IOC)

    assert (first.filled, second.filled) == (5, 2)


def test_fill_or_kill_is_killed_whole_with_the_venues_code_and_leaves_nothing(venue):
    assert venue.refused("bid", "0.51", 201, force=Force.FOK) == (409, "fill_or_kill_insufficient_resting_volume", "")

    assert not venue.account().orders
    assert Decimal(1000) == venue.account().cash


def test_post_only_refuses_to_cross(venue):
    assert venue.refused("bid", "0.51", 1, post_only=True) == (400, "invalid_order", "post only cross")

    assert venue.order("bid", "0.50", 1, post_only=True).is_resting


def test_reduce_only_takes_no_more_than_is_held(venue):
    venue.order("bid", "0.51", 4, force=Force.IOC)

    order = venue.order("ask", "0.40", 10, force=Force.IOC, reduce_only=True)

    assert (order.filled, venue.account().held(TICKER)) == (4, 0)
    assert venue.refused("ask", "0.40", 1, reduce_only=True)[1] == "invalid_order"


def test_a_resting_reduce_only_order_gives_no_more_than_is_still_held(venue):
    venue.order("bid", "0.51", 10, force=Force.IOC)
    resting = venue.order("ask", "0.50", 10, reduce_only=True)
    venue.order("ask", "0.40", 7, force=Force.IOC)

    venue.order("bid", "0.50", 10, who=1, force=Force.IOC)

    assert (resting.filled, venue.account().held(TICKER)) == (3, 0)


def test_the_taker_yields_at_its_own_order_or_the_resting_one_does(venue):
    resting = venue.order("ask", "0.50", 5)

    stopped = venue.order("bid", "0.52", 5, prevention=Prevention.TAKER)
    assert (stopped.filled, stopped.status, resting.status) == (0, Status.CANCELED, Status.RESTING)
    passed = venue.order("bid", "0.52", 5, prevention=Prevention.MAKER)
    assert (passed.filled, resting.status) == (5, Status.CANCELED)


@pytest.mark.parametrize("price", ["0.00", "0.505", "1.00", "-0.10", "1.20"])
def test_a_price_off_the_tick_or_out_of_bounds_is_refused(venue, price):
    assert venue.refused("bid", price, 1)[:2] == (400, "invalid_price")


def test_what_the_balance_does_not_cover_is_refused_and_resting_orders_count(venue):
    venue.order("bid", "0.10", 9000)

    assert venue.refused("bid", "0.11", 1000)[:2] == (400, "insufficient_balance")
    assert Decimal(100) == venue.account().available
    assert venue.order("ask", "0.90", 900).is_resting


def test_the_fee_must_be_covered_too(tmp_path):
    venue = kalshi_lab.lab(kalshi_lab.catalogue(tmp_path), balances=("5.10",))

    assert venue.refused("bid", "0.51", 10)[1] == "insufficient_balance"
    assert venue.order("bid", "0.51", 9).filled == 9


def test_a_client_order_id_is_taken_once_even_when_its_order_is_long_gone(venue):
    venue.order("bid", "0.51", 1, force=Force.IOC, client_order_id="once")

    assert venue.refused("bid", "0.51", 1, client_order_id="once")[:2] == (409, "order_already_exists")
    assert venue.order("bid", "0.51", 1, who=1, client_order_id="once").filled == 1
    assert state(venue.venue, venue.venue.position)["created"] == {"once": 2}


def test_an_order_ends_when_it_expires(venue):
    expires = venue.venue.position + timedelta(seconds=30)
    order = venue.order("bid", "0.40", 5, expires=expires)

    venue.later(minutes=5)

    assert (Status.CANCELED, expires) == (order.status, order.updated)
    assert venue.refused("bid", "0.40", 5, expires=expires)[1] == "invalid_order"


def test_a_resting_order_fills_at_its_own_price_when_the_market_comes_to_it(tmp_path):
    moves = [[kalshi_sim.START, 0.50], ["2014-05-06T07:30:00Z", 0.40], ["2014-05-06T07:31:00Z", 0.60]]
    venue = kalshi_lab.lab(kalshi_lab.catalogue(tmp_path, [kalshi_sim.market(fair=moves)]))
    order = venue.order("bid", "0.45", 300)

    venue.later(hours=2)

    fill = venue.account().fills[0]
    assert (order.filled, order.status) == (300, Status.EXECUTED)
    assert (Decimal("0.45"), False, "07:30:00") == (fill.price, fill.is_taker, f"{fill.time:%H:%M:%S}")


def test_what_happens_does_not_depend_on_when_the_venue_is_looked_at(tmp_path):
    moves = [[kalshi_sim.START, 0.50], *[[f"2014-05-06T07:{m:02}:00Z", 0.30 + 0.01 * m] for m in range(1, 40)]]
    seen = []
    for step in (7, 61, 3600):
        venue = kalshi_lab.lab(kalshi_lab.catalogue(tmp_path, [kalshi_sim.market(fair=moves)]))
        venue.order("ask", "0.55", 700)
        venue.order("bid", "0.35", 700, who=1)
        for _ in range(3600 // step + 1):
            venue.later(seconds=step)
        seen.append([[(f.count, f.price, f.time) for f in venue.account(who).fills] for who in (0, 1)])

    assert seen[0] == seen[1] == seen[2]
    assert all(fills for fills in seen[0])


def test_an_amended_order_goes_to_the_back_of_its_level_and_may_match(venue):
    first, second = venue.order("ask", "0.50", 5, who=1), venue.order("ask", "0.50", 5, who=2)

    venue.desk(1).amend(first, Decimal("0.50"), 6, "")
    venue.order("bid", "0.50", 5, force=Force.IOC)
    venue.desk(1).amend(first, Decimal("0.49"), 6, "other")

    assert (second.filled, first.filled) == (5, 6)
    assert first.client_order_id == "other"
    assert not venue.venue.contracts[TICKER].book.resting


def test_an_amendment_that_is_refused_changes_nothing(tmp_path):
    venue = kalshi_lab.lab(kalshi_lab.catalogue(tmp_path), balances=("5",))
    order = venue.order("bid", "0.40", 10)

    with pytest.raises(ApiError):
        venue.desk().amend(order, Decimal("0.45"), 100, "")

    assert (Decimal("0.40"), 10, 10, Status.RESTING) == (order.price, order.remaining, order.initial, order.status)
    assert [order] == list(venue.venue.contracts[TICKER].book.resting.values())


ORDERS = st.tuples(
    st.sampled_from(["order", "order", "order", "cancel", "amend", "wait"]),
    st.integers(0, 2),
    st.sampled_from(["bid", "ask"]),
    st.integers(1, 99),
    st.integers(1, 900),
    st.sampled_from(list(Force)),
    st.sampled_from(list(Prevention)),
    st.booleans(),
)
MOVES = [
    [kalshi_sim.START, 0.50],
    *[[f"2014-05-06T07:{m:02}:00Z", 0.5 + 0.4 * (m % 7 - 3) / 3 * (1 if m % 2 else -1)] for m in range(1, 60)],
]


def worth_of_everything(venue):
    members = [*venue.venue.accounts.values(), venue.venue.clearing.synthetic]
    held = [p.count for m in members for p in m.positions.values()]
    assert sum(held) == 0
    pairs = sum(count for count in held if count > 0)
    return sum(m.cash for m in members) + pairs + venue.venue.clearing.fees


def assert_sound(venue, total):
    assert worth_of_everything(venue) == total
    contract = venue.venue.contracts[TICKER]
    bids, asks = contract.book.levels(Side.BID), contract.book.levels(Side.ASK)
    assert not bids or not asks or bids[0][0] < asks[0][0]
    for account in venue.venue.accounts.values():
        assert account.available >= 0
        for order in account.orders.values():
            assert order.filled + order.remaining <= order.initial
        for fill in account.fills:
            limit = account.orders[fill.order_id].price
            assert fill.price <= limit if fill.side is Side.BID else fill.price >= limit


def take_step(venue, step):
    kind, who, side, cents, number, force, prevention, reduce_only = step
    price, desk = Decimal(cents) / 100, venue.desk(who)
    resting = list(desk.account.resting.values())
    terms = {"force": force, "prevention": prevention, "reduce_only": reduce_only}
    try:
        if kind == "wait":
            venue.later(seconds=number)
        elif kind == "order" or not resting:
            venue.order(side, price, number, who, **terms)
        elif kind == "cancel":
            desk.cancel(resting[0])
        else:
            desk.amend(resting[0], price, number, "")
    except ApiError:
        return


@pytest.mark.parametrize("fee_type", ["quadratic", "quadratic_with_maker_fees"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(ORDERS, min_size=1, max_size=25), result=st.sampled_from(["yes", "no"]))
def test_money_is_kept_no_book_stays_crossed_and_no_fill_is_beyond_a_limit(tmp_path, fee_type, steps, result):
    rows = [{"ticker": "KXTEST", "fee_type": fee_type}]
    listed = [kalshi_sim.market(fair=MOVES, result=result, hours=2)]
    venue = kalshi_lab.lab(kalshi_lab.catalogue(tmp_path, listed, rows), balances=("300", "300", "40"))
    total = worth_of_everything(venue)

    for step in steps:
        take_step(venue, step)
        assert_sound(venue, total)
    venue.later(hours=6)

    assert worth_of_everything(venue) == total
    assert not any(account.positions or account.resting for account in venue.venue.accounts.values())
