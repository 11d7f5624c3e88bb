"""Public lines: the journal's own bytes, with the few facts the feed itself needs from them."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec

from domain.clock import iso
from domain.vocabulary import Action, Kind
from journal import Entry, Position

Moment = Annotated[datetime, msgspec.Meta(tz=True)]

PUBLIC = frozenset((Kind.SIGNAL.value, Kind.RESOLUTION.value))


class Facts(msgspec.Struct):
    """What the feed reads out of a public record; every other field passes through unseen."""

    ts: str
    surface: str
    mode: str
    signal_id: str = ""
    action: str | None = None
    provisional: bool = False
    side: str | None = None
    reference_price: Decimal | None = None
    published_at: Moment | None = None
    expires_at: Moment | None = None


class Signal(msgspec.Struct, frozen=True, gc=False):
    """What callbacks and `expired` need to know of one signal."""

    id: str
    surface: str
    mode: str
    side: str
    reference_price: Decimal | None
    published_at: datetime | None
    expires_at: datetime | None

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


class Line(msgspec.Struct, frozen=True):
    """One public record: ``raw`` is its line in the journal without the newline, ``after`` the place behind it."""

    log: str
    seq: int
    kind: str
    raw: bytes
    facts: Facts
    after: Position

    @property
    def is_open(self) -> bool:
        return self.kind == Kind.SIGNAL and self.facts.action == Action.OPEN

    @property
    def is_amend(self) -> bool:
        return self.kind == Kind.SIGNAL and self.facts.action == Action.AMEND

    @property
    def is_end(self) -> bool:
        """Tell whether its signal is over; an outcome that was only seen early ends nothing."""
        return not (self.is_open or self.is_amend or self.facts.provisional)

    @property
    def order(self) -> tuple[str, bool, str, int]:
        """Where it belongs among the lines of several logs; within one log this is the order of ``seq``.

        A signal goes before an end of the same microsecond.
        """
        return self.facts.ts, self.log.endswith("/resolutions"), self.log, self.seq


_decode = msgspec.json.Decoder(Facts, strict=False).decode


def public(log: str, entry: Entry) -> Line | None:
    """Return the line to serve, or None for a record that is none of the subscribers' business."""
    if entry.kind not in PUBLIC:
        return None
    return Line(log, entry.seq, entry.kind, entry.raw, _facts(entry), entry.position)


def kept(log: str, raw: bytes, after: Position) -> Line:
    """Return a line that was `public` before, from its bytes."""
    line = public(log, Entry(raw, after.segment, after.offset, after.h))
    if line is None:
        raise ValueError("a public line")
    return line


# Sixteen hex digits of the key, a colon, 64 bytes in base64: what may follow `h` at the end of a line.
_SIG_MARK, _SIG_LENGTH = b'","sig":"', 105


def signature(raw: bytes) -> str | None:
    """Return the signature at the end of a line, or None for a line that carries none."""
    at = len(raw) - _SIG_LENGTH - 2
    if raw[at - len(_SIG_MARK) : at] != _SIG_MARK:
        return None
    return raw[at:-2].decode("latin-1")


def _facts(entry: Entry) -> Facts:
    try:
        return _decode(entry.raw)
    except msgspec.ValidationError:
        # It stands in the journal, so it is served; the feed itself just makes nothing of it.
        return Facts(iso(entry.ts), "", "")
