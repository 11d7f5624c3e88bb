"""The line format and the receipts, as others rely on them."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from domain.clock import FakeClock
from domain.errors import Refuse
from journal import Journal, NewRecord, Position, head, read, verify
from journal.record import parse_line


def test_a_line_starts_with_the_envelope_and_ends_with_its_links(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        receipt = journal.append("signal", surface="fx", mode="paper", id="sig_1", fields={"market": "EUR_USD"})

    keys = list(json.loads(receipt.raw))
    assert keys == [
        "ts",
        "v",
        "log",
        "seq",
        "id",
        "boot",
        "mono_ns",
        "pid",
        "kind",
        "surface",
        "mode",
        "market",
        "prev",
        "h",
    ]
    assert receipt.raw.startswith(b'{"ts":"2014-05-02T12:31:00.000000Z","v":1,"log":"fx/signals","seq":2,"id":"sig_1",')


def test_the_hash_can_be_checked_with_sha256sum_alone(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        receipt = journal.append("signal", surface="fx", mode="paper", fields={})

    covered = receipt.raw.split(b',"h":"')[0]
    shown = subprocess.run(["sha256sum"], input=covered, capture_output=True, check=True).stdout.split()[0].decode()
    assert shown == receipt.h


def test_each_record_names_the_hash_of_the_one_before(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, segment_bytes=900) as journal:
        for number in range(10):
            journal.append("n", surface="fx", mode="paper", fields={"n": number})

    records = [entry.record for entry in read(directory)]
    assert [record["prev"] for record in records] == ["0" * 64] + [record["h"] for record in records[:-1]]
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    assert head(directory) == list(read(directory))[-1].position


def test_segments_begin_and_end_with_records_that_name_each_other(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, segment_bytes=900) as journal:
        for number in range(4):
            journal.append("n", surface="fx", mode="paper", fields={"n": number})

    first, second = ((directory / name).read_bytes().splitlines() for name in ("000001.jsonl", "000002.jsonl"))
    assert (json.loads(first[0])["kind"], json.loads(first[0])["segment"]) == ("segment_start", 1)
    assert (json.loads(first[-1])["kind"], json.loads(first[-1])["next"]) == ("segment_end", "000002.jsonl")
    assert (json.loads(second[0])["kind"], json.loads(second[0])["segment"]) == ("segment_start", 2)


def test_a_receipt_says_where_reading_goes_on(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        first = journal.append("a", surface="fx", mode="paper", fields={})
        second = journal.append("b", surface="fx", mode="paper", fields={})

    assert [entry.raw for entry in read(directory, after=first.position)] == [second.raw]
    assert list(read(directory, after=second.position)) == []
    assert (second.seq, second.position.seq, second.position.h) == (3, 3, second.h)


def test_a_record_without_an_id_gets_a_time_ordered_one(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        first = journal.append("a", surface="fx", mode="paper", fields={}).id
        clock.advance(0.002)
        second = journal.append("a", surface="fx", mode="paper", fields={}).id

    assert re.fullmatch(r"rec_[0-9A-HJKMNP-TV-Z]{26}", first)
    assert first < second


@pytest.mark.parametrize("name", ["ts", "v", "log", "seq", "boot", "mono_ns", "pid", "prev", "h", "sig", "batch"])
def test_a_field_named_like_the_envelope_is_refused(directory: Path, clock: FakeClock, name: str) -> None:
    with Journal.open(directory, clock=clock) as journal:
        before = journal.position
        with pytest.raises(Refuse, match=f"found '{name}'"):
            journal.append("a", surface="fx", mode="paper", fields={name: "1"})

        assert journal.position == before


def test_a_field_may_repeat_what_the_envelope_says_but_not_contradict_it(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        receipt = journal.append("a", surface="fx", mode="paper", id="sig_1", fields={"surface": "fx", "id": "sig_1"})
        with pytest.raises(Refuse, match="'surface' as given to append"):
            journal.append("a", surface="fx", mode="paper", fields={"surface": "st"})

    assert receipt.raw.count(b'"surface"') == 1


@pytest.mark.parametrize("empty", ["kind", "surface", "mode", "id"])
def test_an_empty_name_is_refused(directory: Path, clock: FakeClock, empty: str) -> None:
    names = {"kind": "a", "surface": "fx", "mode": "paper", "id": "rec_1", empty: ""}
    with Journal.open(directory, clock=clock) as journal, pytest.raises(Refuse):
        journal.append_many([NewRecord(**names)])


def test_a_line_beyond_64_kib_is_refused_and_one_just_below_is_written(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        with pytest.raises(Refuse, match="65536"):
            journal.append("a", surface="fx", mode="paper", fields={"text": "x" * 66_000})
        receipt = journal.append("a", surface="fx", mode="paper", fields={"text": "x" * 64_570})

    assert 64_570 < len(receipt.raw) + 1 <= 65_536
    assert verify(directory).ok


def test_the_widest_envelope_fits_the_room_kept_for_it(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, log="x" * 60 + "/" + "y" * 60) as journal:
        journal.append("a", surface="fx", mode="paper", fields={})
        clock.advance(-86_400 * 3000.000001)
        receipt = journal.append_many(
            [NewRecord(kind="a", surface="fx", mode="paper", fields={"text": "x" * 64_510})] * 2
        )[1]

    assert len(receipt.raw) < 65_536


def test_a_signature_after_the_hash_is_accepted_and_not_covered(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        raw = journal.append("a", surface="fx", mode="paper", fields={}).raw

    signed = raw[:-1] + b',"sig":"' + b"0" * 16 + b":" + b"A" * 86 + b'=="}\n'
    assert parse_line(signed).hash_ok
    assert parse_line(signed).h == parse_line(raw + b"\n").h


def test_the_head_file_is_one_line_of_json_of_fixed_width(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        receipt = journal.append("a", surface="fx", mode="paper", fields={})
        mark = (directory / "head.json").read_bytes()

    assert (len(mark), mark[-1:]) == (256, b"\n")
    assert json.loads(mark)["offset"] == receipt.position.offset
    assert json.loads(mark)["ts"] == "2014-05-02T12:31:00.000000Z"


def test_a_log_that_does_not_exist_reads_as_empty(directory: Path) -> None:
    assert list(read(directory, after=Position.start())) == []
    assert head(directory) is None
    assert verify(directory).records == 0


def test_reopening_goes_on_with_the_next_number(directory: Path, clock: FakeClock) -> None:
    for number in range(2, 6):
        with Journal.open(directory, clock=clock) as journal:
            assert journal.append("a", surface="fx", mode="paper", fields={}).seq == number

    assert verify(directory).ok


def test_a_closed_journal_refuses_to_write(directory: Path, clock: FakeClock) -> None:
    journal = Journal.open(directory, clock=clock)
    journal.close()
    journal.close()

    with pytest.raises(Refuse, match="closed"):
        journal.append("a", surface="fx", mode="paper", fields={})
    with pytest.raises(Refuse, match="closed"):
        journal.submit("a", surface="fx", mode="paper", fields={})


@pytest.mark.proves("J12")
def test_a_clock_that_steps_back_leaves_a_sorted_log_and_a_note(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        first = journal.append("a", surface="fx", mode="paper", fields={})
        clock.advance(-3600.25)
        second = journal.append("a", surface="fx", mode="paper", fields={})
        clock.advance(7200)
        third = journal.append("a", surface="fx", mode="paper", fields={})

    assert (second.ts, json.loads(second.raw)["clock_back_s"]) == (first.ts, "3600.250000")
    assert third.ts > second.ts
    assert b"clock_back_s" not in third.raw
    assert verify(directory).ok


@pytest.mark.proves("J12")
def test_a_clock_behind_the_last_record_at_start_keeps_the_log_sorted(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        last = journal.append("a", surface="fx", mode="paper", fields={})
    clock.advance(-86_400)
    with Journal.open(directory, clock=clock) as journal:
        receipt = journal.append("a", surface="fx", mode="paper", fields={})

    assert (receipt.ts, json.loads(receipt.raw)["clock_back_s"]) == (last.ts, "86400.000000")
