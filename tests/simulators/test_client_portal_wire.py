"""What the simulated Client Portal gateway answers, compared with recorded replies of the real one."""

import json
from pathlib import Path

import portal_sim
import pytest
from portal_sim import AAPL, ACCOUNT, AMZN, IBM, SPY

SHAPES = json.loads(Path(__file__).with_name("client_portal_shapes.json").read_text())
KINDS = {"string": str, "boolean": bool, "null": type(None)}


@pytest.fixture(scope="module")
def running():
    started = portal_sim.start_portal("--limits", "off", accounts="DU1:100000:margin,DU2:5000:cash:fractional")
    yield started
    started.stop()


@pytest.fixture
def gate(running):
    running.tidy()
    yield running
    running.tidy()


def conforms(value, shape, place="reply"):
    """Check that a value has the keys and the JSON types of a shape; what was null in the recording may be anything."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), place
        assert shape.keys() <= value.keys(), (place, shape.keys() - value.keys())
        for key, expected in shape.items():
            conforms(value[key], expected, f"{place}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list), place
        for item in value if shape else ():
            conforms(item, shape[0], place)
    elif shape in ("integer", "number"):
        assert isinstance(value, int if shape == "integer" else (int, float)), (place, value)
        assert not isinstance(value, bool), place
    elif shape != "null" and value is not None:
        assert isinstance(value, KINDS[shape]), (place, value)
    return True


def test_tickle_and_status_have_the_recorded_shape(gate):
    assert conforms(gate.post("/tickle"), SHAPES["tickle"])
    assert conforms(gate.post("/iserver/auth/status"), SHAPES["auth_status"])


def test_accounts_ledger_and_positions_have_the_recorded_shape(gate):
    gate.trade_by_hand(SPY, 100)
    gate.post(f"/portfolio/{ACCOUNT}/positions/invalidate")

    accounts = gate.get("/portfolio/accounts")
    held = gate.get(f"/portfolio/{ACCOUNT}/positions/0")

    assert conforms(accounts, SHAPES["accounts"])
    assert conforms(gate.get(f"/portfolio/{ACCOUNT}/ledger"), SHAPES["ledger"])
    assert conforms(held, SHAPES["positions"])
    assert [row["conid"] for row in held] == [SPY]
    gate.trade_by_hand(SPY, -100)


def test_history_stocks_and_orders_have_the_recorded_shape(gate):
    order = gate.entered("BUY", 3, "LMT", price=150, tif="GTC")

    assert conforms(gate.get("/iserver/marketdata/history", conid=SPY, period="2d", bar="1h"), SHAPES["history"])
    assert conforms(gate.get("/trsrv/stocks", symbols="AAPL")["AAPL"], SHAPES["stocks"])
    live = [row for row in gate.live() if row["orderId"] == order]
    assert live
    assert conforms(live, SHAPES["live_orders"])
    assert conforms(gate.status(order), SHAPES["order_status"])


def test_the_portfolio_waits_for_its_accounts_page(gate):
    refused = gate.send("GET", f"/portfolio/{ACCOUNT}/summary")
    gate.get("/portfolio/accounts")
    summary = gate.get(f"/portfolio/{ACCOUNT}/summary")

    assert refused.status_code == 400
    assert summary["totalcashvalue"].keys() == {"amount", "currency", "isNull", "timestamp", "value", "severity"}
    assert summary["netliquidation"]["amount"] == pytest.approx(100_000, abs=200)


def test_positions_come_out_of_a_cache_until_it_is_emptied(gate):
    gate.get("/portfolio/accounts")
    gate.post(f"/portfolio/{ACCOUNT}/positions/invalidate")
    before = gate.get(f"/portfolio/{ACCOUNT}/positions/0")
    gate.trade_by_hand(IBM, 7)
    cached = gate.get(f"/portfolio/{ACCOUNT}/positions/0")
    gate.post(f"/portfolio/{ACCOUNT}/positions/invalidate")
    fresh = gate.get(f"/portfolio/{ACCOUNT}/positions/0")

    assert (before, cached) == ([], [])
    assert [(row["ticker"], row["position"]) for row in fresh] == [("IBM", 7.0)]
    assert gate.get(f"/portfolio/{ACCOUNT}/positions/1") == []
    assert [row["position"] for row in gate.get(f"/portfolio/positions/{IBM}")[ACCOUNT]] == [7.0]
    gate.trade_by_hand(IBM, -7)
    gate.post(f"/portfolio/{ACCOUNT}/positions/invalidate")


def test_a_snapshot_needs_the_accounts_page_and_a_preflight(gate):
    asked = {"conids": f"{SPY},{AAPL}", "fields": "31,84,86,85,88,7059,6509"}
    gate.login()
    refused = gate.send("GET", "/iserver/marketdata/snapshot", **asked)
    gate.get("/iserver/accounts")
    preflight = gate.get("/iserver/marketdata/snapshot", **asked)
    rows = gate.get("/iserver/marketdata/snapshot", **asked)

    assert refused.status_code == 400
    assert preflight == [{"conid": conid, "conidEx": str(conid)} for conid in (SPY, AAPL)]
    assert {"31", "84", "86", "85", "88", "7059", "6509", "_updated", "conid", "conidEx", "server_id"} <= set(rows[0])
    assert all(isinstance(rows[0][field], str) for field in ("31", "84", "86", "85", "88"))
    assert float(rows[0]["84"]) < float(rows[0]["86"])
    assert rows[0]["6509"].startswith("R")


def test_sizes_have_commas_and_a_stock_without_prices_says_so(gate):
    rows = gate.snapshot(SPY, AMZN, fields="31,84,86,88,87,6509")

    assert "," in rows[SPY]["87"]
    assert rows[SPY]["87"].replace(",", "").isdigit()
    assert rows[AMZN]["6509"].startswith("N")
    assert not {"31", "84", "86"} & rows[AMZN].keys()


def test_unsubscribing_asks_for_another_preflight(gate):
    gate.snapshot(SPY)
    gate.post("/iserver/marketdata/unsubscribe", {"conid": SPY})
    after_one = gate.get("/iserver/marketdata/snapshot", conids=SPY, fields="31")
    unknown = gate.send("POST", "/iserver/marketdata/unsubscribe", {"conid": []})
    gate.get("/iserver/marketdata/unsubscribeall")
    after_all = gate.get("/iserver/marketdata/snapshot", conids=SPY, fields="31")

    assert unknown.status_code == 500
    assert after_one == after_all == [{"conid": SPY, "conidEx": str(SPY)}]


def test_a_last_price_of_an_earlier_day_is_marked_as_a_close():
    night = portal_sim.start_portal("--limits", "off", begin="2014-05-06T06:00:00Z")
    try:
        row = night.snapshot(SPY, fields="31")[SPY]
    finally:
        night.stop()

    assert row["31"].startswith("C")


def test_contracts_are_found_by_symbol_and_by_name(gate):
    by_symbol = gate.get("/iserver/secdef/search", symbol="aapl")
    by_name = gate.post("/iserver/secdef/search", {"symbol": "apple", "name": True})

    assert by_symbol == by_name
    assert (by_symbol[0]["conid"], by_symbol[0]["sections"]) == (str(AAPL), [{"secType": "STK"}])
    assert gate.get("/iserver/secdef/search", symbol="NOPE") == {"error": "No symbol found"}
    assert gate.get("/trsrv/stocks", symbols="AAPL,NOPE").keys() == {"AAPL"}
    assert gate.get("/iserver/secdef/info", conid=AAPL)[0]["listingExchange"] == "NASDAQ"
    assert gate.get(f"/iserver/contract/{AAPL}/info")["con_id"] == AAPL
    assert gate.get("/trsrv/secdef", conids=f"{AAPL},{SPY}")["secdef"][1]["ticker"] == "SPY"


def test_rules_tell_the_tick_and_whether_fractions_are_allowed(gate):
    whole = gate.post("/iserver/contract/rules", {"conid": SPY, "isBuy": True})
    gate.post("/iserver/account", {"acctId": "DU2"})
    fractions = gate.get(f"/iserver/contract/{SPY}/info-and-rules")["rules"]
    gate.post("/iserver/account", {"acctId": ACCOUNT})

    assert (whole["increment"], whole["error"], whole["fraqInt"]) == (0.01, None, 0)
    assert fractions["fraqInt"] == 4


def test_accounts_can_be_switched(gate):
    assert gate.get("/iserver/accounts")["selectedAccount"] == ACCOUNT
    assert gate.post("/iserver/account", {"acctId": "DU2"}) == {"set": True, "acctId": "DU2"}
    assert gate.get("/iserver/accounts")["selectedAccount"] == "DU2"
    assert "success" in gate.post("/iserver/account", {"acctId": "DU2"})
    assert "error" in gate.post("/iserver/account", {"acctId": "DU9"})
    assert "error" in gate.post("/iserver/account", {"acctId": {}})
    gate.post("/iserver/account", {"acctId": ACCOUNT})


def test_history_ends_now_counts_trading_days_and_leaves_the_night_out(gate):
    found = gate.get("/iserver/marketdata/history", conid=SPY, period="2d", bar="30min")
    outside = gate.get("/iserver/marketdata/history", conid=SPY, period="1d", bar="30min", outsideRth="true")
    times = [bar["t"] for bar in found["data"]]

    assert times == sorted(times)
    assert len({time // 86_400_000 for time in times}) == 2
    assert (found["barLength"], found["outsideRth"], outside["outsideRth"]) == (1800, False, True)
    assert all(bar["l"] <= min(bar["o"], bar["c"]) <= max(bar["o"], bar["c"]) <= bar["h"] for bar in found["data"])


def test_history_goes_back_from_a_start_time_or_on_from_it(gate):
    asked = {"conid": SPY, "period": "30min", "bar": "5min", "startTime": "20140505-15:00:00"}
    back = gate.get("/iserver/marketdata/history", **asked)
    on = gate.get("/iserver/marketdata/history", **asked, direction="1")
    reference = 1_399_302_000_000

    assert [bar["t"] - reference for bar in back["data"]] == [-300_000 * step for step in range(6, 0, -1)]
    assert [bar["t"] - reference for bar in on["data"]] == [300_000 * step for step in range(6)]


def test_history_refuses_what_it_cannot_read(gate):
    path = "/iserver/marketdata/history"

    assert gate.send("GET", path, conid=SPY, period="1d", bar="7x").status_code == 400
    assert gate.send("GET", path, conid=SPY, period="1min", bar="1d").status_code == 500
    assert gate.send("GET", path, conid=SPY, period="1d", bar="1h", startTime="noon").status_code == 400
    assert gate.send("GET", path, conid=AMZN, period="1d", bar="1h").json()["error"] == "Chart data unavailable"


def test_profit_is_told_by_account(gate):
    found = gate.get("/iserver/account/pnl/partitioned")["upnl"]

    assert found.keys() == {"DU1.Core", "DU2.Core"}
    assert found["DU2.Core"]["nl"] == 5000.0


def test_unknown_pages_methods_accounts_and_contracts_are_refused(gate):
    assert gate.send("GET", "/iserver/nothing").status_code == 404
    assert gate.send("DELETE", "/tickle").status_code == 405
    assert gate.send("GET", "/iserver/accounts/").status_code == 200
    gate.get("/portfolio/accounts")
    assert gate.send("GET", "/portfolio/DU9/summary").status_code == 400
    assert gate.send("GET", "/iserver/contract/12/info").status_code == 400


def test_a_long_history_is_cut_at_a_thousand_bars_and_crosses_weekends(gate):
    asked = {"conid": SPY, "period": "1y", "startTime": "20140505-13:32:00"}
    minutes = gate.get("/iserver/marketdata/history", bar="1min", **asked)["data"]
    seconds = gate.get("/iserver/marketdata/history", bar="1S", outsideRth="true", **asked)["data"]

    assert len(minutes) == len(seconds) == 1000
    assert minutes[0]["t"] < minutes[-1]["t"] - 3 * 86_400_000
    assert [bar["t"] for bar in minutes] == sorted({bar["t"] for bar in minutes})
