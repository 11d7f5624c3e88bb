"""What goes by a stock's symbol and is not that stock: its options, and shares of exchanges abroad."""

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest

from brokers.ibkr.config import IbkrConfig
from brokers.ibkr.executions import ExecutionBook
from brokers.ibkr.portal.contracts import Contracts
from brokers.ibkr.portal.ledger import Ledger
from brokers.ibkr.portal.parse import is_stock
from brokers.ibkr.portal.wire import Wire
from brokers.ibkr.tws.keeper import Keeper
from brokers.ibkr.tws.parse import Terms
from domain.clock import FakeClock
from domain.vocabulary import Side

D = Decimal
NOON = datetime(2014, 5, 6, 16, tzinfo=UTC)
CONFIG = IbkrConfig(account="DU1")
OTHERS = [("OPT", "USD"), ("FUT", "USD"), ("STK", "GBP")]


def contract(sec_type, currency, conid=7):
    return SimpleNamespace(secType=sec_type, currency=currency, conId=conid, symbol="IBM")


def order_of(its_contract):
    return Terms(
        perm_id=7, client_id=0, order_id=0, parent_id=0, account="DU1", reference=None, market="IBM", side=Side.SELL,
        quantity=D(5), kind="STP", limit=None, trigger=D(3), trailing_percent=None, trailing_distance=None, tif="GTC",
        oca_group="", sdk_order=None, sdk_contract=its_contract,
    )  # fmt: skip


def told():
    return SimpleNamespace(
        execId="0000e0d5.5f3c0001.01.01", orderRef="", permId=7, acctNumber="DU1", side="SLD", shares=5, price=3.2,
        time=NOON,
    )  # fmt: skip


def take_in(keeper, sec_type, currency):
    its_contract = contract(sec_type, currency)
    keeper.on_position("DU1", its_contract, D(5), D(3))
    keeper.on_execution(its_contract, told())
    keeper.on_order(order_of(its_contract), "PreSubmitted")
    return keeper.holdings(), keeper.executions.all(), keeper.orders.live()


@pytest.mark.parametrize(("sec_type", "currency"), OTHERS)
def test_option_or_foreign_share_is_neither_held_nor_sold_nor_protected_at_tws(sec_type, currency):
    assert take_in(Keeper(CONFIG, FakeClock(NOON)), sec_type, currency) == ([], [], [])


def test_share_itself_is_taken_in_at_tws():
    assert all(take_in(Keeper(CONFIG, FakeClock(NOON)), "STK", "USD"))


def test_option_sold_by_hand_is_no_sale_of_the_share_at_the_portal():
    wire = Wire(CONFIG, FakeClock(NOON))
    ledger = Ledger(wire, ExecutionBook(), Contracts(wire))
    row = {
        "execution_id": "0000e0d5.5f3c0001.01.01", "symbol": "IBM", "side": "S", "size": 5, "price": "3.20",
        "trade_time_r": int(NOON.timestamp() * 1000), "account": "DU1", "accountCode": "DU1",
    }  # fmt: skip

    assert not ledger.take_trade(row | {"sec_type": "OPT"}, 0)
    assert ledger.book.all() == []
    assert ledger.take_trade(row | {"sec_type": "STK"}, 0)


def test_order_of_an_option_is_none_of_the_share_at_the_portal():
    assert not is_stock({"ticker": "IBM", "secType": "OPT"})
    assert is_stock({"ticker": "IBM", "secType": "STK"})
    assert is_stock({"ticker": "IBM"})
