"""The command as a stranger types it: files, messages, exit codes."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from fake_feed import TOKEN

from tbot_client.clock import parse_clock


def tbot(*args, env=None, timeout=30):
    command = [sys.executable, "-m", "tbot_client", *map(str, args)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TBOT_")} | {"COLUMNS": "200"} | (env or {})
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, env=environment)


def init(home, url, *more, **env):
    base = ("init", "--home", home, "--non-interactive", "--feed-url", url, "--broker", "paper")
    size = ("--size-rule", "fixed", "--size-value", "1000", "--max-units", "5000", "--wait-s", "1")
    return tbot(*base, *size, *more, env={"TBOT_FEED_TOKEN": TOKEN} | env)


def test_a_home_is_made_checked_run_and_looked_at(tmp_path, feed):
    home = tmp_path / "home"
    made = init(home, feed.url, "--instrument", "EUR_USD", "--broker-s", "0.1")
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE((home / "config.toml").stat().st_mode) == 0o600
    looked = tbot("check", "--home", home)
    assert looked.returncode == 0, looked.stdout
    assert "smallest order 1, yours at most 1000" in looked.stdout

    signal_id = feed.open()
    ran = tbot("run", "--home", home, "--once")

    assert ran.returncode == 0, ran.stderr
    assert feed.stages(signal_id) == ["ack", "executed"]
    shown = tbot("status", "--home", home, "--json")
    found = json.loads(shown.stdout)
    assert shown.returncode == 3  # nothing is running, and it says so
    assert found["positions"][0]["resting"] == {
        "stop": "1.09500",
        "target": "1.11000",
        "trailing": None,
        "trailing_percent": None,
    }
    assert (found["outbox"], found["counts"]["executed"], found["entries"]) == (0, 1, "on")
    assert "no client is running" in tbot("status", "--home", home).stdout


def test_a_dry_run_reports_nothing_and_keeps_its_own_journal(tmp_path, feed):
    home = tmp_path / "home"
    init(home, feed.url)
    signal_id = feed.open()
    assert tbot("run", "--home", home, "--once", "--dry-run").returncode == 0
    assert feed.bodies(signal_id) == []
    assert not (home / "journal.jsonl").exists()
    shown = tbot("status", "--home", home, "--json", "--dry-run")
    assert json.loads(shown.stdout)["counts"]["executed"] == 1


def start(home, *args):
    command = [sys.executable, "-m", "tbot_client", "run", "--home", str(home), *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_running_client_acts_at_once_stays_small_and_ends_when_told(tmp_path, feed, number, code):
    home = tmp_path / "home"
    init(home, feed.url, "--broker-s", "0.1")
    process = start(home)
    try:
        with feed.changed:
            assert feed.changed.wait_for(lambda: feed.polls, timeout=20)
        signal_id = feed.open()
        with feed.changed:
            feed.changed.wait_for(lambda: "executed" in feed.stages(signal_id), timeout=20)
        assert feed.stages(signal_id) == ["ack", "executed"]
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        resident = next(line for line in lines if line.startswith("VmRSS"))
        assert int(resident.split()[1]) < 60 * 1024, resident
        assert tbot("status", "--home", home).returncode == 0
        second = tbot("run", "--home", home, "--once")
        assert (second.returncode, "held by another process" in second.stderr) == (1, True)
    finally:
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == code, err
    assert out == ""


def test_a_run_for_some_seconds_ends_by_itself(tmp_path, feed):
    init(tmp_path / "home", feed.url)
    assert tbot("run", "--home", tmp_path / "home", "--for", "0.3").returncode == 0


def test_a_refused_token_ends_with_four_and_is_not_printed(tmp_path, feed):
    init(tmp_path / "home", feed.url, TBOT_FEED_TOKEN="tbs_wrong")
    for command in (("run", "--once"), ("run", "--for", "5"), ("check",), ("listen", "--for", "1")):
        ran = tbot(*command, "--home", tmp_path / "home")
        assert ran.returncode == 4, (command, ran.stderr)
        assert "tbs_wrong" not in ran.stdout + ran.stderr


def test_signals_are_printed_as_arrows_and_as_the_feeds_own_lines(tmp_path, feed):
    home = tmp_path / "home"
    init(home, feed.url)
    signal_id = feed.open()
    feed.end(signal_id)
    arrows = tbot("listen", "--home", home, "--start", "oldest", "--for", "0")
    raw = tbot("listen", "--home", home, "--start", "oldest", "--for", "0.5", "--print-json", "--events", "close")
    assert raw.returncode == 0, raw.stderr
    assert raw.stdout.encode() == feed.lines[1][4] + b"\n"
    arrows = tbot("listen", "--home", home, "--start", "oldest", "--for", "0.5").stdout.splitlines()
    assert [line.split(" --> ")[1].split()[0] for line in arrows] == ["open", "close"]
    assert feed.bodies(signal_id) == []


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (("--events", "opne"), "did you mean 'open'?"),
        (("--forward-to", "https://example.com/x"), "127.0.0.1"),
        (("--start", "bla"), "head, oldest, or a moment with offset"),
        (("--start", "oldset"), "did you mean 'oldest'?"),
        (("--start", "2026-03-02T09:00:00"), "a moment with offset"),
        (("--start", "0001-01-01T00:00:00+14:00"), "a moment with offset"),
    ],
)
def test_a_wrong_listen_option_is_a_usage_error(tmp_path, feed, args, hint):
    init(tmp_path / "home", feed.url)
    ran = tbot("listen", "--home", tmp_path / "home", *args)
    assert (ran.returncode, hint in ran.stderr) == (2, True)
    assert feed.wire == b""


def test_signals_are_printed_from_a_moment_of_any_offset(tmp_path, feed):
    home, now = tmp_path / "home", datetime.now(UTC)
    init(home, feed.url)
    feed.now = lambda: now - timedelta(hours=2)
    feed.open()
    feed.now = lambda: now
    later = feed.open()
    moment = (now - timedelta(hours=1)).astimezone(timezone(timedelta(hours=5))).isoformat()

    ran = tbot("listen", "--home", home, "--start", moment, "--for", "0.5")

    assert ran.returncode == 0, ran.stderr
    assert [line.rpartition("[")[2] for line in ran.stdout.splitlines()] == [f"{later}]"]


def test_a_wrong_moment_for_gap_is_a_usage_error(tmp_path, feed):
    init(tmp_path / "home", feed.url)
    ran = tbot("gap", "--home", tmp_path / "home", "--since", "foo")
    assert ran.returncode == 2
    assert "expected --since as a moment with offset, like 2026-03-02T09:00:00Z; found 'foo'" in ran.stderr


def test_a_check_that_finds_no_feed_does_not_claim_to_try_again(tmp_path, feed):
    init(tmp_path / "home", feed.url)
    feed.close()

    ran = tbot("check", "--home", tmp_path / "home")

    assert ran.returncode == 4
    assert "found ConnectError; check the network and config.toml" in ran.stdout
    assert "again" not in ran.stdout + ran.stderr


WRITES_NOTHING = """
import os, sys

def note(event, args):
    writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    changes = event in ("os.mkdir", "os.rename", "os.remove", "os.chmod", "os.truncate", "os.utime")
    if changes or (event == "open" and isinstance(args[0], str | bytes) and (args[2] or 0) & writes):
        print("changes", event, args[0], file=sys.stderr)

sys.dont_write_bytecode = True
sys.addaudithook(note)
from tbot_client.cli import main
main()
"""


def test_a_status_only_reads(tmp_path, feed):
    home = tmp_path / "home"
    init(home, feed.url)
    feed.open()
    tbot("run", "--home", home, "--once")
    command = [sys.executable, "-c", WRITES_NOTHING, "status", "--home", str(home)]
    locked = subprocess.run([*command[:3], "run", *command[4:], "--once"], capture_output=True, text=True, check=False)
    assert f"changes open {home / '.lock'}" in locked.stderr, "the trap must see what a run writes"

    shown = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (shown.returncode, shown.stderr) == (3, "")
    assert "running   no" in shown.stdout


def test_a_status_of_a_home_that_cannot_be_written_is_shown(tmp_path, feed):
    home = tmp_path / "home"
    init(home, feed.url)
    tbot("run", "--home", home, "--once")
    (home / ".lock").chmod(0o400)
    home.chmod(0o500)
    try:
        if os.access(home, os.W_OK):
            pytest.skip("who runs this, as root does, may write to any folder")
        shown = tbot("status", "--home", home)
    finally:
        home.chmod(0o700)

    assert (shown.returncode, "running   no" in shown.stdout) == (3, True)


def test_a_wrong_pin_is_told_as_such_and_a_corrected_one_says_how_to_go_on(tmp_path, feed):
    home, wrong = tmp_path / "home", "fx:0123456789abcdef"
    init(home, feed.url, "--publisher-key", wrong, "--broker-s", "0.1")
    feed.open()
    ran = tbot("run", "--home", home, "--once")
    shown, looked = tbot("status", "--home", home), tbot("check", "--home", home)
    assert (ran.returncode, shown.returncode, looked.returncode) == (1, 3, 78)
    for text in (ran.stderr, shown.stdout, looked.stdout):
        assert "correct publisher_keys in [feed]" in text
        assert "ask the publisher what happened" not in text
    tbot("run", "--home", home, "--once", "--trust-new-history")
    assert "correct publisher_keys in [feed]" in tbot("status", "--home", home).stdout

    settings = home / "config.toml"
    settings.write_text(settings.read_text().replace(wrong, f"fx:{feed.key.id}"))
    shown, ran = tbot("status", "--home", home), tbot("run", "--home", home, "--once")

    assert ran.returncode == 1
    for text in (shown.stdout, ran.stderr):
        assert "that key counts by now: `tbot-client run --trust-new-history` resumes entries" in text
        assert "correct publisher_keys" not in text
    signal_id = feed.open()
    assert tbot("run", "--home", home, "--once", "--trust-new-history").returncode == 0
    assert feed.stages(signal_id) == ["ack", "executed"]


def test_an_unknown_option_is_a_usage_error():
    assert tbot("run", "--onec").returncode == 2


def test_a_token_is_never_taken_as_an_argument():
    text = tbot("init", "--help").stdout
    assert "--token-file" in text
    assert "--token " not in text


def test_init_without_a_token_says_where_to_put_it(tmp_path, feed):
    ran = init(tmp_path / "home", feed.url, TBOT_FEED_TOKEN="")
    assert (ran.returncode, "TBOT_FEED_TOKEN" in ran.stderr) == (78, True)


def test_an_existing_config_is_not_replaced_unasked(tmp_path, feed):
    assert init(tmp_path / "home", feed.url).returncode == 0
    assert init(tmp_path / "home", feed.url).returncode == 78
    assert init(tmp_path / "home", feed.url, "--force").returncode == 0


def test_all_that_is_missing_or_wrong_is_named_at_once_by_its_option(tmp_path):
    wrong = ("--size-rule", "bogus", "--broker", "feed.example", "--wait-s", "99", "--clock", "soon")
    ran = tbot("init", "--home", tmp_path / "home", "--non-interactive", *wrong)

    named = [line.split(":")[0].strip() for line in ran.stderr.splitlines()[1:]]
    assert ran.returncode == 78
    assert set(named) == {
        "--clock", "--wait-s", "--broker", "--feed-url", "TBOT_FEED_TOKEN in the environment, or --token-file",
        "--size-rule", "--size-value", "--max-units",
    }  # fmt: skip
    assert not (tmp_path / "home").exists()


def test_a_risk_of_all_equity_and_an_unreadable_token_file_are_refused(tmp_path, feed):
    ran = init(tmp_path / "home", feed.url, "--size-rule", "risk", "--size-value", "1", "--token-file", "/nowhere")
    assert ran.returncode == 78
    assert "--size-value: a number above 0 and below 1" in ran.stderr
    assert "--token-file: a file" in ran.stderr


def test_a_wrong_answer_is_asked_for_again_and_the_others_are_kept(tmp_path):
    home = tmp_path / "home"
    typed = "feed.example\npaper\nfeed.example\nhttp://127.0.0.1:1\nbogus\nrisk\n2\n0.01\nmany\n5000\n"
    command = [sys.executable, "-m", "tbot_client", "init", "--home", str(home)]
    environment = os.environ | {"TBOT_FEED_TOKEN": TOKEN}
    ran = subprocess.run(command, input=typed, capture_output=True, text=True, check=False, env=environment, timeout=30)

    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("It must be") == 5
    written = (home / "config.toml").read_text()
    assert 'rule = "risk"\nfraction = "0.01"\nmax_units = "5000"' in written


def test_an_existing_config_is_named_before_anything_is_asked(tmp_path, feed):
    init(tmp_path / "home", feed.url)
    ran = tbot("init", "--home", tmp_path / "home")
    assert (ran.returncode, ran.stdout, "--force" in ran.stderr) == (78, "", True)


def test_a_demos_clock_is_named_with_what_to_set(tmp_path, feed):
    spec = f"sim:2014-05-06T07:00:00Z@120,anchor={time.time()}"
    feed.now = parse_clock(spec).now
    init(tmp_path / "real", feed.url)
    init(tmp_path / "same", feed.url, "--clock", spec)
    init(tmp_path / "other", feed.url, "--clock", "sim:2014-05-06T09:00:00Z@120")

    real, same, other = (tbot("check", "--home", tmp_path / name) for name in ("real", "same", "other"))

    assert (real.returncode, same.returncode, other.returncode) == (78, 0, 78), same.stdout
    assert "expected the feed's clock within a day of ours; found 2014-05-06 07:" in real.stdout
    assert 'set [clock] spec = "sim:…"' in real.stdout
    assert "a run goes by" not in same.stdout + other.stdout
    assert "a run goes by the feed's time: signals are judged by the feed's" in real.stdout
    assert "anchor" in other.stdout


def test_a_clock_some_hours_off_is_ok_with_a_note(tmp_path, feed):
    feed.now = lambda: datetime.now(UTC) + timedelta(hours=3)
    init(tmp_path / "home", feed.url)
    ran = tbot("check", "--home", tmp_path / "home")
    assert ran.returncode == 0
    assert "warn  clock" in ran.stdout
    assert "s from ours; a run goes by the feed's time: signals are judged by the feed's" in ran.stdout
