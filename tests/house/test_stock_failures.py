"""The table of docs/reliability.md about stocks and the tests it names say the same."""

import re
from functools import cache

import pytest
from pages import ROOT, page

FAILURES = tuple(str(number) for number in range(1, 19))
PAINS = (*(f"P{number}" for number in range(1, 10)), "P20", "P21", "P25")


@cache
def rows() -> dict[str, str]:
    """Return what a row is about (18, P25) -> the row."""
    section = page("reliability.md").partition("\n## Stocks through IBKR\n")[2].partition("\n## ")[0]
    return {found[1]: found[0] for found in re.finditer(r"^\| (P?\d+) .*\|$", section, re.MULTILINE)}


@cache
def played() -> frozenset[str]:
    texts = (path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    return frozenset(name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", FAILURES + PAINS)
def test_each_failure_and_pain_names_tests_that_exist(name: str) -> None:
    named = set(re.findall(r"`(test_\w+)`", rows()[name]))

    assert named
    assert named <= played()


def test_each_test_of_a_whole_stock_surface_named_elsewhere_on_the_page_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", page("reliability.md")))

    assert named <= played()
