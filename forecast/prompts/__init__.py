"""The wording in which a question is put to the models: one file for each version, never changed once used.

A vote names the version and the first characters of the file's hash, so that it can be told years later what was asked.
"""

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from domain.clock import require_utc
from forecast.question import Question

_FOLDER = Path(__file__).parent
_VERSION = re.compile(r"[a-z]+-v[0-9]+")
_SLOT = re.compile(r"\{\{(\w+)\}\}")
# Characters kept of each text of a stranger's, and facts kept at all: enough for the longest rules on Kalshi.
LONGEST_TEXT, LONGEST_RULES, LONGEST_FACT, MOST_FACTS = 1_000, 8_000, 500, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What is sent: ``system`` is the same for every question of a version; ``tag`` names version and hash."""

    system: str
    user: str
    tag: str
    most_tokens: int = field(init=False)

    def __post_init__(self) -> None:
        # No vendor's tokens are shorter than a byte; the rest is what they wrap around it (roles, schema).
        object.__setattr__(self, "most_tokens", len((self.system + self.user).encode()) + 1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """One version: the two texts of its file and the tag they are known by."""

    system: str
    question: str
    tag: str


@cache
def load(version: str) -> Wording:
    """Read the file of a version.

    Raises:
        ValueError: there is no such version; names those there are.
    """
    path = _FOLDER / f"{version}.md"
    if not _VERSION.fullmatch(version) or not path.is_file():
        known = ", ".join(sorted(path.stem for path in _FOLDER.glob("*.md")))
        raise ValueError(f"the prompt must be one of {known}, found {version!r}")
    raw = path.read_bytes()
    _, system, question = re.split(r"^# (?:System|Question)\n", raw.decode(), flags=re.MULTILINE)
    digest = hashlib.sha256(raw).hexdigest()[:12]
    return Wording(system=system.strip(), question=question.strip(), tag=f"{version}@{digest}")


def write(wording: Wording, question: Question, now: datetime) -> Prompt:
    """Put a question into words as of ``now``.

    What strangers wrote becomes strings of one JSON object: a quote or a line break in it is escaped, so that nothing
    can step out of its string; characters that cannot be seen are dropped, and each text is cut at its longest.
    """
    slots = {"today": _day(now), "left": _left(question.closes_at - now), "data": _data(question)}
    user = _SLOT.sub(lambda slot: slots[slot[1]], wording.question)
    return Prompt(system=wording.system, user=user, tag=wording.tag)


def _data(question: Question) -> str:
    shown: dict[str, object] = {"question": _plain(question.text, LONGEST_TEXT)}
    if question.yes:
        shown["yes_means"] = _plain(question.yes, LONGEST_TEXT)
    shown["rules"] = _plain(question.rules, LONGEST_RULES)
    shown["closes"] = _day(question.closes_at)
    if question.facts:
        facts = question.facts[:MOST_FACTS]
        shown["facts"] = [{_plain(name, 100): _plain(value, LONGEST_FACT)} for name, value in facts]
    return json.dumps(shown, ensure_ascii=False, indent=1)


def _plain(text: str, longest: int) -> str:
    """Drop what cannot be seen (controls, zero-width and direction marks, tag characters) and cut what is too long."""
    if not text.replace("\n", "").isprintable():  # most are, and are looked at once a turn
        text = "".join(c for c in text if c in "\n\t" or not unicodedata.category(c).startswith("C"))
    seen = text.strip()
    return seen if len(seen) <= longest else f"{seen[:longest]} [cut here: {len(seen) - longest} more characters]"


def _day(moment: datetime) -> str:
    return f"{require_utc(moment):%A %Y-%m-%d %H:%M} UTC"


def _left(left: timedelta) -> str:
    hours = left.total_seconds() / 3600
    if hours < 0:
        return "no time: the date has passed"
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"
