"""Orders of the OANDA venue: what they become, what refuses them, and which ids they get."""

import random
from decimal import Decimal

import pytest

from simulators.oanda.account import Account

TAKE, STOP = {"price": "1.39500"}, {"price": "1.38000"}


def kinds(transactions):
    return [item["type"] for item in transactions]


def test_bracket_takes_four_consecutive_ids(lab, conforms):
    status, body = lab.order(1000, takeProfitOnFill=TAKE, stopLossOnFill=STOP, clientExtensions={"id": "sig-1"})

    assert status == 201
    first = int(body["orderCreateTransaction"]["id"])
    assert [str(first + i) for i in range(4)] == body["relatedTransactionIDs"]
    assert str(first + 3) == body["lastTransactionID"]
    fill = body["orderFillTransaction"]
    assert (str(first), str(first + 1)) == (fill["orderID"], fill["tradeOpened"]["tradeID"])
    assert {str(first)} == {body["orderCreateTransaction"]["batchID"], fill["batchID"]}
    written = lab.transactions(after=first - 1)
    assert kinds(written) == ["MARKET_ORDER", "ORDER_FILL", "TAKE_PROFIT_ORDER", "STOP_LOSS_ORDER"]
    assert {"ON_FILL"} == {item["reason"] for item in written[2:]}
    assert {str(first + 1)} == {item["orderFillTransactionID"] for item in written[2:]}
    assert all(conforms(item, "Transaction") for item in lab.transactions())


def test_buy_fills_at_ask_and_sell_at_bid(lab):
    bid, ask = lab.quote()

    bought = lab.order(1)[1]["orderFillTransaction"]["price"]
    sold = lab.order(-5)[1]["orderFillTransaction"]["price"]

    assert (ask, bid) == (Decimal(bought), Decimal(sold))


def test_opposite_order_reduces_oldest_trade_first_and_opens_the_rest(lab):
    first = lab.order(100)[1]["orderFillTransaction"]["id"]
    second = lab.order(100)[1]["orderFillTransaction"]["id"]

    fill = lab.order(-150)[1]["orderFillTransaction"]
    turned = lab.order(-80)[1]["orderFillTransaction"]

    assert [first] == [part["tradeID"] for part in fill["tradesClosed"]]
    assert (second, "-50") == (fill["tradeReduced"]["tradeID"], fill["tradeReduced"]["units"])
    assert [second] == [part["tradeID"] for part in turned["tradesClosed"]]
    assert turned["tradeOpened"]["units"] == "-30"
    assert lab.summary()["openTradeCount"] == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"units": "0"}, "UNITS_INVALID"),
        ({"units": "many"}, "UNITS_INVALID"),
        ({"units": "1.5"}, "UNITS_PRECISION_EXCEEDED"),
        ({"units": "100000001"}, "UNITS_LIMIT_EXCEEDED"),
        ({"instrument": "XAU_XAG"}, "INSTRUMENT_UNKNOWN"),
        ({"instrument": "GBP_USD"}, "INSTRUMENT_PRICE_UNKNOWN"),
        ({"timeInForce": "GTC"}, "TIME_IN_FORCE_INVALID"),
        ({"positionFill": "SOME"}, "ORDER_FILL_POSITION_ACTION_INVALID"),
        ({"priceBound": "1.381234"}, "PRICE_BOUND_PRECISION_EXCEEDED"),
        ({"clientExtensions": {"id": "x" * 129}}, "CLIENT_ORDER_ID_INVALID"),
        ({"tradeClientExtensions": {"tag": "x" * 129}}, "CLIENT_TRADE_TAG_INVALID"),
        ({"takeProfitOnFill": {"price": "1.390001"}}, "TAKE_PROFIT_ON_FILL_PRICE_PRECISION_EXCEEDED"),
        ({"takeProfitOnFill": {}}, "TAKE_PROFIT_ON_FILL_PRICE_MISSING"),
        ({"stopLossOnFill": {}}, "STOP_LOSS_ON_FILL_PRICE_AND_DISTANCE_BOTH_MISSING"),
        (
            {"stopLossOnFill": {"price": "1.1", "distance": "0.1"}},
            "STOP_LOSS_ON_FILL_PRICE_AND_DISTANCE_BOTH_SPECIFIED",
        ),
        ({"stopLossOnFill": {"price": "-1"}}, "STOP_LOSS_ON_FILL_PRICE_INVALID"),
        (
            {"stopLossOnFill": {"price": "1.1", "timeInForce": "GTD", "gtdTime": "2014-05-01T00:00:00Z"}},
            "STOP_LOSS_ON_FILL_GTD_TIMESTAMP_IN_PAST",
        ),
        (
            {"trailingStopLossOnFill": {"distance": "0.00049"}},
            "TRAILING_STOP_LOSS_ON_FILL_PRICE_DISTANCE_MINIMUM_NOT_MET",
        ),
        ({"type": "LIMIT"}, "PRICE_MISSING"),
        ({"type": "LIMIT", "price": "1.380001"}, "PRICE_PRECISION_EXCEEDED"),
        ({"type": "STOP", "price": "1.4", "timeInForce": "GTD"}, "TIME_IN_FORCE_GTD_TIMESTAMP_MISSING"),
    ],
)
def test_unusable_request_is_a_400_with_a_reject_transaction(lab, conforms, fields, reason):
    order = {"type": "MARKET", "instrument": "EUR_USD", "units": "100", **fields}
    status, body = lab.send("POST", f"/v3/accounts/{lab.account}/orders", {"order": order})

    assert (400, reason) == (status, body["errorCode"])
    rejected = body["orderRejectTransaction"]
    assert (reason, f"{order['type']}_ORDER_REJECT") == (rejected["rejectReason"], rejected["type"])
    assert [rejected["id"]] == body["relatedTransactionIDs"] == [body["lastTransactionID"]]
    assert "errorMessage" in body
    conforms(rejected, "Transaction")


def test_yen_pair_takes_three_decimals_and_euro_pair_five(lab):
    yen = lab.order(1, "LIMIT", "USD_JPY", price="102.12345")[1]
    euro = lab.order(1, "LIMIT", price="1.38123")

    assert yen["errorCode"] == "PRICE_PRECISION_EXCEEDED"
    assert euro[0] == 201


def test_pending_client_id_is_unique_but_a_filled_one_is_not(lab):
    extensions = {"clientExtensions": {"id": "sig-1"}}

    assert lab.order(1, **extensions)[0] == 201
    assert lab.order(1, **extensions)[0] == 201
    assert lab.order(1, "LIMIT", price="1.30000", **extensions)[0] == 201
    assert lab.order(1, "LIMIT", price="1.30000", **extensions)[1]["errorCode"] == "CLIENT_ORDER_ID_ALREADY_EXISTS"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"units": "1000", "priceBound": "1.30000"}, "BOUNDS_VIOLATION"),
        ({"units": "1000", "stopLossOnFill": {"price": "1.50000"}}, "STOP_LOSS_ON_FILL_LOSS"),
        ({"units": "1000", "takeProfitOnFill": {"price": "1.30000"}}, "TAKE_PROFIT_ON_FILL_LOSS"),
        ({"units": "-1000", "takeProfitOnFill": {"price": "1.50000"}}, "TAKE_PROFIT_ON_FILL_LOSS"),
        ({"units": "9000000"}, "INSUFFICIENT_MARGIN"),
        ({"units": "10000001"}, "INSUFFICIENT_LIQUIDITY"),
    ],
)
def test_accepted_but_unfillable_order_is_a_201_with_a_cancel(lab, conforms, fields, reason):
    status, body = lab.order(**fields)

    assert (201, reason) == (status, body["orderCancelTransaction"]["reason"])
    assert "orderFillTransaction" not in body
    order = lab.get(f"orders/{body['orderCreateTransaction']['id']}")["order"]
    assert order["state"] == "CANCELLED"
    conforms(order, "Order")


def test_taken_client_trade_id_cancels_the_order(lab):
    lab.order(1, tradeClientExtensions={"id": "t"})

    assert (
        (lab.order(1, tradeClientExtensions={"id": "t"})[1]["orderCancelTransaction"]["reason"])
        == "CLIENT_TRADE_ID_ALREADY_EXISTS"
    )


def test_margin_and_net_asset_value_follow_from_the_quote(lab):
    bid, ask = lab.quote()
    lab.order(10_000)

    got = lab.summary()

    margin = (bid + ask) / 2 * 10_000 * Decimal("0.02")
    assert abs(margin - Decimal(got["marginUsed"])) <= Decimal("0.0001")
    assert (bid - ask) * 10_000 == Decimal(got["unrealizedPL"])
    assert Decimal(got["balance"]) + Decimal(got["unrealizedPL"]) == Decimal(got["NAV"])
    assert Decimal(got["NAV"]) - Decimal(got["marginUsed"]) == Decimal(got["marginAvailable"])


def test_reducing_order_passes_even_without_margin(make_lab):
    lab = make_lab()
    lab.order(3_500_000)

    assert "orderFillTransaction" in lab.order(-1_000_000)[1]
    assert lab.order(2_000_000)[1]["orderCancelTransaction"]["reason"] == "INSUFFICIENT_MARGIN"


def test_marketable_limit_fills_at_once_and_a_distant_one_rests(lab, conforms):
    _, ask = lab.quote()

    filled = lab.order(1, "LIMIT", price="1.50000")[1]
    resting = lab.order(1, "LIMIT", price="1.20000")[1]

    assert ask == Decimal(filled["orderFillTransaction"]["price"])
    assert filled["orderFillTransaction"]["reason"] == "LIMIT_ORDER"
    assert "orderFillTransaction" not in resting
    assert [resting["lastTransactionID"]] == [order["id"] for order in lab.get("pendingOrders")["orders"]]
    assert all(conforms(order, "Order") for order in lab.get("orders", state="ALL")["orders"])


def test_replace_keeps_the_client_id_and_links_both_orders(lab):
    old = lab.order(1, "LIMIT", price="1.20000", clientExtensions={"id": "mine"})[1]["lastTransactionID"]
    order = {"type": "LIMIT", "instrument": "EUR_USD", "units": "2", "price": "1.21000"}

    status, body = lab.put("orders/@mine", {"order": order})

    assert status == 201
    assert (old, "CLIENT_REQUEST_REPLACED") == (
        body["orderCancelTransaction"]["orderID"],
        body["orderCancelTransaction"]["reason"],
    )
    created = body["orderCreateTransaction"]
    assert (old, "REPLACEMENT") == (created["replacesOrderID"], created["reason"])
    assert (
        created["id"] == body["orderCancelTransaction"]["replacedByOrderID"] == lab.get("orders/@mine")["order"]["id"]
    )


def test_cancel_works_once_and_then_is_a_404_with_its_own_transaction(lab):
    order_id = lab.order(1, "STOP", price="1.50000")[1]["lastTransactionID"]

    assert lab.put(f"orders/{order_id}/cancel")[1]["orderCancelTransaction"]["reason"] == "CLIENT_REQUEST"
    status, body = lab.put(f"orders/{order_id}/cancel")
    assert (status, body["orderCancelRejectTransaction"]["rejectReason"]) == (404, "ORDER_DOESNT_EXIST")


def test_trade_closes_in_part_then_whole_and_takes_its_bracket_along(lab, conforms):
    trade = lab.order(1000, takeProfitOnFill=TAKE, stopLossOnFill=STOP)[1]["orderFillTransaction"]["id"]

    part = lab.put(f"trades/{trade}/close", {"units": "400"})[1]
    left = lab.get(f"trades/{trade}")["trade"]
    whole = lab.put(f"trades/{trade}/close", {"units": "ALL"})[1]
    cancelled = lab.transactions(after=int(whole["orderFillTransaction"]["id"]))
    again = lab.put(f"trades/{trade}/close")

    assert part["orderFillTransaction"]["reason"] == "MARKET_ORDER_TRADE_CLOSE"
    assert part["orderFillTransaction"]["tradeReduced"]["units"] == "-400"
    assert (left["currentUnits"], left["state"]) == ("600", "OPEN")
    assert len(whole["relatedTransactionIDs"]) == 4
    assert [item["reason"] for item in cancelled] == ["LINKED_TRADE_CLOSED"] * 2
    assert (again[0], again[1]["errorCode"]) == (404, "TRADE_DOESNT_EXIST")
    closed = lab.get("trades", state="CLOSED")["trades"][0]
    assert (closed["state"], closed["currentUnits"]) == ("CLOSED", "0")
    assert conforms(left, "Trade")
    assert conforms(closed, "Trade")


def test_closing_more_than_the_trade_is_rejected(lab):
    trade = lab.order(10)[1]["orderFillTransaction"]["id"]

    assert lab.put(f"trades/{trade}/close", {"units": "11"})[1]["errorCode"] == "CLOSE_TRADE_UNITS_EXCEED_TRADE_SIZE"


def test_trade_orders_are_created_replaced_and_cancelled(lab):
    trade = lab.order(1000)[1]["orderFillTransaction"]["id"]
    path = f"trades/{trade}/orders"

    made = lab.put(path, {"stopLoss": STOP, "trailingStopLoss": {"distance": "0.01000"}})[1]
    moved = lab.put(path, {"stopLoss": {"price": "1.37000"}})[1]
    gone = lab.put(path, {"stopLoss": None})[1]
    shown = lab.get(f"trades/{trade}")["trade"]

    assert {"stopLossOrderTransaction", "trailingStopLossOrderTransaction"} < set(made)
    assert moved["stopLossOrderCancelTransaction"]["reason"] == "CLIENT_REQUEST_REPLACED"
    assert moved["stopLossOrderTransaction"]["price"] == "1.37000"
    assert gone["stopLossOrderCancelTransaction"]["reason"] == "CLIENT_REQUEST"
    assert "stopLossOrder" not in shown
    assert "trailingStopLossOrder" in shown


def test_second_stop_posted_for_a_trade_is_rejected(lab):
    trade = lab.order(1000, stopLossOnFill=STOP)[1]["orderFillTransaction"]["id"]
    order = {"type": "STOP_LOSS", "tradeID": trade, "price": "1.37000"}

    status, body = lab.send("POST", f"/v3/accounts/{lab.account}/orders", {"order": order})

    assert (status, body["errorCode"]) == (400, "STOP_LOSS_ORDER_ALREADY_EXISTS")


def test_position_closes_each_side_and_reports_profit(lab, conforms):
    lab.order(100)
    lab.order(-40, positionFill="OPEN_ONLY")

    open_now = lab.get("openPositions")["positions"][0]
    status, body = lab.put("positions/EUR_USD/close", {"longUnits": "ALL"})
    after = lab.get("positions/EUR_USD")["position"]

    assert (open_now["long"]["units"], open_now["short"]["units"]) == ("100", "-40")
    assert (status, body["longOrderFillTransaction"]["reason"]) == (200, "MARKET_ORDER_POSITION_CLOSEOUT")
    assert (after["long"]["units"], after["short"]["units"]) == ("0", "-40")
    assert Decimal(after["long"]["pl"]) < 0
    assert conforms(open_now, "Position")
    assert conforms(after, "Position")
    assert lab.put("positions/EUR_USD/close", {"longUnits": "ALL"})[0] == 404


def test_accounts_share_nothing(make_lab):
    lab = make_lab(
        accounts=[Account("A", "a", "USD", Decimal(1000)), Account("B", "b", "USD", Decimal(1000))],
    )
    lab.account, lab.token = "A", "a"
    lab.order(100)

    assert lab.send("GET", "/v3/accounts/B/summary")[0] == 403
    lab.account, lab.token = "B", "b"
    assert tuple(lab.summary()[k] for k in ("openTradeCount", "NAV", "lastTransactionID")) == (0, "1000.0000", "2")
    assert [item["id"] for item in lab.send("GET", "/v3/accounts")[1]["accounts"]] == ["B"]


def test_euro_account_books_dollars_at_the_worse_side(make_lab):
    lab = make_lab(accounts=[Account("E", "e", "EUR", Decimal(1000))])
    lab.account, lab.token = "E", "e"
    lab.order(100, instrument="NZD_USD")
    bid, ask = lab.quote()
    nzd_bid, nzd_ask = lab.quote("NZD_USD")

    fill = lab.order(-100, instrument="NZD_USD")[1]["orderFillTransaction"]

    loss = (nzd_bid - nzd_ask) * 100 / bid
    assert abs(loss - Decimal(fill["pl"])) <= Decimal("0.0001")
    assert abs(1 / ask - Decimal(fill["gainQuoteHomeConversionFactor"])) < Decimal("0.000001")


def test_changes_hold_what_happened_since(lab, conforms):
    since = lab.summary()["lastTransactionID"]
    lab.order(100, takeProfitOnFill=TAKE, trailingStopLossOnFill={"distance": "0.01000"})

    body = lab.get("changes", sinceTransactionID=since)

    changes = body["changes"]
    assert tuple(len(changes[k]) for k in ("ordersCreated", "ordersFilled", "tradesOpened", "transactions")) == (
        3,
        1,
        1,
        4,
    )
    assert [order["triggerDistance"] for order in body["state"]["orders"]] == ["0.01000"]
    assert conforms(changes, "AccountChanges")
    assert conforms(body["state"], "AccountChangesState")
    assert conforms(lab.send("GET", f"/v3/accounts/{lab.account}")[1]["account"], "Account")


def test_sinceid_is_exclusive_paged_and_bounded(lab):
    for _ in range(501):
        lab.order(1, "LIMIT", price="1.20000")
        lab.put(f"orders/{lab.summary()['lastTransactionID']}/cancel")

    first = lab.get("transactions/sinceid", id=2)
    rest = lab.get("transactions/sinceid", id=first["transactions"][-1]["id"])
    pages = lab.get("transactions", pageSize=1000)

    assert (
        len(first["transactions"]),
        first["transactions"][0]["id"],
        first["lastTransactionID"],
    ) == (1000, "3", "1004")
    assert [item["id"] for item in rest["transactions"]] == ["1003", "1004"]
    assert lab.get("transactions/sinceid", id=1004)["transactions"] == []
    assert lab.send("GET", f"/v3/accounts/{lab.account}/transactions/sinceid", id=1005)[0] == 416
    assert (pages["count"], len(pages["pages"])) == (1004, 2)
    assert pages["pages"][1].endswith("idrange?from=1001&to=1004")
    assert len(lab.get("transactions/idrange", **{"from": 6, "to": 10})["transactions"]) == 5
    cancels = lab.get("transactions/idrange", **{"from": 1, "to": 10, "type": "ORDER_CANCEL"})["transactions"]
    assert {"ORDER_CANCEL"} == {item["type"] for item in cancels}


@pytest.mark.parametrize("seed", range(3))
def test_any_sequence_of_requests_keeps_the_books_balanced(make_lab, conforms, seed):
    draw, lab = random.Random(seed), make_lab("2014-05-02T07:00:00Z")
    legs = [{}, {"stopLossOnFill": {"distance": "0.00080"}}, {"trailingStopLossOnFill": {"distance": "0.00060"}}]
    for _ in range(90):
        lab.clock.ms += draw.randrange(400_000)
        bid = lab.quote()[0]
        price = str(bid + Decimal(draw.randrange(-60, 60)).scaleb(-5))
        kind = draw.choice(["MARKET", "MARKET", "LIMIT", "STOP", "MARKET_IF_TOUCHED"])
        fields = {} if kind == "MARKET" else {"price": price}
        policy = draw.choice(["DEFAULT", "DEFAULT", "OPEN_ONLY", "REDUCE_ONLY"])
        lab.order(draw.randrange(-900, 900) or 1, kind, positionFill=policy, **fields, **draw.choice(legs))
        for trade in lab.get("openTrades")["trades"]:
            if draw.random() < 0.1:
                lab.put(f"trades/{trade['id']}/close", {"units": draw.choice(["ALL", "1"])})

    written = lab.transactions()
    fills = [item for item in written if item["type"] == "ORDER_FILL"]
    summary, account = lab.summary(), lab.venue.accounts[lab.account]
    opened = sum(Decimal(fill.get("tradeOpened", {}).get("units", 0)) for fill in fills)
    reduced = [fill["tradeReduced"] for fill in fills if "tradeReduced" in fill]
    parts = reduced + [part for fill in fills for part in fill.get("tradesClosed", [])]
    held = sum(trade.current_units for trade in account.open_trades.values())
    assert [str(i + 1) for i in range(len(written))] == [item["id"] for item in written]
    assert [item["time"] for item in written] == sorted(item["time"] for item in written)
    assert held == opened + sum(Decimal(part["units"]) for part in parts) == sum(Decimal(f["units"]) for f in fills)
    profit = sum(Decimal(part["realizedPL"]) for part in parts)
    assert Decimal(summary["balance"]) == 100_000 + profit == Decimal(fills[-1]["accountBalance"])
    assert profit == sum(Decimal(fill["pl"]) for fill in fills) == Decimal(summary["pl"])
    protected = {order.trade_id for order in account.pending.values() if order.trade_id}
    assert protected <= set(account.open_trades)
    assert len(fills) > 70
    assert all(conforms(item, "Transaction") for item in written)


def test_position_closed_in_part_takes_the_oldest_trades(lab):
    first, second, third = (lab.order(100)[1]["orderFillTransaction"]["id"] for _ in range(3))

    fill = lab.put("positions/EUR_USD/close", {"longUnits": "150"})[1]["longOrderFillTransaction"]

    assert [(first, "-100")] == [(part["tradeID"], part["units"]) for part in fill["tradesClosed"]]
    assert (fill["tradeReduced"]["tradeID"], fill["tradeReduced"]["units"], fill["units"]) == (second, "-50", "-150")
    assert [third, second] == [trade["id"] for trade in lab.get("openTrades")["trades"]]
