"""The line format: how a record becomes bytes, and what makes bytes a record.

    {"ts":"…Z","v":1,"log":"fx/signals","seq":42,"id":"…","boot":"…","mono_ns":"…","pid":1,"kind":"signal",
     "surface":"fx","mode":"paper", <caller's fields>, "prev":"<64 hex>","h":"<64 hex>"}

This module is the single authority for the envelope. ``h`` is SHA-256 of the raw bytes before ``,"h":"``, so that it
can be checked with `sha256sum` alone; a later ``,"sig":"…"`` after it is accepted and not covered.
"""

import re
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec

from domain.errors import Refuse
from journal.codec import clean_text, encode_fields, plain_text, to_ascii_json
from journal.model import Fields

VERSION = 1
MAX_LINE = 64 * 1024
# Room for ts, v, seq, boot, mono_ns, pid, clock_back_s, batch, prev, h and their punctuation, at their widest.
ENVELOPE_ROOM = 640

SEGMENT_START = "segment_start"
SEGMENT_END = "segment_end"
RECOVERY = "recovery"
# Mode of the log's own records: they belong to no trading mode.
LOG_MODE = "journal"

_STAMPED = ("ts", "v", "log", "seq", "boot", "mono_ns", "pid", "clock_back_s", "batch", "prev", "h", "sig")
# A domain value may carry these itself, as long as it says the same as the envelope.
_SHARED = ("id", "kind", "surface", "mode")
RESERVED = frozenset(_STAMPED + _SHARED)
_TODO = "rename the field; nothing was written"

_TAIL = re.compile(rb',"prev":"([0-9a-f]{64})","h":"([0-9a-f]{64})"(?:,"sig":"[A-Za-z0-9+/=_-]{1,256}")?\}\Z')
_TS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
# Without a signature: ,"prev":"<64>","h":"<64>"}
_PREV_AT, _HASH_AT = -(74 + 72), -72


class Prepared(msgspec.Struct, frozen=True):
    """A record checked and encoded outside the lock, without the stamped part; an empty ``id`` is given there."""

    id: str
    kind: str
    body: bytes


class Parsed(msgspec.Struct, frozen=True):
    """A line taken apart by `parse_line`; ``hash_ok`` says whether its bytes match its ``h``."""

    seq: int
    ts: str
    log: str
    kind: str
    prev: str
    h: str
    hash_ok: bool
    record: dict[str, Any]


class BadLine(Exception):
    """Bytes that are no record; the message says why. Never leaves this package."""


def prepare(log: str, kind: str, surface: str, mode: str, id_: str | None, fields: Fields) -> Prepared:
    """Check and encode what a caller wants written.

    Raises:
        Refuse: a reserved field name, a value without a JSON form, or a line beyond 64 KiB.
    """
    plain_kind, start = _start(kind, surface, mode)
    plain = encode_fields(fields)
    if not RESERVED.isdisjoint(plain):
        plain = _without_shared(plain, {"id": id_, "kind": kind, "surface": surface, "mode": mode})
    body = start + to_ascii_json(plain)[1:-1] if plain else start[:-1]
    if id_ == "":
        raise Refuse("an id, or None for one made here", "an empty id", "fill it in; nothing was written")
    plain_id = clean_text(id_ or "")
    size = len(body) + len(log) + ENVELOPE_ROOM + 6 * len(plain_id)
    if size > MAX_LINE:
        raise Refuse(f"a line of at most {MAX_LINE} bytes", f"about {size}", "store the large part elsewhere")
    return Prepared(plain_id, plain_kind, body)


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


def seal(unsealed: bytes, prev: str) -> tuple[bytes, str]:
    """Close a line that lacks only its links; return the line without newline, and its hash."""
    covered = b'%b,"prev":"%b"' % (unsealed, prev.encode())
    h = sha256(covered).hexdigest()
    return b'%b,"h":"%b"}' % (covered, h.encode()), h


def links(raw: bytes) -> tuple[str, str]:
    """Return ``prev`` and ``h`` of a line (without newline), trusting its form.

    Raises:
        BadLine: the line does not end as a record does.
    """
    if raw[_HASH_AT : _HASH_AT + 6] == b',"h":"' and raw[_PREV_AT : _PREV_AT + 9] == b',"prev":"':
        return raw[_PREV_AT + 9 : _PREV_AT + 73].decode("latin-1"), raw[_HASH_AT + 6 : -2].decode("latin-1")
    found = _TAIL.search(raw, max(0, len(raw) - 500))
    if found is None:
        raise BadLine('the line does not end in "prev" and "h"')
    return found[1].decode(), found[2].decode()


def parse_line(line: bytes) -> Parsed:
    """Take a line (with its newline) apart, strictly.

    Raises:
        BadLine: the bytes are not a whole record of this format.
    """
    _check_bytes(line)
    found = _TAIL.search(line, max(0, len(line) - 501), len(line) - 1)
    if found is None:
        raise BadLine('the line does not end in "prev" and "h"')
    record = _decode(line)
    prev, h = found[1].decode(), found[2].decode()
    if record.get("h") != h or record.get("prev") != prev:
        raise BadLine('"prev" or "h" stands twice')
    hash_ok = sha256(line[: found.end(1) + 1]).hexdigest() == h
    return Parsed(record["seq"], record["ts"], record["log"], record["kind"], prev, h, hash_ok, record)


def _check_bytes(line: bytes) -> None:
    if not line.endswith(b"\n"):
        raise BadLine("no newline within 64 KiB" if len(line) >= MAX_LINE else "the line is cut short")
    if len(line) > MAX_LINE:
        raise BadLine("the line is longer than 64 KiB")
    if not line.startswith(b'{"ts":"'):
        raise BadLine('the line does not start with {"ts":"')
    if not line.isascii() or b"\0" in line:
        raise BadLine("the line holds bytes outside ASCII, or NUL")


_decode_object = msgspec.json.Decoder(dict[str, Any]).decode
_TEXT_KEYS = ("log", "id", "kind", "surface", "mode")


def _decode(line: bytes) -> dict[str, Any]:
    try:
        record = _decode_object(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadLine(f"not strict JSON ({error})") from error
    if record.get("v") != VERSION:
        raise BadLine(f"version {record.get('v')!r} instead of {VERSION}")
    if type(record.get("seq")) is not int or record["seq"] < 1:
        raise BadLine('"seq" is not a positive integer')
    for key in _TEXT_KEYS:
        if type(record.get(key)) is not str:
            raise BadLine(f'"{key}" is not text')
    ts = record["ts"]
    if type(ts) is not str or _TS.fullmatch(ts) is None:
        raise BadLine('"ts" is not a UTC time with microseconds')
    return record
