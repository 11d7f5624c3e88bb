"""The stamped part of a line: time, sequence number and process, given inside the lock."""

import os
from datetime import datetime
from decimal import Decimal
from itertools import islice

from domain.clock import Clock, iso, parse_iso
from domain.ids import new_id
from journal.chain import Tip
from journal.codec import to_ascii_json
from journal.lock import boot_id
from journal.model import Position, Receipt
from journal.record import VERSION, Prepared, seal


class Stamper:
    """What turns prepared records into lines that continue a chain."""

    def __init__(self, clock: Clock, log: str) -> None:
        self._clock = clock
        self._before_seq = f'","v":{VERSION},"log":{to_ascii_json(log).decode()},"seq":'
        self._before_mono = f',"boot":"{boot_id()}","mono_ns":"'
        self._after_mono = f'","pid":{os.getpid()},'

    def stamp(
        self, tip: Tip, at: Position, records: list[Prepared], batches: list[int]
    ) -> tuple[Tip, bytes, list[Receipt]]:
        """Return the new tip, the bytes to append at ``at``, and a receipt for each record.

        Args:
            batches: sizes of the groups that must not be torn apart, in order. Each line of such a group names its
                first and last seq, so that recovery sees when a crash cut the group in the middle.
        """
        place, receipts = at, []
        remaining = iter(records)
        for size in batches:
            first = tip.position.seq + 1
            batch = f',"batch":"{first}-{first + size - 1}"'.encode() if size > 1 else b""
            for record in islice(remaining, size):
                tip, receipt = self._one(tip, place, record, batch)
                place = receipt.position
                receipts.append(receipt)
        return tip, b"".join([receipt.raw + b"\n" for receipt in receipts]), receipts

    def _one(self, tip: Tip, at: Position, record: Prepared, batch: bytes) -> tuple[Tip, Receipt]:
        ts, moment, note = self._time(tip.ts)
        seq = tip.position.seq + 1
        id_ = record.id or new_id("rec", moment)
        before = f'{{"ts":"{ts}{self._before_seq}{seq},"id":'.encode()
        after = f"{self._before_mono}{self._clock.monotonic_ns()}{self._after_mono}".encode()
        raw, h = seal(b"".join((before, to_ascii_json(id_), after, record.body, note, batch)), tip.position.h)
        place = Position(at.segment, at.offset + len(raw) + 1, seq, h)
        return Tip(place, ts, record.kind), Receipt(seq, id_, moment, h, raw, place)

    def _time(self, last: str) -> tuple[str, datetime, bytes]:
        """Return text and moment of now, never before ``last``, and a note when the clock stepped back."""
        moment = self._clock.now()
        ts = iso(moment)
        if ts >= last:
            return ts, moment, b""
        previous = parse_iso(last)
        behind = previous - moment
        seconds = Decimal(behind.days * 86400 + behind.seconds) + Decimal(behind.microseconds).scaleb(-6)
        return last, previous, f',"clock_back_s":"{seconds:f}"'.encode()
