"""What waking all waiting subscribers costs, beside a bare ASGI handler on the same server in the same run.

python -m bench.feed [numbers of waiters, default 100 1000]

The load generator shares the machine with the server, so the figures hold its own receiving too; read the ratios.
"""

import asyncio
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import uvicorn

from domain.clock import RealClock, iso
from domain.house import House
from domain.ids import new_id
from domain.vocabulary import Surface
from feed.token_store import TokenStore
from feed.tokens import Scope
from journal import Journal

ROUNDS = 5
SECRET = "bench only, never a real secret!"  # noqa: S105
SETTLE_S = 1.0

Publish = Callable[[], None]


class Peer:
    """A server process, a request that waits on it, and a way to publish."""

    def __init__(self, command: list[str], env: dict[str, str], port: int, request: bytes) -> None:
        self.process = subprocess.Popen(command, env=os.environ | env, stdout=subprocess.DEVNULL)
        self.port = port
        self.request = request

    def rss_kib(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") // 1024

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(10)


def main(numbers: list[int]) -> int:
    """Print first, p50 and last wake of both; return 1 if a waiter was lost."""
    with tempfile.TemporaryDirectory(prefix="bench-feed-", dir=".") as name:
        home = Path(name).resolve()
        ours, publish, journal = _feed(home)
        bare = _bare()
        try:
            for waiters in numbers:
                _compare(waiters, ours, publish, bare)
        finally:
            codes = ours.end(), bare.end()
            journal.close()
    return int(codes[0] != 0)


def _compare(waiters: int, ours: Peer, publish: Publish, bare: Peer) -> None:
    peer = [_round(bare, waiters, lambda: _request(bare.port, b"GET /publish HTTP/1.1\r\nhost: x\r\n\r\n"))]
    mine = [_round(ours, waiters, publish)]
    for _ in range(ROUNDS - 1):  # taking turns, so that a busy moment hits both
        peer.append(_round(bare, waiters, lambda: _request(bare.port, b"GET /publish HTTP/1.1\r\nhost: x\r\n\r\n")))
        mine.append(_round(ours, waiters, publish))
    for label, column in (("first", 0), ("p50", 1), ("last", 2)):
        us, them = (median(one[column] for one in rounds) for rounds in (mine, peer))
        print(f"{waiters:>5} waiters, {label:<5} {us:7.1f} ms   {us / them:5.2f}x a bare ASGI handler, {them:.1f} ms")
    print(f"{waiters:>5} waiters, RSS   {ours.rss_kib() / 1024:7.1f} MiB  (bare {bare.rss_kib() / 1024:.1f} MiB)")


def _round(peer: Peer, waiters: int, publish: Publish) -> tuple[float, float, float]:
    """Park the waiters, publish once, and return milliseconds until the first, the middle and the last had it all."""
    selector = selectors.DefaultSelector()
    for _ in range(waiters):
        connection = socket.create_connection(("127.0.0.1", peer.port))
        connection.sendall(peer.request)
        selector.register(connection, selectors.EVENT_READ)
    time.sleep(SETTLE_S)
    begun = time.perf_counter()
    publish()
    took = []
    while selector.get_map():
        ready = selector.select(10)
        if not ready:
            raise SystemExit(f"{len(selector.get_map())} of {waiters} waiters were lost")
        for key, _ in ready:
            answer = key.fileobj.recv(65_536)  # type: ignore[union-attr]
            assert answer.startswith(b"HTTP/1.1 200 "), answer[:200]
            took.append((time.perf_counter() - begun) * 1e3)
            selector.unregister(key.fileobj)
            key.fileobj.close()  # type: ignore[union-attr]
    return took[0], took[len(took) // 2], took[-1]


def _feed(home: Path) -> tuple[Peer, Publish, Journal]:
    house, port, clock = House(home=home), _free_port(), RealClock()
    store = TokenStore(house.subscribers)
    token, _ = store.add(label="bench", scopes=(Scope.FEED_READ,), surfaces=(Surface.FX,), now=clock.now())
    many = {"FEED_PARKED_PER_TOKEN": "100000", "FEED_PARKED_TOTAL": "100000", "FEED_BURST": "1000000"}
    env = {"FEED_CURSOR_SECRET": SECRET, "FEED_PORT": str(port), "TBOT_HOME": str(home), **many}
    request = f"GET /api/signals/feed?start=head&wait=50 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n"
    journal = Journal.open(house.log("fx", "signals"), clock=clock, durable=False)
    peer = Peer([sys.executable, "-c", _RUN_FEED], env, port, request.encode())
    _until_up(port)
    return peer, lambda: _signal(journal, clock.now()), journal


# The feed refuses keys it does not know, and a benchmark's environment is full of them.
_RUN_FEED = """
import os
for key in list(os.environ):
    if not key.startswith(("FEED_", "TBOT_HOME")):
        del os.environ[key]
from feed.__main__ import main
raise SystemExit(main())
"""


def _signal(journal: Journal, now: datetime) -> None:
    signal_id = new_id("sig", now)
    fields: dict[str, Any] = {
        "signal_id": signal_id, "market": "EUR_USD", "side": "buy", "strategy": "ema", "thesis": "x" * 200,
        "reference_price": "1.1", "published_at": now, "expires_at": now + timedelta(seconds=600), "action": "open",
    }  # fmt: skip
    journal.append("signal", surface="fx", mode="paper", id=signal_id, fields=fields)


def _bare() -> Peer:
    port = _free_port()
    peer = Peer(
        [sys.executable, "-m", "bench.feed", "--bare", str(port)], {}, port, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    )
    _until_up(port)
    return peer


def _serve_bare(port: int) -> None:
    waiting: list[asyncio.Future[None]] = []
    body = b"x" * 1_500  # about a page with one signal

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/publish":
            for future in waiting:
                future.set_result(None)
            waiting.clear()
        else:
            waiting.append(asyncio.get_running_loop().create_future())
            await waiting[-1]
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    uvicorn.run(app, port=port, loop="uvloop", http="httptools", lifespan="off", log_config=None, access_log=False)


def _request(port: int, request: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        connection.recv(65_536)


def _until_up(port: int) -> None:
    for _ in range(1_000):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise SystemExit("the server did not come up")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--bare"]:
        _serve_bare(int(sys.argv[2]))
    else:
        print(f"fan-out, median of {ROUNDS} rounds, {iso(datetime.now(UTC))[:10]}")
        raise SystemExit(main([int(number) for number in sys.argv[1:]] or [100, 1000]))
