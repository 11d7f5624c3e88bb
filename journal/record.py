"""The line format: how a record becomes bytes, and what makes bytes a record.

    {"ts":"…Z","v":1,"log":"fx/signals","seq":42,"id":"…","boot":"…","mono_ns":"…","pid":1,"kind":"signal",
     "surface":"fx","mode":"paper", <caller's fields>, "prev":"<64 hex>","h":"<64 hex>","sig":"<16 hex>:<88 base64>"}

This module is the single authority for the envelope. ``h`` is SHA-256 of the raw bytes before ``,"h":"``, so that it
can be checked with `sha256sum` alone; ``sig``, which only signed logs have, follows it and is not covered.
"""

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec

from domain.errors import Refuse
from journal import redact
from journal.codec import clean_text, encode_fields, plain_text, to_ascii_json
from journal.model import Fields, NewRecord

VERSION = 1
MAX_LINE = 64 * 1024
# Room for ts, v, seq, boot, mono_ns, pid, clock_back_s, batch, prev, h, sig and their punctuation, at their widest.
ENVELOPE_ROOM = 768

SEGMENT_START = "segment_start"
SEGMENT_END = "segment_end"
RECOVERY = "recovery"
DISK_FULL = "disk_full"
# Mode of the log's own records: they belong to no trading mode.
LOG_MODE = "journal"

_STAMPED = ("ts", "v", "log", "seq", "boot", "mono_ns", "pid", "clock_back_s", "batch", "prev", "h", "sig")
# A domain value may carry these itself, as long as it says the same as the envelope.
_SHARED = ("id", "kind", "surface", "mode")
RESERVED = frozenset(_STAMPED + _SHARED)
_TODO = "rename the field; nothing was written"

_TAIL = re.compile(
    rb',"prev":"([0-9a-f]{64})","h":"([0-9a-f]{64})"(?:,"sig":"([0-9a-f]{16}:[A-Za-z0-9+/]{86}==)")?\}\Z'
)
_TS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
# A line's end without a signature: ,"prev":"<64>","h":"<64>"}
_PREV_AT, _HASH_AT = -(74 + 72), -72
# With one, ,"sig":"<16>:<88>" stands before the brace.
SIG_WIDTH = 114


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """A record checked and encoded outside the lock, without the stamped part; an empty ``id`` is given there.

    Attributes:
        quoted_id: ``id`` as it stands on the line.
    """

    id: str
    quoted_id: bytes
    kind: str
    body: bytes


class Envelope(msgspec.Struct, gc=False):
    """What the log itself needs of a line; the writer's own fields are checked as JSON and passed over."""

    ts: str
    v: int
    log: str
    seq: int
    id: str
    kind: str
    surface: str
    mode: str
    prev: str
    h: str
    sig: str | None = None
    batch: Any = None
    segment: Any = None
    next: Any = None


class Parsed(msgspec.Struct, frozen=True):
    """A line taken apart by `parse_line`; ``hash_ok`` says whether its bytes match its ``h``."""

    envelope: Envelope
    hash_ok: bool

    @property
    def seq(self) -> int:
        return self.envelope.seq

    @property
    def ts(self) -> str:
        return self.envelope.ts

    @property
    def log(self) -> str:
        return self.envelope.log

    @property
    def kind(self) -> str:
        return self.envelope.kind

    @property
    def prev(self) -> str:
        return self.envelope.prev

    @property
    def h(self) -> str:
        return self.envelope.h

    @property
    def sig(self) -> str | None:
        return self.envelope.sig


class BadLine(Exception):
    """Bytes that are no record; the message says why. Never leaves this package."""


def prepare(log: str, kind: str, surface: str, mode: str, id_: str | None, fields: Fields) -> Prepared:
    """Check and encode what a caller wants written.

    Raises:
        Refuse: a reserved field name, a value without a JSON form, or a line beyond 64 KiB.
    """
    plain_kind, body, plain_id = _draft(kind, surface, mode, id_, fields)
    body, plain_id = redact.record(body, plain_id)
    return _fitting(log, plain_kind, body, plain_id)


def prepare_many(log: str, records: Iterable[NewRecord]) -> list[Prepared]:
    """Do as `prepare` for each; looking for secrets in all of them at once takes half the time."""
    drafts = [_draft(new.kind, new.surface, new.mode, new.id, new.fields) for new in records]
    if redact.may_hold_secrets(b"\n".join([b"%b\n%b" % (body, id_.encode()) for _, body, id_ in drafts])):
        drafts = [(kind, *redact.record(body, id_)) for kind, body, id_ in drafts]
    return [_fitting(log, *draft) for draft in drafts]


def _draft(kind: str, surface: str, mode: str, id_: str | None, fields: Fields) -> tuple[str, bytes, str]:
    """Return the kind, the members, and the id or nothing, as they may stand in a line apart from secrets."""
    plain_kind, start = _start(kind, surface, mode)
    plain = encode_fields(fields)
    if not RESERVED.isdisjoint(plain):
        plain = _without_shared(plain, {"id": id_, "kind": kind, "surface": surface, "mode": mode})
    body = start + to_ascii_json(plain)[1:-1] if plain else start[:-1]
    if id_ == "":
        raise Refuse("an id, or None for one made here", "an empty id", "fill it in; nothing was written")
    return plain_kind, body, clean_text(id_) if id_ else ""


def _fitting(log: str, kind: str, body: bytes, id_: str) -> Prepared:
    size = len(body) + len(log) + ENVELOPE_ROOM + 6 * len(id_)
    if size > MAX_LINE:
        raise Refuse(f"a line of at most {MAX_LINE} bytes", f"about {size}", "store the large part elsewhere")
    return Prepared(id_, to_ascii_json(id_) if id_ else b"", kind, body)


@lru_cache(maxsize=256)
def _start(kind: str, surface: str, mode: str) -> tuple[str, bytes]:
    """Return the kind as plain text, and the encoded start of the body; a program uses few combinations."""
    own = {name: clean_text(plain_text(text)) for name, text in (("kind", kind), ("surface", surface), ("mode", mode))}
    if not all(own.values()):
        raise Refuse("a kind, a surface and a mode", repr(own), "fill in what is empty; nothing was written")
    return own["kind"], to_ascii_json(own)[1:-1] + b","


def _without_shared(fields: dict[str, Any], own: dict[str, str | None]) -> dict[str, Any]:
    for name in sorted(RESERVED & fields.keys()):
        if name not in own:
            raise Refuse("no field with a name of the envelope", repr(name), _TODO)
        if fields[name] != own[name]:
            raise Refuse(f"{name!r} as given to append ({own[name]!r})", repr(fields[name]), _TODO)
    return {name: value for name, value in fields.items() if name not in RESERVED}


def links(raw: bytes) -> tuple[str, str]:
    """Return ``prev`` and ``h`` of a line (without newline), trusting its form.

    Raises:
        BadLine: the line does not end as a record does.
    """
    for back in (0, SIG_WIDTH):
        prev_at, hash_at = _PREV_AT - back, _HASH_AT - back
        if raw[hash_at : hash_at + 6] == b',"h":"' and raw[prev_at : prev_at + 9] == b',"prev":"':
            return raw[prev_at + 9 : prev_at + 73].decode("latin-1"), raw[hash_at + 6 : hash_at + 70].decode("latin-1")
    raise BadLine('the line does not end in "prev" and "h"')


def parse_line(line: bytes) -> Parsed:
    """Take a line (with its newline) apart, strictly.

    Raises:
        BadLine: the bytes are not a whole record of this format.
    """
    _check_bytes(line)
    found = _TAIL.search(line, max(0, len(line) - 501), len(line) - 1)
    if found is None:
        raise BadLine('the line does not end in "prev" and "h"')
    envelope = _decode(line)
    prev, h = found[1].decode(), found[2].decode()
    sig = b"" if envelope.sig is None else b',"sig":"%b"' % envelope.sig.encode()
    if line[7:35] != b'%b"' % envelope.ts.encode():
        raise BadLine('"ts" stands twice')
    if (envelope.prev, envelope.h) != (prev, h) or line[found.end(2) + 1 : -2] != sig or repeats_links(line):
        raise BadLine('"prev", "h" or "sig" stands twice')
    hash_ok = sha256(line[: found.end(1) + 1]).hexdigest() == h
    return Parsed(envelope, hash_ok)


def _check_bytes(line: bytes) -> None:
    if not line.endswith(b"\n"):
        raise BadLine("no newline within 64 KiB" if len(line) >= MAX_LINE else "the line is cut short")
    if len(line) > MAX_LINE:
        raise BadLine("the line is longer than 64 KiB")
    if not line.startswith(b'{"ts":"'):
        raise BadLine('the line does not start with {"ts":"')
    if not line.isascii() or b"\0" in line:
        raise BadLine("the line holds bytes outside ASCII, or NUL")


_decode_envelope = msgspec.json.Decoder(Envelope).decode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode
_TEXT_KEYS = ("log", "id", "kind", "surface", "mode", "prev", "h")


def _decode(line: bytes) -> Envelope:
    try:
        envelope = _decode_envelope(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadLine(_fault(line)) from error
    if envelope.v != VERSION:
        raise BadLine(f"version {envelope.v!r} instead of {VERSION}")
    if envelope.seq < 1:
        raise BadLine('"seq" is not a positive integer')
    if _TS.fullmatch(envelope.ts) is None:
        raise BadLine('"ts" is not a UTC time with microseconds')
    return envelope


def _fault(line: bytes) -> str:
    """Say what is wrong with a line that does not decode."""
    try:
        record = _decode_object(line)
    except (msgspec.DecodeError, RecursionError) as error:
        return f"not strict JSON ({error})"
    if record.get("v") != VERSION:
        return f"version {record.get('v')!r} instead of {VERSION}"
    if type(record.get("seq")) is not int:
        return '"seq" is not a positive integer'
    wrong = next((key for key in _TEXT_KEYS if type(record.get(key)) is not str), None)
    return f'"{wrong}" is not text' if wrong else '"ts" is not a UTC time with microseconds'


def repeats_links(line: bytes) -> bool:
    """Tell whether ``prev``, ``h`` or ``sig`` is a key of the record twice: readers differ on which of the two counts.

    Raises:
        BadLine: the line can't be read.
    """
    if b"\\" not in line and line.count(b'"h"') == line.count(b'"prev"') == 1 and line.count(b'"sig"') < 2:
        return False
    try:
        names = [name for name, _ in json.loads(line, object_pairs_hook=list)]
    except (ValueError, RecursionError) as error:
        raise BadLine(f"not strict JSON ({error})") from error
    return any(names.count(name) > 1 for name in ("prev", "h", "sig"))
