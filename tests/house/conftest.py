"""What the tests of the house read: the repository's root, its files and its settings."""

import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def settings() -> dict[str, Any]:
    """pyproject.toml, parsed."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def client_settings() -> dict[str, Any]:
    return tomllib.loads((ROOT / "client" / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def packages() -> list[str]:
    """Our importable top-level packages, as they are on disk."""
    return sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))


@pytest.fixture(scope="session")
def repository_files() -> list[Path]:
    """Every file that is tracked, or would be by the next `git add .`."""
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [path for name in listing.split(b"\0") if name and (path := ROOT / name.decode()).is_file()]
