"""A surface, and the resolver beside it, on a fake broker (``support/surface_stage.py``)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from surface_stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A surface that has not been started."""
    made = Stage(tmp_path / "home")
    yield made
    made.end()


@pytest.fixture
def running(stage: Stage) -> Stage:
    """A surface that is ready to trade."""
    return stage.start()


@pytest.fixture
def make_stage(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """For sweeps, which need a new world for each life."""
    made: list[Stage] = []

    def make(name: str, **options: Any) -> Stage:
        made.append(Stage(tmp_path / name, **options))
        return made[-1]

    yield make
    for each in made:
        each.end()
