"""Lives of simulated contracts: when they trade, when they pay, and what the fault script does to that."""

from datetime import datetime, timedelta
from decimal import Decimal

import kalshi_lab
import kalshi_sim
import pytest

from simulators.kalshi.orders import Force, Status
from simulators.kalshi.wire import iso

TICKER = kalshi_sim.TICKER
TIMES = {"determined_at": "2014-05-06T08:30:00Z", "settled_at": "2014-05-06T09:30:00Z"}
LATER = kalshi_sim.market("KXTEST-14MAY06-T80", hours=20) | {"open_time": "2014-05-06T07:05:00Z"}


@pytest.fixture
def venue(tmp_path):
    markets = [kalshi_sim.market(hours=1, **TIMES), LATER]
    return kalshi_lab.lab(kalshi_lab.catalogue(tmp_path, markets))


def told(venue):
    return [(a.kind, f"{a.time:%H:%M}") for a in venue.venue.announcements if a.ticker == TICKER]


def test_a_contract_opens_closes_is_determined_and_is_finalized(venue):
    statuses = [venue.market()["status"]]
    for _ in range(3):
        venue.later(hours=1)
        statuses.append(venue.market()["status"])

    assert statuses == ["active", "closed", "determined", "finalized"]
    assert told(venue) == [("determined", "08:30"), ("settled", "09:30")]


def test_a_result_is_told_only_when_it_is_determined(venue):
    venue.at("2014-05-06T08:29:59Z")
    before = venue.market()
    venue.at("2014-05-06T08:30:00Z")
    after = venue.market()

    assert (before["result"], before["expiration_value"]) == ("", "")
    assert "settlement_value_dollars" not in before
    assert "settlement_value" not in before
    assert (after["result"], after["expiration_value"], after["settlement_value_dollars"]) == ("yes", "yes", "1.0000")


def test_a_finished_contract_pays_a_dollar_writes_a_settlement_and_clears_the_position(venue):
    venue.order("bid", "0.51", 10, force=Force.IOC)
    venue.order("ask", "0.49", 4, who=1, force=Force.IOC)

    venue.later(hours=3)

    row = venue.get("/portfolio/settlements")["settlements"][0]
    assert (row["yes_count_fp"], row["revenue"], row["yes_total_cost_dollars"]) == ("10.00", 1000, "5.1000")
    assert (row["market_result"], row["value"], row["settled_time"]) == ("yes", 100, "2014-05-06T09:30:00Z")
    lost = venue.get("/portfolio/settlements", who=1)["settlements"][0]
    assert (lost["no_count_fp"], lost["revenue"], lost["no_total_cost_dollars"]) == ("4.00", 0, "2.0400")
    assert venue.get("/portfolio/positions")["market_positions"] == []
    assert venue.account().cash == Decimal("1000") - Decimal("5.10") - Decimal("0.18") + 10


@pytest.mark.parametrize(
    ("moment", "ticker", "code"),
    [
        ("2014-05-06T07:01:00Z", "KXTEST-14MAY06-T80", "market_not_active"),
        ("2014-05-06T08:00:00Z", TICKER, "market_closed"),
        ("2014-05-06T08:45:00Z", TICKER, "market_closed"),
        ("2014-05-06T10:00:00Z", TICKER, "market_closed"),
    ],
)
def test_a_contract_trades_only_while_it_is_active(venue, moment, ticker, code):
    venue.at(moment)

    assert venue.refused("bid", "0.51", 1, ticker=ticker)[:2] == (409, code)


def test_nothing_is_told_of_a_contract_before_it_is_listed(venue):
    venue.at("2014-05-06T07:00:00Z")
    assert "KXTEST-14MAY06-T80" in str(venue.get("/markets"))

    earlier = kalshi_lab.lab(venue.venue._catalogue, start="2014-05-06T06:50:00Z")

    assert "KXTEST-14MAY06-T80" not in str(earlier.get("/markets"))
    assert earlier.send("GET", "/markets/KXTEST-14MAY06-T80")[0] == 404
    earlier.later(minutes=6)
    assert earlier.send("GET", "/markets/KXTEST-14MAY06-T80")[0] == 200
    assert [(a.kind, a.ticker, f"{a.time:%H:%M}") for a in earlier.venue.announcements] == [
        ("created", "KXTEST-14MAY06-T80", "06:55")
    ]


def test_resting_orders_are_cancelled_when_trading_ends(venue):
    order = venue.order("bid", "0.40", 5)

    venue.later(hours=2)

    assert (order.status, order.filled) == (Status.CANCELED, 0)
    assert f"{order.updated:%H:%M}" == "08:00"
    assert venue.account().available == Decimal(1000)


def test_a_closed_contract_has_no_quotes(venue):
    venue.later(hours=1)

    market = venue.market()
    assert (market["yes_bid_dollars"], market["yes_ask_dollars"]) == ("0.0000", "1.0000")
    assert venue.get(f"/markets/{TICKER}/orderbook")["orderbook_fp"] == {"yes_dollars": [], "no_dollars": []}


def test_market_paused_stops_trading_and_reactivation_cancels_every_resting_order(venue):
    kept, flagged = venue.order("bid", "0.40", 5), venue.order("bid", "0.40", 5, cancel_on_pause=True)
    span = ["2014-05-06T07:10:00Z", "2014-05-06T07:20:00Z"]
    fault = venue.fault("market_paused", between=span, match={"ticker": "KXTEST-*-T70"})

    venue.at("2014-05-06T07:15:00Z")
    paused = (venue.market()["status"], kept.status, flagged.status)
    refused = venue.refused("bid", "0.51", 1)
    listed = [market["ticker"] for market in venue.get("/markets", status="paused")["markets"]]
    venue.at("2014-05-06T07:25:00Z")

    assert paused == ("inactive", Status.RESTING, Status.CANCELED)
    assert refused[:2] == (409, "trading_is_paused")
    assert listed == [TICKER]
    assert (venue.market()["status"], kept.status) == ("active", Status.CANCELED)
    assert told(venue) == [("deactivated", "07:10"), ("activated", "07:20")]
    assert fault.fired == 1


def test_early_close_ends_trading_at_its_time(venue):
    order = venue.order("bid", "0.40", 5)
    fault = venue.fault("early_close", closes_at="2014-05-06T07:20:00Z", match={"ticker": TICKER})

    venue.at("2014-05-06T07:30:00Z")

    market = venue.market()
    assert (market["status"], market["close_time"]) == ("closed", "2014-05-06T07:20:00Z")
    assert order.status is Status.CANCELED
    assert venue.refused("bid", "0.51", 1)[1] == "market_closed"
    assert told(venue) == [("close_date_updated", "07:00")]
    assert fault.fired == 1


def test_early_close_without_a_time_is_now(venue):
    venue.fault("early_close", match={"ticker": TICKER})

    venue.later(seconds=1)

    assert venue.market()["close_time"] == kalshi_sim.START


@pytest.mark.parametrize(("other", "revenue"), [({}, 1000), ({"result": "no"}, 0)])
def test_a_disputed_result_is_amended_and_pays_by_what_it_became(venue, other, revenue):
    venue.order("bid", "0.51", 10, force=Force.IOC)
    fault = venue.fault("disputed_result", match={"ticker": TICKER}, after=600, seconds=1200, timer=1800, **other)

    seen = []
    for moment in ("08:35", "08:45", "09:05", "09:29", "09:30"):
        venue.at(f"2014-05-06T{moment}:00Z")
        market = venue.market()
        seen.append((market["status"], market["result"]))

    final = other.get("result", "yes")
    assert seen == [
        ("determined", "yes"),
        ("disputed", "yes"),
        ("amended", final),
        ("amended", final),
        ("finalized", final),
    ]
    assert venue.get("/portfolio/settlements")["settlements"][0]["revenue"] == revenue
    assert fault.fired == 1


def test_late_settlement_pays_later(venue):
    venue.order("bid", "0.51", 10, force=Force.IOC)
    fault = venue.fault("late_settlement", match={"ticker": TICKER}, seconds=7200)

    venue.at("2014-05-06T11:29:00Z")
    before = venue.market()["status"], len(venue.account().settlements)
    venue.at("2014-05-06T11:30:00Z")

    assert before == ("determined", 0)
    assert iso(venue.account().settlements[0].time) == "2014-05-06T11:30:00Z"
    assert fault.fired == 1


def test_exchange_paused_refuses_orders_everywhere_and_says_so(venue):
    span = ["2014-05-06T07:10:00Z", "2014-05-06T07:20:00Z"]
    fault = venue.fault("exchange_paused", between=span)

    venue.at("2014-05-06T07:15:00Z")
    status = venue.get("/exchange/status")
    refused = venue.refused("bid", "0.51", 1)
    venue.at("2014-05-06T07:25:00Z")

    assert (status["exchange_active"], status["trading_active"]) == (True, False)
    assert refused[:2] == (409, "exchange_is_paused")
    assert venue.order("bid", "0.51", 1).filled == 1
    assert fault.fired == 1


def test_stale_quotes_stand_still_while_orders_meet_the_true_book(tmp_path):
    moves = [[kalshi_sim.START, 0.50], ["2014-05-06T07:30:00Z", 0.80]]
    venue = kalshi_lab.lab(kalshi_lab.catalogue(tmp_path, [kalshi_sim.market(fair=moves)]))
    span = ["2014-05-06T07:20:00Z", "2014-05-06T08:00:00Z"]
    fault = venue.fault("stale_quotes", between=span, match={"ticker": TICKER})

    venue.at("2014-05-06T07:40:00Z")
    shown = venue.market()["yes_ask_dollars"], venue.get(f"/markets/{TICKER}/orderbook")["orderbook"]["yes"][-1]
    unfilled = venue.order("bid", "0.51", 1, force=Force.IOC)
    venue.at("2014-05-06T08:10:00Z")

    assert shown == ("0.5100", [49, 200])
    assert unfilled.filled == 0
    assert venue.market()["yes_ask_dollars"] == "0.8100"
    assert fault.fired == 1


def test_a_venue_asked_only_once_settles_everything_on_the_way(tmp_path):
    start = datetime.fromisoformat(kalshi_sim.START)
    markets = [
        kalshi_sim.market(
            f"KXTEST-14MAY06-T{i}",
            hours=i,
            determined_at=(start + timedelta(hours=i)).isoformat(),
            settled_at=(start + timedelta(hours=i + 1)).isoformat(),
            result="yes" if i % 2 else "no",
        )
        for i in range(1, 6)
    ]
    venue = kalshi_lab.lab(kalshi_lab.catalogue(tmp_path, markets))
    for i in range(1, 6):
        venue.order("bid", "0.51", 1, ticker=f"KXTEST-14MAY06-T{i}", force=Force.IOC)

    venue.later(days=2)

    rows = venue.get("/portfolio/settlements")["settlements"]
    assert sorted(row["revenue"] for row in rows) == [0, 0, 100, 100, 100]
    assert not venue.account().positions
