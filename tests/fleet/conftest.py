"""Folders with short names, and a home for the launcher's tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from launch_rig import Rig


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Give a folder with a short name: the path of a supervisor's socket has less than a hundred bytes."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="tb", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.stop()
