"""Append-only, hash-chained JSON-lines logs: append, recover, read, tail, seek, verify."""

from journal.codec import decode, encode_fields
from journal.findings import Problem, VerifyReport
from journal.lock import LogLocked
from journal.mark import head
from journal.model import Entry, Fields, NewRecord, Position, Receipt
from journal.reader import read, read_from, scan
from journal.seek import scan_since, since
from journal.syscalls import Syscalls
from journal.tail import Tail
from journal.verify import verify
from journal.writer import Journal

__all__ = [
    "Entry",
    "Fields",
    "Journal",
    "LogLocked",
    "NewRecord",
    "Position",
    "Problem",
    "Receipt",
    "Syscalls",
    "Tail",
    "VerifyReport",
    "decode",
    "encode_fields",
    "head",
    "read",
    "read_from",
    "scan",
    "scan_since",
    "since",
    "verify",
]
