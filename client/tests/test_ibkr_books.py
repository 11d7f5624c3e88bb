"""What the lists of a login with several accounts say of one of them."""

from datetime import UTC, datetime
from decimal import Decimal

from tbot_client.brokers.ibkr_books import Books
from tbot_client.brokers.ibkr_desk import _numbers
from tbot_client.brokers.ibkr_ledger import Ledger, write_levels
from tbot_client.brokers.ibkr_wire import ORDERS, TRADES
from tbot_client.brokers.port import Levels

NOON = datetime(2014, 5, 6, 16, tzinfo=UTC)
LEVELS = Levels(stop=Decimal(170), target=None)
ENTRY = f"tc-{1:026d}-entry-1"


class Lists:
    """A gateway that lists the orders and executions of every account."""

    def __init__(self, account):
        order = {"orderId": 7, "order_ref": ENTRY, "acct": account, "status": "Filled", "filledQuantity": 10}
        fill = {
            "execution_id": "0000e0d5.5f3c0001.01.01", "order_ref": ENTRY, "accountCode": account, "conid": 8314,
            "symbol": "IBM", "side": "B", "size": 10, "price": "190.00", "commission": "1",
            "trade_time_r": int(NOON.timestamp() * 1000),
        }  # fmt: skip
        self.pages = {ORDERS: {"orders": [order], "snapshot": True}, TRADES: [fill]}

    def get(self, path, **query):
        return self.pages.get(path, [])

    def ask(self, path, body=None):
        return {}


def taken_in(tmp_path, account):
    ledger = Ledger(tmp_path / f"{account}.jsonl", lambda: NOON)
    ledger.sent(ENTRY, market="IBM", conid=8314, side="buy", units="10", levels=write_levels(LEVELS))
    Books(Lists(account), ledger, "DU1", 0.0, 10.0).read()
    held = list(ledger.held)
    ledger.close()
    return held


def test_what_another_account_of_the_login_did_under_the_same_id_is_not_ours(tmp_path):
    assert taken_in(tmp_path, "DU1") == [ENTRY.removesuffix("-entry-1")]
    assert taken_in(tmp_path, "DU2") == []


def test_receipts_belong_to_the_orders_they_name_or_to_those_in_their_place():
    named = [{"order_id": "8", "local_order_id": "b"}, {"order_id": "7", "local_order_id": "a"}]
    bare = [{"order_id": "7"}, {"order_id": "8"}]

    assert _numbers(["a", "b"], named) == _numbers(["a", "b"], bare) == {"a": "7", "b": "8"}
    assert _numbers(["a", "b"], bare[:1]) == {}
