"""What may lie in the repository: no machine's paths, no index's address, no secret, no file too long to read."""

import re
import subprocess
import warnings
from pathlib import Path

import pytest

# Written so that this file does not match itself.
MACHINE_PATH = re.compile(r"(?<![\w.~$}{)-])/(?:work|farm|root|tmp)/[A-Za-z]")
INDEX_HOST = re.compile(r"py[p]i\.org|pythonh[o]sted|npm[j]s|deb\.debi[a]n")
LINES_TO_THINK_AT, LINES_TO_SPLIT_AT = 400, 600


def text_of(path: Path) -> str | None:
    """Return the text of a file; None where it holds bytes."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


@pytest.mark.parametrize("pattern", [MACHINE_PATH, INDEX_HOST], ids=["machine path", "package index"])
def test_no_file_names_a_machine(root: Path, repository_files: list[Path], pattern: re.Pattern[str]) -> None:
    found = [
        f"{path.relative_to(root)}:{number}: {line.strip()[:120]}"
        for path in repository_files
        if (text := text_of(path)) is not None and pattern.search(text)
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]

    assert found == []


def test_no_file_names_this_checkout(root: Path, repository_files: list[Path]) -> None:
    if len(root.parts) < 3:
        pytest.skip("checked out at the top of a disk, where the path is a word like any other")

    assert [path for path in repository_files if str(root) + "/" in (text_of(path) or "")] == []


@pytest.mark.filterwarnings("default::UserWarning")
def test_no_source_file_is_too_long(root: Path, repository_files: list[Path]) -> None:
    lines = {
        str(path.relative_to(root)): len(path.read_bytes().splitlines())
        for path in repository_files
        if path.suffix in {".py", ".js", ".css"} and "data" not in path.parts
    }

    for name, count in lines.items():
        if LINES_TO_THINK_AT < count <= LINES_TO_SPLIT_AT:
            warnings.warn(f"{name} has {count} lines: think about splitting it", UserWarning, stacklevel=1)
    assert {name: count for name, count in lines.items() if count > LINES_TO_SPLIT_AT} == {}


@pytest.mark.parametrize("project", [".", "client"])
def test_the_licence_is_there(root: Path, project: str) -> None:
    assert (root / project / "LICENSE").read_text().startswith("MIT License")


@pytest.mark.parametrize(
    ("name", "is_ignored"),
    [
        ("env/fx.env", True),
        ("env/fx.env.example", False),
        ("logs/fx/signals/0001.jsonl", True),
        ("logs/.gitkeep", False),
        ("run/fx.beat", True),
        ("state/subscribers.json", True),
        ("fleet/run/x.py", False),
        (".venv/bin/python", True),
        ("requirements.lock", False),
    ],
)
def test_secrets_and_journals_are_ignored_and_examples_are_not(root: Path, name: str, is_ignored: bool) -> None:
    if not (root / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "-c", f"safe.directory={root}", "check-ignore", "--no-index", "--quiet", name]

    assert (subprocess.run(command, cwd=root).returncode == 0) is is_ignored
