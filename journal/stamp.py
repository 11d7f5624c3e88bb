"""The stamped part of a line: time, sequence number and process, given inside the lock.

Every append passes here, with the log's lock held: what is the same for all records of a process is encoded once, and
what is the same for those of a write once a write. A record alone costs about three microseconds, one among many half
of that; SHA-256 takes half a microsecond of it.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from itertools import islice

from domain.clock import Clock, iso, parse_iso, require_utc
from domain.ids import new_id
from journal.chain import Tip
from journal.codec import to_ascii_json
from journal.lock import boot_id
from journal.model import Position, Receipt
from journal.record import VERSION, Prepared


class Stamper:
    """What turns prepared records into lines that continue a chain, signed ones with a ``sign``."""

    def __init__(self, clock: Clock, log: str, sign: Callable[[str], bytes] | None = None) -> None:
        self._clock, self._sign = clock, sign
        self._before_seq = b'","v":%d,"log":%b,"seq":' % (VERSION, to_ascii_json(log))
        self._before_mono = b',"boot":%b,"mono_ns":"' % to_ascii_json(boot_id())
        self._after_mono = b'","pid":%d,' % os.getpid()
        self._second = datetime(1970, 1, 1, tzinfo=UTC)
        self._second_text = iso(self._second)[:20]

    def stamp(
        self, tip: Tip, segment: int, offset: int, records: list[Prepared], batches: list[int]
    ) -> tuple[Tip, bytes, list[Receipt]]:
        """Return the new tip, the bytes to append at ``offset`` of ``segment``, and a receipt for each record.

        All bear the same time: that of the one write they share.

        Args:
            batches: sizes of the groups that must not be torn apart, in order. Each line of such a group names its
                first and last seq, so that recovery sees when a crash cut the group in the middle.
        """
        moment, ts, note, start, middle = self._begin(tip.ts)
        receipts = []
        place = tip.position
        remaining = iter(records)
        for size in batches:
            first = place.seq + 1
            batch = b',"batch":"%d-%d"' % (first, first + size - 1) if size > 1 else b""
            end = b'%b%b,"prev":"' % (note, batch)
            for record in islice(remaining, size):
                receipt = self._line(record, place, segment, offset, moment, start, middle, end)
                place = receipt.position
                offset = place.offset
                receipts.append(receipt)
        lines = [receipt.raw for receipt in receipts]
        lines.append(b"")
        return Tip(place, ts, records[-1].kind), b"\n".join(lines), receipts

    def stamp_one(self, tip: Tip, segment: int, offset: int, record: Prepared) -> tuple[Tip, Receipt]:
        """Return the tip after ``record`` and its receipt, which holds the line without its newline."""
        moment, ts, note, start, middle = self._begin(tip.ts)
        end = note + b',"prev":"'
        receipt = self._line(record, tip.position, segment, offset, moment, start, middle, end)
        return Tip(receipt.position, ts, record.kind), receipt

    def _begin(self, last: str) -> tuple[datetime, str, bytes, bytes, bytes]:
        """Return time, its text, the note on it, and what stands before the seq and between id and members."""
        moment, note = self._clock.now(), b""
        ts = self._text(moment)
        if ts < last:
            ts, moment, note = _stepped_back(last, moment)
        start = b"".join((b'{"ts":"', ts.encode(), self._before_seq))
        middle = b"".join((self._before_mono, b"%d" % self._clock.monotonic_ns(), self._after_mono))
        return moment, ts, note, start, middle

    def _line(
        self,
        record: Prepared,
        last: Position,
        segment: int,
        offset: int,
        moment: datetime,
        start: bytes,
        middle: bytes,
        end: bytes,
    ) -> Receipt:
        seq = last.seq + 1
        id_, quoted = record.id, record.quoted_id
        if not id_:
            id_ = new_id("rec", moment)
            quoted = b'"%b"' % id_.encode()
        covered = b"".join((start, b"%d" % seq, b',"id":', quoted, middle, record.body, end, last.h.encode(), b'"'))
        h = sha256(covered).hexdigest()
        if self._sign is None:
            raw = b"".join((covered, b',"h":"', h.encode(), b'"}'))
        else:
            raw = b"".join((covered, b',"h":"', h.encode(), b'","sig":"', self._sign(h), b'"}'))
        return Receipt(seq, id_, moment, h, raw, Position(segment, offset + len(raw) + 1, seq, h))

    def _text(self, moment: datetime) -> str:
        """Write ``moment`` as `iso` does, but anew only what changes within a second: a fifth of the time."""
        since = moment - self._second
        if since.days or since.seconds or moment.tzinfo is not UTC:
            self._second = require_utc(moment).replace(microsecond=0)
            self._second_text = iso(self._second)[:20]
            return iso(moment)
        return f"{self._second_text}{since.microseconds:06d}Z"


def _stepped_back(last: str, moment: datetime) -> tuple[str, datetime, bytes]:
    """Return text and moment of the record before, and a note of how far the clock is behind it."""
    previous = parse_iso(last)
    behind = previous - moment
    seconds = Decimal(behind.days * 86400 + behind.seconds) + Decimal(behind.microseconds).scaleb(-6)
    return last, previous, b',"clock_back_s":"%b"' % f"{seconds:f}".encode()
