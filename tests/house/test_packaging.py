"""Set-up says what is missing, ends at once when nothing changed, and no wheel carries our bare names."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("TBOT_")}


def bootstrap(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(root / "bootstrap.py"), *arguments], env=CLEAN, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """A checkout with nothing but the set-up in it."""
    (tmp_path / "client").mkdir()
    for name in (
        "bootstrap.py",
        "pyproject.toml",
        "client/pyproject.toml",
        "requirements.lock",
        "requirements-build.lock",
    ):
        (tmp_path / name).write_bytes((root / name).read_bytes())
    return tmp_path


def fake_python(path: Path, version: str, ensurepip: str) -> str:
    """Write a program that answers like an interpreter."""
    info = ", ".join(version.split(".")[:2])
    flags = f'"ensurepip": {ensurepip}, "venv": true, "pip": false'
    facts = f'{{"version": "{version}", "info": [{info}], "path": "{path}", {flags}}}'
    path.write_text(f"#!/bin/sh\necho '{facts}'\n")
    path.chmod(0o700)
    return str(path)


def test_a_python_that_is_too_old_is_named_with_what_was_needed(copy: Path) -> None:
    done = bootstrap(copy, "--python", fake_python(copy / "old", "3.9.2", "true"))

    assert done.returncode == 1
    assert "3.11 or newer is needed" in done.stderr
    assert "is 3.9.2" in done.stderr
    assert "TBOT_PYTHON" in done.stderr


def test_a_missing_ensurepip_names_the_debian_package(copy: Path) -> None:
    done = bootstrap(copy, "--plain", "--python", fake_python(copy / "bare", "3.11.2", "false"))

    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stderr
    assert not (copy / ".venv").exists()


def test_a_wheel_of_the_server_holds_metadata_only(root: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=root, capture_output=True, check=True)

    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()

    assert {name.split("/")[0] for name in names} == {f"tbot-{settings['project']['version']}.dist-info"}
