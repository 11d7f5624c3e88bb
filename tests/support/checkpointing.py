"""Checkpoints as tests read and break them."""

import json
import os
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from journal import Journal, Syscalls
from journal.checkpoints import read_checkpoints

MODE = {"surface": "fx", "mode": "paper"}


class Broken(Syscalls):
    """Real calls, of which one kind fails on `checkpoints.jsonl`, after half of it was done; ``limit`` times."""

    def __init__(self, name: str, code: int, limit: float = float("inf")) -> None:
        self.name, self.error, self.limit = name, OSError(code, os.strerror(code)), limit
        self.fired = 0
        self.synced = 0

    def _fails(self, name: str, fd: int) -> bool:
        is_checkpoint = os.readlink(f"/proc/self/fd/{fd}").endswith("checkpoints.jsonl")
        self.synced += is_checkpoint and name == "fdatasync"
        if name != self.name or not is_checkpoint or self.fired >= self.limit:
            return False
        self.fired += 1
        return True

    def write(self, fd: int, data: bytes | memoryview) -> int:
        if self._fails("write", fd):
            super().write(fd, data[: len(data) // 2])
            raise self.error
        return super().write(fd, data)

    def fdatasync(self, fd: int) -> None:
        if self._fails("fdatasync", fd):
            raise self.error
        super().fdatasync(fd)


def wait_for(condition: Callable[[], Any], within_s: float = 10) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)


def is_writing_checkpoints() -> bool:
    return any(thread.name.startswith("checkpoints of") for thread in threading.enumerate())


def written(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for _, line in read_checkpoints(directory)]


def root(hashes: list[str]) -> str:
    """RFC 6962's tree head, written down as plainly as can be."""

    def head(leaves: list[str]) -> bytes:
        if len(leaves) == 1:
            return sha256(b"\0" + bytes.fromhex(leaves[0])).digest()
        split = 1 << ((len(leaves) - 1).bit_length() - 1)
        return sha256(b"\1" + head(leaves[:split]) + head(leaves[split:])).digest()

    return head(hashes).hex()


def append(journal: Journal, count: int) -> None:
    for number in range(count):
        journal.append("n", **MODE, fields={"n": number})
