"""What the processes of the fault tests do with a log; each function runs in a forked child of `zygote`."""

import ctypes
import os
import resource
import signal
from pathlib import Path

from domain.clock import RealClock
from domain.errors import Halt, Retry
from journal import Journal, LogLocked, NewRecord, Tail

PR_SET_PTRACER, ANYBODY = 0x59616D61, -1


def note(path: str):
    """Return a function that adds one line to a file at once, whatever happens to the process after it."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    # Not write(2): that one may be made to fail.
    return lambda text: os.writev(fd, [f"{text}\n".encode()])


def take_turns(directory: str, acks: str, segment_bytes: int, turn: int, durable: bool = True) -> None:
    """Hold the log for a few appends, give it up, come again; each acknowledged number goes to ``acks``."""
    acknowledge, number = note(acks), 0
    while True:
        try:
            journal = Journal.open(
                Path(directory), clock=RealClock(), segment_bytes=segment_bytes, lock_wait_s=1, durable=durable
            )
        except LogLocked:
            continue
        with journal:
            for _ in range(turn):
                names = [f"{os.getpid()}-{number + more}" for more in range(1 + number % 3)]
                number += len(names)
                pad = "x" * (60_000 if number % 4 == 0 else number * 370 % 7000)
                records = [
                    NewRecord(kind="n", surface="fx", mode="paper", fields={"n": name, "pad": pad}) for name in names
                ]
                if number % 5:
                    journal.append_many(records)
                else:  # the other way in: queued, and written together by a thread
                    queued = [journal.submit("n", surface="fx", mode="paper", fields=new.fields) for new in records]
                    assert all(future.result() for future in queued)
                acknowledge("\n".join(names))


def follow(directory: str, seen: str, fds: str = "") -> None:
    """Write seq and hash of every record seen, until one of kind ``end``; to ``fds`` how many descriptors are open."""
    tell, count = note(seen), note(fds) if fds else lambda _: None
    with Tail(Path(directory)) as tail:
        while tail.wait(600):
            for entry in tail.poll():
                tell(f"{entry.seq} {entry.position.h}")
                if entry.kind == "end":
                    return
            count(str(len(os.listdir("/proc/self/fd"))))


def scripted(directory: str, said: str, segment_bytes: int) -> None:
    """Stop until continued, then append, batch and rotate; say what was acknowledged and what went wrong."""
    tell = note(said)
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(ANYBODY), 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    try:
        _script(Path(directory), segment_bytes, tell)
    except (Retry, Halt, OSError) as error:
        tell(f"error {type(error).__name__} {error}")
    else:
        tell("done")


def _script(directory: Path, segment_bytes: int, tell) -> None:
    with Journal.open(directory, clock=RealClock(), segment_bytes=segment_bytes, lock_wait_s=0) as journal:
        for number in range(0, 9, 3):
            journal.append("n", surface="fx", mode="paper", fields={"n": number})
            tell(f"ack {number}")
            pair = [NewRecord(kind="n", surface="fx", mode="paper", fields={"n": number + more}) for more in (1, 2)]
            journal.append_many(pair)
            tell(f"ack {number + 1}")
            tell(f"ack {number + 2}")


def limited(directory: str, said: str, cycles: int) -> None:
    """Run into the limit on a file's size and out of it again, in turns."""
    tell, number = note(said), 0
    with Journal.open(Path(directory), clock=RealClock(), segment_bytes=30_000) as journal:
        for cycle in range(cycles):
            size = max(path.stat().st_size for path in Path(directory).glob("0*.jsonl"))
            resource.setrlimit(resource.RLIMIT_FSIZE, (min(size, 30_000) + 600 + cycle % 400, resource.RLIM_INFINITY))
            words = [f"{_taken(journal, number + tries)} {number + tries}" for tries in range(6 + cycle % 7)]
            # The limit holds for the notes as well.
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            number += len(words)
            journal.append("n", surface="fx", mode="paper", fields={"n": number})
            tell("\n".join([*words, f"ack {number}"]))
            number += 1


def _taken(journal: Journal, number: int) -> str:
    try:
        journal.append("n", surface="fx", mode="paper", fields={"n": number, "pad": "x" * (number * 37 % 900)})
    except Retry:
        return "refused"
    return "ack"
