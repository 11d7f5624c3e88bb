"""A crowd of waiting clients: one epoll process of raw sockets, told over its standard input what to do.

It connects, waits, and notes when each client holds its whole answer. Clocks agree between processes, because
`time.monotonic` is the machine's own.
"""

import contextlib
import json
import resource
import select
import socket
import struct
import subprocess
import sys
import time
from typing import Any

_PATIENCE_S = 20.0
# Closing with a reset leaves no TIME_WAIT behind, of which a run would otherwise collect tens of thousands.
_RESET = struct.pack("ii", 1, 0)
_OK = b"HTTP/1.1 200"
_PING = b"PING\r\n"  # nats-server asks now and then whether somebody is there


class Crowd:
    """The generator, as the benchmark sees it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench._crowd"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def park(self, port: int, requests: list[bytes], *, ready: bytes = b"", need: int = 0) -> None:
        """Connect one client for each request and send it.

        Args:
            ready: how the server's welcome ends, if it sends one.
            need: bytes of an answer; 0 for HTTP, where the answer says so itself.
        """
        order = {"port": port, "requests": [one.decode() for one in requests], "ready": ready.decode(), "need": need}
        self._tell(order)
        assert self._hear() == "parked"

    def answers(self) -> list[float]:
        """Return the moments at which the clients had their answers, in order; all of them leave."""
        found: list[float] = self._hear()
        return found

    def end(self) -> None:
        """Close the generator."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def _tell(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the load generator ended; what it said is above")
        return json.loads(line)


def raise_limits(files: int) -> int:
    """Allow this many open files where the machine lets us; return how many it does."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (max(files, hard), hard):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            break
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def main() -> None:
    """Serve orders until the standard input ends."""
    for line in sys.stdin:
        order = json.loads(line)
        clients = [_join(order["port"], one.encode(), order["ready"].encode()) for one in order["requests"]]
        _say("parked")
        _say(_collect(clients, order["need"]))
        for client in clients:
            client.close()


def _say(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _join(port: int, request: bytes, ready: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    client.sendall(request)
    welcome = b""
    while not welcome.endswith(ready):
        welcome += client.recv(65_536)
    client.setblocking(False)
    return client


def _collect(clients: list[socket.socket], need: int) -> list[float]:
    by_fd = {client.fileno(): client.recv for client in clients}
    left: dict[int, int] = {}
    epoll = select.epoll()
    for fd in by_fd:
        epoll.register(fd, select.EPOLLIN)
    is_http = need == 0
    took: list[float] = []
    while len(took) < len(clients):
        ready = epoll.poll(_PATIENCE_S, 1024)
        if not ready:
            raise SystemExit(f"{len(clients) - len(took)} of {len(clients)} waiters were lost")
        for fd, _ in ready:
            answer = by_fd[fd](65_536)
            if not is_http and (answer := answer.removeprefix(_PING).removesuffix(_PING)) == b"":
                continue
            if fd not in left:
                if is_http and not answer.startswith(_OK):
                    raise SystemExit(f"expected {_OK!r}, found {answer[:200]!r}")
                need = need or _size(answer)
                left[fd] = need
            left[fd] -= len(answer)
            if left[fd] == 0:
                took.append(time.monotonic())
            elif left[fd] < 0 or not answer:
                raise SystemExit(f"expected an answer of {need} bytes, found another one")
    epoll.close()
    return took


def _size(answer: bytes) -> int:
    """Return how long an HTTP answer is; all clients of a round get equally long ones."""
    head, _, _ = answer.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return len(head) + 4 + int(length)


if __name__ == "__main__":
    main()
