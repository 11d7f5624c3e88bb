"""The names of the files that make up one log."""

import os
import re
from pathlib import Path

LOCK = ".lock"
OWNER = "owner.json"
MARK = "head.json"
CHECKPOINTS = "checkpoints.jsonl"
RESERVE = ".reserve"
TORN = "torn"

_SEGMENT = re.compile(r"(\d{6})\.jsonl")


def segment_name(number: int) -> str:
    """Return the file name of a segment, ``000001.jsonl`` for 1."""
    return f"{number:06d}.jsonl"


def segment_path(directory: Path, number: int) -> Path:
    """Return the path of a segment."""
    return directory / segment_name(number)


def segments(directory: Path) -> list[int]:
    """Return the numbers of the segments that exist, ascending; none if the directory does not exist."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    return sorted(int(found[1]) for name in names if (found := _SEGMENT.fullmatch(name)))


def log_name(directory: Path) -> str:
    """Return the last two parts of the path, which name the log: ``fx/signals``."""
    return "/".join(directory.absolute().parts[-2:])
