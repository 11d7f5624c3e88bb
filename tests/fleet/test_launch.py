"""The launcher: what it refuses, and what it hands to the program it becomes."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from launch_rig import CANARY, Rig

from fleet import backoff
from journal import failpoints


@pytest.fixture(scope="module")
def sleeper(tmp_path_factory):
    """One launched sleeper for every test that only looks at it: (rig, its facts)."""
    made = Rig(tmp_path_factory.mktemp("launch"))
    yield made, made.facts(made.start(*made.command("--extra", "two words")))
    made.stop()


def test_a_missing_env_file_ends_in_78_with_the_way_to_make_one(rig):
    code, error = rig.refused(sys.executable, "-m", "fleet.launch", "feed")

    assert code == 78
    assert f"launch feed: expected the env file {rig.home}/env/feed.env; found no such file" in error
    assert "copy feed.env.example to feed.env" in error


def test_an_env_file_that_everybody_can_read_ends_in_78_without_its_secrets(rig):
    path = rig.env_file("feed", f"FEED_CURSOR_SECRET={CANARY}\n", 0o644)

    code, error = rig.launcher("feed")

    assert code == 78
    assert f"found mode 644; run chmod 600 {path}" in error


def test_a_broken_env_file_ends_in_78_without_its_secrets(rig):
    rig.env_file("feed", f"export FEED_CURSOR_SECRET={CANARY}\n")

    code, error = rig.launcher("feed")

    assert code == 78
    assert "something else in line 1" in error


def test_an_unknown_program_ends_in_78_with_the_name_it_resembles(rig):
    code, error = rig.launcher("fed")

    assert code == 78
    assert "found 'fed'; did you mean 'feed'?" in error


def test_a_refused_start_leaves_no_lock_and_no_history(rig):
    rig.launcher("feed")

    assert not (rig.home / "run").exists()
    assert not (rig.home / "state").exists()


def test_the_environment_is_the_allow_list_and_the_programs_own_file(sleeper):
    rig, facts = sleeper
    raw = Path(f"/proc/{facts['pid']}/environ").read_bytes()
    environment = dict(item.split("=", 1) for item in raw.decode().split("\0") if item)

    assert environment == {
        "PATH": os.environ["PATH"],
        "HOME": str(rig.home),
        "TBOT_HOME": str(rig.home),
        "TBOT_CLOCK": "real",
        "PYTHONUNBUFFERED": "1",
        "SLEEPER_TOKEN": CANARY,
        "TZ": "Asia/Tokyo",  # the program's own file wins
    }


def test_failures_armed_for_a_test_reach_no_program_of_a_fleet(rig):
    rig.environment[failpoints.KEY] = "before_order=kill"
    facts = rig.facts(rig.start(*rig.command()))
    environment = Path(f"/proc/{facts['pid']}/environ").read_bytes()

    assert failpoints.KEY.encode() not in environment
    assert b"TBOT_CLOCK" in environment


def test_failures_asked_for_in_an_env_file_are_refused(rig):
    path = rig.env_file("feed", f"{failpoints.KEY}=before_order=kill\n")

    code, error = rig.launcher("feed")

    assert code == 78
    assert f"found it in {path}; remove the line" in error


def test_no_secret_stands_on_the_command_line(sleeper):
    _, facts = sleeper

    assert CANARY.encode() not in Path(f"/proc/{facts['pid']}/cmdline").read_bytes()


def test_arguments_of_the_table_come_first_and_those_of_the_command_line_after(sleeper):
    rig, facts = sleeper

    assert facts["argv"] == ["--at", str(rig.home), "--extra", "two words"]


def test_limits_are_set_and_new_files_are_closed_to_others(sleeper):
    _, facts = sleeper

    assert facts["limits"]["RLIMIT_DATA"] == [300 * 2**20] * 2
    assert facts["limits"]["RLIMIT_CORE"] == [0, 0]
    assert facts["limits"]["RLIMIT_NOFILE"][0] <= 8192
    assert facts["limits"]["RLIMIT_NOFILE"][0] == min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    assert facts["umask"] == 0o027


def test_a_first_start_is_noted_without_a_crash(sleeper):
    rig, _ = sleeper
    history = backoff.load(rig.crashes)

    assert history.crashes == ()
    assert abs(history.last_start - time.time()) < 120


def test_a_disk_that_refuses_the_history_is_waited_for_and_said_in_one_line(rig):
    rig.env_file("feed", "")
    (rig.home / "state").write_text("in the way")
    script = "from fleet import launch; launch.UNPREPARED_WAIT_S = 0.3; raise SystemExit(launch.main())"

    began = time.monotonic()
    code, error = rig.refused(sys.executable, "-c", script, "feed")

    assert code == 1
    assert len(error.splitlines()) == 1
    assert time.monotonic() - began >= 0.3


def test_a_program_started_by_hand_on_a_demos_journals_is_refused(rig):
    (rig.home / "logs").mkdir(exist_ok=True)
    (rig.home / "logs" / "DEMO").write_text("a demo's\n")

    done = subprocess.run(
        [sys.executable, "-m", "fleet.launch", "feed"],
        env={"PATH": os.environ["PATH"], "TBOT_HOME": str(rig.home)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 78
    assert "tbot demo --clear" in done.stderr
