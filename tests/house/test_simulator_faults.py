"""The page on the simulators names each of them, each fault it can play and what that takes; a test plays it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from simulators.client_portal.faults import ACTIONS as CLIENT_PORTAL
from simulators.coinbase.api import ACTIONS as COINBASE
from simulators.kalshi.fault_schema import ACTIONS as KALSHI
from simulators.models.fault_schema import ACTIONS as MODELS
from simulators.nws.api import ACTIONS as NWS
from simulators.oanda.fault_schema import ACTIONS as OANDA
from simulators.rest.faults import COMMON
from simulators.tws.fault_schema import ACTIONS as TWS

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Simulator:
    """Where the page explains a simulator's faults, and the actions its own table must hold.

    ``shared`` are explained and played once, as another simulator's; the section names them all the same.
    """

    heading: str
    actions: Mapping[str, Any]
    shared: Mapping[str, Any]


SIMULATORS = {
    "oanda": Simulator(heading="### Faults", actions=OANDA, shared={}),
    "kalshi": Simulator(heading="### Faults of Kalshi", actions=KALSHI, shared={}),
    "nws": Simulator(heading="## Weather service", actions={**COMMON, **NWS}, shared={}),
    "coinbase": Simulator(heading="## Coinbase Exchange", actions=COINBASE, shared=COMMON),
    "client_portal": Simulator(heading="### Faults of the gateway", actions=CLIENT_PORTAL, shared=COMMON),
    "tws": Simulator(heading="### Faults of TWS", actions=TWS, shared={}),
    "models": Simulator(heading="### Faults of the language models", actions=MODELS, shared={}),
}


def page() -> str:
    return (ROOT / "simulators" / "README.md").read_text()


def section(heading: str) -> str:
    """Return what stands under a heading, up to the next one of its level or above."""
    _, found, rest = page().partition(f"\n{heading}\n")
    assert found, f"simulators/README.md has no heading {heading!r}"
    level = len(heading.partition(" ")[0])
    return re.split(rf"^#{{1,{level}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def table(heading: str) -> dict[str, str]:
    """Return action -> the cell with its parameters, of the table that begins with the word action."""
    text = section(heading)
    rows = text[text.index("| action |") :].partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {row[0].strip("`"): row[1] for row in cells}


def test_each_simulator_is_explained() -> None:
    folders = {path.parent.name for path in (ROOT / "simulators").glob("*/__main__.py")}

    assert folders == set(SIMULATORS)
    assert [name for name in folders if f"python -m simulators.{name} " not in page()] == []


@pytest.mark.parametrize("name", SIMULATORS)
def test_each_fault_is_explained_and_no_other(name: str) -> None:
    simulator = SIMULATORS[name]

    assert sorted(table(simulator.heading)) == sorted(simulator.actions)
    assert [action for action in simulator.shared if f"`{action}`" not in section(simulator.heading)] == []


@pytest.mark.parametrize("name", SIMULATORS)
def test_each_parameter_of_a_fault_is_named(name: str) -> None:
    simulator = SIMULATORS[name]
    told = table(simulator.heading)
    unnamed = {
        action: sorted(set(made.params) - set(re.findall(r"`(\w+)`", told[action])))
        for action, made in simulator.actions.items()
    }

    assert {action: missing for action, missing in unnamed.items() if missing} == {}


@pytest.mark.parametrize("name", SIMULATORS)
def test_each_fault_is_played_by_a_test(name: str) -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests" / "simulators").glob(f"test_{name}_*.py"))

    assert [action for action in SIMULATORS[name].actions if f'"{action}"' not in tests] == []


def test_each_folder_of_recorded_data_says_whose_it_is() -> None:
    folders = {path.parent for path in (ROOT / "simulators").rglob("data/*") if path.suffix in {".csv", ".gz", ".json"}}
    unnamed = [
        f"{folder.relative_to(ROOT)}: {path.name}"
        for folder in folders
        for path in folder.iterdir()
        if path.suffix in {".csv", ".gz", ".json"} and path.name not in (folder / "NOTICE.md").read_text()
    ]

    assert len(folders) >= 2
    assert unnamed == []
