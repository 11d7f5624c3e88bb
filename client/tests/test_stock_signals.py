"""Signals of stocks: no target, a trailing stop in percent, whole shares, reasons nobody has heard of."""

from decimal import Decimal as D

from tbot_client.brokers.paper import PaperBroker
from tbot_client.brokers.port import Account, Instrument, Levels, Quote
from tbot_client.compact import compact
from tbot_client.config import Broker
from tbot_client.deadman import tighter
from tbot_client.decide import priced, worst_price
from tbot_client.journal import read
from tbot_client.state import State
from tbot_client.status import as_text, summary

AIG = {"market": "AIG", "reference_price": "48.80", "stop_loss": "43.92", "take_profit": None, "trailing_percent": "10"}
SHARE = Instrument(name="AIG", price_digits=2, unit_digits=0, minimum=D(1), maximum=D(10**6), takes_worst=True)
LEVELS = Levels(stop=D("43.92"), target=None, trailing_percent=D(10))


def shares(client, tmp_path):
    client.broker = PaperBroker(Broker(kind="paper"), tmp_path / "paper.jsonl", client.clock.now)
    client.with_(size={"units": D(10)})
    return client


def test_a_share_on_paper_is_none_of_the_event_contracts_and_ends_with_its_signal(client, feed, tmp_path):
    shares(client, tmp_path)
    signal = feed.open(**AIG)
    client.run_once()
    assert client.state.trades[signal].levels == LEVELS
    assert [p.trailing_percent for p in client.broker.positions()] == [D(10)]
    feed.end(signal, market="AIG", exit_price="50.00", reason="stale")
    client.run_once()

    (outcome,) = feed.bodies(signal, "resolved")
    assert (outcome["reason"], D(outcome["realised"])) == ("stale", D("12.0000"))


def test_a_contract_on_paper_is_known_by_its_levels(client, feed, tmp_path):
    shares(client, tmp_path)
    signal = feed.open(market="KXRAIN", reference_price="0.40", stop_loss="0", take_profit="1")
    client.run_once()

    assert "executed" in feed.stages(signal)


def test_a_target_comes_and_goes_by_amends_and_the_percent_stays(client, feed, broker):
    broker.bid = broker.ask = D("48.80")
    signal = feed.open(**AIG)
    client.run_once()
    feed.amend(signal, market="AIG", stop_loss="45", take_profit="60")
    feed.amend(signal, market="AIG", stop_loss="46", take_profit=None)
    client.run_once()

    assert broker.protections[-1][1] == Levels(stop=D(46), target=None, trailing_percent=D(10))
    assert "stop 46 trailing 10 %" in as_text(summary(client.home, client.clock, client.config))


def test_a_compacted_journal_still_knows_that_there_is_no_target(client, feed, broker):
    broker.bid = broker.ask = D("48.80")
    signal = feed.open(**AIG)
    client.run_once()

    assert compact(client.home.journal, lambda: "now", most_bytes=10)
    assert State(read(client.home.journal)).trades[signal].resting == LEVELS


def test_a_line_whose_levels_can_be_none_is_left_out(client, feed, broker):
    for wrong in ({"stop_loss": "0"}, {"stop_loss": None}, {"trailing_percent": "0"}, {"trailing_percent": "100"}):
        feed.open(**(AIG | wrong))
    client.run_once()

    assert (client.state.counts["malformed"], client.state.trades) == (4, {})


def test_tightening_halves_the_percent_and_brings_the_stop_closer(client, feed, broker):
    broker.bid = broker.ask = D("48.80")
    signal = feed.open(**AIG)
    client.run_once()
    quote = Quote(bid=D("48.80"), ask=D("48.80"), tradeable=True, home_rate=D(1))

    found = tighter(client.state.trades[signal], quote)
    assert (found.stop, found.target, found.trailing_percent) == (D("46.36"), None, D(5))


def test_shares_are_whole_bought_within_the_drift_and_only_with_money_that_is_there(client, feed, broker):
    broker.bid = broker.ask = D("48.80")
    signal = feed.open(**AIG)
    client.run_once()
    config = client.with_(size={"rule": "risk", "fraction": D("0.002")}, limits={"max_drift_bp": D(50)}).config
    trade = client.state.trades[signal]
    quote = Quote(bid=D("48.79"), ask=D("48.81"), tradeable=True, home_rate=D(1))

    def judged(cash):
        return priced(trade, config, SHARE, quote, Account(currency="USD", equity=D(10_000), last_id="0", cash=cash))

    assert worst_price(trade, config, SHARE) == D("49.0440")
    assert judged(None) == judged(D(200)) == ("", D(4))
    assert judged(D("197.17")) == ("balance", D(0))
