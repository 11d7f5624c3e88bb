"""The Makefile's targets are documented, and what the documents name exists."""

import os
import re
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def targets(root: Path) -> set[str]:
    return set(re.findall(r"^([a-z]+):.*## ", (root / "Makefile").read_text(), flags=re.MULTILINE))


@pytest.fixture(scope="module")
def documents(root: Path) -> str:
    pages = [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]
    return "\n".join(page.read_text() for page in pages)


def test_every_target_is_documented(targets: set[str], documents: str) -> None:
    assert {target for target in targets - {"help"} if f"make {target}" not in documents} == set()


def test_every_make_command_in_the_documents_exists(targets: set[str], documents: str) -> None:
    named = re.findall(r"(?:^|`)(?:[A-Z_]+=\S+ )*make ([a-z]+)", documents, flags=re.MULTILINE)

    assert set(named) - targets == set()


def test_make_alone_lists_the_targets(root: Path, targets: set[str]) -> None:
    environment = {
        name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    }

    shown = subprocess.run(["make"], cwd=root, env=environment, capture_output=True, text=True, check=True).stdout

    assert {line.split()[1] for line in shown.splitlines()} == targets


def test_the_readme_names_every_debian_package_that_ci_installs(root: Path) -> None:
    listed = [line for line in (root / ".ci" / "debian-packages").read_text().splitlines() if line and line[0] != "#"]
    readme = (root / "README.md").read_text()

    assert [package for package in listed if package not in readme] == []


def test_ci_runs_make_test(root: Path) -> None:
    script = root / ".ci" / "run"

    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text()
