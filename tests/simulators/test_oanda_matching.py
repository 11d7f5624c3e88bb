"""Resting orders of the OANDA venue against the replayed quotes."""

from decimal import Decimal

import pytest

from simulators.oanda.account import Account
from simulators.oanda.wire import from_points, parse_time


def closing_fill(lab, trade):
    return next(
        item
        for item in lab.transactions()
        if item["type"] == "ORDER_FILL" and trade in [part["tradeID"] for part in item.get("tradesClosed", [])]
    )


def first_quote(tape, after, condition, instrument="EUR_USD"):
    start = parse_time(after)
    return next(q for q in tape.between(instrument, start, start + 5 * 86_400_000) if condition(q))


def test_take_profit_closes_at_its_price_or_better_and_cancels_the_stop(lab, tape):
    bid, _ = lab.quote()
    target = bid + Decimal("0.00100")
    body = lab.order(1000, takeProfitOnFill={"price": str(target)}, stopLossOnFill={"price": "1.30000"})[1]
    trade = body["orderFillTransaction"]["id"]
    expected = first_quote(tape, "2014-05-02T10:00:00Z", lambda q: from_points(q.bid) >= target)

    fill = closing_fill(lab.at("2014-05-02T20:00:00Z"), trade)

    assert fill["reason"] == "TAKE_PROFIT_ORDER"
    assert expected.time == parse_time(fill["time"])
    assert from_points(expected.bid) == Decimal(fill["price"]) >= target
    cancel = lab.transactions(after=int(fill["id"]))[0]
    assert (cancel["type"], cancel["reason"]) == ("ORDER_CANCEL", "LINKED_TRADE_CLOSED")
    profit = (Decimal(fill["price"]) - Decimal(body["orderFillTransaction"]["price"])) * 1000
    assert profit == Decimal(fill["pl"]) == Decimal(lab.summary()["pl"])
    assert Decimal(100_000) + profit == Decimal(fill["accountBalance"])


def test_short_stop_watches_the_ask_and_cancels_the_take_profit(lab, tape):
    _, ask = lab.quote()
    level = ask + Decimal("0.00030")
    body = lab.order(-1000, stopLossOnFill={"price": str(level)}, takeProfitOnFill={"price": "1.30000"})[1]
    expected = first_quote(tape, "2014-05-02T10:00:00Z", lambda q: from_points(q.ask) >= level)

    fill = closing_fill(lab.at("2014-05-02T20:00:00Z"), body["orderFillTransaction"]["id"])

    assert ("STOP_LOSS_ORDER", from_points(expected.ask)) == (fill["reason"], Decimal(fill["price"]))
    assert Decimal(fill["pl"]) < 0
    assert lab.transactions(after=int(fill["id"]))[0]["reason"] == "LINKED_TRADE_CLOSED"


def test_stop_distance_is_taken_from_the_entry(lab):
    body = lab.order(1000, stopLossOnFill={"distance": "0.00200"})[1]

    stop = lab.get(f"orders/{body['lastTransactionID']}")["order"]

    entry = Decimal(body["orderFillTransaction"]["price"])
    assert ("0.00200", entry - Decimal("0.00200")) == (stop["distance"], Decimal(stop["price"]))


def test_trailing_stop_only_moves_towards_the_market_and_then_fills(lab, tape):
    body = lab.order(1000, trailingStopLossOnFill={"distance": "0.00100"})[1]
    trade, order_id = body["orderFillTransaction"]["id"], body["lastTransactionID"]
    level = best = None
    for quote in tape.between("EUR_USD", parse_time("2014-05-02T09:59:00Z"), parse_time("2014-05-02T10:00:00Z")):
        level = quote.bid - 100
    for quote in tape.between("EUR_USD", parse_time("2014-05-02T10:00:00Z"), parse_time("2014-05-02T20:00:00Z")):
        if quote.bid <= level:
            best = quote
            break
        level = max(level, quote.bid - 100)

    seen = []
    for minute in range(0, 60, 5):
        order = lab.at(f"2014-05-02T10:{minute:02d}:00Z").get(f"orders/{order_id}")["order"]
        seen.append(Decimal(order["trailingStopValue"]))
    fill = closing_fill(lab.at("2014-05-02T20:00:00Z"), trade)

    assert seen == sorted(seen)
    assert ("TRAILING_STOP_LOSS_ORDER", best.time, from_points(best.bid)) == (
        fill["reason"],
        parse_time(fill["time"]),
        Decimal(fill["price"]),
    )
    assert from_points(level) == Decimal(lab.get(f"orders/{order_id}")["order"]["trailingStopValue"])


def test_late_process_books_the_same_as_one_that_looked_all_the_time(make_lab):
    def run(step_minutes):
        lab = make_lab("2014-05-02T12:00:00Z")
        lab.order(1000, takeProfitOnFill={"price": "1.38800"}, trailingStopLossOnFill={"distance": "0.00200"})
        lab.order(-500, "STOP", price="1.38300", stopLossOnFill={"distance": "0.00150"}, positionFill="OPEN_ONLY")
        lab.order(700, "LIMIT", price="1.38250", takeProfitOnFill={"price": "1.38700"}, positionFill="OPEN_ONLY")
        for minute in range(0, 480, step_minutes):
            lab.clock.ms = parse_time("2014-05-02T12:00:00Z") + minute * 60_000
            lab.summary()
        lab.at("2014-05-02T20:00:00Z")
        return [
            {key: value for key, value in item.items() if key != "requestID"} for item in lab.transactions()
        ], lab.summary()

    assert run(1) == run(479)


@pytest.mark.parametrize(("kind", "units", "offset"), [("LIMIT", 100, -30), ("STOP", 100, 30), ("STOP", -100, -30)])
def test_resting_entry_fills_on_the_first_quote_that_reaches_it(lab, tape, kind, units, offset):
    bid, ask = lab.quote()
    level = (ask if units > 0 else bid) + Decimal(offset).scaleb(-5)
    lab.order(units, kind, price=str(level))
    side = (lambda q: from_points(q.ask)) if units > 0 else (lambda q: from_points(q.bid))
    down = offset < 0
    expected = first_quote(tape, "2014-05-02T10:00:00Z", lambda q: side(q) <= level if down else side(q) >= level)

    lab.at("2014-05-02T20:00:00Z")
    fill = next(item for item in lab.transactions() if item["type"] == "ORDER_FILL")

    assert (f"{kind}_ORDER", expected.time, side(expected)) == (
        fill["reason"],
        parse_time(fill["time"]),
        Decimal(fill["price"]),
    )


@pytest.mark.parametrize("offset", [-40, 40])
def test_market_if_touched_waits_for_the_price_from_either_side(lab, offset):
    _, ask = lab.quote()
    body = lab.order(100, "MARKET_IF_TOUCHED", price=str(ask + Decimal(offset).scaleb(-5)))[1]

    lab.at("2014-05-02T20:00:00Z")

    assert "orderFillTransaction" not in body
    assert lab.transactions(after=3)[0]["reason"] == "MARKET_IF_TOUCHED_ORDER"


def test_order_that_outlives_its_date_is_cancelled_at_that_time(lab):
    gtd = lab.order(1, "LIMIT", price="1.20000", timeInForce="GTD", gtdTime="2014-05-02T11:30:00Z")[1]
    day = lab.order(1, "LIMIT", price="1.20000", timeInForce="GFD")[1]

    lab.at("2014-05-03T10:00:00Z")
    cancelled = lab.transactions(after=4)

    assert [gtd["lastTransactionID"], day["lastTransactionID"]] == [item["orderID"] for item in cancelled]
    assert [i["time"] for i in cancelled] == ["2014-05-02T11:30:00.000000000Z", "2014-05-02T21:00:00.000000000Z"]
    assert {"TIME_IN_FORCE_EXPIRED"} == {item["reason"] for item in cancelled}


def test_gap_over_the_weekend_fills_the_stop_at_the_first_quote_of_sunday(make_lab, tape):
    lab = make_lab("2014-05-02T20:59:00Z")
    last, first = (
        tape.last("EUR_USD", parse_time("2014-05-02T22:00:00Z")),
        first_quote(tape, "2014-05-03T00:00:00Z", bool),
    )
    level = from_points(last.ask + 1)
    trade = lab.order(-1000)[1]["orderFillTransaction"]["id"]
    lab.at("2014-05-03T12:00:00Z").put(f"trades/{trade}/orders", {"stopLoss": {"price": str(level)}})
    assert lab.get(f"trades/{trade}")["trade"]["state"] == "OPEN"

    lab.at("2014-05-05T00:00:00Z")
    fill = closing_fill(lab, trade)

    # Sunday opened with a spread wider than Friday's: the ask jumped over the stop
    assert first.ask > last.ask + 1
    assert (first.time, from_points(first.ask)) == (parse_time(fill["time"]), Decimal(fill["price"]))
    assert Decimal(fill["price"]) > level


def test_account_is_closed_out_when_half_its_margin_is_gone(make_lab, tape):
    lab = make_lab("2014-05-08T12:40:00Z", accounts=[Account("A", "a", "USD", Decimal(29_000))])
    lab.account, lab.token = "A", "a"
    opened = lab.order(1_000_000)[1]["orderFillTransaction"]

    def is_due(quote):
        nav = 29_000 + (from_points(quote.bid) - Decimal(opened["price"])) * 1_000_000
        return from_points(quote.bid + quote.ask) / 2 * 10_000 >= nav

    expected = first_quote(tape, "2014-05-08T12:40:00Z", is_due)
    lab.at("2014-05-09T20:00:00Z")
    closing = lab.transactions(after=int(opened["id"]))

    assert [item["reason"] for item in closing] == ["MARGIN_CLOSEOUT", "MARKET_ORDER_MARGIN_CLOSEOUT"]
    assert expected.time == parse_time(closing[1]["time"])
    assert [opened["tradeOpened"]["tradeID"]] == [part["tradeID"] for part in closing[1]["tradesClosed"]]
