"""Chance that is the same in every process and on every run: numbers drawn from a hash of names."""

import hashlib
import math
from functools import lru_cache


@lru_cache(maxsize=65536)
def share(*names: object) -> float:
    """Return a number in (0, 1), evenly spread, that belongs to these names."""
    digest = hashlib.sha256("|".join(str(name) for name in names).encode()).digest()
    return (int.from_bytes(digest[:6], "big") + 0.5) / 2**48


def normal(*names: object) -> float:
    """Return a standard normal number that belongs to these names."""
    radius = math.sqrt(-2 * math.log(share(*names, "radius")))
    return radius * math.cos(2 * math.pi * share(*names, "angle"))


def pick(count: int, *names: object) -> int:
    """Return a whole number from 0 to ``count - 1`` that belongs to these names."""
    return int(share(*names) * count)


def wave(position: float, *names: object) -> float:
    """Return a standard normal walk through whole positions, straight between them."""
    left = math.floor(position)
    part = position - left
    return (1 - part) * normal(*names, left) + part * normal(*names, left + 1)
