"""The real client library, oandapyV20, against the OANDA venue over loopback."""

import threading
from decimal import Decimal

import oandapyV20.endpoints.accounts as accounts
import oandapyV20.endpoints.instruments as instruments
import oandapyV20.endpoints.orders as orders
import oandapyV20.endpoints.positions as positions
import oandapyV20.endpoints.pricing as pricing
import oandapyV20.endpoints.trades as trades
import oandapyV20.endpoints.transactions as transactions
import pytest
from oandapyV20.exceptions import StreamTerminated, V20Error

ACCOUNT = "101-001-1-001"


def place(api, units, **fields):
    order = {"type": "MARKET", "instrument": "EUR_USD", "units": str(units), "timeInForce": "FOK", **fields}
    return api.request(orders.OrderCreate(ACCOUNT, data={"order": order}))


def current(api):
    price = api.request(pricing.PricingInfo(ACCOUNT, params={"instruments": "EUR_USD"}))["prices"][0]
    return Decimal(price["closeoutBid"]), Decimal(price["closeoutAsk"])


def test_bracket_lives_from_order_to_linked_cancel(fast, eventually):
    api = fast.sdk()
    bid, ask = current(api)
    near = Decimal("0.00030")
    body = place(
        api,
        1000,
        takeProfitOnFill={"price": str(ask + near)},
        stopLossOnFill={"price": str(bid - near)},
        clientExtensions={"id": "sig-9"},
    )
    first = int(body["orderCreateTransaction"]["id"])

    def closed():
        trade = api.request(trades.TradeDetails(ACCOUNT, str(first + 1)))["trade"]
        return trade if trade["state"] == "CLOSED" else None

    trade = eventually(closed)
    written = api.request(transactions.TransactionsSinceID(ACCOUNT, params={"id": first - 1}))["transactions"]
    assert [str(first + i) for i in range(6)] == [item["id"] for item in written[:6]]
    kinds = ["MARKET_ORDER", "ORDER_FILL", "TAKE_PROFIT_ORDER", "STOP_LOSS_ORDER", "ORDER_FILL", "ORDER_CANCEL"]
    assert kinds == [item["type"] for item in written[:6]]
    assert written[5]["reason"] == "LINKED_TRADE_CLOSED"
    assert written[4]["reason"] in ("TAKE_PROFIT_ORDER", "STOP_LOSS_ORDER")
    assert trade["realizedPL"] == written[4]["tradesClosed"][0]["realizedPL"]
    assert api.request(orders.OrderDetails(ACCOUNT, "@sig-9"))["order"]["state"] == "FILLED"


def test_each_resource_is_read_through_the_library(slow):
    api = slow.sdk()
    trade = place(api, 10, stopLossOnFill={"distance": "0.05000"})["orderFillTransaction"]["id"]
    resting = {"type": "LIMIT", "instrument": "EUR_USD", "units": "1", "price": "1.20000"}
    order = api.request(orders.OrderCreate(ACCOUNT, data={"order": resting}))["lastTransactionID"]

    ask = api.request
    assert ACCOUNT in [account["id"] for account in ask(accounts.AccountList())["accounts"]]
    assert ask(accounts.AccountSummary(ACCOUNT))["account"]["currency"] == "USD"
    assert ask(accounts.AccountDetails(ACCOUNT))["account"]["trades"]
    assert len(ask(accounts.AccountInstruments(ACCOUNT))["instruments"]) == 8
    assert ask(accounts.AccountChanges(ACCOUNT, params={"sinceTransactionID": 2}))["changes"]["ordersCreated"]
    candles = instruments.InstrumentsCandles("EUR_USD", params={"granularity": "M5", "count": 7, "price": "BA"})
    assert len(ask(candles)["candles"]) == 7
    assert order in [item["id"] for item in ask(orders.OrderList(ACCOUNT))["orders"]]
    assert order in [item["id"] for item in ask(orders.OrdersPending(ACCOUNT))["orders"]]
    replaced = ask(orders.OrderReplace(ACCOUNT, order, data={"order": {**resting, "units": "2"}}))
    assert ask(orders.OrderCancel(ACCOUNT, replaced["lastTransactionID"]))["orderCancelTransaction"]
    assert trade in [item["id"] for item in ask(trades.OpenTrades(ACCOUNT))["trades"]]
    assert trade in [item["id"] for item in ask(trades.TradesList(ACCOUNT))["trades"]]
    moved = ask(trades.TradeCRCDO(ACCOUNT, trade, data={"stopLoss": {"price": "1.30000"}}))
    assert moved["stopLossOrderTransaction"]["price"] == "1.30000"
    assert ask(trades.TradeClientExtensions(ACCOUNT, trade, data={"clientExtensions": {"id": "t1"}}))
    assert ask(trades.TradeClose(ACCOUNT, "@t1", data={"units": "4"}))["orderFillTransaction"]["tradeReduced"]
    assert ask(positions.PositionList(ACCOUNT))["positions"]
    assert ask(positions.OpenPositions(ACCOUNT))["positions"]
    assert ask(positions.PositionDetails(ACCOUNT, "EUR_USD"))["position"]["instrument"] == "EUR_USD"
    assert ask(positions.PositionClose(ACCOUNT, "EUR_USD", data={"longUnits": "ALL"}))["longOrderFillTransaction"]
    assert ask(transactions.TransactionList(ACCOUNT))["pages"]
    assert ask(transactions.TransactionDetails(ACCOUNT, "1"))["transaction"]["type"] == "CREATE"
    assert ask(transactions.TransactionIDRange(ACCOUNT, params={"from": 1, "to": 2}))["transactions"]


def test_reject_surfaces_as_the_librarys_error_with_the_code(slow):
    with pytest.raises(V20Error) as caught:
        place(slow.sdk(), 1, takeProfitOnFill={"price": "1.4000001"})

    assert caught.value.code == 400
    assert "TAKE_PROFIT_ON_FILL_PRICE_PRECISION_EXCEEDED" in str(caught.value)


def test_price_stream_starts_with_a_snapshot_and_can_be_terminated(fast):
    stream = pricing.PricingStream(ACCOUNT, params={"instruments": "EUR_USD,NZD_USD"})
    lines = []
    for line in fast.sdk().request(stream):
        lines.append(line)
        if len(lines) == 60:
            break

    assert [line["instrument"] for line in lines[:2]] == ["EUR_USD", "NZD_USD"]
    times = [line["time"] for line in lines[2:] if line["instrument"] == "EUR_USD"]
    assert times == sorted(times)
    with pytest.raises(StreamTerminated):
        stream.terminate()


def test_transaction_stream_delivers_what_another_connection_does(slow):
    api, got, ready = slow.sdk(), [], threading.Event()

    def listen():
        for line in slow.sdk().request(transactions.TransactionsStream(ACCOUNT)):
            ready.set()
            got.append(line)
            if line["type"] == "ORDER_FILL":
                return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    assert ready.wait(5)
    body = place(api, 3)
    listener.join(5)

    assert got[0]["type"] == "HEARTBEAT"
    assert body["relatedTransactionIDs"] == [line["id"] for line in got if line["type"] != "HEARTBEAT"]
