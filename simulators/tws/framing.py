"""Frames of the socket protocol: four bytes of length, then fields that each end with a zero byte."""

import asyncio
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation

# what both SDKs read as "not set" in a number
UNSET = "1.7976931348623157E308"
_UNSET_INTEGER = "2147483647"
# a real gateway takes 16 MiB; nothing a client sends comes near this
_LONGEST = 1024 * 1024
# no price or quantity comes near these, and arithmetic with what lies beyond fails
_LARGEST, _FINEST = Decimal("1E15"), -30


class Malformed(Exception):
    """Bytes that are no message of this protocol."""


def encode(fields: Iterable[object]) -> bytes:
    """Return a frame; booleans become 1 and 0, None an empty field."""
    payload = b"".join(_text(field).encode() + b"\0" for field in fields)
    return len(payload).to_bytes(4, "big") + payload


def _text(value: object) -> str:
    match value:
        case bool():
            return "1" if value else "0"
        case None:
            return ""
        case Decimal():
            return plain(value)
    # a zero byte would split the field
    return str(value).replace("\0", "")


def plain(value: Decimal) -> str:
    """Return a number without an exponent and without zeros at its end."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


async def read_payload(reader: asyncio.StreamReader) -> bytes | None:
    """Return what one frame holds; None when the client has gone.

    Raises:
        Malformed: the length is none a client sends, or the frame is cut.
    """
    try:
        length = int.from_bytes(await reader.readexactly(4), "big")
    except asyncio.IncompleteReadError as exc:
        if exc.partial:
            raise Malformed("a frame cut in its length") from exc
        return None
    if not 0 < length <= _LONGEST:
        raise Malformed(f"a frame of {length} bytes")
    try:
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as exc:
        raise Malformed("a frame cut in the middle") from exc


def split(payload: bytes) -> list[str]:
    """Return the fields of a frame."""
    values = payload.decode("utf-8", errors="replace").split("\0")
    if values and values[-1] == "":
        values.pop()
    return values


class Fields:
    """The fields of one message, read from left to right."""

    def __init__(self, values: Sequence[str]) -> None:
        self.values = values
        self._next = 0

    def text(self) -> str:
        """Return the next field.

        Raises:
            Malformed: there is none.
        """
        if self._next >= len(self.values):
            raise Malformed(f"field {self._next} is missing")
        self._next += 1
        return self.values[self._next - 1]

    def whole(self, default: int = 0) -> int:
        """Return the next field as a whole number; empty is the default."""
        text = self.text()
        if text in ("", _UNSET_INTEGER):
            return default
        try:
            return int(text)
        except ValueError as exc:
            raise Malformed(f"field {self._next - 1}: expected a whole number, found {text!r}") from exc

    def decimal(self) -> Decimal | None:
        """Return the next field as a number; None when it is empty or carries the word for unset."""
        text = self.text()
        if text in ("", UNSET, "1.7976931348623157e+308"):
            return None
        try:
            value = Decimal(text)
        except InvalidOperation as exc:
            raise Malformed(f"field {self._next - 1}: expected a number, found {text!r}") from exc
        if not value.is_finite() or abs(value) >= _LARGEST or int(value.as_tuple().exponent) < _FINEST:
            raise Malformed(f"field {self._next - 1}: expected a number of usual size, found {text[:40]!r}")
        return value

    def flag(self) -> bool:
        """Return the next field as yes or no; empty is no."""
        text = self.text()
        if text not in ("", "0", "1"):
            raise Malformed(f"field {self._next - 1}: expected 0 or 1, found {text!r}")
        return text == "1"

    def skip(self, count: int = 1) -> None:
        """Pass over fields that mean nothing here."""
        for _ in range(count):
            self.text()

    def rest(self) -> Sequence[str]:
        """Return what was not read yet."""
        return self.values[self._next :]
