"""Each promise of docs/reliability.md is named by a test that stands for it."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INVARIANTS = (
    *(f"J{number}" for number in range(1, 15)),
    *(f"F{number}" for number in range(1, 11)),
    *(f"C{number}" for number in range(1, 9)),
)
ROWS = tuple(f"row {number}" for number in (*range(1, 25), 38))


@cache
def proven() -> frozenset[str]:
    """Return every name given to ``@pytest.mark.proves`` (or to a ``pytestmark``) in the tests."""
    found: set[str] = set()
    for folder in ("tests", "client/tests"):
        for path in (ROOT / folder).rglob("test_*.py"):
            calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
            for call in calls:
                if isinstance(call.func, ast.Attribute) and call.func.attr == "proves":
                    found |= {str(name.value) for name in call.args if isinstance(name, ast.Constant)}
    return frozenset(found)


@pytest.mark.parametrize("name", INVARIANTS + ROWS)
def test_a_test_stands_for_it(name: str) -> None:
    assert name in proven()


@pytest.mark.parametrize("name", INVARIANTS + ROWS)
def test_the_page_explains_it(name: str) -> None:
    page = (ROOT / "docs/reliability.md").read_text()

    assert f"| {name.removeprefix('row ')} |" in page


def test_no_test_claims_what_does_not_exist() -> None:
    rows_elsewhere = {f"row {number}" for number in range(25, 38)}

    assert (
        proven() - set(INVARIANTS + ROWS) - rows_elsewhere - {f"P{n}" for n in range(1, 6)} - {"N6", "N11", "N12"}
        == set()
    )
