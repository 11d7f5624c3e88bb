"""The STOP files: a touch in the file system that stops entries, looked at last before the socket."""

from collections.abc import Sequence
from pathlib import Path


def stop_reasons(files: Sequence[Path]) -> tuple[str, ...]:
    """Return the STOP files that exist; one that can't be looked at counts as present."""
    return tuple(str(path) for path in files if _present(path))


def _present(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True
