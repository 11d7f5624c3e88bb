"""The launcher: one copy at a time, gone with its supervisor, slower after each crash."""

import fcntl
import json
import os
import signal
import sys
import time

import pytest
from launch_rig import LOCK, PARENT, is_locked, readable

from fleet import backoff
from fleet.backoff import History


def test_a_second_copy_is_refused_with_the_process_that_holds_the_lock(rig):
    rig.env_file("feed", "")
    (rig.home / "run").mkdir()
    descriptor = os.open(rig.home / "run" / "feed.lock", os.O_RDWR | os.O_CREAT, 0o600)
    os.write(descriptor, b"4242\n")
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, LOCK)

    code, error = rig.launcher("feed")
    os.close(descriptor)

    assert code == 70
    assert "expected to be the only feed; found process 4242 running; stop that one first" in error
    assert (rig.home / "run" / "feed.lock").read_text() == "4242\n"
    assert not (rig.home / "state").exists()


def test_a_launched_program_holds_the_lock_under_its_own_process_id_until_it_dies(rig):
    first = rig.start(*rig.command())
    pid = rig.facts(first)["pid"]
    lock = rig.home / "run" / "sleeper.lock"

    assert pid == first.pid  # the launcher became the program
    assert lock.read_text() == f"{pid}\n"
    assert is_locked(lock)
    code, error = rig.refused(*rig.command())
    assert code == 70
    assert f"process {pid} running" in error

    first.kill()
    first.wait()

    assert not is_locked(lock)


def test_a_copy_that_ends_in_time_is_waited_for(rig):
    (rig.home / "run").mkdir()
    descriptor = os.open(rig.home / "run" / "sleeper.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, LOCK)
    patient = [part.replace("SINGLETON_WAIT_S = 0.3", "SINGLETON_WAIT_S = 20") for part in rig.command()]
    process = rig.start(*patient)

    waited = not readable(process.stdout, 0.5)
    os.close(descriptor)

    assert waited
    assert rig.facts(process)["pid"] == process.pid


def test_a_program_dies_with_the_supervisor_that_started_it(rig):
    parent = rig.start(sys.executable, "-c", PARENT, *rig.command())
    facts = rig.facts(parent)
    assert facts["pid"] != parent.pid

    os.kill(parent.pid, signal.SIGKILL)

    # The child holds the other end of the pipe: it is readable, and empty, only once the child is gone as well.
    assert readable(parent.stdout, 20)
    assert parent.stdout.read() == ""


def test_a_launcher_whose_supervisor_is_dead_already_does_not_begin(rig):
    (rig.home / "run").mkdir()
    (rig.home / "run" / "supervisord.pid").write_text(f"{os.getpid() + 1}\n")
    rig.environment["SUPERVISOR_ENABLED"] = "1"

    code, error = rig.refused(*rig.command())

    assert code == 70
    assert "expected the supervisor to be alive" in error


def test_a_launcher_goes_on_under_the_supervisor_that_left_its_process_id(rig):
    (rig.home / "run").mkdir()
    (rig.home / "run" / "supervisord.pid").write_text(f"{os.getpid()}\n")
    rig.environment["SUPERVISOR_ENABLED"] = "1"
    process = rig.start(*rig.command())

    assert rig.facts(process)["pid"] == process.pid


def test_a_program_that_crashed_four_times_is_given_up_at_the_fifth(rig):
    now = time.time()
    before = History((now - 40, now - 30, now - 20, now - 10), now - 5)
    backoff.save(rig.crashes, before)

    code, error = rig.refused(*rig.command())

    assert code == 78
    assert "5 crashes within 600 s" in error
    assert f"remove {rig.crashes}" in error
    assert backoff.load(rig.crashes) == before


def write_beat(rig, phase, at):
    beat = rig.home / "run" / "sleeper.beat"
    beat.parent.mkdir(exist_ok=True)
    beat.write_text(json.dumps({"phase": phase}))
    os.utime(beat, (at, at))


@pytest.mark.parametrize("phase", ["stopped", "misconfigured"])
def test_a_program_that_noted_its_end_starts_at_once_with_its_crashes_forgiven(rig, phase):
    now = time.time()
    backoff.save(rig.crashes, History((now - 40, now - 30, now - 20, now - 10), now - 5))
    write_beat(rig, phase, now - 1)

    rig.facts(rig.start(*rig.command()))

    assert backoff.load(rig.crashes).crashes == ()


@pytest.mark.parametrize(("phase", "age_s"), [("ready", 1), ("stopped", 60), ("misconfigured", 60)])
def test_a_beat_of_a_running_program_or_of_an_earlier_run_excuses_no_crash(rig, phase, age_s):
    now = time.time()
    backoff.save(rig.crashes, History((now - 40, now - 30, now - 20, now - 10), now - 5))
    write_beat(rig, phase, now - age_s)

    code, _ = rig.refused(*rig.command())

    assert code == 78


def test_a_crash_costs_a_wait_that_is_announced(rig):
    backoff.save(rig.crashes, History((), time.time() - 5))
    process = rig.start(*rig.command())

    began = time.monotonic()
    announced = process.stderr.readline()
    rig.facts(process)

    assert "launch sleeper: waiting" in announced
    assert "after crash 1" in announced
    assert time.monotonic() - began >= 0.8
    assert len(backoff.load(rig.crashes).crashes) == 1


@pytest.mark.parametrize(
    ("program", "env"),
    [("feed", "FEED_CURSOR_SECRET=short\n"), ("oanda-fx", "FX_MODE=never\n"), ("resolver-fx", "FX_MODE=never\n")],
)
def test_a_setting_that_only_the_program_finds_wrong_is_no_crash(rig, program, env):
    rig.env_file("feed" if program == "feed" else "fx", env)

    ends = [rig.launcher(program) for _ in range(3)]

    assert [code for code, _ in ends] == [78, 78, 78]
    assert "waiting" not in "".join(error for _, error in ends)
    assert backoff.load(rig.home / "state" / "crashes" / f"{program}.json").crashes == ()
