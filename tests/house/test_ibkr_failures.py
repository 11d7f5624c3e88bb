"""The tables of what IBKR was seen to do wrong and the tests that do it to the adapters say the same."""

import re

import pytest
from pages import ROOT, page

TESTS = ROOT / "tests" / "brokers" / "ibkr"
TABLES = {"tws": "### What TWS was seen to do wrong", "portal": "### What was seen to fail, and what is done"}


def told(heading: str) -> set[str]:
    """Return the numbers of a table's rows; each row names tests with its own number."""
    rows = page("brokers.md").partition(f"\n{heading}\n")[2].partition("\n#")[0]
    found = re.findall(r"^\| (\d+) \|.*\| `test_failure_(\d+)_\*` \|$", rows, re.MULTILINE)
    assert all(int(number) == int(named) for number, named in found)
    return {named for _, named in found}


def played(transport: str) -> set[str]:
    texts = [path.read_text() for path in TESTS.glob(f"test_{transport}_*.py")]
    return {number for text in texts for number in re.findall(r"^def test_failure_(\d+)_", text, re.MULTILINE)}


@pytest.mark.parametrize("transport", TABLES)
def test_each_failure_that_is_told_is_played_by_a_test(transport: str) -> None:
    numbers = told(TABLES[transport])

    assert numbers >= {"01", "03", "07", "09", "18"}
    assert played(transport) == numbers
