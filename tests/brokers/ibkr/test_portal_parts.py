"""The parts of the Client Portal adapter that need no gateway: words, numbers, paces, tickets, executions."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.ibkr.config import IbkrConfig
from brokers.ibkr.executions import ExecutionBook
from brokers.ibkr.fills import FillReader
from brokers.ibkr.portal import parse, tickets
from brokers.ibkr.portal.contracts import Contracts
from brokers.ibkr.portal.holdings import Holdings
from brokers.ibkr.portal.ledger import Ledger
from brokers.ibkr.portal.pace import LONGEST_S, SHUT, Board, Pace, Page
from brokers.ibkr.portal.questions import Ack, Conversations, PartlyRefused, receipts_of
from brokers.ibkr.portal.session import weekly
from brokers.ibkr.portal.wire import Wire
from brokers.ibkr.trades import Entries
from domain.clock import FakeClock
from domain.errors import Ask, Misconfigured, Refuse, Retry
from domain.ids import client_order_id, new_id
from domain.order import OrderIntent
from domain.quotes import Instrument
from domain.vocabulary import Leg, Mode, Side, Surface, TimeInForce

D = Decimal
NOON = datetime(2014, 5, 6, 16, tzinfo=UTC)
SIGNAL = new_id("sig", NOON)
ENTRY = client_order_id(Surface.STK, SIGNAL, Leg.ENTRY, 1)
STOP = client_order_id(Surface.STK, SIGNAL, Leg.STOP, 1)
SPY = Instrument(
    name="SPY", base="SPY", quote_currency="USD", tick=D("0.01"), pip=D("0.01"), quantity_step=D(1),
    quantity_min=D(1), quantity_max=D(100_000), margin_rate=D(1),
)  # fmt: skip


def config(**changes):
    facts = {"account": "DU1", "portal_url": "http://127.0.0.1:9/v1/api", "portal_requests_per_s": 8.0}
    return IbkrConfig(**(facts | changes))


def intent(**changes):
    facts = {
        "client_order_id": ENTRY, "signal_id": SIGNAL, "surface": Surface.STK, "mode": Mode.PAPER, "market": "SPY",
        "leg": Leg.ENTRY, "attempt": 1, "side": Side.BUY, "quantity": D(10),
    }  # fmt: skip
    return OrderIntent(**(facts | changes))


def requested(**changes):
    return tickets.of_intent(intent(**changes), "DU1", 756733, SPY)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("168.42", (D("168.42"), "")),
        ("C168.42", (D("168.42"), "C")),
        ("H168.42", (D("168.42"), "H")),
        ("1,300.5", (D("1300.5"), "")),
        (168.42, (D("168.42"), "")),
        ("-1", None),
        ("0", None),
        ("", None),
        (None, None),
        ("n/a", None),
    ],
)
def test_price_of_a_snapshot_is_read_with_its_mark(sent, read):
    assert parse.price(sent) == read


@pytest.mark.parametrize("value", ["NaN", "inf", True, None, [], "twelve"])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match="number"):
        parse.number(value)


def test_listed_order_of_the_sample_is_read():
    row = parse.order(
        {
            "acct": "DU1", "conid": 756733, "filledQuantity": 0.0, "lastExecutionTime_r": 1704312641000,
            "orderId": 1210386759, "orderType": "Limit", "order_ref": ENTRY, "origOrderType": "LIMIT",
            "outsideRTH": False, "price": "457.00", "remainingQuantity": 1.0, "side": "BUY",
            "status": "PreSubmitted", "ticker": "SPY", "timeInForce": "GTC", "totalSize": 1.0,
        }
    )  # fmt: skip

    assert (row.order_id, row.reference, row.kind, row.limit, row.stop) == ("1210386759", ENTRY, "LMT", D(457), None)
    assert (row.tif, row.remaining, row.is_live) == (TimeInForce.GTC, D(1), True)


def test_page_of_one_order_tells_where_its_stop_stands_now():
    row = parse.order(
        {
            "acct": "DU1", "conid": 756733, "filledQuantity": 0, "orderId": 1, "origOrderType": "TRAILING_STOP",
            "order_ref": STOP, "price": "150.00", "trailingAmt": "10", "trailingType": "%", "remainingQuantity": 10,
            "side": "SELL", "status": "PreSubmitted", "ticker": "SPY", "timeInForce": "GTC", "totalSize": 10,
        }
    )  # fmt: skip
    page = {"order_status": "PreSubmitted", "cum_fill": "4.0", "total_size": "10.0", "stop_price": "152.30"}
    seen = parse.seen(row, page)

    assert (seen.stop, seen.filled, seen.remaining) == (D("152.30"), D(4), D(6))
    assert tickets.modified(seen, D(6))["price"] == 152.3


def test_reference_that_is_not_ours_is_none():
    assert parse.reference("240103-SPY-1-BUY-L@457-bxv8") is None


def test_entry_goes_with_its_trailing_stop_in_one_request():
    entry, stop = requested(trigger=D("170.004"), stop_loss=D("153.009"), trailing_percent=D(10), tif=TimeInForce.DAY)

    assert (entry["orderType"], entry["price"], entry["cOID"], entry["tif"]) == ("STP", 170.01, ENTRY, "DAY")
    assert (stop["orderType"], stop["price"], stop["trailingType"], stop["trailingAmt"]) == ("TRAIL", 153, "%", 10)
    assert (stop["cOID"], stop["parentId"], stop["side"], stop["tif"]) == (STOP, ENTRY, "SELL", "GTC")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, {"orderType": "MKT"}),
        ({"price_bound": D("170.009")}, {"orderType": "LMT", "price": 170}),
        ({"trigger": D(170), "price_bound": D(171)}, {"orderType": "STOP_LIMIT", "price": 171, "auxPrice": 170}),
    ],
)
def test_kind_of_an_entry_follows_from_what_it_has(changes, words):
    (ticket,) = requested(**changes)

    assert {name: ticket.get(name) for name in words} == words


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": D("1.5")},
        {"quantity": D(0)},
        {"take_profit": D(200)},
        {"trailing_percent": D(5), "trailing_offset": D(1)},
    ],
)
def test_order_the_portal_has_not_is_refused(changes):
    with pytest.raises(Refuse):
        requested(**changes)


def test_stop_without_a_level_sells_at_the_market():
    (ticket,) = requested(leg=Leg.STOP, side=Side.SELL, client_order_id=STOP)

    assert (ticket["orderType"], ticket["side"], ticket["cOID"]) == ("MKT", "SELL", STOP)


def test_trailing_limit_needs_its_limit_to_be_changed():
    row = parse.order(
        {
            "acct": "DU1", "conid": 756733, "filledQuantity": 0, "orderId": 1, "origOrderType": "TRAILING_STOP_LIMIT",
            "order_ref": STOP, "price": "150.00", "auxPrice": "150.00", "trailingAmt": "10", "trailingType": "%",
            "remainingQuantity": 10, "side": "SELL", "status": "PreSubmitted", "ticker": "SPY", "timeInForce": "GTC",
            "totalSize": 10,
        }
    )  # fmt: skip

    assert (row.kind, row.limit, row.stop, row.trailing_percent) == ("TRAILLMT", None, D(150), D(10))
    with pytest.raises(Refuse, match="limit"):
        tickets.modified(row, D(5))


class Turns:
    """A pace on a clock that sleeping moves."""

    def __init__(self, **changes):
        self.clock = FakeClock(NOON)
        self.slept = []
        self.pace = Pace(self.clock, config(**changes), sleep=self._sleep)

    def _sleep(self, seconds):
        self.slept.append(seconds)
        self.clock.advance(seconds)


def test_requests_keep_apart_and_rare_pages_further():
    turns = Turns(portal_requests_per_s=10.0, portal_page_pause_s=5.25)
    for page in (Page.OTHER, Page.OTHER, Page.ORDERS, Page.ORDERS):
        turns.pace.enter(page, 10.0)

    assert [round(seconds, 2) for seconds in turns.slept] == [0.1, 0.1, 5.25]


def test_turn_too_far_away_is_not_taken():
    turns = Turns()
    turns.pace.enter(Page.ORDERS, 0.0)
    away_s = turns.pace.enter(Page.ORDERS, 1.0)
    turns.clock.advance(away_s)

    assert away_s == pytest.approx(5.25)
    assert turns.pace.enter(Page.ORDERS, 0.0) == 0.0


def test_turns_are_shared_through_a_file(tmp_path):
    shared = {"portal_shared": tmp_path / "pace"}
    first, second = Turns(**shared), Turns(**shared)
    first.pace.enter(Page.TRADES, 0.0)
    first.pace.shut(60.0)

    assert second.pace.enter(Page.TRADES, 0.0) == pytest.approx(5.25)
    assert second.pace.shut_for_s() == pytest.approx(60.0)


def test_marks_of_before_the_machine_started_anew_count_for_nothing(tmp_path):
    file = tmp_path / "pace"
    turns = Turns(portal_shared=file)
    file.write_text(json.dumps({SHUT: turns.clock.monotonic_ns() + int(2 * LONGEST_S * 1e9)}))

    assert turns.pace.shut_for_s() == 0.0


def test_file_of_marks_that_cannot_be_read_is_begun_anew(tmp_path):
    file = tmp_path / "pace"
    file.write_text("[broken")
    turns = Turns(portal_shared=file)
    turns.pace.enter(Page.TRADES, 0.0)

    assert json.loads(file.read_text())["trades"] > 0


def test_file_of_marks_in_no_folder_is_named(tmp_path):
    with pytest.raises(Misconfigured, match="IBKR_PORTAL_SHARED"):
        Board(tmp_path / "nowhere" / "pace")


def test_file_of_marks_that_cannot_be_written_is_no_reason_to_fall(tmp_path):
    (tmp_path / "pace").mkdir()
    wire = Wire(config(portal_shared=tmp_path / "pace"), FakeClock(NOON))

    with pytest.raises(Retry, match="IBKR_PORTAL_SHARED"):
        wire.ask("the orders", "/iserver/account/orders")


def test_only_one_talks_about_orders_at_a_time(tmp_path):
    boards = [Board(tmp_path / "pace") for _ in range(2)]
    with boards[0].alone("an order", 1.0), pytest.raises(Retry, match="another order"), boards[1].alone("it", 0.05):
        pass

    with boards[1].alone("an order", 0.05):
        pass


def test_many_threads_take_turns_one_after_the_other(tmp_path):
    board = Board(tmp_path / "pace")

    def count(_):
        with board.open() as marks:
            marks["n"] = marks.get("n", 0) + 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(100)))

    with board.open() as marks:
        assert marks["n"] == 100


class Script:
    """A wire whose answers are written down beforehand."""

    def __init__(self, *answers):
        self.config = config()
        self.pace = Pace(FakeClock(NOON), self.config)
        self.answers = list(answers)
        self.sent = []

    def act(self, what, method, path, body=None, *, repeatable=False):
        self.sent.append((path, body))
        return self.answers.pop(0)


def talk(*answers, allowed=("o163",)):
    wire = Script(*answers)
    return wire, lambda: Conversations(wire, frozenset(allowed)).hold("an order", "/orders", {})


def question(*kinds, number="q1", text="Are you sure?"):
    return [{"id": number, "message": [text], "isSuppressed": False, "messageIds": list(kinds)}]


def test_receipts_of_all_orders_are_read():
    _, hold = talk(question("o163"), [{"order_id": 1, "order_status": "Submitted"}, {"order_id": "2"}])

    assert [(ack.order_id, ack.status) for ack in hold()] == [("1", "Submitted"), ("2", "")]


def test_failure_12_part_of_a_bracket_that_was_refused_must_be_looked_up():
    _, hold = talk([{"order_id": "1", "order_status": "Submitted"}, {"error": "No trailing stops here."}])

    with pytest.raises(Ask, match="No trailing stops here"):
        hold()


def test_failure_12_question_beside_a_receipt_loses_neither():
    entry = {"order_id": "1", "local_order_id": "entry", "order_status": "Submitted"}
    stop = {"order_id": "2", "local_order_id": "stop", "order_status": "PreSubmitted"}
    _, hold = talk([entry, *question("o163")], [stop])

    assert [(ack.order_id, ack.reference) for ack in hold()] == [("1", "entry"), ("2", "stop")]


def test_failure_12_what_was_taken_before_a_question_is_declined_is_named():
    entry = {"order_id": "1", "local_order_id": "entry", "order_status": "Submitted"}
    _, hold = talk([entry, *question("o999")], {"error": "dropped"})

    with pytest.raises(PartlyRefused) as raised:
        hold()
    assert [ack.order_id for ack in raised.value.acks] == ["1"]


@pytest.mark.parametrize(
    ("acks", "found"),
    [
        ([("7", "b"), ("8", "a")], ["8", "7"]),
        ([("7", ""), ("8", "")], ["7", "8"]),
        ([("8", "b")], [None, "8"]),
        ([("8", "")], [None, None]),
    ],
)
def test_receipts_belong_to_the_orders_they_name_or_to_those_in_their_place(acks, found):
    given = [Ack(order_id=number, status="Submitted", reference=reference) for number, reference in acks]

    assert [ack and ack.order_id for ack in receipts_of(["a", "b"], given)] == found


@pytest.mark.parametrize("reply", [{}, [], [{"order_status": "Submitted"}], {"message": "ok"}])
def test_failure_12_answer_without_a_receipt_proves_nothing(reply):
    _, hold = talk(reply)

    with pytest.raises(Ask):
        hold()


def test_failure_12_one_kind_too_many_in_a_question_declines_all():
    wire, hold = talk(question("o163", "o999", text="<b>Really?</b>"), {"error": "dropped"})

    with pytest.raises(Refuse, match=r"o163, o999: Really\?"):
        hold()
    assert wire.sent[-1] == ("/iserver/reply/q1", {"confirmed": False})


def test_question_without_a_kind_is_declined():
    wire, hold = talk(question(), {"error": "dropped"})

    with pytest.raises(Refuse, match="no messageId"):
        hold()
    assert wire.sent[-1][1] == {"confirmed": False}


class Told:
    """A ledger that is told executions, and the fills that come of it."""

    def __init__(self):
        self.clock = FakeClock(NOON)
        self.book = ExecutionBook()
        wire = Wire(config(), self.clock)
        self.ledger = Ledger(wire, self.book, Contracts(wire))
        self.fills = FillReader(self.book, Entries(self.book, lambda: ()), self.clock, commission_wait_s=0.0)

    def take(self, exec_id, *, size=10, price="167.50", reference=ENTRY, side="B", commission="1"):
        row = {
            "execution_id": exec_id, "symbol": "SPY", "side": side, "size": size, "price": price,
            "trade_time_r": int(NOON.timestamp() * 1000), "order_ref": reference, "account": "DU1",
            "commission": commission,
        }  # fmt: skip
        return self.ledger.take_trade(row, 0)


BEGINNING = "1970-01-01T00:00:00.000000Z"


def test_failure_06_correction_takes_the_place_of_what_it_corrects():
    told = Told()
    told.take("0000e0d5.5f3c1a2b.01.01", size=10)
    first, cursor = told.fills.since(BEGINNING)
    told.take("0000e0d5.5f3c1a2b.01.02", size=7)
    second, end = told.fills.since(cursor)

    assert [(fill.quantity, fill.side) for fill in first] == [(D(10), Side.BUY)]
    assert [(fill.quantity, fill.side) for fill in second] == [(D(3), Side.SELL)]
    assert sum(one.quantity for one in told.book.of_order(ENTRY)) == D(7)
    assert told.fills.since(end)[0] == []


def test_failure_06_busted_execution_is_none():
    told = Told()
    told.take("0000e0d5.5f3c1a2b.01.01")
    told.take("0000e0d5.5f3c1a2b.01.02", size=0)

    assert told.book.of_order(ENTRY) == []


def test_failure_03_execution_told_twice_is_news_once():
    told = Told()

    assert [told.take("0000e0d5.5f3c1a2b.01.01") for _ in range(2)] == [True, False]


def test_failure_03_commission_that_comes_later_is_added():
    told = Told()
    told.take("0000e0d5.5f3c1a2b.01.01", commission="")
    told.take("0000e0d5.5f3c1a2b.01.01", commission="1.05")

    assert told.book.of_order(ENTRY)[0].fee == D("1.05")


def test_execution_of_another_account_or_without_sense_is_left_out():
    told = Told()
    strange = told.ledger.take_trade({"execution_id": "x"}, 0)
    told.ledger.take_trade("nothing", 0)

    assert not strange
    assert told.ledger.bad_rows == 2
    assert told.book.all() == []


def test_listing_in_the_united_states_is_the_one_that_is_taken():
    contracts = Contracts(Wire(config(), FakeClock(NOON)))
    abroad = {"assetClass": "STK", "contracts": [{"conid": 1, "isUS": False}]}
    home = {"assetClass": "STK", "contracts": [{"conid": 38708077, "isUS": False}, {"conid": 265598, "isUS": True}]}
    contracts._learn({"AAPL": [abroad, home], "LSE": [abroad]})

    assert contracts.conids(["AAPL"]) == {"AAPL": 265598}


class Pages:
    """A wire that shows positions in pages of two, and the last of them again whatever page is asked for."""

    def __init__(self, number):
        self.config = config()
        rows = [
            {"conid": conid, "ticker": f"S{conid}", "position": 1, "avgCost": 1, "pageSize": 2}
            for conid in range(number)
        ]
        self.pages = [rows[first : first + 2] for first in range(0, number, 2)]

    def ask(self, what, path, read=lambda body: body, **params):
        if path == "/trsrv/stocks":
            return read({})
        return None if path.endswith("invalidate") else read(self.pages[min(int(path[-1]), len(self.pages) - 1)])


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_positions_are_read_to_the_last_page_of_whatever_size(number):
    wire = Pages(number)
    holdings = Holdings(wire, None, None, None, Contracts(wire))

    assert [one.market for one in holdings.positions()] == [f"S{conid}" for conid in range(number)]


class Listings:
    """A wire that knows the currency of each contract."""

    def __init__(self, **currencies):
        self.config = config()
        self.rows = [{"conid": int(conid[1:]), "currency": currency} for conid, currency in currencies.items()]

    def ask(self, what, path, read, **params):
        return read({"secdef": [row for row in self.rows if str(row["conid"]) in params["conids"].split(",")]})


@pytest.mark.parametrize(
    ("wire", "found"),
    [
        (Listings(c1="USD", c2="CAD"), {"XYZ": 1}),
        (Listings(c1="CAD", c2="USD"), {"XYZ": 2}),
        (Listings(c1="USD", c2="USD"), {}),
    ],
)
def test_of_several_listings_the_one_in_our_currency_is_taken_and_none_where_two_are(wire, found):
    contracts = Contracts(wire)
    both = [
        {"assetClass": "STK", "contracts": [{"conid": conid, "exchange": "NYSE", "isUS": True}]} for conid in (1, 2)
    ]
    gone = {"assetClass": "STK", "contracts": [{"conid": 3, "exchange": "VALUE", "isUS": True}]}
    contracts._learn({"XYZ": [gone, *both]})

    assert contracts._conids == found


@pytest.mark.parametrize(
    ("moment", "is_due"),
    [
        (datetime(2014, 5, 11, 12, tzinfo=UTC), True),  # a Sunday
        (datetime(2014, 5, 12, 3, tzinfo=UTC), True),  # still Sunday in New York
        (datetime(2014, 5, 12, 5, tzinfo=UTC), False),
    ],
)
def test_failure_11_login_that_is_due_each_week_is_named(moment, is_due):
    assert ("each Sunday" in weekly(moment)) is is_due
