"""The journals of a home: finding them all and verifying them all."""

from collections.abc import Iterator
from pathlib import Path

from journal import VerifyReport, verify


def journals(logs: Path) -> Iterator[Path]:
    """Yield the directory of every journal under ``logs`` (``logs/<owner>/<stream>`` with at least one segment)."""
    for directory in sorted(logs.glob("*/*")):
        if directory.is_dir() and any(directory.glob("[0-9]*.jsonl")):
            yield directory


def verify_all(logs: Path) -> dict[str, VerifyReport]:
    """Verify every journal and return name -> report."""
    return {str(directory.relative_to(logs)): verify(directory) for directory in journals(logs)}
