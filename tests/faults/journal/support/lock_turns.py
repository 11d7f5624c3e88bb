"""Holding the lock of a log in turns, and what might take it away; each runs in a forked child of `zygote`."""

import fcntl
import gc
import io
import mmap
import os
import struct
import subprocess
import threading
import time
from pathlib import Path

from writers import note

from domain.clock import RealClock
from journal.lock import WriterLock


def try_lockf(path: str) -> None:
    """Take a classic lock at once, or fail."""
    with open(path, "r+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def hold_in_turns(directory: str, shared: str, said: str, trap: str, threads: int, iterations: int) -> None:
    """Hold the lock of a log in turns with everybody else, and step into ``trap`` each time.

    The first 8 bytes of ``shared`` say who is inside, the next 8 how many turns there were; both are changed without
    any protection but the lock, so that an overlap shows.
    """
    tell = note(said)
    with open(shared, "r+b") as file, mmap.mmap(file.fileno(), 4096) as memory:

        def run(number: int) -> None:
            for _ in range(iterations):
                try:
                    _one_turn(Path(directory), memory, tell, os.getpid() * 100 + number, trap)
                except Exception as error:  # noqa: BLE001  the test lists whatever went wrong
                    tell(f"{type(error).__name__}: {error}".replace("\n", " "))

        running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()


def _one_turn(directory: Path, memory: mmap.mmap, tell, me: int, trap: str) -> None:
    lock = WriterLock(directory)
    lock.acquire(RealClock(), 600)
    try:
        inside, turns = struct.unpack_from("qq", memory)
        if inside:
            tell(f"overlap: {me} meets {inside}")
        struct.pack_into("q", memory, 0, me)
        TRAPS[trap](directory)
        time.sleep(0)
        if struct.unpack_from("q", memory)[0] != me:
            tell(f"overlap: {me} was joined")
        struct.pack_into("qq", memory, 0, 0, turns + 1)
        tell("turn")
    finally:
        lock.release()


def _reopen(directory: Path) -> None:
    for name in (".lock", "000001.jsonl"):
        (directory / name).read_bytes()


def _reopen_in_thread(directory: Path) -> None:
    thread = threading.Thread(target=_reopen, args=(directory,))
    thread.start()
    thread.join()


def _fork(directory: Path) -> None:
    pid = os.fork()
    if pid == 0:
        _reopen(directory)
        os._exit(0)
    os.waitpid(pid, 0)


def _subprocess(directory: Path) -> None:
    subprocess.run(["true"], close_fds=False, check=True)


def _flock_beside(directory: Path) -> None:
    with open(directory / ".lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)


def _filelock_beside(directory: Path) -> None:
    # What the package filelock does on Unix: open with O_TRUNC, flock, close.
    fd = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fd)


def _rename_segment(directory: Path) -> None:
    (directory / "000001.jsonl").rename(directory / "moved")
    (directory / "moved").rename(directory / "000001.jsonl")


def _second_descriptor(directory: Path) -> None:
    with open(directory / ".lock", "r+") as file:
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
        except OSError:
            return
    raise AssertionError("a second descriptor of the same process got the lock")


def _collect_file_object(directory: Path) -> None:
    for name in (".lock", "000001.jsonl"):
        loop: list[object] = [io.FileIO(directory / name)]
        loop.append(loop)
        loop[0].close()
        del loop
    gc.collect(0)


def _lockf_elsewhere(directory: Path) -> None:
    with open(directory / ".lock", "r+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
    raise AssertionError("a classic lock was granted beside ours")


TRAPS = {
    "reopen_in_thread": _reopen_in_thread,
    "fork": _fork,
    "subprocess": _subprocess,
    "flock_beside": _flock_beside,
    "filelock_beside": _filelock_beside,
    "rename_segment": _rename_segment,
    "second_descriptor": _second_descriptor,
    "collect_file_object": _collect_file_object,
    "lockf_elsewhere": _lockf_elsewhere,
}
