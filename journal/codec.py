"""The translation between domain values and the JSON a line may hold.

This module is the single authority for what a value looks like on disk: money and big integers are strings, times are
UTC ISO-8601, text is ASCII with escapes, and nothing is written that `jq` or DuckDB would alter or choke on.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from domain.clock import iso
from domain.errors import Refuse
from journal.model import Fields

T = TypeVar("T")

# jq 1.6 and every JavaScript reader keep integers in a double.
SAFE_INT = 2**53
# Beyond this many digits a Decimal keeps its exponent form instead of being spelt out in zeros.
PLAIN_EXPONENT = 40
_DEL = 0x7F

_TODO = "correct the caller; nothing was written"
_to_json = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"), check_circular=False).encode
_encode = msgspec.json.Encoder().encode


def encode_fields(obj: Fields) -> dict[str, Any]:
    """Turn a dataclass or mapping into plain JSON values.

    Decimals, and integers beyond 2^53, become strings; datetimes become ISO-8601 UTC with microseconds; enums their
    value; dataclasses objects; tuples, lists and sets arrays (sets sorted). Lone surrogates become U+FFFD and -0.0
    becomes 0.0.

    Raises:
        Refuse: a value has no safe form (NaN, infinity, naive datetime, bytes, a key that is not text).
    """
    try:
        plain = _plain(obj)
    except RecursionError:
        raise Refuse("fields nested less deeply", "nesting beyond the interpreter's limit", _TODO) from None
    if not isinstance(plain, dict):
        raise Refuse("a mapping or a dataclass", type(obj).__name__, _TODO)
    return plain


def decode(record: Mapping[str, Any] | bytes, type_: type[T]) -> T:
    """Build a ``type_`` from a record or a raw line; keys the type does not know are ignored.

    Raises:
        Refuse: a field is missing or has the wrong form.
    """
    try:
        plain = msgspec.json.decode(record) if isinstance(record, bytes) else record
        # Not strict, because an integer beyond 2^53 was written as a string; text stays text wherever text is allowed.
        return msgspec.convert(plain, type_, strict=False)
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        raise Refuse(f"a record that reads as {type_.__name__}", str(error), "check its kind and version") from error


def to_ascii_json(value: object) -> bytes:
    """Write plain values (see `encode_fields`) as compact ASCII JSON."""
    # msgspec takes a fifth of the time but leaves non-ASCII and DEL as they are; both are rare.
    quick = _encode(value)
    return quick if quick.isascii() and _DEL not in quick else _to_json(value).encode()


def plain_text(text: str) -> str:
    """Return the characters of ``text``; of an enum, those of its value."""
    return str(text.value) if isinstance(text, Enum) else str(text)


def clean_text(text: str) -> str:
    """Return ``text`` with each lone surrogate replaced by U+FFFD; proper pairs are joined."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind is str:
        return value if value.isascii() else clean_text(value)
    if value is None or kind is bool:
        return value
    convert = _EXACT.get(kind) or _converter(kind)
    return convert(value)


def _int(value: int) -> int | str:
    return value if -SAFE_INT <= value <= SAFE_INT else str(value)


def _float(value: float) -> float:
    if not math.isfinite(value):
        raise Refuse("a finite number", repr(value), _TODO)
    return value + 0.0  # turns -0.0 into 0.0


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise Refuse("a finite Decimal", str(value), _TODO)
    text = str(value)
    # Prices and sizes have no exponent, and str says so in a third of the time that format takes.
    return text if "E" not in text or abs(value.adjusted()) > PLAIN_EXPONENT else format(value, "f")


def _moment(value: datetime) -> str:
    if value.tzinfo is None:
        raise Refuse("an aware datetime", f"naive {value.isoformat()}", _TODO)
    return iso(value)


def _mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    plain = {}
    for key, item in value.items():
        name = key if type(key) is str and key.isascii() else _key(key)
        # As `_plain` does, without the price of a call for what most fields are.
        kind = type(item)
        if kind is str:
            plain[name] = item if item.isascii() else clean_text(item)
        elif kind is Decimal:
            plain[name] = _decimal(item)
        else:
            plain[name] = _plain(item)
    if len(plain) != len(value):
        raise Refuse("keys that stay distinct as text", repr(list(value)[:20]), _TODO)
    return plain


def _key(key: Any) -> str:
    text = key.value if isinstance(key, Enum) else key
    if not isinstance(text, str):
        raise Refuse("keys that are text", repr(key), _TODO)
    return clean_text(text)


def _array(value: Any) -> list[Any]:
    return [_plain(item) for item in value]


def _set(value: Any) -> list[Any]:
    return sorted(_array(value), key=_to_json)


def _dataclass(value: Any) -> dict[str, Any]:
    return {name: _plain(getattr(value, name)) for name in _field_names(type(value))}


def _field_names(kind: type) -> tuple[str, ...]:
    names = _FIELD_NAMES.get(kind)
    if names is None:
        names = _FIELD_NAMES[kind] = tuple(item.name for item in dataclasses.fields(kind))
    return names


def _unknown(value: Any) -> Any:
    raise Refuse("a value with a JSON form", f"{type(value).__name__} {value!r:.80}", _TODO)


_FIELD_NAMES: dict[type, tuple[str, ...]] = {}

# Filled further as types are met.
_EXACT: dict[type, Callable[[Any], Any]] = {
    int: _int,
    float: _float,
    Decimal: _decimal,
    datetime: _moment,
    dict: _mapping,
    list: _array,
    tuple: _array,
}

# For subclasses, first match wins: an enum before str and int, a datetime before a date.
_FAMILIES: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (Enum, lambda value: _plain(value.value)),
    (str, lambda value: clean_text(str(value))),
    (int, lambda value: _int(int(value))),
    (float, lambda value: _float(float(value))),
    (Decimal, _decimal),
    (datetime, _moment),
    (date, lambda value: value.isoformat()),
    ((timedelta, UUID), msgspec.to_builtins),
    (Mapping, _mapping),
    ((list, tuple), _array),
    ((set, frozenset), _set),
)


def _converter(kind: type) -> Callable[[Any], Any]:
    found = _dataclass if dataclasses.is_dataclass(kind) else _unknown
    convert = next((convert for family, convert in _FAMILIES if issubclass(kind, family)), found)
    _EXACT[kind] = convert
    return convert
