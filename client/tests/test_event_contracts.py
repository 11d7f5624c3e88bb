"""Event contracts: prices are probabilities, what they cost is all they lose, and nothing rests for them."""

from datetime import UTC, datetime
from decimal import Decimal as D

import pytest

from tbot_client import gap
from tbot_client.brokers.paper import PaperBroker
from tbot_client.brokers.port import Account, Instrument, Quote
from tbot_client.config import Broker
from tbot_client.decide import priced, worst_price
from tbot_client.journal import read
from tbot_client.status import as_text, summary
from tbot_client.trade import Trade
from tbot_client.wire import parse_item

TICKER = "KXHIGHNY-14MAY06-T67"
CONTRACT = Instrument(name=TICKER, price_digits=2, unit_digits=0, minimum=D(1), maximum=D(10**6), payout=D(1))
BUY = {"market": TICKER, "side": "buy", "reference_price": "0.40", "stop_loss": "0", "take_profit": "1"}
SELL = {"market": TICKER, "side": "sell", "reference_price": "0.40", "stop_loss": "1.00", "take_profit": "0.00"}


@pytest.fixture
def contracts(client, broker):
    """Let the fake broker trade one contract."""
    broker.instrument = lambda name: CONTRACT
    broker.bid, broker.ask = D("0.39"), D("0.40")
    client.with_(size={"units": D(10)})
    return broker


@pytest.fixture
def judged(client):
    """Return a function that judges a signal of these fields at a price."""

    def judge(fields, bid, ask, cash=None, **size):
        config = client.with_(size={"units": D(10)} | size).config
        quote = Quote(bid=D(bid), ask=D(ask), tradeable=True, home_rate=D(1))
        account = Account(currency="USD", equity=D(1000), last_id="0", cash=cash)
        return priced(trade_of(fields), config, CONTRACT, quote, account)

    return judge


def trade_of(fields):
    moment = datetime(2014, 5, 6, tzinfo=UTC)
    return Trade(
        signal_id="sig_x", surface="st", market=TICKER, side=fields["side"], sub_strategy="", trailing=None,
        reference=D(fields["reference_price"]), stop=D(fields["stop_loss"]), target=D(fields["take_profit"]),
        confidence=None, edge_bp=None, published_at=moment, expires_at=moment, expired=False,
    )  # fmt: skip


def test_a_level_of_zero_is_read_and_a_price_of_zero_is_not(client, feed, contracts):
    first, second = feed.open(**BUY), feed.open(**SELL)
    feed.open(**(BUY | {"reference_price": "0"}))
    feed.open(**(BUY | {"take_profit": "0"}))
    feed.open(**(BUY | {"stop_loss": "-0.1"}))
    contracts.bid = D("0.40")

    client.run_once()

    assert [order.client_id[3:-8] for order in contracts.orders] == [first[4:], second[4:]]
    assert client.state.counts["malformed"] == 3


@pytest.mark.parametrize(
    ("side", "bid", "ask", "reason"),
    [
        (BUY, "0.39", "0.40", ""),
        (BUY, "0.39", "0.42", ""),
        (BUY, "0.39", "0.43", "drift"),
        (BUY, "0.30", "0.37", "drift"),
        (BUY, "0", "0.40", ""),  # nobody bids: it can still be held to its end
        (SELL, "0.38", "0.41", ""),
        (SELL, "0.37", "0.41", "drift"),
        (SELL, "0.40", "1", ""),
    ],
)
def test_drift_is_measured_in_cents_of_the_payout(judged, side, bid, ask, reason):
    assert judged(side, bid, ask) == (reason, D(0) if reason else D(10))


@pytest.mark.parametrize(
    ("side", "bid", "ask"),
    [(BUY | {"reference_price": "0.99"}, "0.98", "1"), (SELL | {"reference_price": "0.01"}, "0", "1")],
)
def test_what_can_win_or_cost_nothing_is_skipped(judged, side, bid, ask):
    assert judged(side, bid, ask)[0] == "levels_passed"


def test_a_contract_at_three_cents_follows_one_cent(judged):
    cheap = BUY | {"reference_price": "0.03"}
    assert judged(cheap, "0.02", "0.04") == ("", D(10))


@pytest.mark.parametrize(("side", "cost"), [(BUY, D("0.40")), (SELL, D("0.61"))])
@pytest.mark.parametrize("rule", ["risk", "fraction"])
def test_risk_and_fraction_both_count_what_the_contract_costs(judged, side, cost, rule):
    reason, units = judged(side, "0.39", "0.40", rule=rule, fraction=D("0.05"))
    assert (reason, units) == ("", (50 / cost).to_integral_value("ROUND_DOWN"))


@pytest.mark.parametrize(
    ("side", "cash", "reason"),
    # worst prices: 0.42 for YES and 0.38, so 0.62, for NO; a fee of 0.07 x p x (1-p), and a cent of rounding
    [(BUY, "4.39", ""), (BUY, "4.37", "balance"), (SELL, "6.38", ""), (SELL, "6.37", "balance")],
)
def test_what_the_account_cannot_pay_for_is_skipped(judged, side, cash, reason):
    assert judged(side, "0.39", "0.40", cash=D(cash))[0] == reason


def test_fewer_than_one_contract_is_none(judged):
    assert judged(BUY, "0.39", "0.40", rule="risk", fraction=D("0.0003")) == ("minimum_lot", D(0))


def test_the_worst_price_is_the_drift_limit_and_only_contracts_have_one(client, feed, contracts):
    pair = Instrument(name="EUR_USD", price_digits=5, unit_digits=0, minimum=D(1), maximum=D(10))
    feed.open(**BUY)
    client.run_once()

    assert contracts.orders[0].worst == D("0.42")
    assert worst_price(trade_of(SELL), client.config, CONTRACT) == D("0.38")
    assert worst_price(trade_of(BUY), client.with_(limits={"max_drift_bp": D(50)}).config, CONTRACT) == D("0.405")
    assert worst_price(trade_of(BUY), client.config, pair) is None


def test_levels_of_zero_are_not_sent_to_a_broker_that_would_have_to_keep_them(client, feed, broker):
    signal = feed.open(stop_loss="0", take_profit="1.2")
    client.run_once()
    assert feed.bodies(signal)[0]["reason"] == "levels_passed"
    assert broker.orders == []


def test_the_day_counts_what_a_contract_could_be_sold_for(client, feed, contracts):
    client.with_(limits={"daily_loss": D(2)})
    feed.open(**BUY)
    client.run_once()
    contracts.bid = D("0.19")
    late = feed.open(**BUY)
    client.run_once()
    assert feed.bodies(late)[0]["reason"] == "daily_loss"


@pytest.mark.parametrize(("wanted", "kept"), [("tighten", "hold"), ("hold", "hold"), ("flatten", "flatten")])
def test_a_silence_cannot_tighten_what_settles_by_itself(client, feed, contracts, capsys, wanted, kept):
    client.with_(limits={"dead_man": wanted, "dead_man_s": 600.0})
    feed.open(**BUY)
    client.run_once()
    feed.script += [("/api/", 503, {}, b'{"code":"busy"}')] * 1000
    real, shift = client.clock.monotonic, []
    client.clock.monotonic = lambda: real() + sum(shift)
    with client.running():
        shift.append(601)
        client.until(lambda: [r for r in read(client.home.journal) if r["kind"] == "dead_man"])
        if wanted == "flatten":
            client.until(lambda: contracts.closes)

    (record,) = [r for r in read(client.home.journal) if r["kind"] == "dead_man"]
    told = capsys.readouterr().err
    assert record["policy"] == kept
    assert contracts.protections == []
    assert ("protected by its orders" in told, "settles by itself" in told) == (False, wanted != "flatten")
    assert ("nothing to tighten" in told) == (wanted == "tighten")


def test_a_status_says_that_a_contract_settles(client, feed, contracts):
    feed.open(**SELL | {"reference_price": "0.39"})
    client.run_once()
    client.write_config()
    found = summary(client.home, client.clock, client.config)
    assert found["positions"][0]["settles"]
    assert f"sell 10 {TICKER} at 0.39, settles at 0 or 1" in as_text(found)


def test_a_missed_contract_is_told_in_parts_of_its_payout(feed):
    signal = feed.open(**BUY | {"reference_price": "0.03"})
    feed.end(signal, market=TICKER, exit_price="1")
    opened, end = (parse_item(line[4]) for line in feed.lines)

    assert gap._gain_bp(opened, end) == "9700.0"


@pytest.mark.parametrize(
    ("fields", "price", "realised"),
    [(BUY, "1", "6.0000"), (BUY, "0", "-4.0000"), (SELL, "1", "-6.0000"), (SELL, "0", "4.0000")],
)
def test_the_paper_broker_trades_contracts_in_dollars(client, feed, tmp_path, fields, price, realised):
    client.with_(size={"units": D(10)})
    client.broker = PaperBroker(Broker(kind="paper", currency="EUR"), tmp_path / "paper.jsonl", client.clock.now)
    signal = feed.open(**fields)
    client.run_once()
    feed.end(signal, market=TICKER, exit_price=price, reason="settled")
    client.run_once()
    client.broker.shut()

    (outcome,) = feed.bodies(signal, "resolved")
    assert (outcome["realised"], outcome["currency"], D(outcome["price"])) == (realised, "USD", D(price))


def test_an_adopted_contract_keeps_its_natural_levels(client, feed, contracts):
    feed.open(**BUY)
    client.run_once()
    client.home.journal.unlink()
    client.run_once()
    (trade,) = client.state.trades.values()
    assert (trade.stop, trade.target, trade.is_contract) == (D(0), D(1), True)
