"""Start, run and stop of the simulator process."""

import asyncio
import time
from functools import partial

from simulators.ibkr.clock import ClockError
from simulators.ibkr.tape import Tape
from simulators.ibkr.venue import Venue
from simulators.rest import process
from simulators.rest.faults import FaultError, load_script
from simulators.rest.options import OptionError
from simulators.rest.transport import Server
from simulators.tws.control import Control
from simulators.tws.gateway import Gateway
from simulators.tws.options import Options, parse_options
from simulators.tws.order_numbers import OrderNumbersError
from simulators.tws.session import Session

# simulated seconds between two polls, and the wall-clock seconds they may be
_SIMULATED_PAUSE = 3.0
_SHORTEST, _LONGEST = 0.025, 0.1


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""

    def prepare() -> tuple[int, process.Serve]:
        options = parse_options(arguments)
        return options.port, partial(_serve, options, build_gateway(options))

    return process.run("simulators.tws", prepare, (OptionError, ClockError, FaultError, OrderNumbersError))


def build_gateway(options: Options) -> Gateway:
    """Return the gateway in front of its venue, with the faults of the script."""
    if options.state is not None:
        options.state.mkdir(parents=True, exist_ok=True)
    gateway = Gateway(
        Venue(Tape(), options.clock, options.accounts, state=options.state), options.state, options.listed
    )
    if options.faults is not None:
        gateway.faults.add(load_script(options.faults))
    return gateway


class Door:
    """The listening socket: shut while the gateway restarts."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self.port = 0
        gateway.shut = self.shut

    async def open(self, port: int) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    def shut(self) -> None:
        """Refuse connections; those that are open stay."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def look(self) -> None:
        """Open again when the gateway is back."""
        if self._server is None and time.monotonic() >= self._gateway.closed_until:
            await self.open(self.port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(reader, writer, self._gateway)
        self._gateway.join(session)
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        try:
            await session.serve()
        except asyncio.CancelledError:
            # the simulator ends, and asyncio would report the cancelled task as an error
            pass
        finally:
            self._talks.discard(task)

    async def close(self) -> None:
        """Refuse connections and end those that are open."""
        self.shut()
        for session in list(self._gateway.sessions):
            session.close()
        for task in list(self._talks):
            task.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)


async def _serve(options: Options, gateway: Gateway, stop: asyncio.Event) -> None:
    control = Server(Control(gateway).handle)
    control_port = await control.listen(options.control_port)
    door = Door(gateway)
    await door.open(options.port)
    # whoever waits for the simulator reads this line
    line = f"simulators.tws listening on 127.0.0.1:{door.port}, control on http://127.0.0.1:{control_port}"
    print(line, flush=True)
    pause = min(max(_SIMULATED_PAUSE / options.clock.speed, _SHORTEST), _LONGEST)
    while not stop.is_set():
        gateway.poll()
        await door.look()
        try:
            await asyncio.wait_for(stop.wait(), pause)
        except TimeoutError:
            continue
    await door.close()
    await control.close()
