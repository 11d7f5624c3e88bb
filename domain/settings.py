"""Typed settings from a mapping of environment keys.

An unknown key, a missing one and a value that does not fit are errors that name the key, what was expected and what
to do. This module never reads the environment itself: a process's ``config.py`` does, once.
"""

import dataclasses
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from domain import known_secrets
from domain.clock import parse_iso
from domain.errors import Misconfigured, did_you_mean

T = TypeVar("T")


class Secret:
    """A value that is never printed, only handed over by ``reveal()``, and cut out of whatever is written."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        known_secrets.remember(value)

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


def load(cls: type[T], environ: Mapping[str, str], *, prefix: str, source: str) -> T:
    """Build the frozen dataclass ``cls`` from the keys of ``environ`` that start with ``prefix``.

    Field ``daily_loss`` is read from ``<prefix>DAILY_LOSS``. Keys without the prefix belong to somebody else.

    Raises:
        Misconfigured: a key is unknown, missing, or its value does not fit its field; ``source`` names the file.
    """
    fields = {f"{prefix}{field.name.upper()}": field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    given = {key: value for key, value in environ.items() if key.startswith(prefix)}
    _refuse_unknown(given, fields, source)
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, field in fields.items():
        if key in given:
            values[field.name] = _parse(key, given[key], hints[field.name], source)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise Misconfigured(f"a value for {key}", "none", f"set {key} in {source}")
    try:
        return cls(**values)
    except ValueError as error:
        raise _unfit(str(error), {name.name: key for key, name in fields.items()}, source) from error


_FIELD = re.compile(r"\b[a-z0-9]+(?:_[a-z0-9]+)+\b")
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "SHLVL", "PWD", "_")
_INHERITED_PREFIXES = ("PYTHON", "SUPERVISOR_", "LC_")


def refuse_strays(environ: Mapping[str, str], prefixes: tuple[str, ...], *, source: str) -> None:
    """Raise Misconfigured for a key that no settings class of this process will read.

    The launcher hands a process its own env file and a short allow-list, so whatever is left over is a typing error.
    """
    for key in environ:
        if key in _INHERITED or key.startswith(_INHERITED_PREFIXES) or key.startswith(prefixes):
            continue
        hint = did_you_mean(key.split("_")[0] + "_", prefixes) or f"prefixes known here: {', '.join(prefixes)}"
        raise Misconfigured("known setting names only", f"{key} in {source}", f"remove or rename it ({hint})")


def keys(cls: type[Any], *, prefix: str) -> dict[str, str]:
    """Return environment key -> default as text (empty when the key must be given), for documentation and checks."""
    return {f"{prefix}{field.name.upper()}": _default_text(field) for field in dataclasses.fields(cls)}


def _default_text(field: "dataclasses.Field[Any]") -> str:
    if field.default is dataclasses.MISSING or field.default is None:
        return ""
    if isinstance(field.default, tuple):
        return ",".join(str(item) for item in field.default)
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)


def _unfit(text: str, keys_of: Mapping[str, str], source: str) -> Misconfigured:
    """Return the error for what a settings class said of its values, told by the keys a person wrote.

    A field is meant where its name could be no plain word, and at the beginning of the text.
    """
    said, found, value = text.partition(", found ")
    first, space, rest = said.partition(" ")
    said = keys_of.get(first, first) + space + _FIELD.sub(lambda name: keys_of.get(name[0], name[0]), rest)
    expected = f"settings that fit together in {source}"
    if not found:
        return Misconfigured(expected, said, f"correct {source}")
    return Misconfigured(f"{expected}: {said}", value, f"correct {source}")


def _refuse_unknown(given: Mapping[str, str], fields: Mapping[str, Any], source: str) -> None:
    for key in given:
        if key not in fields:
            hint = did_you_mean(key, fields) or f"known keys: {', '.join(sorted(fields))}"
            raise Misconfigured("known setting names only", f"{key} in {source}", f"remove or rename it ({hint})")


def _parse(key: str, text: str, hint: Any, source: str) -> Any:
    hint, optional = _unwrap_optional(hint)
    if optional and text == "":
        return None
    try:
        return _converter(hint)(text)
    except (ValueError, InvalidOperation, ArithmeticError) as error:
        shown = "an empty one" if hint is Secret else repr(text)
        raise Misconfigured(f"{key} as {_describe(hint)}", shown, f"correct it in {source}") from error


def _unwrap_optional(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        return inner[0], True
    return hint, False


def _converter(hint: Any) -> Callable[[str], Any]:
    if typing.get_origin(hint) is tuple:
        inner = _converter(typing.get_args(hint)[0])
        return lambda text: tuple(inner(part.strip()) for part in text.split(",") if part.strip())
    if hint in _CONVERTERS:
        return _CONVERTERS[hint]
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    raise TypeError(f"settings cannot hold a {hint!r}")


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError("not finite")
    return value


def _float(text: str) -> float:
    value = float(_decimal(text))
    if not math.isfinite(value):
        raise ValueError("too large")
    return value


def _bool(text: str) -> bool:
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.strip().lower()]


def _bool_or_error(text: str) -> bool:
    try:
        return _bool(text)
    except KeyError as error:
        raise ValueError(text) from error


def _secret(text: str) -> Secret:
    if not text:
        raise ValueError("empty")
    return Secret(text)


_CONVERTERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: _float,
    bool: _bool_or_error,
    Decimal: _decimal,
    Path: Path,
    Secret: _secret,
    datetime: parse_iso,
}

_NAMES: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Decimal: "a decimal number",
    Path: "a path",
    Secret: "a secret",
    datetime: "an ISO-8601 moment with its offset",
}


def _describe(hint: Any) -> str:
    if typing.get_origin(hint) is tuple:
        return f"a comma-separated list, each {_describe(typing.get_args(hint)[0])}"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return "one of " + ", ".join(hint)
    return _NAMES[hint]
