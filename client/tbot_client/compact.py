"""A journal that grew long, begun anew with one record that says all the others did; the old file is kept beside it."""

import os
from collections.abc import Callable
from pathlib import Path

from tbot_client import image
from tbot_client.journal import GENESIS, read, sealed, sync_folder
from tbot_client.state import State

MOST_BYTES = 8 << 20


def compact(path: Path, now: Callable[[], str], most_bytes: int = MOST_BYTES) -> bool:
    """Shorten the journal if it is longer than ``most_bytes``; return whether it was.

    A crash at any moment leaves either the old journal or the new one under the journal's name, both complete.
    """
    if not path.exists() or path.stat().st_size <= most_bytes:
        return False
    state = State(read(path))
    line, _ = sealed({"at": now(), "kind": "image", "state": image.of(state)}, GENESIS)
    partial, kept = path.with_suffix(".new"), path.with_name(path.name + ".1")
    _write_durably(partial, line)
    kept.unlink(missing_ok=True)
    os.link(path, kept)
    partial.replace(path)
    sync_folder(path.parent)
    return True


def _write_durably(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)
