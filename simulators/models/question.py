"""Which question a prompt asks, and which price or base rate stands in it."""

import csv
import gzip
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TAGGED = re.compile(r"<question>(.+?)</question>", re.IGNORECASE | re.DOTALL)
_QUOTED = re.compile(r'"(?:question|title|market|event)"\s*:\s*("(?:[^"\\]|\\.)+")', re.IGNORECASE)
_NAMED = re.compile(r"^[ \t>*#-]*(?:question|market|event|title)[ *]*:[ *]*(\S.+)$", re.IGNORECASE | re.MULTILINE)
# one sentence: it does not run over an end of another
_ASKED = re.compile(r"[A-Z](?:(?![.!:]\s+[A-Z])[^?\n]){9,300}\?")
_AMOUNT = r"\$?(?P<number>\d+(?:\.\d+)?|\.\d+)\s*(?P<unit>%|¢|c\b|cents?\b|percent\b)?"
# Only words that lead to a value: "prior to May 6" and "the market price of gold above 50" name none.
_LEADING = r"is|was|of|at|stands|currently|now|yes|the|about|around|such|these|events|questions"
_BETWEEN = rf"(?:[\s:=~*\"'()]|\b(?:{_LEADING})\b){{0,12}}"
# whoever quotes both sides means the middle
_BOOK = re.compile(
    r"bid\b[^\d\n$]{0,12}\$?(?P<bid>\d*\.?\d+)\s*¢?c?[^\d\n$]{1,20}?ask\b[^\d\n$]{0,12}\$?(?P<ask>\d*\.?\d+)",
    re.IGNORECASE,
)
_PRICES = tuple(
    re.compile(rf"\b(?:{words}){_BETWEEN}{_AMOUNT}", re.IGNORECASE)
    for words in (
        r"(?:market(?:'s)?|yes|last|mid|freeze)[ _](?:price|probability|odds|value)|midpoint",
        r"implied[ _]probability|(?:crowd|community|consensus)[ _](?:forecast|prediction|probability|median)",
        r"base[ _]rate|prior[ _]probability|historical[ _]frequency|prior(?=\s*[:=])",
    )
)


RECORDED = Path(__file__).parents[1] / "recordings" / "data" / "forecastbench_questions.csv.gz"


class AnchorError(ValueError):
    """An anchors file that cannot be used."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what is known of it: ``shown`` stands in the prompt, ``anchor`` in the anchors file."""

    text: str
    shown: float | None = None
    anchor: float | None = None


class Anchors:
    """What the crowd said before a question closed: question -> probability. Outcomes have no place here."""

    def __init__(self, priors: Mapping[str, float] | None = None) -> None:
        self.priors = {plain(question): prior for question, prior in (priors or {}).items()}
        # the longest first, so that a question does not pass for one it contains
        self._by_length = sorted(self.priors, key=len, reverse=True)

    def find(self, named: str | None, prompt: str) -> tuple[str, float] | None:
        """Return the listed question a prompt asks and its probability."""
        if named is not None and (key := plain(named)) in self.priors:
            return key, self.priors[key]
        text = plain(prompt)
        for question in self._by_length:
            if question in text:
                return question, self.priors[question]
        return None


def read(prompt: str, anchors: Anchors) -> Asked:
    """Find the question in a prompt; the same question is found whatever is written around it."""
    named = _named(prompt)
    found, shown = anchors.find(named, prompt), _shown(prompt)
    if found is not None:
        return Asked(found[0], shown, found[1])
    return Asked(plain(named or _sentence(prompt) or prompt), shown)


def plain(text: str) -> str:
    """Return a text without what differs between two ways to print it."""
    return " ".join(text.split()).casefold()


def _named(prompt: str) -> str | None:
    for pattern in (_TAGGED, _QUOTED, _NAMED):
        if (found := pattern.search(prompt)) is not None:
            return _unquoted(found[1]) if pattern is _QUOTED else found[1].strip()
    return None


def _sentence(prompt: str) -> str | None:
    found = _ASKED.search(prompt)
    return None if found is None else found[0]


def _unquoted(quoted: str) -> str:
    try:
        return str(json.loads(quoted, strict=False)).strip()
    except ValueError:
        return quoted.strip('"')


def _shown(prompt: str) -> float | None:
    if (book := _BOOK.search(prompt)) is not None:
        sides = [_share(book[side], None) for side in ("bid", "ask")]
        if sides[0] is not None and sides[1] is not None:
            return (sides[0] + sides[1]) / 2
    for pattern in _PRICES:
        for found in pattern.finditer(prompt):
            if (value := _share(found["number"], found["unit"])) is not None:
                return value
    return None


def _share(number: str, unit: str | None) -> float | None:
    """Return a probability; a whole number from 2 on without a unit is taken for cents."""
    value = float(number)
    if unit is not None or (value >= 2 and value.is_integer()):
        value /= 100
    return value if 0 < value < 1 else None


def load_anchors(path: Path) -> Anchors:
    """Read a JSON object ``question -> probability``.

    Raises:
        AnchorError: it is something else; whole records are refused, because they could hold the outcome.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_checked(path))
    except OSError as exc:
        raise AnchorError(f"--anchors: cannot read {path}: {exc.strerror}") from exc
    except json.JSONDecodeError as exc:
        raise AnchorError(f"--anchors: expected a JSON object in {path}; found {exc}") from exc
    if not isinstance(found, dict):
        raise AnchorError(f"--anchors: expected a JSON object, question -> probability, in {path}")
    return Anchors(found)


def recorded_anchors() -> Anchors:
    """Return the prices at which the bundled questions were frozen; the column of outcomes is not read."""
    with gzip.open(RECORDED, "rt", encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines)
        head = next(rows)
        question, price = head.index("question"), head.index("freeze_price")
        return Anchors({row[question]: min(max(float(row[price]), 0.001), 0.999) for row in rows})


def _checked(path: Path) -> Callable[[list[tuple[str, Any]]], dict[str, float]]:
    def check(pairs: list[tuple[str, Any]]) -> dict[str, float]:
        for question, prior in pairs:
            if isinstance(prior, bool) or not isinstance(prior, (int, float)) or not 0 < prior < 1:
                raise AnchorError(
                    f"--anchors: expected a probability between 0 and 1 for {question[:60]!r} in {path}; "
                    f"found {prior!r} (certainty would be an outcome, and outcomes are not for forecasters)"
                )
        return dict(pairs)

    return check
