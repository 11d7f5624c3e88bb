"""Every system call of a log's life failing once, first to last: by the journal's own seam, and by the kernel."""

import errno
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from failing_calls import Died, FailingCalls
from journal_rig import Zygote, lines_of, state_of, until

from domain.clock import RealClock
from domain.errors import Halt, Retry
from journal import Journal, NewRecord, read, verify

SEGMENT_BYTES = 1200
TORN = b'{"ts":"2014-05-02T12:31:00.0'
FAILURES = {"SIGKILL": Died(), "EIO": OSError(errno.EIO, "I/O"), "ENOSPC": OSError(errno.ENOSPC, "full")}
# The whole life: openings, appends, batches, rotations, and a start that finds a torn tail.
CALLS = ("write", "fdatasync", "ftruncate", "openat", "fsync", "fcntl", "pwrite64")


def prepare(directory: Path) -> list[int]:
    """Leave a log with a few records and a torn tail behind, as a crash would."""
    with Journal.open(directory, clock=RealClock(), durable=False) as journal:
        for number in (-3, -2, -1):
            journal.append("n", surface="fx", mode="paper", fields={"n": number})
    with open(max(directory.glob("0*.jsonl")), "ab") as file:
        file.write(TORN)
    return [-3, -2, -1]


def numbers(directory: Path) -> list[int]:
    return [entry.record["n"] for entry in read(directory) if entry.kind == "n"]


def check(directory: Path, acknowledged: list[int], *, is_batch_whole: bool = True) -> None:
    """Start anew, as the next process would, and hold the log to what it promised."""
    torn_before = torn(directory)
    with Journal.open(directory, clock=RealClock(), segment_bytes=SEGMENT_BYTES, lock_wait_s=0, durable=False):
        found = numbers(directory)
    report = verify(directory)

    assert found[: len(acknowledged)] == acknowledged
    assert found == list(range(-3, len(found) - 3))
    assert (len(found) - 3) % 3 != 2 or not is_batch_whole or found == acknowledged, "a batch is there wholly or not"
    assert report.problems == []
    assert report.uncommitted_bytes == 0
    assert torn(directory)[: len(torn_before)] == torn_before, "what was moved away stays"
    assert TORN in torn(directory), "a crash's bytes are moved, never deleted"


def torn(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((directory / "torn").glob("*.bin"))]


def work(directory: Path, calls: FailingCalls) -> tuple[list[int], BaseException | None]:
    """Start on a torn log, append, batch and rotate until something goes wrong; return what was acknowledged."""
    acknowledged: list[int] = []
    opening = {"segment_bytes": SEGMENT_BYTES, "syscalls": calls, "lock_wait_s": 0}
    try:
        with Journal.open(directory, clock=RealClock(), **opening) as journal:
            for number in range(0, 9, 3):
                journal.append("n", surface="fx", mode="paper", fields={"n": number})
                acknowledged.append(number)
                pair = [NewRecord(kind="n", surface="fx", mode="paper", fields={"n": number + k}) for k in (1, 2)]
                journal.append_many(pair)
                acknowledged += [number + 1, number + 2]
    except (Died, Halt, Retry, OSError) as error:
        return acknowledged, error
    return acknowledged, None


@pytest.mark.proves("J1", "J2", "J3", "J4", "J5", "J10", "row 2")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # checkpoints have their own thread
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("write", "before"), ("write", "half"), ("write", "after"), ("fdatasync", "before"), ("fdatasync", "after"),
        ("fsync", "before"), ("fsync", "after"), ("ftruncate", "before"), ("ftruncate", "after"),
        ("pwrite", "before"), ("pwrite", "half"), ("pwrite", "after"),
    ],
)  # fmt: skip
def test_any_call_may_be_the_last_and_nothing_acknowledged_is_lost(
    scratch: Path, name: str, how: str, failure: str
) -> None:
    fired = 0
    for nth in range(1, 200):
        directory = scratch / str(nth) / "signals"
        before = prepare(directory)
        calls = FailingCalls(name, nth, FAILURES[failure], half=how == "half", after=how == "after")
        acknowledged, error = work(directory, calls)
        if not calls.fired:
            break
        fired += 1

        # No error: the last checkpoint failed, in a thread of its own, when everything was acknowledged already.
        assert isinstance(error, Died | Halt if failure == "SIGKILL" else Halt | Retry) or acknowledged == list(
            range(9)
        )
        check(directory, before + acknowledged)
    assert fired >= (1 if name == "ftruncate" else 4), "the fault has to fire to prove anything"
    assert nth < 199


class Traced:
    """A writer whose ``nth`` call of one kind the kernel makes fail."""

    def __init__(self, zygote: Zygote, home: Path, call: str, failure: str, nth: int) -> None:
        self.directory, self.said, self._zygote = home / "fx" / "signals", home / "said", zygote
        self.trace = home / "trace"
        self.before = prepare(self.directory)
        self.pid = zygote.run("scripted", directory=self.directory, said=self.said, segment_bytes=SEGMENT_BYTES)
        until(lambda: state_of(self.pid) == "T", "a writer that waits")
        self._attach(call, f"signal={failure}" if failure.startswith("SIG") else f"error={failure}", nth)
        os.kill(self.pid, signal.SIGCONT)
        self.code = zygote.wait(self.pid)
        self._strace.communicate(timeout=60)

    def _attach(self, call: str, failure: str, nth: int) -> None:
        inject = f"inject={call}:{failure}:when={nth}"
        command = ["strace", "-f", "-p", str(self.pid), "-o", str(self.trace), "-e", f"trace={call}", "-e", inject]
        self._strace = subprocess.Popen(command, stderr=subprocess.PIPE)
        assert b"attached" in self._strace.stderr.readline()

    @property
    def fired(self) -> bool:
        return self.code == -9 or "INJECTED" in self.trace.read_text()

    def acknowledged(self) -> list[int]:
        return self.before + [int(line.split()[1]) for line in lines_of(self.said) if line.startswith("ack ")]

    def ended_with(self) -> str:
        """Return the name of the error that ended the writer, ``done`` or ``killed``."""
        last = lines_of(self.said)[-1:] or [""]
        return "killed" if self.code == -9 else re.sub(r"error (\w+) .*", r"\1", last[0])


@pytest.fixture
def homes(scratch: Path) -> Iterator[Path]:
    return (scratch / str(number) for number in range(1, 10_000))


@pytest.mark.proves("J1", "J2", "J3", "J4", "J5", "J10", "row 2")
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace (Debian package strace)")
@pytest.mark.parametrize("failure", ["SIGKILL", "EIO", "ENOSPC", "EINTR"])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.timeout(3600)
def test_any_call_the_kernel_fails_loses_nothing_acknowledged(
    zygote: Zygote, homes: Iterator[Path], call: str, failure: str, dose
) -> None:
    ends, nth, stride = Counter(), 1, dose(40, 1)
    for home in homes:
        traced = Traced(zygote, home, call, failure, nth)
        if not traced.fired:
            break
        ends[traced.ended_with()] += 1
        nth += stride

        check(traced.directory, traced.acknowledged())
    print(f"{call} {failure}: {dict(ends)}")
    # Listing a directory is not tried again by Python when a signal comes; every other call is.
    after_signal = {"done", "Retry"} if call == "openat" else {"done"}
    expected = {"SIGKILL": {"killed"}, "EINTR": after_signal}.get(failure, {"Halt", "Retry", "done"})
    assert set(ends) <= expected
    assert sum(ends.values()) >= 1, "the fault has to fire to prove anything"
    assert traced.ended_with() == "done"
