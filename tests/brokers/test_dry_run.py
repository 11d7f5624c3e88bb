"""The dry run's own rules: triggers on closed bars, restart, and money in another currency."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.dry_run.executor import DryRunExecutor
from brokers.dry_run.protection import protection_of
from brokers.port import BrokerTrade
from domain.errors import Retry
from domain.exits.walk import on_bar
from domain.quotes import Bar, Ohlc
from domain.vocabulary import ExitReason, OrderState, Side

D = Decimal


@pytest.fixture
def hold(dry_run, entry):
    """Open a trade at 1.10010 (bought) or 1.10000 (sold) with stop and target a given way off."""

    def open_trade(side=Side.BUY, *, stop="1.09900", target="1.10200", trailing=None):
        intent = entry(
            dry_run.quote(),
            side=side,
            stop_loss=None if stop is None else D(stop),
            take_profit=None if target is None else D(target),
            trailing_distance=None if trailing is None else D(trailing),
        )
        (event,) = dry_run.executor.submit(intent)
        assert event.state is OrderState.FILLED, event.reason
        return intent, event.broker_trade_id

    return open_trade


def outcome(fills):
    return [(fill.reason, str(fill.price)) for fill in fills]


@pytest.mark.parametrize(
    ("bar", "expected"),
    [
        ({"open_": "1.10000", "low": "1.09950", "high": "1.10150", "close": "1.10100"}, []),
        ({"open_": "1.10000", "low": "1.09900", "high": "1.10100", "close": "1.10000"}, [("stop_loss", "1.09900")]),
        ({"open_": "1.10000", "low": "1.09950", "high": "1.10200", "close": "1.10150"}, [("take_profit", "1.10200")]),
        ({"open_": "1.10000", "low": "1.09850", "high": "1.10250", "close": "1.10200"}, [("stop_loss", "1.09900")]),
        ({"open_": "1.09800", "low": "1.09700", "high": "1.10300", "close": "1.10000"}, [("stop_loss", "1.09800")]),
        ({"open_": "1.10300", "low": "1.09800", "high": "1.10350", "close": "1.10000"}, [("take_profit", "1.10300")]),
    ],
    ids=["inside", "stop touched", "target touched", "both: stop first", "gap through stop", "gap through target"],
)
def test_bought_trade_ends_on_the_bid(dry_run, hold, bar, expected):
    hold()

    assert outcome(dry_run.executor.on_bar(dry_run.bar(**bar))) == expected


def test_sold_trade_ends_on_the_ask(dry_run, hold):
    hold(Side.SELL, stop="1.10100", target="1.09800")
    bid_below = dry_run.bar(open_="1.10000", low="1.09795", high="1.10089", close="1.10000")
    ask_at_stop = dry_run.bar(open_="1.10000", low="1.09950", high="1.10090", close="1.10000", minutes=2)

    assert dry_run.executor.on_bar(bid_below) == []
    assert outcome(dry_run.executor.on_bar(ask_at_stop)) == [("stop_loss", "1.10100")]


def test_fill_of_a_trigger_is_read_once_from_the_cursor_on(dry_run, hold):
    intent, trade_id = hold()
    cursor = dry_run.executor.account().cursor
    bar = dry_run.bar(open_="1.10000", low="1.09800", high="1.10000", close="1.09850")
    dry_run.executor.on_bar(bar)
    (fill,), after = dry_run.executor.fills_since(cursor)

    assert (fill.trade_id, fill.opened_by, fill.client_order_id) == (trade_id, intent.client_order_id, None)
    assert fill.realised == (D("1.09900") - D("1.10010")) * 1000
    assert fill.happened_at == bar.end
    assert dry_run.executor.fills_since(after) == ([], after)
    assert dry_run.executor.account().balance == D(100_000) + fill.realised


def test_bar_handed_twice_acts_once_and_bars_of_before_the_trade_never(dry_run, hold):
    hold(trailing="0.00100", stop=None, target=None)
    rising = dry_run.bar(open_="1.10000", low="1.10000", high="1.10300", close="1.10280")
    earlier = dry_run.bar(open_="1.00000", low="1.00000", high="1.00000", close="1.00000", minutes=-5)

    assert dry_run.executor.on_bar(earlier) == []
    assert dry_run.executor.on_bar(rising) == []
    assert dry_run.executor.on_bar(rising) == []


def test_bar_under_way_at_the_entry_may_stop_but_needs_its_close_for_the_target(dry_run, hold):
    dry_run.clock.advance(30)
    hold()
    start = dry_run.clock.now() - timedelta(seconds=30)
    high_before = replace(dry_run.bar(open_="1.10300", low="1.09950", high="1.10300", close="1.10000"), start=start)

    assert dry_run.executor.on_bar(high_before) == []
    hold()
    low = replace(dry_run.bar(open_="1.09000", low="1.09000", high="1.10000", close="1.10000"), start=start)
    assert outcome(dry_run.executor.on_bar(low)) == [("stop_loss", "1.09900")]


def test_trailing_stop_follows_the_best_price_and_never_retreats(dry_run, hold):
    hold(trailing="0.00100", stop=None, target=None)
    bars = [
        dry_run.bar(open_="1.10000", low="1.09950", high="1.10200", close="1.10180", minutes=1),
        dry_run.bar(open_="1.10180", low="1.10120", high="1.10190", close="1.10150", minutes=2),
        dry_run.bar(open_="1.10150", low="1.10090", high="1.10160", close="1.10140", minutes=3),
    ]

    assert [outcome(dry_run.executor.on_bar(bar)) for bar in bars] == [[], [], [("trailing_stop", "1.10100")]]


def test_trailing_stop_raised_within_a_bar_catches_its_close(dry_run, hold):
    hold(trailing="0.00100", stop=None, target=None)
    spike = dry_run.bar(open_="1.10000", low="1.09950", high="1.10300", close="1.10100")

    assert outcome(dry_run.executor.on_bar(spike)) == [("trailing_stop", "1.10200")]


def test_target_of_a_trade_closed_in_part_takes_what_is_left(dry_run, hold, exit_of):
    intent, trade_id = hold()
    dry_run.executor.submit(exit_of(intent, trade_id, quantity=D(400)))
    rising = dry_run.bar(open_="1.10000", low="1.09950", high="1.10200", close="1.10150")

    assert [fill.quantity for fill in dry_run.executor.on_bar(rising)] == [D(600)]
    assert dry_run.executor.open_trades() == []


def test_nearer_of_stop_and_trailing_stop_counts(dry_run, hold):
    hold(stop="1.09980", trailing="0.00100", target=None)
    falling = dry_run.bar(open_="1.10000", low="1.09900", high="1.10000", close="1.09950")

    assert outcome(dry_run.executor.on_bar(falling)) == [("stop_loss", "1.09980")]


def test_restored_trade_is_found_traded_on_and_never_revived(dry_run, hold):
    intent, trade_id = hold()
    (trade,) = dry_run.executor.open_trades()
    restarted = DryRunExecutor(dry_run.data, dry_run.clock, balance=D(100_000), currency="USD")
    restarted.restore([trade])
    (found,) = restarted.find(intent.client_order_id, since=dry_run.clock.now())
    fills = restarted.on_bar(dry_run.bar(open_="1.10000", low="1.09800", high="1.10000", close="1.09850"))
    restarted.restore([trade])

    assert (found.state, found.broker_trade_id) == (OrderState.FILLED, trade_id)
    assert [fill.reason for fill in fills] == [ExitReason.STOP_LOSS]
    assert restarted.open_trades() == []


def test_cursor_of_one_process_serves_another(dry_run, hold, exit_of):
    other = DryRunExecutor(dry_run.data, dry_run.clock, balance=D(100_000), currency="USD")
    dry_run.clock.advance(5)
    intent, trade_id = hold()
    other.restore(dry_run.executor.open_trades())
    dry_run.clock.advance(5)
    other.submit(exit_of(intent, trade_id))
    fills, _ = other.fills_since(trade_id)

    assert [fill.trade_id for fill in fills] == [trade_id]


def test_profit_is_converted_at_the_home_rate(dry_run, hold, exit_of):
    dry_run.data.price("EUR_USD", "1.10000", "1.10010", D("0.9"))
    intent, trade_id = hold()
    dry_run.data.price("EUR_USD", "1.10110", "1.10120", D("0.8"))
    (event,) = dry_run.executor.submit(exit_of(intent, trade_id))

    assert event.realised == D("0.8000")


def test_entry_waits_for_a_quote_and_a_home_rate(dry_run, entry):
    intent = entry(dry_run.quote())
    dry_run.data.price("EUR_USD", "1.10000", "1.10010", None)
    with pytest.raises(Retry, match="home currency rate"):
        dry_run.executor.submit(intent)
    dry_run.data.silence("EUR_USD")
    with pytest.raises(Retry, match="a quote"):
        dry_run.executor.submit(intent)
    dry_run.data.price("EUR_USD", "1.10000", "1.10010")

    assert dry_run.executor.submit(intent)[0].state is OrderState.FILLED


def test_trigger_uses_the_last_home_rate_while_prices_are_away(dry_run, hold):
    hold()
    dry_run.data.down = True
    fills = dry_run.executor.on_bar(dry_run.bar(open_="1.10000", low="1.09800", high="1.10000", close="1.09850"))

    assert len(fills) == 1


def test_trigger_without_any_home_rate_is_retried_with_nothing_done(dry_run, hold):
    hold()
    (trade,) = dry_run.executor.open_trades()
    restarted = DryRunExecutor(dry_run.data, dry_run.clock, balance=D(100_000), currency="USD")
    restarted.restore([trade])
    dry_run.data.down = True
    bar = dry_run.bar(open_="1.10000", low="1.09800", high="1.10000", close="1.09850")
    with pytest.raises(Retry):
        restarted.on_bar(bar)
    dry_run.data.down = False

    assert len(restarted.on_bar(bar)) == 1


PRICES = st.integers(109_000, 111_000).map(lambda points: D(points) / 100_000)


@given(low=PRICES, high=PRICES, first=st.floats(0, 1), last=st.floats(0, 1), side=st.sampled_from(list(Side)))
def test_no_exit_lies_outside_its_bar_and_a_stop_never_pays_more_than_its_level(low, high, first, last, side):
    low, high = min(low, high), max(low, high)
    span = high - low
    bid = Ohlc(open=low + span * D(str(first)), high=high, low=low, close=low + span * D(str(last)))
    start = datetime(2014, 5, 6, tzinfo=UTC)
    bar = Bar(market="EUR_USD", start=start, period_s=60, bid=bid, ask=bid, volume=1)
    stop, target = D("1.10000") - D("0.002") * side.sign, D("1.10000") + D("0.002") * side.sign
    trade = BrokerTrade(
        trade_id="1",
        client_order_id=None,
        market="EUR_USD",
        side=side,
        quantity=D(1),
        price=D("1.1"),
        opened_at=start - timedelta(hours=1),
        stop_loss=stop,
        take_profit=target,
        trailing_distance=None,
    )
    known = protection_of(trade, stop_orders=False)
    exit_ = next(iter(on_bar(known.plan, known.state, bar)[1]), None)

    touched = (low <= stop <= high or low <= target <= high) or (bid.open - stop) * side.sign <= 0
    assert exit_ is None or low <= exit_.price <= high
    assert not (exit_ is None and touched)
    if exit_ is not None and exit_.reason is ExitReason.STOP_LOSS:
        assert (exit_.price - stop) * side.sign <= 0
