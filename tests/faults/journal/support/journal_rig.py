"""Processes, mounts and waiting for the fault tests of the journal."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[4]
HERE = Path(__file__).resolve().parent


class Zygote:
    """The parent of all writers of a test; see `zygote`."""

    def __init__(self, **environ: str) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{HERE}", **environ}
        command = [sys.executable, str(HERE / "zygote.py")]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT, text=True, bufsize=1
        )

    def run(self, name: str, **args: Any) -> int:
        """Start a function of `writers` in a process of its own and return the pid."""
        return self._ask({"run": name, "args": {key: plain(value) for key, value in args.items()}})

    def wait(self, pid: int) -> int:
        """Wait for a child's end and return its exit code; negative when a signal ended it."""
        return self._ask({"wait": pid})

    def kill(self, pid: int, number: int = 9) -> int:
        os.kill(pid, number)
        return self.wait(pid)

    def close(self) -> None:
        self._process.communicate(timeout=30)

    def _ask(self, order: dict[str, Any]) -> int:
        self._process.stdin.write(json.dumps(order) + "\n")
        return int(self._process.stdout.readline())


def plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Return the first true answer of ``condition``."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.001)
    return answer


def state_of(pid: int) -> str:
    """Return the kernel's letter for what a process does: R, S, T (stopped), Z …; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def shell(*command: object) -> None:
    """Run a system tool, and show what it said when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}: {done.stderr or done.stdout}"


class Mount:
    """A file system of a test's own; needs root."""

    def __init__(self, at: Path) -> None:
        self.at = at
        at.mkdir(parents=True, exist_ok=True)

    def tmpfs(self, options: str) -> "Mount":
        shell("mount", "-t", "tmpfs", "-o", options, "tmpfs", self.at)
        return self

    def image(self, path: Path, options: str = "loop") -> "Mount":
        shell("mount", "-t", "ext4", "-o", options, path, self.at)
        return self

    def __enter__(self) -> "Mount":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        # After a failed test files may still be open: the mount goes when they do.
        shell("umount", *(["-l"] if kind else []), self.at)


def missing(*tools: str) -> str:
    """Return why a test that needs root and these tools can't run here; empty when it can."""
    if os.geteuid() != 0:
        return "needs root to mount a file system"
    absent = [tool for tool in tools if shutil.which(tool) is None]
    return f"needs {', '.join(absent)}" if absent else ""


def new_image(path: Path) -> Path:
    """Make an ext4 image with a journal large enough not to wrap while it is copied."""
    with open(path, "wb") as file:
        file.truncate(256 << 20)
    shell("mkfs.ext4", "-q", "-J", "size=64", "-E", "lazy_itable_init=1,lazy_journal_init=1", path)
    return path


def copy_image(source: Path, target: Path) -> None:
    """Copy what is written of a sparse file, front to back, as fast as possible."""
    with open(source, "rb") as origin, open(target, "wb") as copy:
        end = os.fstat(origin.fileno()).st_size
        copy.truncate(end)
        for start, stop in _data(origin.fileno(), end):
            copy.seek(start)
            origin.seek(start)
            while start < stop:
                start += copy.write(origin.read(min(1 << 20, stop - start)))


def _data(fd: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of a file that are not holes."""
    stop = 0
    while stop < end:
        try:
            start = os.lseek(fd, stop, os.SEEK_DATA)
        except OSError:
            return
        stop = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, stop
