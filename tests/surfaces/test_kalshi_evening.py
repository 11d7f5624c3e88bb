"""An evening of the short-term surface and its resolver as they are run: weather and bitcoin, from trade to payment."""

from dataclasses import asdict
from datetime import date
from decimal import Decimal

import pytest
import warm_start
from event_rig import BALANCE, Trader, World, row_of
from nws_sim import start_nws
from waiting import until

from domain.clock import parse_iso
from domain.vocabulary import Code, Kind, Surface
from simulators.kalshi.catalogue import bitcoin, highs

D = Decimal
BEGIN = parse_iso("2014-05-07T02:05:00Z")
WARM, DISPUTED, SHORT = (f"KXHIGHNY-14MAY06-B{degrees}" for degrees in ("47.5", "51.5", "53.5"))
BITCOIN = "KXBTCD-14MAY0701-T4574.99"
# The last hours of a day whose high is known, at a price as if nobody knew.
LISTED = {one.ticker: one for one in (*highs.of_day(date(2014, 5, 6)), *bitcoin.of_day(date(2014, 5, 7)))}
SERIES = [asdict(highs.SERIES), asdict(bitcoin.SERIES)]
SETTINGS = {
    "ST_LOOP_S": "30",
    "COINBASE_PRICE_MAX_AGE_S": "7200",
    "NWS_OBSERVATION_MAX_AGE_S": "14400",
    "RISK_DEDUP_WINDOW_S": "86400",
}


def rows(*tickers, **changes):
    return [row_of(LISTED[ticker], fair=0.5, **changes) for ticker in tickers]


def source_and_outcome(found):
    return [(row["resolution_source"], D(row["exit_price"])) for row in found]


class Evening:
    """Two surfaces with their resolvers as processes, from the first trade to the last payment.

    ``trader`` has an account at the venue; ``dreamer`` only imagines one, and its weather service errs by two degrees
    until it corrects itself.
    """

    def __init__(self, world, erring, home):
        self.world, self.erring = world, erring
        self.trader = Trader(world, home / "paper", Surface.ST, **SETTINGS)
        imagined = {"ST_MODE": "dry_run", "ST_MARKETS": "KXHIGHNY", "NWS_URL": erring.url}
        self.dreamer = Trader(world, home / "dry", Surface.ST, **SETTINGS | imagined)
        erring.fault("corrected_cli", issue="final")
        self.faults = {
            "disputed": self.trader.fault(
                "disputed_result", {"ticker": DISPUTED}, after=60, seconds=900, result="yes", timer=60
            ),
            "short": self.trader.fault("early_close", {"ticker": SHORT}, closes_at="2014-05-07T04:30:00Z"),
        }

    def live(self):
        both = (self.trader, self.dreamer)
        for one in both:
            one.start()
        try:
            until(lambda: [len(one.resolutions()) for one in both] == [4, 3], "seven ends", 110)
            self.fired = {name: self.trader.fired(fault) for name, fault in self.faults.items()}
            self.codes = [one.end() for one in both]
            self.cash = [one.cash() for one in both]
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.trader.said()}; dry: {self.dreamer.said()}") from error
        finally:
            for one in both:
                one.finish()
        return self

    def of(self, market, *, provisional=False, who=None):
        found = (who or self.trader).resolutions(provisional=provisional)
        return [row for row in found if row["market"] == market]


@pytest.fixture(scope="module")
def evening(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evening")
    for module in ("surfaces", "resolver"):
        # What these processes import is loaded now: the evening begins with its world.
        warm_start.run(["-m", module, "st"], env={"TBOT_HOME": str(folder)})
    listed = rows(WARM, DISPUTED, SHORT, BITCOIN)
    world = World(folder, listed, series=SERIES, begin=BEGIN, speed=480, nws=True, coinbase=True)
    erring = start_nws(world.kalshi.clock)
    try:
        yield Evening(world, erring, folder).live()
    finally:
        erring.stop()
        world.stop()


def test_both_kinds_are_decided_traded_published_and_settled_and_the_processes_end_well(evening):
    trader = evening.trader
    settled = {row["market"]: row["outcome"] for row in trader.resolutions()}

    assert evening.codes == [[0, 0], [0, 0]]
    assert {signal["market"] for signal in trader.signals()} == settled.keys()
    assert settled == {WARM: "yes", BITCOIN: "yes", DISPUTED: "yes", SHORT: "no"}
    assert {signal["market"]: signal["side"] for signal in trader.signals()}[WARM] == "buy"
    assert {row["candidate"]["sub_strategy"] for row in trader.decisions() if row["admitted"]} == {
        "event.weather",
        "event.volatility",
    }
    trader.assert_sound()


def test_what_the_resolutions_say_was_earned_is_what_the_account_has_more(evening):
    assert evening.trader.realised() == evening.cash[0] - BALANCE


def test_the_weather_service_is_first_and_the_venue_has_the_last_word(evening):
    early, last = evening.of(WARM, provisional=True), evening.of(WARM)

    assert source_and_outcome(early)[0] == ("nws_observation", 1)
    assert source_and_outcome(last) == [("kalshi_resolution", 1)]
    assert early[0]["resolved_at"] < last[0]["resolved_at"]
    assert not last[0]["disputed"]
    assert D(early[0]["realised"]) == D(last[0]["realised"])


def test_a_result_that_is_contested_and_changed_is_recorded_as_disputed(evening):
    early, last = evening.of(DISPUTED, provisional=True), evening.of(DISPUTED)

    assert evening.fired["disputed"] >= 1
    assert ("kalshi_resolution", 0) in source_and_outcome(early)
    assert source_and_outcome(last) == [("kalshi_resolution", 1)]
    assert last[0]["disputed"]
    assert any(row["disputed"] for row in early)


def test_nothing_is_traded_after_an_early_close_and_the_position_is_settled_all_the_same(evening):
    closed = "2014-05-07T04:30:00"
    admitted = [row["ts"] for row in evening.trader.decisions(SHORT) if row["admitted"]]

    assert evening.fired["short"] >= 1
    assert len(admitted) == 1
    assert max(row["ts"] for row in evening.trader.decisions(SHORT)) < closed or (
        {row["code"] for row in evening.trader.decisions(SHORT) if row["ts"] >= closed} == {Code.MARKET_CLOSED}
    )
    assert source_and_outcome(evening.of(SHORT)) == [("kalshi_resolution", 0)]


def test_what_was_estimated_is_noted_when_it_has_ended(evening):
    noted = {row["market"]: row["value"] for row in evening.trader.records("decisions", Kind.OUTCOME)}

    assert noted.items() <= {WARM: "1", BITCOIN: "1", DISPUTED: "1", SHORT: "0"}.items()
    assert BITCOIN in noted


def test_a_dry_run_sends_nothing_and_is_paid_by_the_venues_results(evening):
    dreamer = evening.dreamer
    ends = {row["market"]: (row["outcome"], row["resolution_source"]) for row in dreamer.resolutions()}

    assert dreamer.created() == {}
    assert dreamer.held() == {}
    assert evening.cash[1] == BALANCE
    assert ends == {WARM: ("yes", "sim"), DISPUTED: ("yes", "sim"), SHORT: ("no", "sim")}
    assert {row["market"] for row in dreamer.signals()} == ends.keys()
    assert {row["mode"] for row in dreamer.signals()} == {"dry_run"}
    dreamer.assert_sound()


def test_a_report_that_is_corrected_later_leaves_the_outcome_disputed(evening):
    early = evening.of(WARM, provisional=True, who=evening.dreamer)
    [last] = evening.of(WARM, who=evening.dreamer)

    assert evening.erring.fired("corrected_cli") >= 1
    assert source_and_outcome(early)[0] == ("nws_observation", 0)
    assert D(last["exit_price"]) == 1
    assert last["disputed"]
