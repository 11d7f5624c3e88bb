"""The import rules of pyproject.toml know every package, and report what breaks them."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# file -> the import that must not pass
VIOLATIONS = {
    "domain/a.py": "import msgspec",
    "domain/b.py": "import journal",
    "domain/c.py": "import socket",
    "risk/a.py": "import journal",
    "risk/b.py": "import httpx, subprocess",
    "strategies/a.py": "import risk",
    "strategies/b.py": "import os",
    "market/a.py": "import brokers",
    "journal/a.py": "import oandapyV20",
    "brokers/b.py": "import anthropic",
    "forecast/b.py": "import kalshi_python",
    "audit/a.py": "import feed",
    "feed/a.py": "import surfaces",
    "resolver/a.py": "import fleet",
    "fleet/a.py": "import cli",
    "surfaces/a.py": "import simulators.oanda",
    "simulators/a.py": "import domain",
    "cli/a.py": "import tbot_client",
    "tbot_client/a.py": "import domain",
}
REPORTED = [
    "domain is not allowed to import msgspec",
    "domain is not allowed to import journal",
    "domain is not allowed to import socket",
    "risk is not allowed to import journal",
    "risk is not allowed to import httpx",
    "risk is not allowed to import subprocess",
    "strategies is not allowed to import risk",
    "strategies is not allowed to import os",
    "market is not allowed to import brokers",
    "journal is not allowed to import oandapyV20",
    "brokers is not allowed to import anthropic",
    "forecast is not allowed to import kalshi_python",
    "audit is not allowed to import feed",
    "feed is not allowed to import surfaces",
    "resolver is not allowed to import fleet",
    "fleet is not allowed to import cli",
    "surfaces is not allowed to import simulators",
    "simulators is not allowed to import domain",
    "cli is not allowed to import tbot_client",
    "tbot_client is not allowed to import domain",
]


@pytest.fixture
def tree(tmp_path: Path, root: Path, settings: dict[str, Any]) -> Path:
    """Make a tree of empty packages under the project's own contracts."""
    rules = (root / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(rules[rules.index("[tool.importlinter]") :])
    for package in settings["tool"]["importlinter"]["root_packages"]:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "simulators" / "oanda.py").touch()
    return tmp_path


def lint(tree: Path) -> tuple[int, str]:
    """Run import-linter on a tree whose packages come before ours on the path."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "NO_COLOR": "1", "COLUMNS": "200"}
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_a_tree_that_keeps_the_rules_passes(tree: Path) -> None:
    (tree / "cli" / "a.py").write_text("import fleet, surfaces, audit, journal, domain\n")
    (tree / "surfaces" / "a.py").write_text("import audit, risk, strategies, journal, market, brokers.oanda, domain\n")
    (tree / "brokers" / "oanda.py").write_text("import oandapyV20, socket\n")
    (tree / "forecast" / "a.py").write_text("import anthropic, google.genai, openai, domain\n")
    (tree / "risk" / "a.py").write_text("import decimal, domain\n")

    code, output = lint(tree)

    assert code == 0, output


def test_every_kind_of_violation_is_reported(tree: Path, settings: dict[str, Any]) -> None:
    for name, line in VIOLATIONS.items():
        (tree / name).write_text(line + "\n")

    code, output = lint(tree)

    assert code == 1, output
    assert [line for line in REPORTED if line not in output] == [], output
    contracts = settings["tool"]["importlinter"]["contracts"]
    assert [contract["name"] for contract in contracts if f"{contract['name']} BROKEN" not in output] == []


def test_every_package_has_its_place_in_the_contracts(packages: list[str], settings: dict[str, Any]) -> None:
    rules = settings["tool"]["importlinter"]
    contracts = {contract["id"]: contract for contract in rules["contracts"]}
    layered = {name for layer in contracts["layers"]["layers"] for name in re.findall(r"\(?\w+\)?", layer)}
    ours = set(packages) - {"bench"}

    assert ours <= set(rules["root_packages"]), "name it in root_packages"
    assert ours - {"simulators"} <= layered, "give it its layer, without brackets"
    assert ours - {"simulators"} <= set(contracts["simulators-stand-alone"]["forbidden_modules"])
    assert ours - {"simulators"} <= set(contracts["nobody-imports-simulators"]["source_modules"])
    assert ours <= set(contracts["client-stands-alone"]["forbidden_modules"])
    assert ours <= set(contracts["nobody-imports-client"]["source_modules"])
    assert ours - {"brokers"} <= set(contracts["vendors-in-brokers"]["source_modules"])
    assert ours - {"forecast"} <= set(contracts["models-in-forecast"]["source_modules"])
