"""The values that pass between the journal and its callers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from domain.clock import parse_iso

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Fields: TypeAlias = "Mapping[str, Any] | DataclassInstance"

GENESIS = "0" * 64


# Position and Receipt are made once a record on the hot path; a frozen msgspec.Struct costs 0.1 us to build where a
# frozen dataclass costs 1.2 us. They hold nothing that could hold them, so the garbage collector need not look at them.
class Position(msgspec.Struct, frozen=True, gc=False):
    """A place between two records.

    Attributes:
        segment: number of the segment file, from 1.
        offset: byte offset in that file at which the next record starts.
        seq: sequence number of the last record before this place; 0 at the start.
        h: hash of that record; 64 zeros at the start.
    """

    segment: int
    offset: int
    seq: int
    h: str

    @classmethod
    def start(cls) -> "Position":
        """Return the place before the first record of any log."""
        return cls(1, 0, 0, GENESIS)


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """Proof that one record is durable.

    Attributes:
        raw: the record's line without its newline.
        position: the place just after the record.
    """

    seq: int
    id: str
    ts: datetime
    h: str
    raw: bytes
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecord:
    """What a caller wants written; the journal adds the envelope."""

    kind: str
    surface: str
    mode: str
    id: str | None = None
    fields: Fields = field(default_factory=dict)


class _Envelope(msgspec.Struct):
    ts: str
    seq: int
    kind: str
    id: str


_decode_envelope = msgspec.json.Decoder(_Envelope).decode


class Entry:
    """One committed record as read from disk.

    Attributes:
        seq: sequence number, from 1, without gaps.
        kind: what happened; `segment_start` and `segment_end` are the log's own.
        id: the record's id.
        raw: the exact line without its newline.
        position: the place just after the record; hand it back as ``after`` to go on from here.
    """

    __slots__ = ("_record", "_ts", "id", "kind", "position", "raw", "seq")

    def __init__(self, raw: bytes, segment: int, end_offset: int, h: str) -> None:
        envelope = _decode_envelope(raw)
        self.seq = envelope.seq
        self.kind = envelope.kind
        self.id = envelope.id
        self.raw = raw
        self.position = Position(segment, end_offset, envelope.seq, h)
        self._ts = envelope.ts
        self._record: dict[str, Any] | None = None

    @property
    def ts(self) -> datetime:
        """When the record was written, aware, in UTC."""
        return parse_iso(self._ts)

    @property
    def record(self) -> dict[str, Any]:
        """The whole line as a mapping, decoded at the first use."""
        if self._record is None:
            self._record = msgspec.json.decode(self.raw, type=dict[str, Any])
        return self._record

    def __repr__(self) -> str:
        return f"Entry(seq={self.seq}, kind={self.kind!r}, id={self.id!r})"
