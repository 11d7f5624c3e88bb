"""Words shared by all four vendors: what is asked, what is answered, what is refused."""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Json = dict[str, Any]
LABEL = "synthetic forecast"


class Finish(StrEnum):
    """Why an answer ended; each vendor has its own word for it."""

    STOP = "stop"
    LENGTH = "length"
    REFUSAL = "refusal"
    FILTER = "filter"


class Kind(StrEnum):
    """Why there is no answer; each vendor has its own status and body for it."""

    NO_KEY = "no_key"
    BAD_KEY = "bad_key"
    DENIED = "denied"
    INVALID = "invalid"
    NO_ROUTE = "no_route"
    UNKNOWN_MODEL = "unknown_model"
    RETIRED_MODEL = "retired_model"
    RATE_LIMITED = "rate_limited"
    OUT_OF_CREDIT = "out_of_credit"
    OVERLOADED = "overloaded"
    BROKEN = "broken"


class Problem(Exception):
    """A refusal the client reads.

    ``detail`` is the sentence of an INVALID one, the model of a model's, the key of a key's. ``code`` is the vendor's
    machine-readable word and ``param`` the field at fault, where the vendor has such a place.
    """

    def __init__(
        self,
        kind: Kind,
        detail: str = "",
        *,
        code: str | None = None,
        param: str | None = None,
        status: int = 500,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind, self.detail, self.code, self.param = kind, detail, code, param
        self.status, self.retry_after = status, retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request for text.

    ``system`` and ``prompt`` are what was said. ``effort`` is None for the model's own way, 0 for no reasoning, above 1
    for more than usual. ``marked`` is how many characters a client marked as worth caching, None where none can be.
    """

    model: str
    prompt: str
    system: str = ""
    maximum_tokens: int | None = None
    schema: Json | None = None
    is_json: bool = False
    tool: str | None = None
    effort: float | None = None
    shows_thoughts: bool = False
    marked: int | None = None

    @property
    def said(self) -> str:
        """Return everything the model reads."""
        return f"{self.system}\n{self.prompt}" if self.system else self.prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What is billed: ``prompt`` holds the cached part, ``thoughts`` comes on top of ``text``."""

    prompt: int
    text: int = 0
    thoughts: int = 0
    cached: int = 0
    cache_written: int = 0

    @property
    def out(self) -> int:
        return self.text + self.thoughts


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model says; ``value`` is the JSON behind ``text`` where there is one."""

    text: str
    tokens: Tokens
    finish: Finish = Finish.STOP
    value: Any = None
    seconds: float = 0.0
    has_usage: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Status, body and headers on their way out."""

    status: int
    body: Json
    headers: dict[str, str] = field(default_factory=dict)


def encode(payload: Any) -> bytes:
    """Write a reply body."""
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()


def text_of(content: Any) -> str:
    """Return the text of a message whose content is a text or a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(str(part["text"]) for part in content if isinstance(part, dict) and "text" in part)
