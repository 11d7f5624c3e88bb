"""The quick check of many lines at once: either all of them are beyond doubt, or each is looked at alone.

It asks of a block of lines what `parse_line` and `faults` ask of each, with one comparison a question instead of one a
line. What it can't say yes to is left to them, so that it never has to explain anything.
"""

import re
from hashlib import sha256

import msgspec

from journal.chain import Tip
from journal.record import MAX_LINE, SEGMENT_END, SEGMENT_START, SIG_WIDTH, VERSION, BadLine, Envelope, repeats_links

_decode_lines = msgspec.json.Decoder(Envelope).decode_lines
# The bytes of {"ts":"<27>" at a line's start, and of ,"prev":"<64>" and ,"h":"<64>"} at its end.
_START, _PREV, _END = 35, 74, 72
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_TS = b"0000-00-00T00:00:00.000000Z"
_SIG = re.compile(r"[0-9a-f]{16}:[A-Za-z0-9+/]{86}==")
_SEAMS = frozenset((SEGMENT_START, SEGMENT_END))


def sweep(block: bytes, tip: Tip, log: str) -> list[Envelope] | None:
    """Return the records of ``block`` if every line of it is a good one and they follow from ``tip``, otherwise None.

    Signatures have the right form; whether they hold, and whether batches are whole, is not looked at.
    """
    if tip.ended or not block.endswith(b"\n") or not block.isascii() or b"\0" in block:
        return None
    try:
        records = _decode_lines(block)
    except (msgspec.DecodeError, RecursionError):
        return None
    # Each line starts with a brace, so as many objects as lines means one object a line.
    lines = block[:-1].split(b"\n")
    if len(lines) != len(records) or max(map(len, lines)) >= MAX_LINE:
        return None
    is_good = _is_timed(lines, records, tip) and _is_linked(records, tip, log) and _is_sealed(lines, records)
    return records if is_good and _stand_once(block, lines, is_signed=records[0].sig is not None) else None


def _is_timed(lines: list[bytes], records: list[Envelope], tip: Tip) -> bool:
    times = [record.ts for record in records]
    starts = b"".join([line[:_START] for line in lines])
    return (
        times[0] >= tip.ts
        and times == sorted(times)
        and "".join(times).encode().translate(_DIGITS) == _TS * len(times)
        and starts == b"".join([b'{"ts":"%b"' % time.encode() for time in times])
    )


def _is_linked(records: list[Envelope], tip: Tip, log: str) -> bool:
    last = tip.position
    hashes = [record.h for record in records]
    return (
        [record.seq for record in records] == list(range(last.seq + 1, last.seq + 1 + len(records)))
        and [record.prev for record in records] == [last.h, *hashes[:-1]]
        and {record.log for record in records} == {log}
        and {record.v for record in records} == {VERSION}
        and _SEAMS.isdisjoint([record.kind for record in records])
    )


def _is_sealed(lines: list[bytes], records: list[Envelope]) -> bool:
    """Tell whether each line ends in its links and in the hash of what stands before them."""
    signatures = [record.sig for record in records]
    is_signed = signatures[0] is not None
    at = -_END - SIG_WIDTH if is_signed else -_END
    if [sha256(line[:at]).hexdigest() for line in lines] != [record.h for record in records]:
        return False
    if is_signed:
        ends = [f',"prev":"{one.prev}","h":"{one.h}","sig":"{one.sig}"}}' for one in records]
        has_form = all(_SIG.fullmatch(sig or "") for sig in signatures)
    else:
        ends = [f',"prev":"{one.prev}","h":"{one.h}"}}' for one in records]
        has_form = signatures.count(None) == len(signatures)
    return has_form and b"".join([line[at - _PREV :] for line in lines]) == "".join(ends).encode()


def _stand_once(block: bytes, lines: list[bytes], *, is_signed: bool) -> bool:
    keys = (b'"h"', b'"prev"', b'"sig"') if is_signed else (b'"h"', b'"prev"')
    if b"\\" not in block and all(block.count(key) == len(lines) for key in keys):
        return True
    try:
        return not any(map(repeats_links, lines))
    except BadLine:
        return False
