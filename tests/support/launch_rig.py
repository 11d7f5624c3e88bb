"""A home in which the launcher is run as the real process it is, with a sleeper to launch."""

import fcntl
import json
import os
import select
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

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
