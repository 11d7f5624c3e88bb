"""The places at which a journal can be made to fail, and what becomes of it there."""

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from domain.clock import FakeClock
from domain.errors import Halt, Misconfigured, Retry
from journal import Journal, Syscalls, failpoints, read, verify
from journal.failpoints import KEY

MODE = {"surface": "fx", "mode": "paper"}
WRITER = """
from journal import failpoints
failpoints.arm(os.environ)
with Journal.open(directory, clock=RealClock(), segment_bytes=1500, checkpoint_records=4) as journal:
    for number in range(12):
        journal.append("n", surface="fx", mode="paper", fields={"n": number})
        print(number, flush=True)
"""


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.arm({})


def arm(text: str) -> None:
    failpoints.arm({KEY: text})


def append(journal: Journal, number: int) -> None:
    journal.append("n", **MODE, fields={"n": number})


def numbers(directory: Path) -> list[int]:
    return [entry.record["n"] for entry in read(directory) if entry.kind == "n"]


def test_nothing_is_armed_without_the_key_and_an_unarmed_point_does_nothing() -> None:
    arm("before_fsync=eio")
    failpoints.arm({})
    assert not failpoints.armed

    arm("before_fsync=eio")
    failpoints.reach("after_fsync")
    assert failpoints.armed


@pytest.mark.parametrize(("action", "code"), [("eio", errno.EIO), ("enospc", errno.ENOSPC), ("eintr", errno.EINTR)])
def test_a_point_raises_the_error_it_is_armed_with(action: str, code: int) -> None:
    arm(f"after_write={action}")

    with pytest.raises(OSError, match="failpoint") as caught:
        failpoints.reach("after_write")
    assert caught.value.errno == code


@pytest.mark.parametrize(("times", "fails"), [("", [1, 2, 3, 4]), ("@2", [2]), ("@2-3", [2, 3]), ("@9", [])])
def test_times_choose_which_passages_fail(times: str, fails: list[int]) -> None:
    arm(f"before_ack=eio{times}")
    found = []
    for passage in range(1, 5):
        try:
            failpoints.reach("before_ack")
        except OSError:
            found.append(passage)

    assert found == fails


def test_the_log_names_each_failure_before_it_happens(tmp_path: Path) -> None:
    arm(f"before_ack=sleep:0.001@2-3,mid_rotate=eio,log={tmp_path / 'fired'}")
    for _ in range(4):
        failpoints.reach("before_ack")
    with pytest.raises(OSError, match="failpoint"):
        failpoints.reach("mid_rotate")

    pid = os.getpid()
    expected = [f"before_ack sleep:0.001 2 {pid}", f"before_ack sleep:0.001 3 {pid}", f"mid_rotate eio 1 {pid}"]
    assert (tmp_path / "fired").read_text().splitlines() == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("before_fsink=eio", "did you mean 'before_fsync'"), ("before_fsync", "before_fsync=kill@3"),
        ("before_fsync=explode", "actions: kill"), ("before_fsync=eio@x", "times like"),
        ("before_fsync=eio@2-", "times like"), ("before_fsync=sleep:x", "actions: kill"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_refused_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(Misconfigured, match=hint):
        arm(text)


@pytest.mark.proves("row 38")
@pytest.mark.parametrize("point", ["before_write", "after_write"])
def test_no_room_at_a_write_point_refuses_that_record_only(directory: Path, clock: FakeClock, point: str) -> None:
    with Journal.open(directory, clock=clock, reserve_bytes=0) as journal:
        append(journal, 0)
        arm(f"{point}=enospc@1")
        with pytest.raises(Retry, match="failpoint"):
            append(journal, 1)
        append(journal, 2)

    assert (numbers(directory), verify(directory).problems) == ([0, 2], [])


@pytest.mark.proves("J10", "row 38")
@pytest.mark.parametrize(
    ("point", "action", "kept"),
    [
        ("before_write", "eio", False), ("after_write", "eio", False), ("before_fsync", "eio", True),
        ("after_fsync", "eio", True), ("before_fsync", "eintr", True), ("after_fsync", "enospc", True),
        ("before_ack", "eio", True),
    ],
)  # fmt: skip
def test_a_broken_disk_at_any_point_halts_and_is_asked_once(
    directory: Path, clock: FakeClock, tmp_path: Path, point: str, action: str, kept: bool
) -> None:
    with Journal.open(directory, clock=clock) as journal:
        append(journal, 0)
        arm(f"{point}={action},log={tmp_path / 'fired'}")
        for number in (1, 2):
            with pytest.raises(Halt, match="failpoint"):
                append(journal, number)

    assert len((tmp_path / "fired").read_text().splitlines()) == 1
    failpoints.arm({})
    Journal.open(directory, clock=clock).close()
    assert (numbers(directory), verify(directory).problems) == ([0, 1] if kept else [0], [])


@pytest.mark.parametrize("point", ["before_write", "after_write"])
def test_an_interruption_at_a_write_point_does_no_harm(directory: Path, clock: FakeClock, point: str) -> None:
    with Journal.open(directory, clock=clock) as journal:
        arm(f"{point}=eintr")
        append(journal, 0)
        append(journal, 1)

    assert (numbers(directory), verify(directory).problems) == ([0, 1], [])


def test_an_interrupted_write_is_made_again(directory: Path, clock: FakeClock) -> None:
    class Interrupted(Syscalls):
        fired = 0

        def write(self, fd: int, data: bytes | memoryview) -> int:
            self.fired += 1
            if self.fired % 2:
                raise InterruptedError(errno.EINTR, os.strerror(errno.EINTR))
            return super().write(fd, data)

    calls = Interrupted()
    with Journal.open(directory, clock=clock, syscalls=calls) as journal:
        for number in range(5):
            append(journal, number)

    assert calls.fired >= 10
    assert (numbers(directory), verify(directory).problems) == (list(range(5)), [])


def test_no_room_in_the_middle_of_a_rotation_refuses_and_the_next_append_rotates(
    directory: Path, clock: FakeClock, tmp_path: Path
) -> None:
    with Journal.open(directory, clock=clock, segment_bytes=900) as journal:
        arm(f"mid_rotate=enospc@1,log={tmp_path / 'fired'}")
        refused = 0
        for number in range(6):
            try:
                append(journal, number)
            except Retry:
                refused += 1
    failpoints.arm({})

    assert (refused, (tmp_path / "fired").read_text().count("mid_rotate")) == (1, 1)
    assert len(numbers(directory)) == 5
    assert (verify(directory).problems, len(list(directory.glob("0*"))) > 1) == ([], True)


def test_no_room_in_the_middle_of_a_checkpoint_takes_it_back(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        append(journal, 0)
        arm("mid_checkpoint=enospc@1")
    assert (directory / "checkpoints.jsonl").read_bytes() == b""

    with Journal.open(directory, clock=clock) as journal:
        append(journal, 1)
    assert (directory / "checkpoints.jsonl").read_bytes().count(b"\n") == 1
    assert verify(directory).problems == []


@pytest.mark.proves("J2", "J3", "J4", "row 38")
@pytest.mark.parametrize("nth", [1, 3])
@pytest.mark.parametrize("point", [name for name in failpoints.POINTS if "order" not in name])
def test_death_at_a_point_loses_nothing_acknowledged(
    directory: Path, clock: FakeClock, tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch, point: str, nth: int,
) -> None:  # fmt: skip
    monkeypatch.setenv(KEY, f"{point}=kill@{nth},log={tmp_path / 'fired'}")
    process = start(WRITER)
    said = process.communicate()[0].split()
    with Journal.open(directory, clock=clock):
        found = numbers(directory)

    assert (process.returncode, (tmp_path / "fired").read_text().count(point)) == (-9, 1)
    assert found[: len(said)] == [int(number) for number in said]
    assert found == list(range(len(found)))
    assert verify(directory).problems == []
