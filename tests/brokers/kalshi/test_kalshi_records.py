"""Rows of both generations of the wire, in the shapes their specifications give (3.30.0 and 3.2.0)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.kalshi import market_rows, records
from brokers.kalshi.history import Histories
from brokers.kalshi.parse import count, moment, money, number, price
from brokers.kalshi.steps import steps_of
from domain.clock import FakeClock
from domain.contract import ContractStatus
from domain.vocabulary import Side

D = Decimal
TODAY = {
    "fill": {
        "fill_id": "f", "trade_id": "f", "order_id": "o", "ticker": "T", "market_ticker": "T", "outcome_side": "no",
        "book_side": "ask", "count_fp": "10.00", "yes_price_dollars": "0.5600", "no_price_dollars": "0.4400",
        "is_taker": True, "created_time": "2026-03-16T12:00:00.5Z", "fee_cost": "0.1800",
    },
    "order": {
        "order_id": "o", "user_id": "u", "client_order_id": "c", "ticker": "T", "outcome_side": "yes",
        "book_side": "bid", "type": "limit", "status": "canceled", "yes_price_dollars": "0.5600",
        "fill_count_fp": "4.00", "remaining_count_fp": "0.00", "initial_count_fp": "10.00",
        "taker_fees_dollars": "0.0700", "maker_fees_dollars": "0.0000", "created_time": "2026-03-16T12:00:00Z",
    },
    "settlement": {
        "ticker": "T", "event_ticker": "E", "market_result": "no", "yes_count_fp": "0.00", "no_count_fp": "4.00",
        "yes_total_cost_dollars": "0.0000", "no_total_cost_dollars": "1.7600", "revenue": 400,
        "settled_time": "2026-03-17T06:00:00Z", "fee_cost": "0.0700", "value": 0,
    },
    "position": {
        "ticker": "T", "position_fp": "-4.00", "market_exposure_dollars": "1.7600", "realized_pnl_dollars": "0.0000",
        "fees_paid_dollars": "0.0700", "total_traded_dollars": "1.7600", "last_updated_ts": "2026-03-16T12:00:00Z",
    },
}  # fmt: skip
BEFORE = {
    "fill": {
        "fill_id": "f", "order_id": "o", "ticker": "T", "side": "no", "action": "buy", "count": 10,
        "yes_price": 56, "no_price": 44, "is_taker": True, "created_time": "2026-03-16T12:00:00.5Z",
    },
    "order": {
        "order_id": "o", "client_order_id": "c", "ticker": "T", "side": "no", "action": "sell", "type": "limit",
        "status": "canceled", "yes_price": 56, "fill_count": 4, "remaining_count": 0, "initial_count": 10,
        "taker_fees": 7, "maker_fees": 0, "created_time": "2026-03-16T12:00:00Z",
    },
    "settlement": {
        "ticker": "T", "result": "no", "yes_count": 0, "no_count": 4, "revenue": 400,
        "settled_time": "2026-03-17T06:00:00Z",
    },
    "position": {"ticker": "T", "position": -4, "market_exposure": 176, "last_updated_ts": "2026-03-16T12:00:00Z"},
}  # fmt: skip
WIRES = pytest.mark.parametrize("rows", [TODAY, BEFORE], ids=["today", "before"])
NOON = datetime(2026, 3, 16, 12, tzinfo=UTC)


@WIRES
def test_execution_reads_alike(rows):
    row = records.fill(rows["fill"])

    assert (row.side, row.quantity, row.price) == (Side.SELL, D(10), D("0.56"))
    assert row.at == NOON.replace(microsecond=500_000)
    assert row.fee == (D("0.18") if rows is TODAY else None)


@WIRES
def test_order_reads_alike(rows):
    row = records.order(rows["order"])

    assert (row.side, row.filled, row.initial, row.fees) == (Side.BUY, D(4), D(10), D("0.07"))
    assert (row.status, row.is_resting, row.created_at) == ("canceled", False, NOON)


@WIRES
def test_settlement_and_position_read_alike(rows):
    end, held = records.settlement(rows["settlement"]), records.position(rows["position"])

    assert (end.value, end.at) == (D(0), datetime(2026, 3, 17, 6, tzinfo=UTC))
    assert (held.quantity, held.cost) == (D(-4), D("1.76"))


def test_oldest_order_rows_tell_what_filled_by_what_remains():
    row = {"order_id": "o", "ticker": "T", "side": "yes", "action": "buy", "status": "resting", "count": 10}

    assert records.order(row | {"remaining_count": 3}).filled == D(7)


@pytest.mark.parametrize(
    ("side", "action", "expected"),
    [("yes", "buy", "buy"), ("no", "sell", "buy"), ("yes", "sell", "sell"), ("no", "buy", "sell")],
)
def test_side_and_action_of_the_older_wire_name_a_side_of_the_yes_book(side, action, expected):
    assert records.side_of({"side": side, "action": action}) == expected


def test_the_word_of_todays_wire_wins_over_the_deprecated_ones():
    assert records.side_of({"book_side": "ask", "side": "yes", "action": "buy"}) is Side.SELL


@pytest.mark.parametrize(
    ("kind", "broken", "message"),
    [
        ("fill", {"yes_price_dollars": "0.0000"}, "inside"),
        ("fill", {"yes_price_dollars": "1.0000"}, "inside"),
        ("fill", {"yes_price_dollars": "56"}, "between 0 and 1"),
        ("fill", {"count_fp": "0.00"}, "above 0"),
        ("fill", {"count_fp": None}, "neither"),
        ("fill", {"book_side": None}, "book_side"),
        ("fill", {"yes_price_dollars": "NaN"}, "finite"),
        ("order", {"initial_count_fp": None, "fill_count_fp": None}, "none of them"),
        ("settlement", {"market_result": "scalar", "value": None, "revenue": None}, "expected a value"),
        ("position", {"market_exposure_dollars": None}, "neither"),
    ],
)
def test_missing_or_impossible_fields_are_errors_and_never_zero(kind, broken, message):
    read = getattr(records, kind)

    with pytest.raises(ValueError, match=message):
        read(TODAY[kind] | broken)


def test_fields_nobody_knows_are_passed_over():
    assert records.fill(TODAY["fill"] | {"brand_new": {"x": 1}}) == records.fill(TODAY["fill"])


def test_void_and_scalar_settlements():
    void = records.settlement(TODAY["settlement"] | {"market_result": "void", "value": None})
    scalar = records.settlement(TODAY["settlement"] | {"market_result": "scalar", "value": 37})

    assert (void.value, scalar.value) == (None, D("0.37"))


@pytest.mark.parametrize(
    ("held", "revenue", "value"),
    [({"yes_count_fp": "4.00", "no_count_fp": "0.00"}, 148, "0.37"), ({"no_count_fp": "4.00"}, 252, "0.37")],
)
def test_a_settlement_without_a_value_is_worked_out_from_what_was_paid(held, revenue, value):
    row = TODAY["settlement"] | {"market_result": "scalar", "value": None, "revenue": revenue} | held

    assert records.settlement(row).value == D(value)


def test_a_settlement_that_says_nothing_of_its_value_is_an_error():
    row = TODAY["settlement"] | {"market_result": "scalar", "value": None, "revenue": None}

    with pytest.raises(ValueError, match="expected a value, or a revenue"):
        records.settlement(row)


class Pages:
    """A wire that hands out rows written by a test."""

    late = timedelta(0)
    clock = FakeClock(NOON)

    def __init__(self, rows):
        self.pages = rows

    def rows(self, what, path, key, parse, **params):
        return [parse(row) for row in self.pages]


def test_one_odd_row_keeps_no_other_position_from_being_settled(capsys):
    odd = TODAY["settlement"] | {"ticker": "ODD", "market_result": "perhaps", "value": None, "revenue": None}
    histories = Histories(Pages([odd, TODAY["settlement"]]))

    assert [row.ticker for row in histories.settlements_since(NOON)] == ["T"]
    assert "unreadable_row" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"yes_bid_dollars": "0.4100", "yes_ask_dollars": "0.4300"}, (D("0.41"), D("0.43"))),
        ({"yes_bid": 41, "yes_ask": 43}, (D("0.41"), D("0.43"))),
        ({"yes_bid_dollars": "0.4150", "yes_bid": 41, "yes_ask_dollars": "0.4300"}, (D("0.415"), D("0.43"))),
        ({"yes_bid_dollars": "0.0000", "yes_ask_dollars": "1.0000"}, (D(0), D(1))),
        ({"yes_bid_dollars": "0.4100"}, None),
        ({"yes_ask_dollars": "0.4300"}, None),
        ({"yes_bid_dollars": "", "yes_ask_dollars": "0.4300"}, None),
        ({"yes_bid_dollars": "0.0000", "yes_ask_dollars": "0.0000"}, None),
        ({"yes_bid_dollars": "1.0000", "yes_ask_dollars": "1.0000"}, None),
        ({"yes_bid_dollars": "0.5000", "yes_ask_dollars": "0.4000"}, None),
    ],
)
def test_book_is_two_prices_that_can_be_prices_or_nothing(row, expected):
    assert market_rows.book(row) == expected


MARKET = {
    "ticker": "KXHIGHNY-26MAR16-B55.5", "event_ticker": "KXHIGHNY-26MAR16", "market_type": "binary",
    "yes_sub_title": "55° to 56°", "no_sub_title": "not", "open_time": "2026-03-15T15:00:00Z",
    "close_time": "2026-03-17T04:59:00Z", "latest_expiration_time": "2026-03-23T15:00:00Z", "status": "active",
    "result": "", "can_close_early": True, "expiration_value": "", "strike_type": "between", "floor_strike": 55,
    "cap_strike": 56, "rules_primary": "If ...", "rules_secondary": "", "price_level_structure": "tapered",
    "price_ranges": [{"start": "0", "end": "0.1", "step": "0.0010"}, {"start": "0.1", "end": "0.9", "step": "0.01"}],
}  # fmt: skip
EVENT = {"event_ticker": "KXHIGHNY-26MAR16", "series_ticker": "KXHIGHNY", "title": "Highest temperature in NYC?"}
SERIES = {
    "ticker": "KXHIGHNY", "category": "Climate and Weather", "fee_type": "quadratic", "fee_multiplier": 1,
    "settlement_sources": [{"name": "NWS", "url": "https://weather.gov"}],
}  # fmt: skip


def test_contract_is_put_together_from_market_event_and_series():
    contract = market_rows.contract(MARKET, EVENT, SERIES)

    assert (contract.series, contract.event, contract.category) == (
        "KXHIGHNY",
        "KXHIGHNY-26MAR16",
        "Climate and Weather",
    )
    assert (contract.strike_type, contract.floor_strike, contract.cap_strike) == ("between", D(55), D(56))
    assert (contract.tick, contract.fee_type, contract.fee_multiplier) == (D("0.001"), "quadratic", D(1))
    assert (contract.status, contract.result, contract.value) == (ContractStatus.ACTIVE, "", None)
    assert contract.settlement_sources == ("NWS",)
    assert contract.title == contract.event_title == "Highest temperature in NYC?"


def test_fees_of_the_event_win_over_those_of_its_series():
    override = EVENT | {"fee_type_override": "flat", "fee_multiplier_override": 0.5}
    contract = market_rows.contract(MARKET, override, SERIES)

    assert (contract.fee_type, contract.fee_multiplier) == ("flat", D("0.5"))


def test_settled_contract_says_what_yes_paid():
    over = MARKET | {"status": "finalized", "result": "yes", "settlement_value_dollars": "1.0000"}
    scalar = MARKET | {"status": "finalized", "result": "scalar", "settlement_value_dollars": "0.3700"}

    assert market_rows.contract(over, EVENT, SERIES).value == D(1)
    assert (market_rows.contract(scalar, EVENT, SERIES).result, market_rows.contract(scalar, EVENT, SERIES).value) == (
        "",
        D("0.37"),
    )


@pytest.mark.parametrize(("word", "status"), [("open", "active"), ("settled", "finalized"), ("paused", "inactive")])
def test_statuses_of_the_older_wire_have_todays_meaning(word, status):
    assert market_rows.status({"status": word}) == status


@pytest.mark.parametrize(("row", "tick"), [({}, "0.01"), ({"tick_size": 1}, "0.01"), ({"tick_size": 5}, "0.05")])
def test_tick_of_the_older_wire_is_in_cents(row, tick):
    assert steps_of(row).finest == D(tick)


@pytest.mark.parametrize("value", [None, True, "abc", [], "Infinity"])
def test_what_is_no_number_is_refused(value):
    with pytest.raises((ValueError, ArithmeticError)):
        number(value)


def test_numbers_lose_the_zeros_they_end_in_and_keep_those_before_the_point():
    assert [str(number(text)) for text in ("0.4300", "10.00", "100", "0.0000")] == ["0.43", "10", "100", "0"]


def test_absent_amounts_are_none():
    assert (money({}, "x"), count({"x_fp": ""}, "x"), price({"x_dollars": None}, "x")) == (None, None, None)


@pytest.mark.parametrize(
    "value", [1773662400, 1773662400000, "1773662400", "2026-03-16T12:00:00Z", "2026-03-16T08:00:00-04:00"]
)
def test_times_come_as_seconds_milliseconds_or_text(value):
    assert moment(value) == NOON
