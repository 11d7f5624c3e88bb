"""What tests of several folders share lies in ``support``; importlib mode puts no test folder on the path."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain import known_secrets

sys.path.insert(0, str(Path(__file__).parent / "support"))
import warm_start


def pytest_configure(config: pytest.Config) -> None:
    warm_start.is_warm = not config.getoption("--full-dose")


@pytest.fixture(autouse=True)
def forgotten_secrets() -> Iterator[None]:
    """Forget the made-up secrets of a test: the journals of the next one would be cleaned of them."""
    yield
    known_secrets.forget_all()
