"""Checkpoints: when they are written, what they say, and what a start makes of them."""

import errno
import json
import os
import shutil
import threading
import time
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from checkpointing import MODE, Broken, append, is_writing_checkpoints, root, wait_for, written
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from domain.clock import FakeClock, iso
from domain.errors import Halt
from journal import Journal, NewRecord, Syscalls, read, verify
from journal.checkpoints import last_checkpoint, parse_checkpoint, read_checkpoints, signed_part
from journal.key_files import create_key
from journal.keys import Keyring, Signer
from journal.record import BadLine


@pytest.fixture
def keys(tmp_path: Path, clock: FakeClock) -> Path:
    create_key(tmp_path / "keys", "fx", clock.now())
    return tmp_path / "keys"


@pytest.fixture
def signer(keys: Path, clock: FakeClock) -> Signer:
    return Signer.load(keys, "fx", clock.now())


def test_a_clean_end_leaves_a_checkpoint_of_the_whole_log(
    directory: Path, clock: FakeClock, signer: Signer, keys: Path
) -> None:
    with Journal.open(directory, clock=clock, signer=signer) as journal:
        append(journal, 5)
        at = journal.position

    [(_, line)] = read_checkpoints(directory)
    entries = list(read(directory))
    found = parse_checkpoint(line)
    assert list(json.loads(line)) == ["ts", "v", "log", "seq", "segment", "offset", "h", "root", "peaks", "sig"]
    assert (found.position, found.log, found.v, found.ts) == (at, "fx/signals", 1, iso(clock.now()))
    assert found.root == root([entry.position.h for entry in entries])
    assert len(found.peaks) == (6).bit_count()
    Keyring.load(keys).verify_checkpoint(signed_part(line), found.sig or "", found.ts, "fx")


def test_the_signature_covers_the_documented_bytes(directory: Path, clock: FakeClock, signer: Signer) -> None:
    with Journal.open(directory, clock=clock, signer=signer) as journal:
        append(journal, 1)

    line = (directory / "checkpoints.jsonl").read_bytes()
    covered, _, sig = line.partition(b',"sig":"')
    public = Ed25519PublicKey.from_public_bytes(signer.public)
    public.verify(b64decode(sig[17:-3]), b"tbot-checkpoint:1:" + covered)
    assert sig[:17].decode() == f"{signer.key}:"


def test_without_a_key_the_same_checkpoints_stand_unsigned(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        append(journal, 2)

    [checkpoint] = written(directory)
    assert "sig" not in checkpoint
    assert b',"sig"' not in (directory / "000001.jsonl").read_bytes()


def test_every_line_of_a_signed_log_is_signed_its_own_included(
    directory: Path, clock: FakeClock, signer: Signer, keys: Path
) -> None:
    with Journal.open(directory, clock=clock, signer=signer, sign_lines=True, segment_bytes=2000) as journal:
        append(journal, 6)

    ring, entries = Keyring.load(keys), list(read(directory))
    assert {"segment_start", "segment_end"} < {entry.kind for entry in entries}
    for entry in entries:
        ring.verify_line(entry.position.h, entry.record["sig"], entry.record["ts"], "fx")
    assert list(entries[-1].record)[-2:] == ["h", "sig"]
    assert verify(directory).problems == []


def test_a_thousand_records_bring_a_checkpoint_without_anybody_waiting(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, durable=False) as journal:
        batch = [NewRecord(kind="n", **MODE, fields={})] * 500
        journal.append_many(batch)
        assert written(directory) == []
        journal.append_many(batch)
        wait_for(lambda: written(directory))

        [checkpoint] = written(directory)
        assert checkpoint["seq"] == 1001
        assert checkpoint["root"] == root([entry.position.h for entry in read(directory)])


def test_news_gets_its_checkpoint_after_a_while_and_silence_gets_none(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, durable=False, checkpoint_s=0.02) as journal:
        append(journal, 1)
        wait_for(lambda: written(directory))
        size = len(written(directory))
        time_for_more = time.monotonic() + 0.2
        wait_for(lambda: time.monotonic() > time_for_more)

        assert [checkpoint["seq"] for checkpoint in written(directory)][size - 1 :] == [2]


def test_rotation_brings_a_checkpoint_at_the_end_of_the_segment(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, durable=False, segment_bytes=1200) as journal:
        append(journal, 8)

    ends = [entry.position for entry in read(directory) if entry.kind == "segment_end"]
    found = {(one["segment"], one["offset"], one["seq"], one["h"]) for one in written(directory)}
    assert len(ends) >= 2
    assert {(end.segment, end.offset, end.seq, end.h) for end in ends} < found


@pytest.mark.proves("J1")
def test_an_append_does_not_wait_for_a_periodic_checkpoint(directory: Path, clock: FakeClock) -> None:
    class Slow(Syscalls):
        reached, go_on = threading.Event(), threading.Event()

        def fdatasync(self, fd: int) -> None:
            if os.readlink(f"/proc/self/fd/{fd}").endswith("checkpoints.jsonl"):
                self.reached.set()
                assert self.go_on.wait(10)

    calls = Slow()
    with Journal.open(directory, clock=clock, syscalls=calls, checkpoint_records=3) as journal:
        append(journal, 3)
        assert calls.reached.wait(10)
        append(journal, 5)  # while the checkpoint is on its way to the disk
        assert [entry.kind for entry in read(directory)].count("n") == 8
        calls.go_on.set()

    assert [one["seq"] for one in written(directory)][-1] == 9


def test_each_checkpoint_is_durable_before_the_next(directory: Path, clock: FakeClock) -> None:
    calls = Broken("none", 0)
    with Journal.open(directory, clock=clock, syscalls=calls, checkpoint_records=2) as journal:
        append(journal, 10)

    assert calls.synced == len(written(directory)) >= 3


@pytest.mark.parametrize("kill", ["never closed", "closed"])
def test_a_restart_goes_on_with_the_same_tree(directory: Path, clock: FakeClock, signer: Signer, kill: str) -> None:
    for _ in range(4):
        with Journal.open(directory, clock=clock, signer=signer, durable=False, segment_bytes=1500) as journal:
            append(journal, 7)
        if kill == "never closed":
            path = directory / "checkpoints.jsonl"
            path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    Journal.open(directory, clock=clock, signer=signer).close()

    hashes = [entry.position.h for entry in read(directory)]
    assert len(written(directory)) >= 4
    for one in written(directory):
        assert (one["h"], one["root"]) == (hashes[one["seq"] - 1], root(hashes[: one["seq"]]))
    assert verify(directory).problems == []


def test_a_log_without_any_checkpoint_gets_a_tree_over_its_whole_past(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, segment_bytes=1000, durable=False) as journal:
        append(journal, 9)
    (directory / "checkpoints.jsonl").unlink()
    with Journal.open(directory, clock=clock, durable=False) as journal:
        append(journal, 1)

    assert written(directory)[-1]["root"] == root([entry.position.h for entry in read(directory)])


@pytest.mark.proves("J5")
@pytest.mark.parametrize("keep", [1, 100, -1])
def test_a_checkpoint_cut_in_the_middle_is_moved_away_and_named(directory: Path, clock: FakeClock, keep: int) -> None:
    for _ in range(2):
        with Journal.open(directory, clock=clock) as journal:
            append(journal, 3)
    path = directory / "checkpoints.jsonl"
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:keep])
    with Journal.open(directory, clock=clock) as journal:
        append(journal, 1)

    assert path.read_bytes().startswith(first)
    assert [one["seq"] for one in written(directory)] == [4, 9]
    assert next(directory.glob("torn/*.bin")).read_bytes() == second[:keep]
    record = next(entry.record for entry in read(directory) if entry.kind == "recovery")
    assert (record["segment"], record["offset"], record["bytes"]) == (0, len(first), len(second[:keep]))
    assert verify(directory).problems == []


@pytest.mark.proves("J5")
def test_any_cut_before_the_last_checkpoint_refuses_to_open(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, durable=False) as journal:
        append(journal, 3)
    path = directory / "000001.jsonl"
    data = path.read_bytes()
    (directory / "head.json").unlink()  # not even the commit mark remembers
    for cut in range(0, len(data), 5):
        path.write_bytes(data[:cut])
        with pytest.raises(Halt, match="the segment ends before its checkpoint of seq 4"):
            Journal.open(directory, clock=clock, durable=False)

        assert (path.read_bytes(), (directory / "torn").exists()) == (data[:cut], False)


@pytest.mark.proves("J5", "J11")
def test_a_past_written_anew_is_not_what_the_checkpoint_saw(directory: Path, clock: FakeClock, tmp_path: Path) -> None:
    other = tmp_path / "forged" / "fx" / "signals"
    for base, text in ((directory, "a"), (other, "b")):
        with Journal.open(base, clock=clock, durable=False) as journal:
            journal.append("n", **MODE, id="rec_1", fields={"text": text})
    shutil.copy(other / "000001.jsonl", directory)
    shutil.copy(other / "head.json", directory)

    with pytest.raises(Halt, match="not the record its checkpoint names"):
        Journal.open(directory, clock=clock, durable=False)


def test_damage_to_more_than_the_last_checkpoint_refuses_to_open(directory: Path, clock: FakeClock) -> None:
    for _ in range(3):
        with Journal.open(directory, clock=clock, durable=False) as journal:
            append(journal, 1)
    path = directory / "checkpoints.jsonl"
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second.replace(b'"root"', b'"toor"') + third[:50])

    with pytest.raises(Halt, match=r"a checkpoint in .*offset"):
        Journal.open(directory, clock=clock, durable=False)
    assert path.read_bytes().endswith(third[:50])


def test_a_changed_checkpoint_of_ones_own_key_refuses_to_open(
    directory: Path, clock: FakeClock, signer: Signer
) -> None:
    with Journal.open(directory, clock=clock, signer=signer) as journal:
        append(journal, 1)
    path = directory / "checkpoints.jsonl"
    line = path.read_bytes()
    path.write_bytes(line.replace(b'"ts":"2014', b'"ts":"2013'))

    with pytest.raises(Halt, match="seq 2 that was changed since"):
        Journal.open(directory, clock=clock, signer=signer)


def test_a_start_reads_only_what_follows_the_last_checkpoint(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, durable=False) as journal:
        append(journal, 50)
    path = directory / "000001.jsonl"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1  # verify finds it; a start does not look there
    path.write_bytes(data)
    with Journal.open(directory, clock=clock, durable=False) as journal:
        append(journal, 1)

    assert not verify(directory).ok


def test_a_full_disk_makes_a_checkpoint_late_and_nothing_else(directory: Path, clock: FakeClock) -> None:
    calls = Broken("write", errno.ENOSPC, limit=2)
    with Journal.open(directory, clock=clock, syscalls=calls, checkpoint_records=2) as journal:
        append(journal, 2)
        wait_for(lambda: calls.fired == 1)
        append(journal, 2)
        wait_for(lambda: calls.fired == 2)
        append(journal, 2)

    assert [one["seq"] for one in written(directory)][-1] == 7
    assert written(directory)[-1]["root"] == root([entry.position.h for entry in read(directory)])


@pytest.mark.proves("J10")
@pytest.mark.parametrize(("name", "code"), [("fdatasync", errno.EIO), ("write", errno.EIO), ("fdatasync", errno.EINTR)])
def test_a_broken_disk_at_a_checkpoint_halts_the_log(directory: Path, clock: FakeClock, name: str, code: int) -> None:
    calls = Broken(name, code)
    with Journal.open(directory, clock=clock, syscalls=calls, checkpoint_records=2) as journal:
        append(journal, 1)
        wait_for(lambda: calls.fired)
        wait_for(lambda: not is_writing_checkpoints())
        with pytest.raises(Halt, match=r"checkpoints\.jsonl"):
            append(journal, 1)

    assert calls.fired == 1, "a failed sync is not tried again"
    Journal.open(directory, clock=clock).close()
    assert verify(directory).problems == []


def test_a_broken_disk_at_the_last_checkpoint_is_said_aloud(directory: Path, clock: FakeClock) -> None:
    calls = Broken("fdatasync", errno.EIO)
    journal = Journal.open(directory, clock=clock, syscalls=calls)
    append(journal, 1)
    with pytest.raises(Halt, match=r"checkpoints\.jsonl to reach the disk"):
        journal.close()

    assert calls.fired == 1
    Journal.open(directory, clock=clock, lock_wait_s=0).close()  # given up all the same


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2}, {"seq": 0}, {"peaks": []}, {"h": "x" * 64}, {"h": "ab"}, {"root": "0" * 64}, {"seq": "4"},
        {"peaks": ["0" * 64]},
    ],
)  # fmt: skip
def test_a_line_that_is_no_checkpoint_is_not_read_as_one(
    directory: Path, clock: FakeClock, change: dict[str, Any]
) -> None:
    with Journal.open(directory, clock=clock, durable=False) as journal:
        append(journal, 3)
    [checkpoint] = written(directory)

    assert parse_checkpoint(json.dumps(checkpoint).encode()).seq == 4
    with pytest.raises(BadLine):
        parse_checkpoint(json.dumps(checkpoint | change).encode())


def test_a_reader_passes_over_a_checkpoint_that_is_being_written(directory: Path, clock: FakeClock) -> None:
    assert last_checkpoint(directory) is None
    with Journal.open(directory, clock=clock, durable=False) as journal:
        append(journal, 3)
    path = directory / "checkpoints.jsonl"
    line = path.read_bytes()
    path.write_bytes(line * 40 + line[:70])

    found = last_checkpoint(directory)
    assert found is not None
    assert (found[0] + b"\n", found[1].seq) == (line, 4)


def test_a_clock_that_steps_back_leaves_sorted_checkpoints(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, durable=False) as journal:
        last = journal.append("n", **MODE, fields={}).ts
        clock.advance(-86_400)

    assert written(directory)[-1]["ts"] == iso(last)
