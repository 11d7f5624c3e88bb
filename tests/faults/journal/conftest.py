"""Fixtures of the journal's fault tests: a clock, a directory, and a parent for writers."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.clock import FakeClock

# Importlib mode puts no test folder on the path.
sys.path.insert(0, str(Path(__file__).parent / "support"))
from journal_rig import Zygote


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2014, 5, 2, 12, 31, tzinfo=UTC))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "fx" / "signals"


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A directory for thousands of copies: in memory where there is such a place."""
    memory = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else tmp_path))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    made = Zygote()
    yield made
    made.close()
