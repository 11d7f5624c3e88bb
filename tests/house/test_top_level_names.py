"""Our top-level packages share their names with nothing installed and nothing in the standard library."""

import importlib.util
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

# Named in the architecture, not written yet: a clash should be known before they are.
PLANNED = {"forecast", "dashboard", "research", "bench"}
OURS = {"tbot", "tbot-client"}


def test_no_installed_distribution_ships_a_name_of_ours(packages: list[str]) -> None:
    installed = {name: set(owners) - OURS for name, owners in packages_distributions().items()}

    clashes = {name: installed[name] for name in {*packages, *PLANNED, "tbot_client"} if installed.get(name)}

    assert clashes == {}


def test_no_name_of_ours_is_a_standard_library_module(packages: list[str]) -> None:
    assert {*packages, *PLANNED} & sys.stdlib_module_names == set()


def test_each_package_is_imported_from_this_checkout(root: Path, packages: list[str]) -> None:
    for name in packages:
        spec = importlib.util.find_spec(name)
        assert spec is not None, f"{name} cannot be imported"
        assert spec.origin is not None
        assert Path(spec.origin).is_relative_to(root), f"{name} comes from {spec.origin}"


def test_tests_is_no_package(root: Path) -> None:
    """Several distributions ship a top-level `tests`; ours is a folder that nothing imports from."""
    found = [*(root / "tests").rglob("__init__.py"), *(root / "client").glob("tests/**/__init__.py")]

    assert found == []
