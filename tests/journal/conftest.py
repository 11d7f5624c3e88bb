"""Fixtures shared by the journal tests: a clock, a directory, and writers in other processes."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.clock import FakeClock

ROOT = Path(__file__).resolve().parents[2]
PRELUDE = """
import os, sys
from pathlib import Path
from domain.clock import RealClock
from domain.errors import Halt, Retry
from journal import Journal, NewRecord
directory = Path(sys.argv[1])
"""

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2014, 5, 2, 12, 31, tzinfo=UTC))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "fx" / "signals"


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A directory for thousands of copies: in memory where there is such a place, because removing costs ms on disk."""
    memory = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else tmp_path))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def start(directory: Path) -> Iterator[Start]:
    """Run a script against the log in another process; whatever still runs at the end is killed."""
    running: list[subprocess.Popen[bytes]] = []

    def run(script: str, *before: str) -> subprocess.Popen[bytes]:
        command = [*before, sys.executable, "-c", PRELUDE + script, str(directory)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT)
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()
