"""Subscribers that report without pause: one epoll process, each connection sends the next report upon an answer.

It is told over its standard input whom to report as and about what, and answers with how long each report took.
"""

import json
import select
import socket
import subprocess
import sys
import time
from typing import Any

_PATIENCE_S = 20.0
_STAGES = ("ack", "executed", "resolved")


def report(port: int, tokens: list[str], signals: list[str], at: str, seconds: float) -> dict[str, Any]:
    """Report for so many seconds in a process of its own, on one connection a token.

    Returns:
        ``took``: milliseconds of each report, sorted; ``seconds``: from the first to the last of them.
    """
    order = {"port": port, "tokens": tokens, "signals": signals, "at": at, "seconds": seconds}
    command = [sys.executable, "-m", "bench._reporters"]
    done = subprocess.run(command, input=json.dumps(order).encode(), stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class _Reporter:
    """One subscriber on one connection, with the three reports of each signal in their order."""

    def __init__(self, port: int, token: str, signals: list[str], at: str) -> None:
        self._signals, self._number, self._sent_at = signals, 0, 0.0
        self._head = f"host: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n"
        fill = {"at": at, "quantity": "1000", "price": "1.10000"}
        bodies = (
            {"at": at, "decision": "accept"},
            {**fill, "fill_id": "f1", "ordered_quantity": "1000", "fee": "0.20", "currency": "USD"},
            {**fill, "realised": "20.00", "currency": "USD", "reason": "take_profit"},
        )
        self._bodies = [json.dumps(body) for body in bodies]
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self) -> None:
        index, stage = divmod(self._number, len(_STAGES))
        body = self._bodies[stage]
        line = f"POST /api/signals/{self._signals[index]}/{_STAGES[stage]} HTTP/1.1\r\n"
        self._number += 1
        self._sent_at = time.monotonic()
        self.socket.sendall(f"{line}{self._head}content-length: {len(body)}\r\n\r\n{body}".encode())

    def take(self) -> float:
        """Take the answer and return how long it took."""
        answer = self.socket.recv(65_536)
        took = time.monotonic() - self._sent_at
        head, _, body = answer.partition(b"\r\n\r\n")
        while head and not body.endswith(b"}"):
            body += self.socket.recv(65_536)
        if not head.startswith(b"HTTP/1.1 201 "):
            raise SystemExit(f"expected 201, found {answer[:300]!r}")
        return took


def main() -> None:
    """Do as the order on the standard input says."""
    order = json.load(sys.stdin)
    crowd = [_Reporter(order["port"], token, order["signals"], order["at"]) for token in order["tokens"]]
    by_fd = {one.socket.fileno(): one for one in crowd}
    epoll = select.epoll()
    for fd in by_fd:
        epoll.register(fd, select.EPOLLIN)
    begun = time.monotonic()
    until = begun + order["seconds"]
    for one in crowd:
        one.send()
    took: list[float] = []
    busy = len(crowd)
    while busy:
        ready = epoll.poll(_PATIENCE_S)
        if not ready:
            raise SystemExit(f"{busy} reports were not answered")
        for fd, _ in ready:
            took.append(by_fd[fd].take() * 1e3)
            if time.monotonic() < until:
                by_fd[fd].send()
            else:
                busy -= 1
    json.dump({"took": sorted(took), "seconds": time.monotonic() - begun}, sys.stdout)


if __name__ == "__main__":
    main()
