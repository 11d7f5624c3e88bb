"""Each direct dependency has its line of reason in docs/decisions/0002-dependencies.md, and nothing else has one."""

import re
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement


def names(requirements: list[str]) -> set[str]:
    return {Requirement(text).name for text in requirements}


def reasons(page: str) -> dict[str, set[str]]:
    """Map section heading -> the names in the first column of its table."""
    sections = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    return {
        section.splitlines()[0]: {
            name.strip()
            for cell in re.findall(r"^\| ([^|]+) \| [^|]+ \|$", section, flags=re.MULTILINE)
            for name in cell.split(",")
            if cell != "package"
        }
        for section in sections
    }


def test_every_direct_dependency_has_its_reason(
    root: Path, settings: dict[str, Any], client_settings: dict[str, Any]
) -> None:
    page = reasons((root / "docs" / "decisions" / "0002-dependencies.md").read_text())
    client = client_settings["project"]

    assert page == {
        "The fleet": names(settings["project"]["dependencies"]),
        "The client": names(client["dependencies"]) | names(client["optional-dependencies"]["oanda"]),
        "Building (`requirements-build.lock`)": names(settings["dependency-groups"]["build"]),
        "The second environment (`requirements-insync.lock`)": names(settings["dependency-groups"]["insync"]),
        "Development and tests": names(settings["dependency-groups"]["dev"]),
    }
