"""The quick check of many lines says yes exactly where the check of each line alone finds nothing."""

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.clock import FakeClock
from journal import Journal, NewRecord
from journal.chain import Tip, faults
from journal.key_files import create_key
from journal.keys import Signer
from journal.model import Position
from journal.record import BadLine, parse_line
from journal.sweep import sweep

LOG = "fx/signals"
Edit = Callable[[bytes], bytes]


@pytest.fixture(scope="module", params=[False, True], ids=["unsigned", "signed"])
def block(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The lines of a log, its `segment_start` first."""
    base = tmp_path_factory.mktemp("sweep")
    clock = FakeClock(datetime(2014, 5, 2, 12, 31, tzinfo=UTC))
    create_key(base / "keys", "fx", clock.now())
    signer = Signer.load(base / "keys", "fx", clock.now())
    directory = base / "fx" / "signals"
    texts = ["plain", 'a "quote"', "é\n", '","h":"', "x", "y"]
    with Journal.open(directory, clock=clock, durable=False, signer=signer, sign_lines=request.param) as journal:
        for text in texts:
            clock.advance(1)
            journal.append("n", surface="fx", mode="paper", fields={"text": text, "price": 1.5, "inner": {"h": "1"}})
        journal.append_many([NewRecord(kind="n", surface="fx", mode="paper")] * 2)
    return Path(directory / "000001.jsonl").read_bytes().splitlines(keepends=True)


def tip_of(line: bytes) -> Tip:
    record = parse_line(line)
    return Tip(Position(1, len(line), record.seq, record.h), record.ts, record.kind)


def slow(data: bytes, tip: Tip) -> bool:
    """Tell whether each line alone is good, as `verify` sees it."""
    for line in data.splitlines(keepends=True) if data.isascii() else [data]:
        try:
            record = parse_line(line)
        except BadLine:
            return False
        if record.kind in ("segment_start", "segment_end") or faults(tip, record, 1, tip.position.offset, LOG):
            return False
        tip = tip.after(record, 1, tip.position.offset + len(line))
    return True


def chained(lines: list[bytes], prev: str) -> bytes:
    """Link lines anew, as whoever may write the files could."""
    done = []
    for line in lines:
        head, found, tail = line.rpartition(b',"prev":"')
        if not found:
            return b"".join(lines)
        covered = b'%b,"prev":"%b"' % (head, prev.encode())
        prev = sha256(covered).hexdigest()
        done.append(b'%b,"h":"%b"%b' % (covered, prev.encode(), tail[136:]))
    return b"".join(done)


def test_whole_lines_are_good_at_once(block: list[bytes]) -> None:
    tip, data = tip_of(block[0]), b"".join(block[1:])
    records = sweep(data, tip, LOG)

    assert records is not None
    assert [record.seq for record in records] == list(range(2, len(block) + 1))
    assert chained(block[1:], tip.position.h) == data  # else the tests below change nothing
    assert slow(data, tip)


@given(
    line=st.integers(1, 8),
    at=st.integers(0, 700),
    byte=st.integers(0, 255),
    how=st.sampled_from(["swap", "add", "cut"]),
)
@example(line=1, at=6, byte=0x20, how="add")
@pytest.mark.proves("J4", "J11")
def test_a_changed_byte_is_judged_alike(block: list[bytes], line: int, at: int, byte: int, how: str) -> None:
    tip, lines = tip_of(block[0]), block[1:]
    old = lines[line - 1]
    at %= len(old)
    middle = {"swap": bytes([byte]), "add": bytes([byte]) + old[at : at + 1], "cut": b""}[how]
    lines[line - 1] = old[:at] + middle + old[at + 1 :]
    for data in (b"".join(lines), chained(lines, tip.position.h)):
        assert (sweep(data, tip, LOG) is not None) == slow(data, tip)


EDITS: dict[str, Edit] = {
    "h twice": lambda line: line.replace(b'"text":', b'"h":"0","text":'),
    "h twice, escaped": lambda line: line.replace(b'"text":', b'"\\u0068":"0","text":'),
    "prev twice": lambda line: line.replace(b'"text":', b'"prev" : "0","text":'),
    "ts twice": lambda line: line.replace(b'"text":', b'"ts":"2015-01-01T00:00:00.000000Z","text":'),
    "sig in the middle": lambda line: line.replace(b'"text":', b'"sig":"0","text":'),
    "a space before the brace": lambda line: line.replace(b'"}\n', b'" }\n'),
    "two records on a line": lambda line: line[:-1] + line,
    "an empty line": lambda line: line + b"\n",
    "NaN": lambda line: line.replace(b"1.5", b"NaN"),
    "a leading zero": lambda line: line.replace(b"1.5", b"01"),
    "a lone surrogate": lambda line: line.replace(b'"text":"', b'"text":"\\ud800'),
    "another log": lambda line: line.replace(b"fx/signals", b"st/signals"),
    "version": lambda line: line.replace(b'"v":1', b'"v":2'),
    "version true": lambda line: line.replace(b'"v":1', b'"v":true'),
    "seq as text": lambda line: line.replace(b'"seq":4', b'"seq":"4"'),
    "an earlier time": lambda line: line.replace(b"2014-05-02", b"2014-05-01"),
    "no time": lambda line: line.replace(b"2014-05-02T", b"2014-05-02 "),
    "a seam": lambda line: line.replace(b'"kind":"n"', b'"kind":"segment_end","next":"000002.jsonl"'),
    "a carriage return": lambda line: line.replace(b"\n", b"\r\n"),
    "deep nesting": lambda line: line.replace(b"1.5", b"[" * 3000 + b"]" * 3000),
    "no end": lambda line: line[:-1],
}


@pytest.mark.proves("J11", "J14")
@pytest.mark.parametrize("name", EDITS)
def test_a_forged_form_is_judged_alike_and_not_accepted(block: list[bytes], name: str) -> None:
    tip, lines = tip_of(block[0]), block[1:]
    changed = EDITS[name](lines[2])
    assert changed != lines[2]
    data = chained([*lines[:2], changed, *lines[3:]], tip.position.h)

    assert sweep(data, tip, LOG) is None
    assert not slow(data, tip)
