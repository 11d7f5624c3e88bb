"""OANDA's JSON read into domain values, on the shapes its documentation shows."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.oanda import outcome, parse
from brokers.oanda.book import TradeBook
from brokers.oanda.fills import fills, parts
from domain.ids import client_order_id
from domain.vocabulary import ExitReason, Leg, OrderState, Side, Surface

D = Decimal
NOW = datetime(2016, 6, 24, tzinfo=UTC)
SIGNAL = "sig_018PYE497N4F28FSB3NBXFFFKJ"
ENTRY = client_order_id(Surface.FX, SIGNAL, Leg.ENTRY, 1)
EXIT = client_order_id(Surface.FX, SIGNAL, Leg.EXIT, 1)


def price(**changes):
    return {
        "instrument": "EUR_USD",
        "time": "2016-10-05T05:28:16.729643492Z",
        "tradeable": True,
        "bids": [{"price": "1.12015", "liquidity": 10000000}, {"price": "1.12013", "liquidity": 10000000}],
        "asks": [{"price": "1.12028", "liquidity": 10000000}],
        "closeoutBid": "1.12011",
        "closeoutAsk": "1.12032",
    } | changes


def fill(**changes):
    return {
        "id": "2317",
        "type": "ORDER_FILL",
        "time": "2016-06-24T21:03:51.123456789Z",
        "orderID": "2316",
        "instrument": "EUR_USD",
        "units": "-100",
        "price": "1.11000",
        "reason": "MARKET_ORDER",
        "pl": "0.0000",
        "financing": "0.0000",
        "commission": "0.0100",
    } | changes


class Reader:
    """An account reader that knows the trades it is given."""

    def __init__(self, **trades):
        self.trades = trades
        self.asked = []

    def trade(self, spec):
        self.asked.append(spec)
        opener = self.trades.get(f"t{spec}")
        if opener is None:
            return None
        return {"id": spec, "instrument": "EUR_USD", "initialUnits": "100", "clientExtensions": {"id": opener}}


def test_nine_digits_of_a_second_are_cut_to_six():
    assert parse.moment("2016-10-25T21:07:21.065554321Z") == datetime(2016, 10, 25, 21, 7, 21, 65554, tzinfo=UTC)


def test_price_takes_the_top_of_the_book():
    found = parse.price(price())

    assert (found.bid, found.ask, found.tradeable) == (D("1.12015"), D("1.12028"), True)


def test_price_without_a_book_takes_the_closeout_prices():
    found = parse.price(price(bids=[], asks=[], tradeable=False))

    assert (found.bid, found.ask, found.tradeable) == (D("1.12011"), D("1.12032"), False)


@pytest.mark.parametrize(
    "broken",
    [{"bids": [], "closeoutBid": None}, {"bids": [{"price": "1.2"}]}, {"bids": [{"price": "0"}]}],
    ids=["no bid", "crossed", "zero"],
)
def test_price_that_is_no_price_is_none(broken):
    assert parse.price(price(**broken)) is None


@pytest.mark.parametrize("text", ["NaN", "Infinity", "", "1,1"])
def test_number_that_is_none_is_an_error(text):
    with pytest.raises((ValueError, ArithmeticError)):
        parse.number(text)


def test_conversion_factors_give_the_mean_rate():
    factors = {"positiveUnits": "0.89", "negativeUnits": "0.91"}

    assert parse.price(price(quoteHomeConversionFactors=factors)).rate == D("0.90")


def test_home_conversions_give_a_rate_a_currency():
    body = {"homeConversions": [{"currency": "JPY", "accountGain": "0.0091", "accountLoss": "0.0093"}]}

    assert parse.home_rates(body) == {"JPY": D("0.0092")}


def test_instrument_precision_becomes_ticks():
    found = parse.instrument(
        {
            "name": "USD_JPY",
            "pipLocation": -2,
            "displayPrecision": 3,
            "tradeUnitsPrecision": 0,
            "minimumTradeSize": "1",
            "maximumOrderUnits": "100000000",
            "marginRate": "0.04",
        }
    )

    assert (found.base, found.quote_currency) == ("USD", "JPY")
    assert (found.tick, found.pip, found.quantity_step) == (D("0.001"), D("0.01"), D(1))


def test_trade_is_protected_only_by_what_is_still_pending():
    data = {
        "id": "6397",
        "instrument": "EUR_USD",
        "price": "1.09900",
        "openTime": "2016-10-28T10:13:42.063532031Z",
        "currentUnits": "-600",
        "stopLossOrder": {"price": "1.10000", "state": "CANCELLED"},
        "takeProfitOrder": {"price": "1.05000", "state": "PENDING"},
        "trailingStopLossOrder": {"distance": "0.00200", "state": "PENDING"},
    }
    found = parse.trade(data)

    assert (found.side, found.quantity, found.client_order_id) == (Side.SELL, D(600), None)
    assert (found.stop_loss, found.take_profit, found.trailing_distance) == (None, D("1.05"), D("0.002"))


def test_fill_that_closes_two_trades_and_opens_one_has_three_parts_with_keys_of_their_own():
    transaction = fill(
        units="-300",
        clientOrderID="somebody",
        tradesClosed=[
            {"tradeID": "10", "units": "-100", "price": "1.11001", "realizedPL": "1.5", "financing": "-0.25"},
            {"tradeID": "11", "units": "-50", "price": "1.11001", "realizedPL": "-2"},
        ],
        tradeOpened={"tradeID": "2317", "units": "-150", "price": "1.11000"},
    )
    found = list(fills(transaction, TradeBook(Reader(t10=ENTRY)), "USD"))

    assert [item.transaction_id for item in found] == ["2317", "2317:11", "2317:2317"]
    assert [item.realised for item in found] == [D("1.25"), D(-2), D(0)]
    assert [item.fee for item in found] == [D("0.01"), D(0), D(0)]
    assert [item.opened_by for item in found] == [ENTRY, None, "somebody"]
    assert [(item.side, item.quantity) for item in found] == [
        (Side.SELL, D(100)),
        (Side.SELL, D(50)),
        (Side.SELL, D(150)),
    ]
    assert len(parts(transaction)) == 3


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("STOP_LOSS_ORDER", ExitReason.STOP_LOSS),
        ("TAKE_PROFIT_ORDER", ExitReason.TAKE_PROFIT),
        ("TRAILING_STOP_LOSS_ORDER", ExitReason.TRAILING_STOP),
        ("MARKET_ORDER_TRADE_CLOSE", ExitReason.BROKER),
        ("MARKET_ORDER_MARGIN_CLOSEOUT", ExitReason.BROKER),
        ("MARKET_ORDER_POSITION_CLOSEOUT", ExitReason.BROKER),
        ("MARKET_ORDER_DELAYED_TRADE_CLOSE", ExitReason.BROKER),
    ],
)
def test_reason_of_a_fill_says_what_ended_the_trade(reason, expected):
    transaction = fill(reason=reason, tradesClosed=[{"tradeID": "10", "units": "-100", "realizedPL": "1"}])

    assert [item.reason for item in fills(transaction, TradeBook(Reader()), "USD")] == [expected]


def test_margin_closeout_is_the_brokers_even_while_an_exit_of_ours_is_under_way():
    book = TradeBook(Reader())
    book.exiting("10", EXIT)
    closed = [{"tradeID": "10", "units": "-100", "realizedPL": "1"}]
    margin = fill(reason="MARKET_ORDER_MARGIN_CLOSEOUT", tradesClosed=closed)
    ours = fill(reason="MARKET_ORDER_TRADE_CLOSE", tradesClosed=closed)

    assert [item.reason for item in fills(margin, book, "USD")] == [ExitReason.BROKER]
    assert [(item.client_order_id, item.reason) for item in fills(ours, book, "USD")] == [(EXIT, None)]


def test_opener_of_a_trade_is_asked_for_once():
    reader = Reader(t10=ENTRY)
    book = TradeBook(reader)
    openers = [book.opened_by("10"), book.opened_by("10")]

    assert openers == [ENTRY, ENTRY]
    assert reader.asked == ["10"]


def ticket():
    return outcome.ticket_of_id(ENTRY, "USD", NOW)


def create(order_id="2316", **changes):
    return {
        "id": order_id,
        "type": "MARKET_ORDER",
        "time": "2016-06-24T21:03:50.914647476Z",
        "units": "-100",
        "clientExtensions": {"id": ENTRY},
    } | changes


def test_fill_short_of_the_order_is_partial_and_what_is_left_is_cancelled():
    body = {"orderCreateTransaction": create(), "orderFillTransaction": fill(units="-60")}
    found = outcome.of_reply(ticket(), body)

    assert [event.state for event in found] == [OrderState.PARTIAL, OrderState.CANCELLED]
    assert [event.quantity for event in found] == [D(60), D(0)]


def test_order_without_fill_or_cancel_is_accepted():
    (event,) = outcome.of_reply(ticket(), {"orderCreateTransaction": create()})

    assert (event.state, event.broker_order_id) == (OrderState.ACCEPTED, "2316")


def test_of_two_orders_with_one_id_the_one_that_filled_counts():
    opened = fill(clientOrderID=ENTRY, tradeOpened={"tradeID": "2317", "units": "-100"})
    refused = {
        "id": "2320",
        "type": "ORDER_CANCEL",
        "orderID": "2319",
        "clientOrderID": ENTRY,
        "reason": "X",
        "time": "x",
    }
    found = outcome.of_log(ticket(), [create(), opened, create("2319"), refused])

    assert [(event.state, event.broker_trade_id) for event in found] == [(OrderState.FILLED, "2317")]


def test_log_that_tells_nothing_of_an_order_gives_no_event():
    assert outcome.of_log(ticket(), [create(clientExtensions={"id": "other"}), fill()]) == []


def test_signal_and_leg_are_read_from_the_id():
    found = outcome.ticket_of_id(EXIT, "USD", NOW)

    assert (found.signal_id, found.leg) == (SIGNAL, Leg.EXIT)
    assert outcome.ticket_of_id("by-hand", "USD", NOW).leg is Leg.ENTRY
