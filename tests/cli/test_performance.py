"""``tbot performance`` and ``tbot export``: what they print, what they refuse, and what a spreadsheet makes of it."""

import csv
import io
import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import warm_start

from domain.clock import FakeClock
from domain.performance import DayPerformance
from domain.resolution import Resolution
from domain.vocabulary import ExitReason, Kind, Mode, ResolutionSource, Side, Surface
from journal import Journal, encode_fields

D = Decimal
START = datetime(2026, 11, 1, 9, tzinfo=UTC)
Done = subprocess.CompletedProcess[str]
Tbot = Callable[..., Done]


@pytest.fixture
def tbot(tmp_path: Path) -> Tbot:
    """Run tbot in a home of its own, on a clock a day after what is written there."""
    kept = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "COLUMNS": "200",
        "TBOT_CLOCK": "sim:2026-11-02T09:00Z@1",
    }

    def run(*words: str, home: Path = tmp_path) -> Done:
        return warm_start.command("tbot", *words, "--home", str(home), env=kept)

    return run


class Writer:
    """Writes ends of trades, each an hour after the one before."""

    def __init__(self, home: Path) -> None:
        self.logs = home / "logs"
        self.clock = FakeClock(START)
        self.count = 0

    def trade(self, realised: str, **changes: Any) -> str:
        self.count += 1
        now = self.clock.now()
        end = Resolution(
            id=f"res_{self.count}",
            signal_id=f"sig_{self.count}",
            surface=Surface.FX,
            mode=Mode.PAPER,
            market="EUR_USD",
            side=Side.BUY,
            strategy="fx_trend",
            sub_strategy="breakout",
            quantity=D(100),
            entry_price=D("1.1"),
            exit_price=D("1.2"),
            reason=ExitReason.TAKE_PROFIT,
            resolution_source=ResolutionSource.OANDA_CANDLES,
            realised=D(realised),
            fees=D("0.1"),
            currency="USD",
            mae=D(0),
            mfe=D("0.1"),
            opened_at=now - timedelta(minutes=30),
            resolved_at=now,
            eta_hours=D(6),
            actual_hours=D("0.5"),
            late=False,
        )
        self.add("resolutions", Kind.RESOLUTION, replace(end, **changes))
        return f"sig_{self.count}"

    def day(self, day: str, profit: str, equity: str) -> None:
        figures = {"day": day, "equity": equity, "balance": equity, "unrealised": "0", "realised": profit}
        rest = {"profit": profit, "positions": 0, "exposure": "0", "trades": 1, "currency": "USD"}
        self.add("decisions", Kind.PERFORMANCE, figures | rest)

    def add(self, stream: str, kind: Kind, value: Resolution | DayPerformance | dict[str, Any]) -> None:
        fields = value if isinstance(value, dict) else encode_fields(value)
        own = {key: field for key, field in fields.items() if key not in ("id", "surface", "mode")}
        with Journal.open(self.logs / "fx" / stream, clock=self.clock, durable=False) as journal:
            journal.append(kind, surface="fx", mode="paper", id=None, fields=own)
        self.clock.advance(3600)


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path)


def rows(done: Done) -> list[dict[str, str]]:
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_performance_shows_trades_and_days(tbot: Tbot, writer: Writer) -> None:
    for realised in ("5", "-2", "3"):
        writer.trade(realised)
    writer.day("2026-10-30", "100", "10100")
    done = tbot("performance")

    assert (done.returncode, done.stderr) == (0, "")
    assert "fx, paper, read from oanda_candles: 3 trades, +6.00 USD after 0.30 of fees" in done.stdout
    assert re.search(r"^  EUR_USD +3 +66\.7% +4\.00 +\+2\.00 +\+6\.00$", done.stdout, re.MULTILINE)
    assert "fx, paper: 1 trading day closed" in done.stdout


def test_performance_as_json_keeps_unknown_and_infinite_apart(tbot: Tbot, writer: Writer) -> None:
    writer.trade("5")
    writer.day("2026-10-30", "100", "10100")
    found = json.loads(tbot("performance", "--json").stdout)
    (account,), (days,) = found["accounts"], found["days"]

    assert (account["realised"], account["fees"], account["synthetic"]) == ("5", "0.1", False)
    assert (account["trades"]["profit_factor"], account["trades"]["kelly"]) == (None, None)
    assert account["trades"]["unbounded"] == ["payoff", "profit_factor"]
    assert (days["returns"]["sharpe"], days["returns"]["periods"], days["days"][0]["profit"]) == (None, 1, "100")
    assert (found["since"], found["by"], set(account["groups"])) == (None, "market", {"EUR_USD"})


@pytest.mark.parametrize(
    ("since", "count"), [("", 3), ("today", 0), ("23h", 1), ("2026-11-01T10:30Z", 1), ("1793527200", 2), ("2w", 3)]
)
def test_since_chooses_by_when_an_end_was_written(tbot: Tbot, writer: Writer, since: str, count: int) -> None:
    for realised in ("5", "-2", "3"):
        writer.trade(realised)
    done = tbot("performance", "--json", "--since", since)
    told = tbot("export", "trades", "--since", since)

    assert sum(one["trades"]["count"] for one in json.loads(done.stdout)["accounts"]) == count
    assert len(rows(told)) == count
    assert told.stderr.startswith("since 2026") is bool(since)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["performance", "--since", "a while"], "a span (30m, 24h, 7d, 2w), today"),
        (["performance", "--by", "weak"], "did you mean 'week'?"),
        (["performance", "--by", "colour"], "known: market, strategy, day, week"),
        (["performance", "--surface", "fxx"], "did you mean 'fx'?"),
        (["export", "trades", "--surface", "forex"], "known: st, lt, fx, stk"),
        (["export", "trades", "--csv", "--json"], "expected --csv or --json; found both"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_hint(tbot: Tbot, words: list[str], said: str) -> None:
    done = tbot(*words)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


@pytest.mark.parametrize("words", [["performance"], ["performance", "--surface", "stk", "--surface", "fx"]])
def test_a_home_without_journals_has_nothing_to_tell(tbot: Tbot, words: list[str]) -> None:
    plain, values, table = tbot(*words), tbot(*words, "--json"), tbot("export", "trades")

    assert (plain.returncode, plain.stdout) == (
        0,
        "no trade has ended and no trading day was closed in this period\n",
    )
    assert json.loads(values.stdout) == {"since": None, "by": "market", "accounts": [], "days": []}
    assert table.stdout.startswith("surface,mode,resolution_source,")
    assert rows(table) == []


@pytest.mark.parametrize("words", [["performance"], ["export", "trades"]])
def test_a_home_that_does_not_exist_is_refused(tbot: Tbot, tmp_path: Path, words: list[str]) -> None:
    done = tbot(*words, home=tmp_path / "nowhere")

    assert (done.returncode, done.stdout) == (2, "")
    assert "expected a home that exists" in done.stderr
    assert not (tmp_path / "nowhere").exists()


def test_a_table_of_no_trades_says_so_beside_its_header(tbot: Tbot, writer: Writer, tmp_path: Path) -> None:
    writer.trade("5")
    file = tmp_path / "trades.csv"

    done = tbot("export", "trades", "--surface", "st", "--out", str(file))

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "no trade closed; no row was written\n"
    assert len(file.read_text().splitlines()) == 1


def test_only_the_surface_asked_for_is_told(tbot: Tbot, writer: Writer) -> None:
    writer.trade("5")

    assert rows(tbot("export", "trades", "--surface", "st")) == []
    assert len(rows(tbot("export", "trades", "--surface", "st", "--surface", "fx"))) == 1


def test_trades_are_exported_as_csv_and_as_json_lines_of_the_same_values(tbot: Tbot, writer: Writer) -> None:
    writer.trade("-0.00000001", market="GBP_USD", late=True)
    (row,) = rows(tbot("export", "trades"))
    (line,) = tbot("export", "trades", "--json").stdout.splitlines()
    value = json.loads(line)

    assert (row["realised"], row["market"], row["outcome"]) == ("-0.00000001", "GBP_USD", "loss")
    assert row["opened_at"] == value["opened_at"] == "2026-11-01T08:30:00+00:00"
    assert (row["late"], value["late"]) == ("True", True)
    assert (row["return_percent"], value["return_percent"]) == ("", None)
    assert list(row) == list(value)


@pytest.mark.parametrize("name", ['=HYPERLINK("http://x","y")', "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_a_spreadsheet_takes_no_text_for_a_formula(tbot: Tbot, writer: Writer, name: str) -> None:
    writer.trade("-5", market=name)
    (row,) = rows(tbot("export", "trades"))
    (line,) = tbot("export", "trades", "--json").stdout.splitlines()

    assert row["market"] == f"'{name}".replace("\r", "\n")
    # A number is none, however it begins, and a program gets the name as it is.
    assert row["realised"] == "-5"
    assert json.loads(line)["market"] == name


def test_a_name_with_commas_quotes_and_breaks_stays_one_cell(tbot: Tbot, writer: Writer) -> None:
    writer.trade("5", market='A, "B"\nC')

    assert rows(tbot("export", "trades"))[0]["market"] == 'A, "B"\nC'


def fill(writer: Writer, signal_id: str, leg: str, transaction: str, quantity: str, price: str) -> None:
    event = {
        "client_order_id": f"tb-fx-{signal_id}-{leg}-1",
        "signal_id": signal_id,
        "leg": leg,
        "state": "filled",
        "happened_at": writer.clock.now().isoformat(),
        "learned_at": writer.clock.now().isoformat(),
        "quantity": quantity,
        "price": price,
        "fee": "0.05",
        "transaction_id": transaction,
    }
    writer.add("orders" if leg == "entry" else "resolutions", Kind.ORDER_EVENT, event)


def test_fills_are_exported_with_the_entry_each_exit_closed(tbot: Tbot, writer: Writer) -> None:
    fill(writer, "sig_1", "entry", "in", "100", "1.1")
    fill(writer, "sig_1", "exit", "out-1", "60", "1.2")
    fill(writer, "sig_1", "exit", "out-2", "40", "1.3")
    writer.trade("13.9")
    found = rows(tbot("export", "trades", "--fills"))

    assert [(r["entry_fill"], r["exit_fill"], r["quantity"], r["gross"]) for r in found] == [
        ("in", "out-1", "60", "6.0"),
        ("in", "out-2", "40", "8.0"),
    ]
    assert [(D(r["net"]), r["link"]) for r in found] == [(D("5.92"), "structural"), (D("7.93"), "structural")]


def test_a_file_is_written_and_never_overwritten(tbot: Tbot, writer: Writer, tmp_path: Path) -> None:
    writer.trade("5")
    out = tmp_path / "trades.csv"
    first = tbot("export", "trades", "--out", str(out))
    written = out.read_text()
    second = tbot("export", "trades", "--out", str(out))

    assert (first.returncode, first.stdout) == (0, "")
    assert len(written.splitlines()) == 2
    assert second.returncode == 2
    assert f"expected a file that is not there yet; found {out}" in second.stderr
    assert out.read_text() == written


def damage(writer: Writer) -> Path:
    """Make a record in the middle of a journal unreadable."""
    for realised in ("5", "6", "7"):
        writer.trade(realised)
    (path,) = (writer.logs / "fx" / "resolutions").glob("0*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"realised":"6"', b'"realised":"6', 1)
    path.write_bytes(b"".join(lines))
    return path


@pytest.mark.parametrize("words", [["performance"], ["export", "trades"], ["export", "trades", "--fills"]])
def test_a_damaged_journal_is_named_and_leaves_no_half_a_file(
    tbot: Tbot, writer: Writer, tmp_path: Path, words: list[str]
) -> None:
    damage(writer)
    out = tmp_path / "trades.csv"
    done = tbot(*words, *(["--out", str(out)] if words[0] == "export" else []))

    assert done.returncode == 70
    assert "fx/resolutions" in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()


def test_what_a_crash_left_behind_the_last_commit_is_passed_over(tbot: Tbot, writer: Writer) -> None:
    writer.trade("5")
    (path,) = (writer.logs / "fx" / "resolutions").glob("0*.jsonl")
    with path.open("ab") as file:
        file.write(b'{"ts":"2026-11-01T10:00:0')

    assert len(rows(tbot("export", "trades"))) == 1
    assert tbot("performance").returncode == 0
