"""Orders at the simulated Client Portal gateway: questions, brackets, groups, changes, cancels, lists."""

import portal_sim
import pytest
from portal_sim import AAPL, ACCOUNT, AMZN, IBM, SPY, ticket


@pytest.fixture(scope="module")
def running():
    started = portal_sim.start_portal("--limits", "off", accounts="DU1:1000000:margin,DU2:5000:cash:fractional")
    yield started
    started.stop()


@pytest.fixture
def gate(running):
    running.tidy()
    yield running
    running.tidy()


def status_of(gate, order):
    return gate.status(order)["order_status"]


def message_ids(answer):
    return answer[0]["messageIds"]


def test_a_market_order_is_asked_about_and_then_fills(gate):
    question = gate.order("BUY", 10, cOID="ord-market")
    answer = gate.post(f"/iserver/reply/{question[0]['id']}", {"confirmed": True})
    row = next(row for row in gate.live() if row["order_ref"] == "ord-market")

    assert question[0].keys() == {"id", "message", "isSuppressed", "messageIds"}
    assert message_ids(question) == ["o10151"]
    assert answer[0].keys() >= {"order_id", "order_status", "encrypt_message"}
    assert (row["orderId"], row["status"], row["filledQuantity"]) == (int(answer[0]["order_id"]), "Filled", 10.0)
    assert row["sizeAndFills"] == "10"
    assert float(row["avgPrice"]) > 100


def test_questions_come_one_after_another_under_new_numbers(gate):
    first = gate.order("BUY", 700, "LMT", price=150)
    second = gate.post(f"/iserver/reply/{first[0]['id']}", {"confirmed": True})
    third = gate.post(f"/iserver/reply/{second[0]['id']}", {"confirmed": True})
    done = gate.post(f"/iserver/reply/{third[0]['id']}", {"confirmed": True})

    assert [message_ids(found) for found in (first, second, third)] == [["o163"], ["o383"], ["o451"]]
    assert len({found[0]["id"] for found in (first, second, third)}) == 3
    assert done[0]["order_status"] == "Submitted"


def test_a_small_order_near_the_market_is_taken_without_a_question(gate):
    bid = float(gate.snapshot(SPY)[SPY]["84"])
    answer = gate.order("BUY", 1, "LMT", price=round(bid - 0.5, 2))

    assert answer[0]["order_status"] == "Submitted"


def test_an_order_without_market_data_a_stop_and_a_stop_through_the_market_are_asked_about(gate):
    assert message_ids(gate.order("BUY", 1, "LMT", price=10, conid=AMZN)) == ["o354"]
    assert message_ids(gate.order("SELL", 1, "STP", price=100)) == ["o10331"]
    assert message_ids(gate.order("SELL", 1, "STP", price=900)) == ["o403"]


def test_an_answer_to_an_earlier_question_is_refused(gate):
    first = gate.order("BUY", 600, "MKT")
    gate.post(f"/iserver/reply/{first[0]['id']}", {"confirmed": True})
    again = gate.send("POST", f"/iserver/reply/{first[0]['id']}", {"confirmed": True})

    assert again.status_code == 400
    assert again.json()["error"] == f"reply id not found: '{first[0]['id']}'"


def test_another_order_before_the_answer_invalidates_the_first(gate):
    first = gate.order("BUY", 1, cOID="ord-first")
    second = gate.order("BUY", 1, cOID="ord-second")
    refused = gate.send("POST", f"/iserver/reply/{first[0]['id']}", {"confirmed": True})
    taken = gate.confirm(second)

    assert refused.status_code == 400
    assert taken[0]["local_order_id"] == "ord-second"
    assert "ord-first" not in {row.get("order_ref") for row in gate.live()}


def test_only_a_true_boolean_confirms(gate):
    question = gate.order("BUY", 1, cOID="ord-unsure")
    text = gate.send("POST", f"/iserver/reply/{question[0]['id']}", {"confirmed": "true"})
    refused = gate.post(f"/iserver/reply/{question[0]['id']}", {"confirmed": False})
    after = gate.send("POST", f"/iserver/reply/{question[0]['id']}", {"confirmed": True})

    assert text.status_code == 400
    assert "error" in refused
    assert after.status_code == 400
    assert "ord-unsure" not in {row.get("order_ref") for row in gate.live()}


def test_suppressed_questions_are_not_asked_until_reset_or_the_next_session(gate):
    assert gate.post("/iserver/questions/suppress", {"messageIds": ["o10151"]}) == {"status": "submitted"}
    silent = gate.order("BUY", 1)
    gate.post("/iserver/questions/suppress/reset")
    asked = gate.order("BUY", 1)
    gate.post("/iserver/questions/suppress", {"messageIds": ["o10151"]})
    gate.login()
    gate.get("/iserver/accounts")
    later = gate.order("BUY", 1)

    assert "order_id" in silent[0]
    assert message_ids(asked) == message_ids(later) == ["o10151"]


def test_suppressing_takes_51_ids_at_most(gate):
    assert gate.send("POST", "/iserver/questions/suppress", {"messageIds": ["o1"] * 52}).status_code == 400
    assert gate.send("POST", "/iserver/questions/suppress", {"messageIds": "o1"}).status_code == 400


def test_an_order_id_is_refused_a_second_time(gate):
    gate.confirm(gate.order("BUY", 1, cOID="ord-once"))
    again = gate.send("POST", f"/iserver/account/{ACCOUNT}/orders", {"orders": [ticket(quantity=1, cOID="ord-once")]})

    assert again.status_code == 200
    assert again.json()["error"].startswith("Order couldn't be submitted: Local order ID=ord-once")


def test_a_bare_list_of_orders_is_taken_too(gate):
    answer = gate.post(f"/iserver/account/{ACCOUNT}/orders", [ticket(kind="LMT", price=165, quantity=1)])

    assert answer[0]["order_status"] == "Submitted"


def test_fields_that_are_missing_or_wrong_are_named(gate):
    def error(**fields):
        reply = gate.send("POST", f"/iserver/account/{ACCOUNT}/orders", {"orders": [{**ticket(), **fields}]})
        return reply.status_code, reply.json()["error"].split(":")[0]

    assert error(orderType="ODD") == (400, "orderType")
    assert error(side="HOLD") == (400, "side")
    assert error(quantity=0) == (400, "quantity")
    assert error(quantity=10**30) == (400, "quantity")
    assert error(tif="FOK") == (400, "tif")
    assert error(orderType="LMT") == (400, "price")
    assert error(orderType="TRAIL", trailingAmt=1) == (400, "trailingType")
    assert error(conid=1) == (400, "Invalid conid")
    assert gate.send("POST", f"/iserver/account/{ACCOUNT}/orders", {"orders": 3}).status_code == 500


def test_what_the_venue_refuses_is_an_error_in_a_200(gate):
    reply = gate.send(
        "POST", "/iserver/account/DU2/orders", {"orders": [ticket("SELL", 10, "LMT", price=168, cOID="ord-short")]}
    )
    again = gate.orders([ticket("BUY", 1, "LMT", price=168, cOID="ord-short")], "DU2")

    assert reply.status_code == 200
    assert "short sale" in reply.json()["error"]
    # nothing was taken, so the id is still free
    assert "order_id" in again[0]


def test_fractions_need_an_account_that_allows_them(gate):
    assert "error" in gate.orders([ticket("BUY", 0.5, "LMT", price=166)])
    assert "order_id" in gate.orders([ticket("BUY", 0.5, "LMT", price=166)], "DU2")[0]


def bracket(prefix, quantity=10, limit=None):
    entry = ticket("BUY", quantity, "MKT" if limit is None else "LMT", cOID=prefix)
    if limit is not None:
        entry["price"] = limit
    stop = ticket("SELL", quantity, "STP", price=100, tif="GTC", cOID=f"{prefix}-stop", parentId=prefix)
    target = ticket("SELL", quantity, "LMT", price=900, tif="GTC", cOID=f"{prefix}-target", parentId=prefix)
    return [entry, stop, target]


def test_the_children_of_a_bracket_wait_for_their_parent_and_end_with_it(gate):
    answer = gate.confirm(gate.orders(bracket("ord-waiting", limit=150)))
    parent, stop, target = (int(row["order_id"]) for row in answer)
    waiting = [status_of(gate, order) for order in (parent, stop, target)]
    gate.send("DELETE", f"/iserver/account/{ACCOUNT}/order/{parent}")
    gate.until(lambda: status_of(gate, target) == "Cancelled")

    assert [row.get("parent_order_id") for row in answer] == [None, str(parent), str(parent)]
    assert waiting == ["Submitted", "PreSubmitted", "PreSubmitted"]
    assert status_of(gate, stop) == "Cancelled"


def test_the_children_of_a_filled_parent_work_and_cancel_each_other(gate):
    answer = gate.confirm(gate.orders(bracket("ord-working")))
    parent, stop, target = (int(row["order_id"]) for row in answer)
    working = [status_of(gate, order) for order in (parent, stop, target)]
    change = {**ticket("SELL", 10, "LMT", price=100, tif="GTC"), "cOID": "ord-working-target"}
    changed = gate.confirm(gate.post(f"/iserver/account/{ACCOUNT}/order/{target}", change))
    gate.until(lambda: status_of(gate, stop) == "Cancelled")

    assert working == ["Filled", "PreSubmitted", "Submitted"]
    assert changed[0]["order_id"] == str(target)
    assert status_of(gate, target) == "Filled"


def test_a_child_can_follow_later_and_needs_a_parent_that_is_known(gate):
    gate.confirm(gate.order("BUY", 5, cOID="ord-parent"))
    late = gate.confirm(gate.order("SELL", 5, "STP", price=100, parentId="ord-parent", cOID="ord-child"))
    orphan = gate.confirm(gate.order("SELL", 5, "STP", price=100, parentId="ord-nobody", cOID="ord-orphan"))

    assert "parent_order_id" in late[0]
    assert "ord-nobody" in orphan["error"]


def test_a_single_group_cancels_what_is_left_when_one_fills(gate):
    gate.confirm(gate.order("BUY", 10))
    group = [
        ticket("SELL", 10, "LMT", price=150, isSingleGroup=True, cOID="ord-oca-1"),
        ticket("SELL", 10, "STP", price=100, isSingleGroup=True, cOID="ord-oca-2"),
    ]
    first, second = (int(row["order_id"]) for row in gate.confirm(gate.orders(group)))
    gate.until(lambda: status_of(gate, second) == "Cancelled")

    assert status_of(gate, first) == "Filled"


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"kind": "STP", "price": 100}, {"orderType": "Stop", "auxPrice": "100.00", "price": "100.00"}),
        (
            {"kind": "STOP_LIMIT", "price": 99, "auxPrice": 100},
            {"orderType": "Stop Limit", "auxPrice": "100.00", "price": "99.00"},
        ),
        (
            {"kind": "TRAIL", "trailingAmt": 5, "trailingType": "amt", "price": 150},
            {"orderType": "Trailing Stop", "trailingAmt": "5", "trailingType": "amt"},
        ),
        (
            {"kind": "TRAIL", "trailingAmt": 2.5, "trailingType": "%"},
            {"orderType": "Trailing Stop", "trailingAmt": "2.5", "trailingType": "%"},
        ),
        (
            {"kind": "TRAILLMT", "trailingAmt": 5, "trailingType": "amt", "price": 149, "auxPrice": 150},
            {"orderType": "Trailing Stop Limit", "trailingAmt": "5", "trailingType": "amt"},
        ),
    ],
)
def test_every_kind_of_stop_is_taken_and_shown(gate, fields, shown):
    kind = fields.pop("kind")
    order = gate.entered("SELL", 3, kind, tif="GTC", **fields)
    row = next(row for row in gate.live() if row["orderId"] == order)

    assert {name: row[name] for name in shown} == shown
    assert row["timeInForce"] == "GTC"
    assert "stop_price" in row


def test_a_trailing_stop_shows_where_it_stands(gate):
    last = float(gate.snapshot(SPY)[SPY]["31"])
    order = gate.entered("SELL", 3, "TRAIL", trailingAmt=1, trailingType="%", tif="GTC")
    row = next(row for row in gate.live() if row["orderId"] == order)

    assert float(row["stop_price"]) == pytest.approx(last * 0.99, abs=0.1)


def test_a_change_keeps_what_is_not_sent_and_refuses_another_side(gate):
    order = gate.entered("BUY", 5, "LMT", price=165, tif="GTC", outsideRTH=True)
    path = f"/iserver/account/{ACCOUNT}/order/{order}"
    gate.confirm(gate.post(path, {"orderType": "LMT", "price": 164.5, "quantity": 4}))
    row = next(row for row in gate.live() if row["orderId"] == order)
    other = gate.confirm(gate.post(path, ticket("SELL", 4, "LMT", price=168)))

    assert (row["price"], row["totalSize"], row["timeInForce"], row["outsideRTH"]) == ("164.50", 4.0, "GTC", True)
    assert "error" in other


def test_a_done_or_unknown_order_can_be_neither_changed_nor_cancelled(gate):
    done = gate.entered("BUY", 1)
    path = f"/iserver/account/{ACCOUNT}/order"

    assert "error" in gate.confirm(gate.post(f"{path}/{done}", ticket(quantity=2, kind="LMT", price=166)))
    assert "error" in gate.send("DELETE", f"{path}/{done}").json()
    assert gate.send("DELETE", f"{path}/1").json() == {"error": "OrderID 1 doesn't exist"}


def test_a_cancel_is_a_request_and_minus_one_means_all(gate):
    orders = [gate.entered("BUY", 1, "LMT", price=price) for price in (160, 161)]
    one = gate.send("DELETE", f"/iserver/account/{ACCOUNT}/order/{orders[0]}").json()
    every = gate.send("DELETE", f"/iserver/account/{ACCOUNT}/order/-1").json()
    gate.until(lambda: status_of(gate, orders[1]) == "Cancelled")

    assert one == {"msg": "Request was submitted", "order_id": orders[0], "conid": SPY, "account": ACCOUNT}
    assert (every["msg"], every["order_id"]) == ("Request was submitted", -1)
    assert status_of(gate, orders[0]) == "Cancelled"


def test_changes_and_cancels_wait_for_the_accounts_page(gate):
    order = gate.entered("BUY", 1, "LMT", price=160)
    gate.login()

    assert gate.send("DELETE", f"/iserver/account/{ACCOUNT}/order/{order}").status_code == 400


def test_the_first_list_of_a_session_is_empty_and_force_empties_it_again(gate):
    order = gate.entered("BUY", 1, "LMT", price=160)
    gate.login()
    first = gate.get("/iserver/account/orders")
    second = gate.get("/iserver/account/orders")
    forced = gate.get("/iserver/account/orders", force="true")
    after = gate.get("/iserver/account/orders")

    assert first == forced == {"orders": [], "snapshot": False}
    assert order in {row["orderId"] for row in second["orders"]}
    assert second["snapshot"]
    assert after["orders"]


def test_lists_are_filtered_by_status_and_account(gate):
    gate.entered("BUY", 1, "LMT", price=160)
    gate.entered("BUY", 1)
    filled = gate.live(filters="filled")

    assert {row["status"] for row in filled} == {"Filled"}
    assert {row["status"] for row in gate.live(filters="submitted,pre_submitted")} == {"Submitted"}
    assert all(row["acct"] == "DU2" for row in gate.live(accountId="DU2"))


def test_an_order_nobody_knows_has_no_status(gate):
    assert gate.send("GET", "/iserver/account/order/status/17").status_code == 503


def test_trades_carry_the_order_reference_the_commission_and_utc_times(gate):
    gate.confirm(gate.order("BUY", 4, conid=AAPL, cOID="ord-trade"))
    trade = next(row for row in gate.trades(days=7) if row.get("order_ref") == "ord-trade")

    assert (trade["side"], trade["size"], trade["symbol"], trade["sec_type"]) == ("B", 4.0, "AAPL", "STK")
    assert isinstance(trade["price"], str)
    assert float(trade["commission"]) > 0
    assert trade["trade_time"].startswith("20140506-14:")
    assert trade["net_amount"] == pytest.approx(4 * float(trade["price"]))


def test_a_preview_tells_cost_and_margin_and_sends_nothing(gate):
    before = len(gate.live())
    path = f"/iserver/account/{ACCOUNT}/orders/whatif"
    found = gate.post(path, {"orders": [ticket(quantity=10, cOID="ord-preview")]})
    refused = gate.post("/iserver/account/DU2/orders/whatif", {"orders": [ticket("SELL", 10)]})

    assert found.keys() >= {"amount", "equity", "initial", "maintenance", "warn", "error"}
    assert found["amount"].keys() == {"amount", "commission", "total"}
    assert found["equity"].keys() == {"current", "change", "after"}
    assert found["error"] is None
    assert "short sale" in refused["error"]
    assert len(gate.live()) == before


def test_accounts_do_not_mix(gate):
    gate.confirm(gate.orders([ticket("BUY", 1, conid=AAPL, cOID="ord-other")], "DU2"))
    gate.get("/portfolio/accounts")
    for account in (ACCOUNT, "DU2"):
        gate.post(f"/portfolio/{account}/positions/invalidate")
    held = gate.get("/portfolio/DU2/positions/0")

    assert [row["position"] for row in held if row["conid"] == AAPL] == [1.0]
    assert "ord-other" not in {row.get("order_ref") for row in gate.live()}
    assert "ord-other" in {row.get("order_ref") for row in gate.live(accountId="DU2")}
    assert gate.trades(accountId="DU2")[-1]["order_ref"] == "ord-other"


def test_an_order_whose_shares_another_one_sent_along_has_sold_goes_inactive(gate):
    gate.confirm(gate.orders([ticket("BUY", 1, conid=IBM)], "DU2"))
    pair = [ticket("SELL", 1, "LMT", conid=IBM, price=100, cOID=f"ord-pair-{number}") for number in (1, 2)]
    answer = gate.confirm(gate.orders(pair, "DU2"))

    assert sorted(row["order_status"] for row in answer) == ["Filled", "Inactive"]
