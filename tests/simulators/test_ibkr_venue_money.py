"""Money at the venue behind the IBKR simulators: what is refused, what it costs, what accounts show."""

from datetime import timedelta
from decimal import Decimal

import ibkr_venue_lab
import pytest
from ibkr_venue_lab import ACCOUNT, SPY

from simulators.ibkr.accounts import AccountSpec
from simulators.ibkr.orders import Rejected

D = Decimal


@pytest.fixture
def lab():
    return ibkr_venue_lab.written()


# -- refusals
@pytest.mark.parametrize(
    ("code", "terms"),
    [
        (200, {"conid": 1}),
        (321, {"account": "U9"}),
        (434, {"quantity": 0}),
        (10243, {"quantity": "1.5"}),
        (110, {"kind": "LMT", "limit": "99.005"}),
        (201, {"kind": "LMT"}),
        (201, {"kind": "TRAIL"}),
        (201, {"quantity": 2000}),
        (201, {"side": "SELL"}),
    ],
)
def test_what_the_broker_refuses(lab, code, terms):
    with pytest.raises(Rejected) as refused:
        lab.place(**{"side": "BUY", "quantity": 10, **terms})

    assert refused.value.code == code
    assert lab.venue.orders() == []


def test_money_promised_to_a_resting_order_is_not_there_twice(lab):
    lab.place("BUY", 600, "LMT", limit="99")

    with pytest.raises(Rejected, match="MUST EXCEED"):
        lab.place("BUY", 600, "LMT", limit="99")


def test_a_second_stop_in_a_cash_account_is_taken_back_when_nothing_is_held(lab):
    lab.place("BUY", 100)
    first = lab.place("SELL", 100, "STP", stop="98")
    second = lab.place("SELL", 100, "STP", stop="97")
    lab.trade("96")

    assert (first.status, second.status) == ("Filled", "Inactive")
    assert lab.told[-1][1][-1] == 201
    assert lab.held() == 0


def test_a_margin_account_may_sell_short_and_buys_twice_its_money():
    lab = ibkr_venue_lab.written(accounts=[AccountSpec(id=ACCOUNT, kind="MARGIN")])
    lab.place("SELL", 100)
    lab.place("BUY", 1600, conid=SPY)

    assert lab.held() == -100
    assert lab.venue.account_values(ACCOUNT)["InitMarginReq"] == D("45000")


def test_fractions_are_taken_where_the_account_says_so():
    lab = ibkr_venue_lab.written(accounts=[AccountSpec(id=ACCOUNT, fractional=True)])
    lab.place("BUY", "0.5")

    assert lab.held() == D("0.5")


# -- money
@pytest.mark.parametrize(
    ("quantity", "fee"),
    [(100, D("1.00")), (900, D("4.50")), ("0.1", D("0.100010"))],
)
def test_commissions_have_a_minimum_for_the_order_and_a_share_of_its_value_as_maximum(quantity, fee):
    lab = ibkr_venue_lab.written(accounts=[AccountSpec(id=ACCOUNT, fractional=True)])
    lab.place("BUY", quantity)
    [execution] = lab.venue.executions()

    assert lab.venue.commission_of(execution.exec_id).amount == fee


def test_the_minimum_is_charged_once_for_an_order_filled_in_parts(lab):
    lab.trade("100", size=60)
    lab.place("BUY", 300)
    lab.trade("100", size=60).trade("100", size=180)
    fees = [lab.venue.commission_of(each.exec_id).amount for each in lab.venue.executions()]

    assert fees == [D("1.00"), D(0), D("0.50")]


def test_average_cost_holds_the_commission_and_profit_is_after_both(lab):
    lab.place("BUY", 100)
    [position] = lab.venue.positions()
    lab.trade("105")
    lab.place("SELL", 100)
    sold = lab.venue.executions()[-1]

    assert position.average_cost == D("100.02")
    assert lab.venue.commission_of(sold.exec_id).realised == D("496")
    assert lab.venue.account_values(ACCOUNT)["RealizedPnL"] == D("496")
    assert lab.cash == D("100496")


def test_a_what_if_order_changes_nothing(lab):
    margins = lab.venue.what_if(lab.terms("BUY", 100))
    order = lab.place("BUY", 100, what_if=True)

    assert (margins.initial_after, margins.commission) == (D("10001.00"), D("1.00"))
    assert order.perm_id == 0
    assert lab.venue.orders() == lab.venue.executions() == lab.told == []


def test_accounts_do_not_see_each_other():
    lab = ibkr_venue_lab.written(accounts=[AccountSpec(id="DU1"), AccountSpec(id="DU2")])
    lab.place("BUY", 10, account="DU1")

    assert [lab.held(account=each) for each in ("DU1", "DU2")] == [10, 0]
    assert lab.venue.executions("DU2") == []


def test_executions_are_of_the_day_unless_older_ones_are_asked_for(lab):
    lab.place("BUY", 10)
    lab.at("2014-05-07T14:00:00+00:00")
    today, week = lab.venue.executions(), lab.venue.executions(since=lab.now - timedelta(days=7))
    lab.at("2014-05-20T14:00:00+00:00")

    assert (len(today), len(week)) == (0, 1)
    assert lab.venue.executions(since=lab.now - timedelta(days=30)) == []
    assert lab.held() == 10
    assert lab.venue.positions()[0].average_cost == D("100.11")
