"""A file of JSON lines in which a simulator keeps its accounts between runs."""

import json
import os
from pathlib import Path
from typing import Any


class StateError(ValueError):
    """A state file that cannot be read."""


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """Return what stands in a file, nothing where there is none; a line cut short by a crash is cut off.

    Raises:
        StateError: a line other than the last is damaged.
    """
    if not path.exists():
        return []
    raw = path.read_bytes()
    # a line cut short by a crash was never acknowledged
    whole = raw[: raw.rfind(b"\n") + 1]
    if len(whole) != len(raw):
        os.truncate(path, len(whole))
    try:
        return [json.loads(line) for line in whole.splitlines()]
    except ValueError as exc:
        raise StateError(f"state: expected JSON lines in {path}; found {exc}; move the file away") from exc
