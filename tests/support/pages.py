"""The pages of the documentation, and whether words stand in them."""

import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text()


def is_named(word: str, text: str) -> bool:
    """Tell whether a word stands in the text as code, or at least on its own."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


def missing(words: Iterable[str], text: str) -> list[str]:
    return [word for word in words if not is_named(word, text)]
