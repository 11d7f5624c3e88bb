"""The running feed: uvicorn with our limits, our shutdown, and our exit code."""

import asyncio
import contextlib
import errno
import gc
import signal
import socket
import threading
from collections.abc import Iterator

import uvicorn

from domain.errors import Misconfigured
from feed.app import build
from feed.config import SOURCE, FeedConfig
from feed.direct import serving
from feed.service import Service, log

_GRACE_S = 5
_BACKLOG = 2048


class Server(uvicorn.Server):
    """Starts the service with the first listener and drains it before the last one closes."""

    def __init__(self, service: Service) -> None:
        self._service = service
        super().__init__(_config(service))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.start()
        await super().startup(sockets)
        log.info("listening", port=self.port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.drain()
        await super().shutdown(sockets)
        await self._service.stop()
        log.info("ended")

    @property
    def port(self) -> int:
        """The port listened on, also when any free one was asked for."""
        return int(self.servers[0].sockets[0].getsockname()[1])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on SIGTERM and SIGINT without raising them again afterwards: an orderly end exits with 0."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run(service: Service) -> int:
    """Serve until told to end; return the exit code.

    Raises:
        Misconfigured: the address can't be listened on.
    """
    server = Server(service)
    listener = _listen(service.config)
    _settle_memory()
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(server.serve(sockets=[listener]))
    return 0 if server.started else 1


def _settle_memory() -> None:
    """Take what lives as long as the process out of the garbage collector's sight.

    Going through all of it took 80 to 130 ms with 5,000 polls waiting, in the middle of waking them.
    """
    gc.collect()
    gc.freeze()


def _listen(config: FeedConfig) -> socket.socket:
    """Take the address before anything is served: uvicorn would end with an error of its own."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        raise Misconfigured(
            f"to listen on FEED_HOST={config.host}, FEED_PORT={config.port}",
            "the port taken by another program" if taken else error.strerror or str(error),
            f"change FEED_PORT{'' if taken else ' or FEED_HOST'} in {SOURCE}",
        ) from error


def _config(service: Service) -> uvicorn.Config:
    config = service.config
    return uvicorn.Config(
        build(service),
        host=config.host,
        port=config.port,
        loop="uvloop",
        http=serving(
            service.poll,
            head_s=config.header_deadline_s,
            body_s=config.body_deadline_s,
            write_s=config.write_deadline_s,
            keep_alive_s=config.keep_alive_s,
        ),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # its warnings are one line for each request that is none: strangers must not fill our log
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=config.keep_alive_s,
        timeout_graceful_shutdown=_GRACE_S,
    )
