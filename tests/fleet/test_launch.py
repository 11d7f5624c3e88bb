"""The launcher, run as the real process it is."""

import fcntl
import json
import os
import resource
import select
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fleet import backoff
from fleet.backoff import History

ROOT = Path(__file__).resolve().parents[2]
CANARY = "s3cr3t-canary"
LOCK = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)

# A program that tells what it was given and then waits to be stopped.
SLEEPER = """
import json, os, resource, signal, sys
mask = os.umask(0)
limits = {name: resource.getrlimit(getattr(resource, name)) for name in ("RLIMIT_DATA", "RLIMIT_CORE", "RLIMIT_NOFILE")}
print(json.dumps({"pid": os.getpid(), "argv": sys.argv[1:], "umask": mask, "limits": limits}), flush=True)
signal.pause()
"""
# The launcher becoming that program, which is in no table.
LAUNCH_SLEEPER = """
import sys
from domain.errors import TBotError
from fleet import launch
from fleet.programs import Program
launch.SINGLETON_WAIT_S = 0.3
item = Program(
    name="sleeper", module="sleeper", arguments=("--at", "{home}"), env="sleeper", what="sleeps", data_mib=300
)
try:
    launch.launch(item, sys.argv[1:])
except TBotError as error:
    print(error, file=sys.stderr)
    raise SystemExit(error.exit_code)
"""
# A supervisor that starts the command it is given, and does nothing else.
PARENT = "import signal, subprocess, sys; subprocess.Popen(sys.argv[1:]); signal.pause()"


class Rig:
    """A home with the sleeper's env file; every process it starts is killed at the end."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.running: list[subprocess.Popen[str]] = []
        self.sleepers: list[int] = []
        (home / "sleeper.py").write_text(SLEEPER)
        self.env_file("sleeper", f"SLEEPER_TOKEN={CANARY}\nTZ=Asia/Tokyo\n")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TZ": "UTC",
            "TBOT_HOME": str(home),
            "TBOT_CLOCK": "real",
            "PYTHONPATH": str(ROOT),
            "FOREIGN_SECRET": CANARY,
            "LD_LIBRARY_PATH": "/nowhere",
        }

    def env_file(self, name: str, text: str, mode: int = 0o600) -> Path:
        path = self.home / "env" / f"{name}.env"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-c", LAUNCH_SLEEPER, *arguments]

    def start(self, *command: str) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, env=self.environment, cwd=self.home, stdout=pipe, stderr=pipe, stdin=subprocess.DEVNULL, text=True
        )
        self.running.append(process)
        return process

    def facts(self, process: "subprocess.Popen[str]") -> dict[str, object]:
        """Wait for the sleeper's line."""
        line = process.stdout.readline() if readable(process.stdout, 20) else ""
        if not line:
            process.kill()
            pytest.fail(f"the sleeper did not start: {process.communicate()[1]}")
        facts = json.loads(line)
        self.sleepers.append(facts["pid"])
        return facts

    def refused(self, *command: str) -> tuple[int, str]:
        done = self.start(*command)
        _, error = done.communicate(timeout=20)
        assert CANARY not in error
        assert "Traceback" not in error
        return done.returncode, error

    def launcher(self, name: str) -> tuple[int, str]:
        """Run the launcher as supervisord does, for a program of the fleet that it will refuse."""
        script = "from fleet import launch; launch.SINGLETON_WAIT_S = 0.3; raise SystemExit(launch.main())"
        return self.refused(sys.executable, "-c", script, name)

    @property
    def crashes(self) -> Path:
        return self.home / "state" / "crashes" / "sleeper.json"

    def stop(self) -> None:
        for process in self.running:
            process.kill()
        for pid in self.sleepers:
            # One that outlived its parent would keep the pipe open; the name guards against a reused process id.
            if is_sleeper(pid):
                os.kill(pid, signal.SIGKILL)
        for process in self.running:
            process.communicate()


def is_sleeper(pid):
    try:
        return b"sleeper" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False


def readable(stream, timeout_s):
    return bool(select.select([stream], [], [], timeout_s)[0])


def is_locked(path):
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, LOCK)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@pytest.fixture
def rig(tmp_path):
    made = Rig(tmp_path)
    yield made
    made.stop()


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


def test_a_program_dies_with_the_supervisor_that_started_it(rig):
    parent = rig.start(sys.executable, "-c", PARENT, *rig.command())
    facts = rig.facts(parent)
    assert facts["pid"] != parent.pid

    os.kill(parent.pid, signal.SIGKILL)

    # The child holds the other end of the pipe: it is readable, and empty, only once the child is gone as well.
    assert readable(parent.stdout, 20)
    assert parent.stdout.read() == ""


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
