"""The codec against a slow and plain telling of the same rules, over values of every kind."""

import dataclasses
import json
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.errors import Refuse
from journal import encode_fields
from journal.codec import to_ascii_json


class Side(StrEnum):
    BUY = "buy"
    SELL = "s\u00e9ll"


class Level(IntEnum):
    LOW = 1
    HUGE = 2**60


class Odd(Enum):
    AMOUNT = Decimal("1E+3")
    NOTHING = None


class Text(str):
    __slots__ = ()


class Pair(NamedTuple):
    left: object
    right: object


@dataclasses.dataclass(frozen=True)
class Leg:
    price: object
    side: object = Side.BUY


class Unwritable(Exception):
    """What the codec has to refuse."""


def told(value: Any) -> Any:
    """Return what `encode_fields` has to make of ``value``."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return told(value.value)
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, int):
        return int(value) if abs(value) <= 2**53 else str(int(value))
    if isinstance(value, float | Decimal) and not Decimal(value).is_finite():
        raise Unwritable(value)
    if isinstance(value, float):
        return float(value) + 0.0
    if isinstance(value, Decimal):
        return str(value) if abs(value.adjusted()) > 40 else format(value, "f")
    if isinstance(value, datetime):
        return told_time(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta | UUID):
        return msgspec.to_builtins(value)
    return told_container(value)


def told_time(value: datetime) -> str:
    if value.tzinfo is None:
        raise Unwritable(value)
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def told_container(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: told(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise Unwritable(value)
        plain = {told(key): told(item) for key, item in value.items()}
        if len(plain) != len(value):
            raise Unwritable(value)
        return plain
    if isinstance(value, list | tuple):
        return [told(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(told, value), key=lambda item: json.dumps(item, separators=(",", ":")))
    raise Unwritable(value)


def told_bytes(plain: Any) -> bytes:
    quick = msgspec.json.encode(plain)
    is_plain = all(0x20 <= byte < 0x7F for byte in quick)
    return quick if is_plain else json.dumps(plain, allow_nan=False, separators=(",", ":")).encode()


texts = st.text(max_size=8) | st.text(st.characters(categories=["Cs", "Cc", "Lu"]), max_size=4)
EDGES = ["1E+3", "-0", "-0.00", "0E+5", "0E-50", "1E-7", "1E+40", "1E+41", "1E-41", "sNaN", "NaN123", "-Infinity"]
decimals = st.decimals() | st.sampled_from(EDGES).map(Decimal)
scalars = (
    st.none() | st.booleans() | texts | decimals | texts.map(Text) | st.floats()
    | st.integers() | st.sampled_from([2**53, 2**53 + 1, -(2**53), -(2**53) - 1, 2**64])
    | st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]))
    .filter(lambda moment: 2 < moment.year < 9998)
    | st.datetimes() | st.dates() | st.timedeltas() | st.uuids()
    | st.sampled_from([*Side, *Level, *Odd, b"x", 1j])
)  # fmt: skip
keys = texts | st.sampled_from([Side.BUY, Side.SELL, "market", 1])
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4) | st.builds(Leg, inner, inner)
        | st.builds(Pair, inner, inner) | st.dictionaries(keys, inner, max_size=2).map(OrderedDict)
        | st.dictionaries(keys, inner, max_size=2).map(MappingProxyType)
        | st.sets(decimals.filter(Decimal.is_finite) | texts, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(fields=st.dictionaries(keys, values, max_size=5))
@example(fields={"a": Decimal("1E+3"), "b": -0.0, "c": 2**53 + 1, "d": "\udfff\ud800\udc00", "e": float("inf")})
@example(fields={"a": "\x7f", "b": "\u00e9", "c": "plain"})
def test_every_value_is_written_as_the_rules_say(fields: dict[Any, Any]) -> None:
    try:
        expected = told(fields)
    except Unwritable:
        with pytest.raises(Refuse, match="nothing was written"):
            encode_fields(fields)
        return

    # The text of it, because 1, 1.0 and True are equal, and so are 0.0 and -0.0.
    assert repr(encode_fields(fields)) == repr(expected)
    assert to_ascii_json(encode_fields(fields)) == told_bytes(expected)
