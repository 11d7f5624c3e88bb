"""The servers the feed is measured beside, each woken by one request or one published message.

python -m bench._peers NAME PORT BYTES serves one of ours; nats-server and redis-server are programs of their own.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WAIT = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
PUBLISH = b"GET /publish HTTP/1.1\r\nhost: x\r\n\r\n"
_QUIET_LOOKS = 4
_HEADERS = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n"


class Peer:
    """A server process, what its clients send, and a way to publish."""

    def __init__(
        self,
        name: str,
        command: list[str],
        port: int,
        *,
        publish: Callable[[], None],
        env: dict[str, str] | None = None,
        requests: list[bytes] | None = None,
        ready: bytes = b"",
        need: int = 0,
        log: int | None = None,
    ) -> None:
        self.name, self.port, self.ready, self.need = name, port, ready, need
        self.publish = publish
        self._requests = requests or [WAIT]
        self.process = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
            cwd=Path(__file__).parents[1],
        )  # fmt: skip
        _until_up(port, self.process)

    def requests(self, waiters: int) -> list[bytes]:
        """Return what each of so many clients sends."""
        return [self._requests[number % len(self._requests)] for number in range(waiters)]

    def rss_kib(self) -> int:
        """Return the resident memory of the server process."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") // 1024

    def until_quiet(self) -> None:
        """Return when the server has slept for a while without using the processor: everybody is parked then.

        One that only waits for its turn on a busy machine does not sleep.
        """
        before, quiet = -1, 0
        while quiet < _QUIET_LOOKS:
            fields = self._stat()
            now = int(fields[11]) + int(fields[12])
            quiet = quiet + 1 if now == before and fields[0] == "S" else 0
            before = now
            time.sleep(0.03)

    def cpu_ticks(self) -> int:
        """Return the processor time used so far, in ticks of the kernel."""
        fields = self._stat()
        return int(fields[11]) + int(fields[12])

    def _stat(self) -> list[str]:
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()

    def end(self) -> None:
        """End the server."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


def ours(name: str, size: int) -> Peer:
    """Start one of the servers below, whose answers have a body of ``size`` bytes."""
    port = free_port()
    command = [sys.executable, "-m", "bench._peers", name, str(port), str(size)]
    return Peer(name, command, port, publish=lambda: _ask(port, PUBLISH))


def nats(size: int) -> Peer | None:
    """Start nats-server with a subject, or return None where it is not installed."""
    program = shutil.which("nats-server") or shutil.which("/usr/sbin/nats-server")
    if program is None:
        return None
    port, body = free_port(), b"x" * size
    subscribe = b'CONNECT {"verbose":false,"pedantic":false}\r\nSUB feed 1\r\nPING\r\n'
    message = b"PUB feed %d\r\n%b\r\nPING\r\n" % (size, body)
    return Peer(
        "nats-server", [program, "-a", "127.0.0.1", "-p", str(port), "-l", os.devnull], port,
        publish=lambda: _ask(port, b'CONNECT {"verbose":false,"pedantic":false}\r\n' + message),
        requests=[subscribe], ready=b"PONG\r\n", need=len(b"MSG feed 1 %d\r\n%b\r\n" % (size, body)),
    )  # fmt: skip


def redis(size: int) -> Peer | None:
    """Start redis-server with a channel, or return None where it is not installed."""
    program = shutil.which("redis-server")
    if program is None:
        return None
    port, body = free_port(), b"x" * size
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--maxclients", "15000", "--dir"]
    message = b"*3\r\n$7\r\nPUBLISH\r\n$4\r\nfeed\r\n$%d\r\n%b\r\n" % (size, body)
    return Peer(
        "redis-server", [program, *options, tempfile.gettempdir()], port, publish=lambda: _ask(port, message),
        requests=[b"*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nfeed\r\n"], ready=b":1\r\n",
        need=len(b"*3\r\n$7\r\nmessage\r\n$4\r\nfeed\r\n$%d\r\n%b\r\n" % (size, body)),
    )  # fmt: skip


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ask(port: int, request: bytes) -> None:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(request)
    _kept[port] = connection  # its answer, if there is one, is nobody's business; closing now could lose the request


_kept: dict[int, socket.socket] = {}


def _until_up(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise SystemExit("the server did not come up")


class Waiting:
    """One future for each waiter, all of them fulfilled by a publish."""

    def __init__(self) -> None:
        self._futures: list[asyncio.Future[None]] = []

    async def join(self) -> None:
        self._futures.append(asyncio.get_running_loop().create_future())
        await self._futures[-1]

    def wake(self) -> None:
        futures, self._futures = self._futures, []
        for future in futures:
            if not future.done():
                future.set_result(None)


def serve_bare(port: int, body: bytes) -> None:
    """Serve a bare ASGI handler on uvicorn."""
    import uvicorn

    waiting = Waiting()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    start, rest = {"type": "http.response.start", "status": 200, "headers": headers}, {
        "type": "http.response.body", "body": body,
    }  # fmt: skip

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/publish":
            waiting.wake()
        else:
            await waiting.join()
        await send(start)
        await send(rest)

    uvicorn.run(
        app, port=port, loop="uvloop", http="httptools", lifespan="off", log_config=None, access_log=False, backlog=2048
    )


def serve_granian(port: int, body: bytes) -> None:
    """Serve a Starlette application on granian's embedded server."""
    import uvloop
    from granian.constants import Interfaces
    from granian.server.embed import Server
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    waiting = Waiting()

    async def wait(request: Request) -> Response:
        await waiting.join()
        return Response(body, media_type="application/json")

    async def publish(request: Request) -> Response:
        waiting.wake()
        return Response(b"")

    app = Starlette(routes=[Route("/", wait), Route("/publish", publish)])
    # By default it takes up no more requests at a time than its backlog.
    server = Server(
        app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, log_enabled=False, backlog=2048,
        backpressure=100_000,
    )  # fmt: skip
    uvloop.run(server.serve())


def serve_protocol(port: int, body: bytes) -> None:
    """Serve no HTTP worth the name: what remains is the cost of the sockets themselves."""
    import uvloop

    waiting: list[asyncio.Transport] = []
    answer = _HEADERS.format(len(body)).encode() + body

    class Bare(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport: asyncio.Transport = transport

        def data_received(self, data: bytes) -> None:
            waiting.append(self.transport)
            if data.startswith(PUBLISH[:12]):
                woken = waiting.copy()
                waiting.clear()
                for transport in woken:
                    transport.write(answer)

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", port, backlog=2048)
        await server.serve_forever()

    uvloop.run(serve())


SERVERS = {
    "bare ASGI on uvicorn": serve_bare,
    "granian + Starlette": serve_granian,
    "uvloop Protocol, no HTTP": serve_protocol,
}

if __name__ == "__main__":
    SERVERS[sys.argv[1]](int(sys.argv[2]), b"x" * int(sys.argv[3]))
