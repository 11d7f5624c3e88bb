"""The record of quotes and bars: what is in the files, and what a bad disk does not do."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest

from domain.quotes import Bar, Ohlc, Quote
from market.gaps import EVERY_MARKET, Gap, GapReason
from market.recorder import Compaction, Recorder, Trade

AT = datetime(2014, 5, 6, 23, 59, 59, 500_000, tzinfo=UTC)


def quote(seconds=0.0, market="EUR_USD", bid="1.10000", ask="1.10010", last=None):
    at = AT + timedelta(seconds=seconds)
    return Quote(
        market=market,
        bid=Decimal(bid),
        ask=Decimal(ask),
        at=at,
        received_at=at + timedelta(milliseconds=20),
        tradeable=True,
        last=last,
    )


def bar():
    side = Ohlc(open=Decimal("1.1"), high=Decimal("1.2"), low=Decimal("1.0"), close=Decimal("1.15"))
    return Bar(market="EUR_USD", start=AT.replace(second=0, microsecond=0), period_s=60, bid=side, ask=side, volume=7)


@pytest.fixture
def recorder(tmp_path):
    started = Recorder(tmp_path / "market", flush_s=60)
    yield started
    started.close()


def test_quotes_go_to_the_file_of_their_day_under_one_header(recorder, tmp_path):
    recorder.quotes([quote(), quote(0.2), quote(1)])
    recorder.flush()
    recorder.quotes([quote(2, last=Decimal("1.10007"))])
    recorder.flush()
    files = sorted(path.name for path in (tmp_path / "market").iterdir())
    second = (tmp_path / "market" / "quotes-2014-05-07.csv").read_text().splitlines()

    assert files == ["quotes-2014-05-06.csv", "quotes-2014-05-07.csv"]
    assert second == [
        "at,received_at,market,bid,ask,last",
        "2014-05-07T00:00:00.500000Z,2014-05-07T00:00:00.520000Z,EUR_USD,1.10000,1.10010,",
        "2014-05-07T00:00:01.500000Z,2014-05-07T00:00:01.520000Z,EUR_USD,1.10000,1.10010,1.10007",
    ]


def test_same_quote_is_recorded_once(recorder, tmp_path):
    recorder.quotes([quote(), quote(market="NZD_USD")])
    recorder.quotes([quote()])
    recorder.flush()

    assert len((tmp_path / "market" / "quotes-2014-05-06.csv").read_text().splitlines()) == 3


def test_duckdb_reads_quotes_and_bars(recorder, tmp_path):
    recorder.quotes([quote(), quote(0.1, bid="1.10005")])
    recorder.bars([bar()])
    recorder.flush()
    quotes = duckdb.read_csv(f"{tmp_path}/market/quotes-*.csv").aggregate("market, max(bid), count(*)").fetchall()
    bars = (
        duckdb.read_csv(f"{tmp_path}/market/bars-*.csv").select("market", "bid_high", "ask_close", "volume").fetchall()
    )

    assert quotes == [("EUR_USD", 1.10005, 2)]
    assert bars == [("EUR_USD", 1.2, 1.15, 7)]


def test_half_a_line_left_by_a_crash_is_cut_off(tmp_path):
    path = tmp_path / "quotes-2014-05-06.csv"
    path.write_text("at,received_at,market,bid,ask,last\n2014-05-06T23:59:58.000000Z,2014-05-06T23:5")
    recorder = Recorder(tmp_path, flush_s=60)
    recorder.quotes([quote()])
    recorder.close()
    lines = path.read_text().splitlines()

    assert len(lines) == 2
    assert lines[1].endswith("EUR_USD,1.10000,1.10010,")


def test_a_file_of_an_older_form_is_put_aside_and_not_mixed_with_the_new_one(tmp_path):
    path = tmp_path / "quotes-2014-05-06.csv"
    older = "at,received_at,market,bid,ask\n2014-05-06T10:00:00.000000Z,2014-05-06T10:00:00.010000Z,EUR_USD,1.2,1.3\n"
    path.write_text(older)
    recorder = Recorder(tmp_path, flush_s=60)
    recorder.quotes([quote()])
    recorder.close()

    assert (tmp_path / "quotes-2014-05-06.1.csv").read_text() == older
    assert path.read_text().startswith("at,received_at,market,bid,ask,last\n2014-05-06T23:59:59")


def test_trades_and_gaps_have_files_of_their_own(recorder, tmp_path):
    recorder.trades([Trade(market="SPY", price=Decimal("187.50"), quantity=Decimal(100), at=AT, received_at=AT)])
    recorder.gaps([Gap(market=EVERY_MARKET, since=AT - timedelta(minutes=2), until=AT, reason=GapReason.RECONNECT)])
    recorder.flush()
    folder = tmp_path / "market"

    assert (folder / "trades-2014-05-06.csv").read_text().splitlines()[1].endswith(",SPY,187.50,100")
    assert (folder / "gaps-2014-05-06.csv").read_text().splitlines() == [
        "since,until,market,reason",
        "2014-05-06T23:57:59.500000Z,2014-05-06T23:59:59.500000Z,*,reconnect",
    ]


def test_a_stream_that_was_silent_for_too_long_leaves_a_gap(recorder, tmp_path):
    recorder.quotes([quote(number / 2) for number in range(12)])
    recorder.quotes([quote(60)])
    recorder.flush()
    rows = (tmp_path / "market" / "gaps-2014-05-07.csv").read_text().splitlines()

    assert rows[1:] == ["2014-05-07T00:00:05.020000Z,2014-05-07T00:00:59.520000Z,EUR_USD,silent"]


def test_a_process_that_did_not_run_leaves_a_gap_for_each_market(tmp_path):
    first = Recorder(tmp_path, flush_s=60)
    first.quotes([quote(), quote(market="SPY")])
    first.close()
    second = Recorder(tmp_path, flush_s=60)
    second.quotes([quote(300), quote(301, market="SPY"), quote(301, market="AIG")])
    second.close()
    rows = (tmp_path / "gaps-2014-05-07.csv").read_text().splitlines()[1:]

    assert [row.split(",")[2:] for row in rows] == [["EUR_USD", "restart"], ["SPY", "restart"]]


def test_a_new_day_is_compacted_in_a_child_process_and_the_old_one_removed(tmp_path):
    (tmp_path / "quotes-2014-05-01.csv").write_text("at,received_at,market,bid,ask,last\n")
    first = Recorder(tmp_path, flush_s=60)
    first.quotes([quote()])
    first.close()
    second = Recorder(tmp_path, flush_s=60, compaction=Compaction(keep_days=3))
    second.quotes([quote(3_600)])
    second.flush()
    deadline = time.monotonic() + 30
    while (tmp_path / "quotes-2014-05-06.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    second.close()

    assert sorted(path.name for path in tmp_path.glob("quotes-*")) == [
        "quotes-2014-05-06.parquet",
        "quotes-2014-05-07.csv",
    ]
    assert second.errors == 0


def test_disk_that_cannot_be_written_is_counted_and_not_raised(tmp_path):
    in_the_way = tmp_path / "market"
    in_the_way.write_text("a file where the folder should be")
    recorder = Recorder(in_the_way, flush_s=60)
    recorder.quotes([quote()])
    recorder.close()

    assert recorder.errors == 1


def test_full_buffer_drops_and_counts_instead_of_waiting(tmp_path):
    recorder = Recorder(tmp_path, flush_s=60, capacity=3)
    recorder.quotes([quote(number / 1000) for number in range(10)])
    recorder.close()

    assert recorder.dropped == 7


def test_buffer_is_written_by_itself(tmp_path):
    recorder = Recorder(tmp_path, flush_s=0.01)
    recorder.quotes([quote()])
    deadline = time.monotonic() + 30
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.005)
    found = list(tmp_path.iterdir())
    recorder.close()

    assert len(found) == 1


def test_recording_costs_the_loop_microseconds(tmp_path):
    recorder = Recorder(tmp_path, flush_s=0.05)
    quotes = [quote(number / 1_000_000) for number in range(2_000)]
    began = time.perf_counter()
    recorder.quotes(quotes)
    took_us = (time.perf_counter() - began) / len(quotes) * 1e6
    recorder.close()

    assert took_us < 200


def test_a_compaction_that_failed_is_counted(tmp_path):
    (tmp_path / "quotes-2014-05-01.csv").write_text("mood\ngood\n")
    recorder = Recorder(tmp_path, flush_s=60, compaction=Compaction())
    deadline, seconds = time.monotonic() + 30, 0
    while not recorder.errors and time.monotonic() < deadline:
        seconds += 1
        recorder.quotes([quote(seconds)])
        recorder.flush()
    recorder.close()

    assert recorder.errors == 1
    assert (tmp_path / "quotes-2014-05-01.csv").read_text() == "mood\ngood\n"


def test_days_are_kept_for_one_at_least():
    with pytest.raises(ValueError, match="at least 1 day"):
        Compaction(keep_days=0)
