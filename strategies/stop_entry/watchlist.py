"""Watchlist files: one symbol a line, what follows a ``#`` is a comment."""

import re
from dataclasses import dataclass

# What stands in a decoded text for bytes that were none of UTF-8.
NOT_UTF_8 = "\ufffd"
# Letters, digits and the dots, dashes and spaces of share classes (BRK B, BF.B), as exchanges write them.
_SYMBOL = re.compile(r"[A-Z][A-Z0-9]{0,9}([ .-][A-Z0-9]{1,4})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A line that names no symbol, or one again; lines count from 1."""

    line: int
    text: str
    problem: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.problem}, found {self.text!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchlist:
    """The symbols in the order of the file, each once, and what is wrong with the other lines."""

    symbols: tuple[str, ...]
    complaints: tuple[Complaint, ...]


def is_symbol(text: str) -> bool:
    """Tell whether ``text`` is written as exchanges write a symbol."""
    return _SYMBOL.fullmatch(text) is not None


def parse_watchlist(text: str) -> Watchlist:
    """Return the symbols of a watchlist in capitals; nothing in the text is an error, only a complaint."""
    found: dict[str, int] = {}
    complaints: list[Complaint] = []
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        given = line.partition("#")[0].strip()
        symbol = given.upper()
        if not symbol:
            continue
        if not is_symbol(symbol):
            problem = "a line must be UTF-8" if NOT_UTF_8 in given else "a line must hold one symbol"
            complaints.append(Complaint(line=number, text=given, problem=problem))
        elif symbol in found:
            problem = f"{symbol} stands already in line {found[symbol]}"
            complaints.append(Complaint(line=number, text=given, problem=problem))
        else:
            found[symbol] = number
    return Watchlist(symbols=tuple(found), complaints=tuple(complaints))
