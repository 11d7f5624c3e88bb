"""The fake broker's accidents, which a test scripts, and the money it books."""

from datetime import timedelta
from decimal import Decimal

import pytest

from brokers.fake import Accident
from domain.errors import Ask, Refuse, Retry
from domain.vocabulary import ExitReason, OrderState

D = Decimal


@pytest.fixture
def intent(fake, entry):
    return entry(fake.quotes(["EUR_USD"])["EUR_USD"])


def states(events):
    return [event.state for event in events]


def found(fake, intent):
    return states(fake.find(intent.client_order_id, since=fake.clock.now() - timedelta(minutes=1)))


@pytest.mark.parametrize(
    ("accident", "error", "known"),
    [
        (Accident.REPLY_LOST, Ask, OrderState.FILLED),
        (Accident.REQUEST_LOST, Ask, OrderState.ABSENT),
        (Accident.NOT_SENT, Retry, OrderState.ABSENT),
        (Accident.REFUSED, Refuse, OrderState.ABSENT),
    ],
)
def test_order_without_an_answer_is_found_or_proven_absent(fake, intent, accident, error, known):
    fake.accidents.append(accident)
    with pytest.raises(error):
        fake.submit(intent)

    assert found(fake, intent) == [known]
    assert len(fake.trades) == (known is OrderState.FILLED)


@pytest.mark.parametrize(
    ("accident", "expected", "held"),
    [
        (Accident.CANCELLED, [OrderState.CANCELLED], []),
        (Accident.REJECTED, [OrderState.REJECTED], []),
        (Accident.HALF_FILLED, [OrderState.PARTIAL, OrderState.CANCELLED], [D(500)]),
        (Accident.BRACKET_LOST, [OrderState.FILLED], [D(1000)]),
    ],
)
def test_order_that_does_not_simply_fill_says_so_now_and_later(fake, intent, accident, expected, held):
    fake.accidents.append(accident)
    events = fake.submit(intent)

    assert states(events) == found(fake, intent) == expected
    assert [trade.quantity for trade in fake.trades.values()] == held


def test_lost_bracket_leaves_a_trade_without_levels(fake, intent):
    fake.accidents.append(Accident.BRACKET_LOST)
    fake.submit(intent)
    (trade,) = fake.open_trades()

    assert (trade.stop_loss, trade.take_profit) == (None, None)


def test_accident_meets_the_next_order_only(fake, intent, entry):
    fake.accidents.extend([None, Accident.REJECTED])
    orders = [intent, entry(fake.quotes(["EUR_USD"])["EUR_USD"])]

    assert [states(fake.submit(order)) for order in orders] == [[OrderState.FILLED], [OrderState.REJECTED]]


def test_broker_that_is_down_answers_nothing_and_hesitation_wears_off(fake, intent):
    fake.submit(intent)
    fake.down = True
    for ask in (fake.account, fake.open_trades, lambda: fake.fills_since("0"), lambda: fake.submit(intent)):
        with pytest.raises(Retry):
            ask()
    fake.down, fake.hesitations = False, 1
    with pytest.raises(Retry):
        found(fake, intent)

    assert found(fake, intent) == [OrderState.FILLED]


def test_open_profit_is_equity_and_a_resting_orders_exit_is_balance_at_the_home_rate(fake, intent):
    fake.submit(intent)
    fake.price("EUR_USD", "1.10110", "1.10120", D("0.8"))
    during = fake.account()
    [number] = fake.trades
    fill = fake.end(number, ExitReason.TAKE_PROFIT)
    after = fake.account()

    assert (during.balance, during.equity) == (D(100_000), D("100000.8"))
    assert during.margin_used == 1000 * D("1.10115") * D("0.8") * D("0.02")
    assert during.margin_available == during.equity - during.margin_used
    assert fill.realised == D("0.8")
    assert (after.balance, after.margin_used) == (D("100000.8"), 0)


def test_silent_market_still_trades_at_its_last_price(fake, intent):
    fake.silence("EUR_USD")

    assert fake.quotes(["EUR_USD"]) == {}
    assert fake.submit(intent)[0].price == D("1.10010")


def test_pages_of_fills_follow_one_another(fake, intent):
    cursor = fake.account().cursor
    fake.submit(intent)
    fake.end(next(iter(fake.trades)), ExitReason.STOP_LOSS)
    fake.page = 1
    first, middle = fake.fills_since(cursor)
    second, end = fake.fills_since(middle)

    assert [fill.closes for fill in (*first, *second)] == [False, True]
    assert fake.fills_since(end) == ([], end)
