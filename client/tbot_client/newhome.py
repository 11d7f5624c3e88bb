"""A new home: the config file written from answers, readable by its owner only."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from tbot_client.book import Book
from tbot_client.clock import Clock
from tbot_client.config import parse
from tbot_client.errors import Misconfigured
from tbot_client.home import Home

Value = str | int | float | bool | list[str]
Answers = Mapping[str, Mapping[str, Value | None]]
_HEADER = "# Settings of tbot-client. Keep this file private: chmod 600. `tbot-client check` reads it back.\n"


def text_of(answers: Answers) -> str:
    """Write the sections as TOML, leaving out what was not answered."""
    parts = [_HEADER]
    for section, entries in answers.items():
        lines = [f"{name} = {_toml(value)}" for name, value in entries.items() if value not in (None, "", [])]
        if lines:
            parts.append(f"[{section}]\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _toml(value: Value | None) -> str:
    # A JSON string without escapes beyond \\uXXXX is a TOML basic string, and a JSON list of them a TOML array.
    return json.dumps(value, ensure_ascii=False)


def make_way(home: Home, *, overwrite: bool) -> None:
    """Refuse to replace a config file unasked; called before any question, so that no answer is given in vain.

    Raises:
        Misconfigured: there is a config file already.
    """
    if home.config.exists() and not overwrite:
        raise Misconfigured("no config file yet", str(home.config), "use --force to replace it")


def begin_anew(home: Home, book: Book, clock: Clock) -> None:
    """Forget the publisher's past and keys, and keep what was seen of them beside: it may prove something yet."""
    if home.heads.exists():
        home.heads.rename(home.heads.with_name(f"heads-before-{clock.now():%Y%m%dT%H%M%S}.jsonl"))
    book.write({"kind": "trusted"})


def write(home: Home, answers: Answers) -> Path:
    """Check the answers by reading them back, then write the file with mode 600.

    Raises:
        Misconfigured: an answer is wrong.
    """
    text = text_of(answers)
    parse(text, home.path)
    home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = home.config.with_suffix(".new")
    partial.unlink(missing_ok=True)
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(home.config)
    return home.config
