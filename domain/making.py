"""A quick way to make a frozen fact from values known to be sound, where thousands are made a second."""

from dataclasses import fields
from typing import Any


def draft(kind: Any) -> type[Any]:
    """Return a class with the slots of ``kind`` that is not frozen: fill one, then set its ``__class__`` to ``kind``.

    A frozen dataclass's own __init__ stores each field through object.__setattr__, which takes 0.96 us for the seven of
    a verdict; filling a draft takes 0.17, and what comes out is as frozen.

    Args:
        kind: a frozen dataclass with slots and without a __post_init__, which would not be run.
    """
    if hasattr(kind, "__post_init__"):
        raise TypeError(f"{kind.__name__} must have no __post_init__, because it would not be run: call the class")
    return type(f"{kind.__name__}Draft", (), {"__slots__": tuple(field.name for field in fields(kind))})
