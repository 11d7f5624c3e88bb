"""domain imports the standard library only; risk and strategies add numpy and numba; none of them opens a file.

The contracts in pyproject.toml name what is forbidden; this test names what is allowed, so nothing new slips through.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ALLOWED = {
    "domain": {"domain"},
    "risk": {"domain", "risk", "numpy", "numba"},
    "strategies": {"domain", "strategies", "numpy", "numba"},
}


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the top-level name of every import, wherever in the file it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or ".").partition(".")[0]


def calls_open(tree: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open"
        for node in ast.walk(tree)
    )


@pytest.mark.parametrize("package", ALLOWED)
def test_a_pure_package_imports_only_what_it_may(root: Path, package: str) -> None:
    allowed = sys.stdlib_module_names | ALLOWED[package]
    trees = {path: ast.parse(path.read_bytes()) for path in (root / package).rglob("*.py")}

    assert [(str(path), name) for path, tree in trees.items() for name in imported(tree) if name not in allowed] == []
    assert [str(path) for path, tree in trees.items() if calls_open(tree)] == []
