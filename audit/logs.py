"""The journals of a home: finding them all and verifying them all."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from domain.errors import Refuse, did_you_mean
from journal import VerifyReport, verify
from journal.seals import Level

if TYPE_CHECKING:
    from journal.keys import Keyring


def journals(logs: Path) -> Iterator[Path]:
    """Yield the directory of every journal under ``logs`` (``logs/<owner>/<stream>`` with at least one segment)."""
    for directory in sorted(logs.glob("*/*")):
        if directory.is_dir() and any(directory.glob("[0-9]*.jsonl")):
            yield directory


def journal(logs: Path, name: str) -> Path:
    """Return the directory of the journal called ``name`` (``fx/signals``).

    Raises:
        Refuse: there is none.
    """
    known = {str(directory.relative_to(logs)): directory for directory in journals(logs)}
    if name not in known:
        todo = did_you_mean(name, known) or f"known: {', '.join(known) or 'none yet'}"
        raise Refuse("the name of a journal, such as fx/signals", repr(name), todo)
    return known[name]


def verify_all(logs: Path, *, keyring: "Keyring | None" = None, level: Level = Level.ALL) -> dict[str, VerifyReport]:
    """Verify every journal, with the public keys of the house if given, and return name -> report."""
    found = {str(directory.relative_to(logs)): directory for directory in journals(logs)}
    return {name: verify(path, log=name, keyring=keyring, signatures=level) for name, path in found.items()}
