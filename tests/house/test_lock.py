"""requirements.lock pins everything by hash, holds no address, and agrees with what the projects ask for."""

import re
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-insync.lock")
ADDRESS = re.compile(
    r"://|^\s*(-i|-f|--index|--extra-index|--find-links|--trusted-host)|\b\w+\.(org|com|net|io)\b|(^|\s)/\w|\.\./"
)


def pins(lock: str) -> dict[str, set[str]]:
    """Map name -> versions pinned; one name has several where a version depends on Python's."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", lock, flags=re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_a_hash(root: Path, name: str) -> None:
    blocks = re.split(r"^(?=[A-Za-z0-9])", (root / name).read_text(), flags=re.MULTILINE)

    without = [block.splitlines()[0] for block in blocks if block.strip() and "--hash=sha256:" not in block]

    assert without == []


@pytest.mark.parametrize("name", LOCKS)
def test_no_line_names_a_host_an_index_or_a_path_of_a_machine(root: Path, name: str) -> None:
    lines = (root / name).read_text().splitlines()

    assert [line for line in lines if ADDRESS.search(line)] == []


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://index.example/simple",
        "--find-links /srv/wheels",
        "# uv pip compile /srv/app/pyproject.toml",
        "x @ file:///srv/x.whl",
        "#   from mirror.example.com",
    ],
)
def test_the_address_pattern_finds_what_it_is_for(line: str) -> None:
    assert ADDRESS.search(line)


def test_every_direct_dependency_is_locked_at_a_version_it_allows(
    root: Path, settings: dict[str, Any], client_settings: dict[str, Any]
) -> None:
    locked = pins((root / "requirements.lock").read_text())
    wanted = [
        *settings["project"]["dependencies"],
        *settings["dependency-groups"]["dev"],
        *client_settings["project"]["dependencies"],
        *client_settings["project"]["optional-dependencies"]["oanda"],
    ]

    for text in wanted:
        requirement = Requirement(text)
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert versions, f"{text} is not in requirements.lock: run `make lock`"
        assert all(requirement.specifier.contains(version) for version in versions), f"{text}, locked {versions}"


def test_the_two_locks_agree_where_they_overlap(root: Path, settings: dict[str, Any]) -> None:
    main, build = (pins((root / name).read_text()) for name in LOCKS[:2])

    assert {name: main[name] for name in main.keys() & build.keys()} == {
        name: build[name] for name in main.keys() & build.keys()
    }
    assert {
        canonicalize_name(Requirement(text).name) for text in settings["dependency-groups"]["build"]
    } <= build.keys()
