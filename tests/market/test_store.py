"""Recorded data: CSV and Parquet read as one, and closed days compacted without losing or doubling a row."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.quotes import Bar, Ohlc, Quote
from market.compact import compact
from market.gaps import EVERY_MARKET, Gap, GapReason
from market.recorder import Recorder, Trade
from market.store import EmbeddedStore
from market.tick_files import last_heard, listed

START = datetime(2014, 5, 5, 13, 30, tzinfo=UTC)
DAYS = timedelta(days=1)
COMPACT = [sys.executable, "-m", "market.compact", "--before", "2014-05-07"]
FOREVER = (START - 30 * DAYS, START + 30 * DAYS)


def quote(at, number, market="SPY"):
    price = Decimal("187.5") + Decimal(number % 100) / 100
    bid, ask = price, price + Decimal("0.01")
    return Quote(
        market=market, bid=bid, ask=ask, at=at, received_at=at, tradeable=True, last=ask if number % 2 else None
    )


def bar(at):
    side = Ohlc(open=Decimal("187.1"), high=Decimal("188"), low=Decimal("187"), close=Decimal("187.55"))
    return Bar(market="SPY", start=at, period_s=60, bid=side, ask=side, volume=1_200)


QUOTES = [
    quote(START + day * DAYS + timedelta(seconds=n), n, m)
    for day in range(3)
    for n in range(40)
    for m in ("SPY", "AIG")
]
TRADE = Trade(market="SPY", price=Decimal("187.52"), quantity=Decimal("0.5"), at=START, received_at=START)
GAPS = [
    Gap(market=EVERY_MARKET, since=START, until=START + timedelta(minutes=1), reason=GapReason.RECONNECT),
    Gap(market="AIG", since=START, until=START + timedelta(minutes=2), reason=GapReason.SILENT),
]


@pytest.fixture
def recorded(tmp_path):
    """Return a folder with three days of quotes, and with a bar, a trade and gaps of the first."""
    recorder = Recorder(tmp_path / "it's", flush_s=60)
    recorder.quotes(QUOTES)
    recorder.bars([bar(START), bar(START)])
    recorder.trades([TRADE])
    recorder.gaps(GAPS)
    recorder.close()
    (tmp_path / "it's" / "gaps-2014-05-06.csv").unlink()  # the nights, which a market without hours takes for silence
    (tmp_path / "it's" / "gaps-2014-05-07.csv").unlink()
    return tmp_path / "it's"


def everything(directory):
    store = EmbeddedStore(directory)
    return [
        [*store.quotes("SPY", *FOREVER), *store.quotes("AIG", *FOREVER)],
        list(store.bars("SPY", 60, *FOREVER)),
        list(store.trades("SPY", *FOREVER)),
        list(store.gaps("AIG", *FOREVER)),
    ]


EXPECTED = [
    [one for market in ("SPY", "AIG") for one in QUOTES if one.market == market],
    [bar(START)],
    [TRADE],
    GAPS,
]


def key(one):
    return (one.at, one.bid, one.last is None)


def names(directory):
    return [file.path.name for file in listed(directory)]


def test_what_was_recorded_is_read_again_as_it_was(recorded):
    assert everything(recorded) == EXPECTED


def test_closed_days_become_parquet_and_read_the_same(recorded):
    troubles = compact(recorded, date(2014, 5, 7))

    assert troubles == []
    assert names(recorded) == [
        "bars-2014-05-05.parquet",
        "gaps-2014-05-05.parquet",
        "quotes-2014-05-05.parquet",
        "trades-2014-05-05.parquet",
        "quotes-2014-05-06.parquet",
        "quotes-2014-05-07.csv",
    ]
    assert everything(recorded) == EXPECTED


def test_parquet_is_compressed_typed_and_names_its_sources(recorded):
    compact(recorded, date(2014, 5, 7))
    path = str(recorded / "quotes-2014-05-05.parquet")
    with duckdb.connect() as connection:
        compression = connection.execute("SELECT DISTINCT compression FROM parquet_metadata(?)", [path]).fetchall()
        types = dict(
            connection.execute(
                "SELECT column_name, column_type FROM (DESCRIBE FROM read_parquet(?))", [path]
            ).fetchall()
        )

    assert compression == [("ZSTD",)]
    assert types == {
        "at": "TIMESTAMP WITH TIME ZONE",
        "received_at": "TIMESTAMP WITH TIME ZONE",
        "market": "VARCHAR",
        "bid": "DECIMAL(24,10)",
        "ask": "DECIMAL(24,10)",
        "last": "DECIMAL(24,10)",
    }


def test_compacting_again_changes_nothing(recorded):
    compact(recorded, date(2014, 5, 7))
    before = {path.name: (path.stat().st_ino, path.read_bytes()) for path in recorded.glob("*.parquet")}
    troubles = compact(recorded, date(2014, 5, 7))

    assert troubles == []
    assert {path.name: (path.stat().st_ino, path.read_bytes()) for path in recorded.glob("*.parquet")} == before


def test_a_csv_whose_removal_was_interrupted_is_neither_read_nor_taken_in_twice(recorded):
    path = recorded / "quotes-2014-05-05.csv"
    content = path.read_bytes()
    compact(recorded, date(2014, 5, 7))
    path.write_bytes(content)
    beside = everything(recorded)
    compact(recorded, date(2014, 5, 7))

    assert beside == EXPECTED
    assert everything(recorded) == EXPECTED
    assert not path.exists()


def test_a_scratch_file_left_by_a_crash_is_written_over(recorded):
    scratch = recorded / ".quotes-2014-05-05.parquet.new"
    scratch.write_bytes(b"half a file")
    compact(recorded, date(2014, 5, 7))

    assert not scratch.exists()
    assert everything(recorded) == EXPECTED


def test_rows_that_come_late_join_the_day_they_belong_to(recorded):
    compact(recorded, date(2014, 5, 7))
    late = quote(START + timedelta(hours=2), 5)
    recorder = Recorder(recorded, flush_s=60)
    recorder.quotes([late])
    recorder.close()
    compact(recorded, date(2014, 5, 7))

    assert "quotes-2014-05-05.csv" not in names(recorded)
    assert EmbeddedStore(recorded).quotes("SPY", START, START + DAYS) == [*EXPECTED[0][:40], late]


def test_a_row_of_an_older_form_has_no_last_price(recorded):
    older = "at,received_at,market,bid,ask\n2014-05-04T10:00:00.000000Z,2014-05-04T10:00:00.010000Z,SPY,187.10,187.20\n"
    (recorded / "quotes-2014-05-04.1.csv").write_text(older)
    before = EmbeddedStore(recorded).quotes("SPY", START - 2 * DAYS, START)
    compact(recorded, date(2014, 5, 7))

    assert [(one.bid, one.last) for one in before] == [(Decimal("187.10"), None)]
    assert EmbeddedStore(recorded).quotes("SPY", START - 2 * DAYS, START) == before


def test_half_a_line_is_neither_read_nor_kept(recorded):
    path = recorded / "quotes-2014-05-07.csv"
    path.write_bytes(path.read_bytes() + b"2014-05-07T18:00:00.000000Z,2014-05-07T18:00:00.000000Z,SPY,187.5,18")
    reading = everything(recorded)
    compact(recorded, date(2014, 5, 8))

    assert reading == EXPECTED
    assert everything(recorded) == EXPECTED


@pytest.mark.parametrize(
    "content",
    [
        b"at,received_at,market,bid,ask,last\nno,numbers,SPY,at,all,here\n",
        b"at,received_at,market,bid,ask,mood\n2014-05-05T18:00:00.000000Z,2014-05-05T18:00:00.000000Z,SPY,1,2,good\n",
    ],
    ids=["bad row", "strange column"],
)
def test_a_file_that_can_not_be_read_stays_as_it_is_and_does_not_keep_the_others_back(recorded, content):
    path = recorded / "quotes-2014-05-05.csv"
    path.write_bytes(content)
    troubles = compact(recorded, date(2014, 5, 7))

    assert len(troubles) == 1
    assert "quotes of 2014-05-05 stays as it is" in troubles[0]
    assert path.read_bytes() == content
    assert "quotes-2014-05-06.parquet" in names(recorded)


def test_days_too_old_to_keep_are_removed(recorded):
    compact(recorded, date(2014, 5, 7))
    compact(recorded, date(2014, 5, 8), keep_days=2)

    assert names(recorded) == ["quotes-2014-05-06.parquet", "quotes-2014-05-07.parquet"]


def test_recorder_remembers_when_a_compacted_market_was_last_heard_of(recorded):
    compact(recorded, date(2014, 5, 8))

    assert last_heard(recorded) == {one.market: one.received_at for one in QUOTES}


def test_only_one_process_compacts_a_folder(recorded):
    import fcntl

    with (recorded / ".compact.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        troubles = compact(recorded, date(2014, 5, 7))

    assert troubles == []
    assert not list(recorded.glob("*.parquet"))


@pytest.fixture(scope="module")
def full_days(tmp_path_factory):
    """Return a folder with two days of quotes, the first of several thousand."""
    directory = tmp_path_factory.mktemp("full")
    recorder = Recorder(directory, flush_s=60)
    recorder.quotes(quote(START + timedelta(milliseconds=n), n) for n in range(5_000))
    recorder.quotes(quote(START + DAYS + timedelta(seconds=n), n) for n in range(100))
    recorder.close()
    return directory


def killed_once(source, base, reached):
    """Return a folder whose compaction was killed as soon as ``reached`` was there; a faster child is let go."""
    for attempt in range(50):
        folder = base / str(attempt)
        shutil.copytree(source, folder)
        child = subprocess.Popen([*COMPACT, str(folder)], stderr=subprocess.DEVNULL)
        while not (folder / reached).exists() and child.poll() is None:
            time.sleep(0.0002)
        child.send_signal(signal.SIGKILL)
        if child.wait(timeout=30) == -signal.SIGKILL:
            return folder
    pytest.fail("no child could be killed in time")


@pytest.mark.parametrize(
    "reached",
    [".compact.lock", ".quotes-2014-05-05.parquet.new", "quotes-2014-05-05.parquet", "last-heard.json"],
    ids=["at its start", "while it writes", "when it has written", "before it removes"],
)
def test_a_child_that_is_killed_loses_and_doubles_nothing(full_days, tmp_path, reached):
    folder = killed_once(full_days, tmp_path, reached)
    interrupted = len(EmbeddedStore(folder).quotes("SPY", *FOREVER))
    done = subprocess.run([*COMPACT, str(folder)], capture_output=True, timeout=60, check=False)

    assert interrupted == 5_100
    assert (done.returncode, done.stderr) == (0, b"")
    assert [name for name in names(folder) if name.startswith("quotes")] == [
        "quotes-2014-05-05.parquet",
        "quotes-2014-05-06.parquet",
    ]
    assert len(EmbeddedStore(folder).quotes("SPY", *FOREVER)) == 5_100
    assert not list(folder.glob(".*.new"))


def test_spans_end_before_their_end(recorded):
    found = EmbeddedStore(recorded).quotes("SPY", START, START + timedelta(seconds=3))

    assert [one.at for one in found] == [START + timedelta(seconds=n) for n in range(3)]


def test_a_quote_received_after_midnight_is_found_by_the_venues_time(tmp_path):
    midnight = datetime(2014, 5, 6, tzinfo=UTC)
    made, heard = midnight - timedelta(milliseconds=5), midnight + timedelta(milliseconds=5)
    recorder = Recorder(tmp_path, flush_s=60)
    recorder.quotes([Quote(market="SPY", bid=Decimal(1), ask=Decimal(2), at=made, received_at=heard, tradeable=True)])
    recorder.close()

    assert names(tmp_path) == ["quotes-2014-05-06.csv"]
    assert len(EmbeddedStore(tmp_path).quotes("SPY", midnight - timedelta(minutes=1), midnight)) == 1


def test_a_bar_that_was_revised_is_read_in_its_fuller_form(recorded):
    recorder = Recorder(recorded, flush_s=60)
    recorder.bars([replace(bar(START), volume=1_500), replace(bar(START), volume=900, period_s=300)])
    recorder.close()

    assert [one.volume for one in EmbeddedStore(recorded).bars("SPY", 60, *FOREVER)] == [1_500]
    assert [one.volume for one in EmbeddedStore(recorded).bars("SPY", 300, *FOREVER)] == [900]


def test_a_quote_still_standing_after_a_restart_is_read_once(recorded):
    standing = QUOTES[-1]
    recorder = Recorder(recorded, flush_s=60)
    recorder.quotes([replace(standing, received_at=standing.at + timedelta(minutes=3))])
    recorder.close()

    assert everything(recorded)[0] == EXPECTED[0]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 86_399), st.integers(0, 300)), max_size=40), st.data())
@settings(max_examples=12)
def test_whenever_it_is_compacted_everything_recorded_is_found_once(tmp_path_factory, rows, data):
    directory = tmp_path_factory.mktemp("any")
    midnight = datetime(2014, 5, 5, tzinfo=UTC)
    wanted = {quote(midnight + timedelta(days=day, seconds=second), number) for day, second, number in rows}
    for one in wanted:
        recorder = Recorder(directory, flush_s=60)
        recorder.quotes([one])
        recorder.close()
        if data.draw(st.integers(0, 9)) == 0:
            assert compact(directory, date(2014, 5, data.draw(st.integers(5, 9)))) == []
    found = EmbeddedStore(directory).quotes("SPY", midnight, midnight + 3 * DAYS)

    assert sorted(found, key=key) == sorted(wanted, key=key)


def test_nothing_recorded_is_nothing_found(tmp_path):
    assert everything(tmp_path / "nowhere") == [[], [], [], []]
    assert EmbeddedStore(tmp_path).daily_summary() == []


def test_markets_are_texts_and_no_sql(recorded):
    assert EmbeddedStore(recorded).quotes("SPY' OR '1'='1", *FOREVER) == []


def test_summary_counts_the_rows_of_each_day_and_market(recorded):
    compact(recorded, date(2014, 5, 6))
    found = [(one.kind, str(one.day), one.market, one.rows) for one in EmbeddedStore(recorded).daily_summary()]
    first = next(one for one in EmbeddedStore(recorded).daily_summary() if one.kind == "quotes")

    assert found[:6] == [
        ("bars", "2014-05-05", "SPY", 2),
        ("gaps", "2014-05-05", "*", 1),
        ("gaps", "2014-05-05", "AIG", 1),
        ("quotes", "2014-05-05", "AIG", 40),
        ("quotes", "2014-05-05", "SPY", 40),
        ("trades", "2014-05-05", "SPY", 1),
    ]
    assert (first.first, first.last) == (START, START + timedelta(seconds=39))


def test_command_tells_what_it_had_to_leave(recorded):
    (recorded / "quotes-2014-05-05.csv").write_bytes(b"mood\ngood\n")
    command = [sys.executable, "-m", "market.compact", str(recorded), "--before", "2014-05-07"]
    done = subprocess.run(
        command, capture_output=True, timeout=60, check=False, env={"LANG": os.environ.get("LANG", "C")}
    )

    assert done.returncode == 1
    assert b"quotes of 2014-05-05 stays as it is" in done.stderr
