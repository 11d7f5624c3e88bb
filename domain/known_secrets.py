"""The secret values this process was handed, remembered so that what it writes can be cleaned of them.

Values are only added: a secret that is no longer used may still stand in a text that is about to be written.
"""

from itertools import count

# Shorter values stand in ordinary text by chance, and protect nothing anyway.
SHORTEST = 8

values: set[str] = set()
# Changes with `values`, so that a reader need not compare them.
version = 0
_versions = count(1)


def remember(value: str) -> None:
    """Add ``value`` unless it is shorter than `SHORTEST`."""
    global version
    if len(value) >= SHORTEST:
        values.add(value)
        version = next(_versions)


def forget_all() -> None:
    """Forget every value; only for tests, where the secrets of one must not be cut out of the records of the next."""
    global version
    values.clear()
    version = next(_versions)
