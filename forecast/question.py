"""A question with two outcomes, as it is put to the models."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from domain.clock import iso, require_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: everything in it is shown to the models.

    ``id`` is the asker's name for it (a market's ticker) and is not shown. ``text`` and ``rules`` are strangers'
    words. ``yes`` says what YES stands for where the text leaves it open. ``facts`` are findings, name and value; the
    market's price must not be among them, because it is blended in afterwards.
    """

    id: str
    text: str
    rules: str
    closes_at: datetime
    yes: str = ""
    facts: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        require_utc(self.closes_at, "Question.closes_at")
        if not self.text.strip():
            raise ValueError(f"question {self.id} needs a text")

    @property
    def fingerprint(self) -> str:
        """Return what tells this question from any other, whatever it is called; the same after a restart."""
        parts = [self.text, self.rules, iso(self.closes_at), self.yes, self.facts]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
