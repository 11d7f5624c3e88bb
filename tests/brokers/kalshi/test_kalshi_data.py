"""Contracts, quotes and bars: vouched for or absent; and what requests do about limits, failures and clocks."""

import logging
import threading
import time
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from brokers.kalshi.client import connect
from brokers.kalshi.config import WireChoice
from domain.contract import ContractStatus
from domain.errors import Retry

D = Decimal
TICKER = "KXTEST-14MAY06-T1"
DRIFT = "KXDRIFT-14MAY06-D"


def test_contracts_of_a_series_come_with_event_and_series(wire_venue):
    venue, wire = wire_venue
    data, _ = venue.connect(wire=WireChoice(wire))
    contracts = {contract.ticker: contract for contract in data.contracts(["KXTEST"])}
    contract = contracts[TICKER]

    assert len(contracts) == 21
    assert (contract.event_title, contract.series, contract.settlement_sources) == (
        "Will it be tested?",
        "KXTEST",
        ("Tester",),
    )
    assert (contract.status, contract.tick, contract.fee_multiplier) == (ContractStatus.ACTIVE, D("0.01"), D(1))
    assert contract.is_open(venue.clock.now())
    assert data.contract(TICKER) == contract


def test_contracts_of_every_series_can_be_cut_off_by_their_close(venue):
    data, _ = venue.connect()
    everything = data.contracts(None)
    soon = data.contracts(closing_before=venue.clock.now() + timedelta(hours=1))

    assert {contract.series for contract in everything} == {"KXTEST", "KXDRIFT"}
    assert soon == []


def test_contract_nobody_lists_is_none(venue):
    data, _ = venue.connect()

    assert data.contract("KXNO-14MAY06-T1") is None
    assert not data.is_open("KXNO-14MAY06-T1", venue.clock.now())
    assert data.instruments(["KXNO-14MAY06-T1"]) == {}


def test_instrument_pays_one_dollar_and_is_paid_for_in_full(venue):
    data, _ = venue.connect()
    instrument = data.instruments([TICKER])[TICKER]

    assert (instrument.payout, instrument.margin_rate, instrument.tick) == (D(1), D(1), D("0.01"))
    assert (instrument.quantity_step, instrument.quantity_min, instrument.quote_currency) == (D(1), D(1), "USD")


@pytest.mark.parametrize("kind", ["repeat", "unknown"])
def test_pages_that_lead_nowhere_are_no_list(venue, kind):
    data, _ = venue.connect(read_attempts=1)
    fault = venue.fault("wrong_cursor", kind=kind, times=5, match={"path": "/trade-api/v2/markets"})

    with pytest.raises(Retry):
        data._listings._wire.rows("markets", "/markets", "markets", dict, limit=5)
    assert venue.fired(fault) >= 1


@pytest.mark.parametrize(
    ("action", "more"), [("status", {"status": 502}), ("drop_request", {}), ("non_json", {}), ("rate_limit", {})]
)
def test_question_is_asked_again_when_it_fails_at_once(venue, action, more):
    data, _ = venue.connect()
    fault = venue.fault(action, match={"path": "/trade-api/v2/markets/*"}, **more)

    assert data.contract(TICKER).ticker == TICKER
    assert venue.fired(fault) == 1


def test_question_nobody_answers_is_retry(venue):
    data, _ = venue.connect()
    fault = venue.fault("status", status=503, times=3, match={"path": "/trade-api/v2/markets/*"})

    with pytest.raises(Retry, match="503"):
        data.contract(TICKER)
    assert venue.fired(fault) == 3


def test_smallest_accounts_limits_are_kept_without_a_refusal(basic_venue):
    data, _ = basic_venue.connect()
    before = basic_venue.simulator.state()["rate_limited"]
    began = time.monotonic()
    for _ in range(30):
        data.contract(TICKER)

    assert basic_venue.simulator.state()["rate_limited"] == before
    assert time.monotonic() - began > 0.4


def test_dead_feed_is_absent_and_not_old(venue, eventually):
    data, _ = venue.connect(quote_silence_s=0.1, read_attempts=1)
    assert TICKER in data.quotes([TICKER])
    data.stream.close()
    fault = venue.fault("status", status=503, times=None, match={"path": "/trade-api/v2/markets"})
    time.sleep(0.15)  # the poll's own freshness

    with pytest.raises(Retry):
        data.quotes([TICKER])
    assert data.quotes([TICKER]) == {}
    assert venue.fired(fault) >= 1


def test_price_too_old_for_the_setting_is_left_out(venue, eventually):
    data, _ = venue.connect(quote_max_age_s=0.001)

    assert data.quotes([TICKER]) == {}


def test_paused_market_is_quoted_and_not_tradeable(venue):
    data, _ = venue.connect()
    market = "KXTEST-14MAY06-M12"
    since, until = venue.clock.now() - timedelta(minutes=1), venue.clock.now() + timedelta(minutes=2)
    fault = venue.fault("market_paused", match={"ticker": market}, between=[since.isoformat(), until.isoformat()])

    assert not data.quotes([market])[market].tradeable
    assert not data.is_open(market, venue.clock.now())
    assert venue.fired(fault) >= 1


class Punctual(BaseHTTPRequestHandler):
    """A venue that refuses signatures more than five seconds off, and sends the time as every web server does."""

    def do_GET(self):
        late = abs(time.time() * 1000 - int(self.headers["KALSHI-ACCESS-TIMESTAMP"])) > 5000
        body = b'{"error":{"code":"header_timestamp_expired"}}' if late else b'{"balance": 7, "market_positions": []}'
        self.send_response(401 if late else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_DELETE = do_GET

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def punctual(venue):
    with ThreadingHTTPServer(("127.0.0.1", 0), Punctual) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        data, executor = connect(
            venue.config(api_url=f"http://127.0.0.1:{server.server_port}/trade-api/v2"), venue.clock
        )
        yield executor
        data.close()
        executor.close()
        server.shutdown()
        thread.join(timeout=5)


def test_clock_that_is_off_is_corrected_by_the_venues(punctual):
    wire = punctual._wire
    wire.time._offset_s = 3600.0
    with pytest.raises(Retry, match=r"clock 0 s off the venue's; corrected; set the clock \(NTP\)"):
        wire.write("a cancel", "DELETE", "/portfolio/events/orders", lambda body: body)
    wire.time._offset_s = -3600.0

    assert wire.read("the balance", "/portfolio/balance", lambda body: body["balance"]) == 7
    assert wire.time.offset_s == 0


def test_private_key_appears_in_no_log(venue, entry, caplog):
    caplog.set_level(logging.DEBUG)
    data, executor = venue.connect()
    executor.submit(entry(venue.clock))
    data.quotes([TICKER])
    secret = venue.simulator.pem.splitlines()[3]

    assert caplog.records
    assert [record for record in caplog.records if secret in record.getMessage()] == []


@pytest.mark.parametrize("period", [60, 300, 3600])
def test_bars_are_closed_and_put_together_from_candles(wire_venue, period):
    venue, wire = wire_venue
    data, _ = venue.connect(wire=WireChoice(wire))
    start = venue.clock.now() - timedelta(hours=3)
    bars = data.bars(DRIFT, period, start=start)

    assert bars[0].start >= start
    assert bars[-1].end <= venue.clock.now()
    assert {int(bar.start.timestamp()) % period for bar in bars} == {0}
    assert [bar.start for bar in bars] == sorted({bar.start for bar in bars})
    assert all(0 < bar.bid.low <= bar.bid.high < bar.ask.high < 1 for bar in bars)
    assert len(bars) == pytest.approx(10_800 / period, abs=2)


def test_bars_below_a_minute_and_of_unknown_markets_are_none(venue):
    data, _ = venue.connect()

    assert data.bars(TICKER, 5, start=venue.clock.now() - timedelta(hours=1)) == []
    assert data.bars("KXNO-14MAY06-T1", 60, start=venue.clock.now() - timedelta(hours=1)) == []


def test_bars_end_before_the_end_asked_for(venue):
    data, _ = venue.connect()
    start = venue.clock.now().replace(second=0, microsecond=0) - timedelta(hours=1)
    bars = data.bars(DRIFT, 60, start=start, end=start + timedelta(minutes=10))

    assert [bar.start for bar in bars] == [start + timedelta(minutes=n) for n in range(10)]
