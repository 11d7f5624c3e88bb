"""Command line, start and stop of a read-only simulator."""

import asyncio
from functools import partial

from simulators.oanda.clock import ClockError
from simulators.rest import process
from simulators.rest.faults import FaultError, load_script
from simulators.rest.options import OptionError, checked_port, clock_of, parser_of
from simulators.rest.service import Kind, Service
from simulators.rest.transport import Server


def run(kind: Kind, description: str, arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""

    def prepare() -> tuple[int, process.Serve]:
        parsed = parser_of(kind.name, description).parse_args(arguments)
        service = Service(kind, clock_of(parsed))
        if parsed.faults is not None:
            service.faults.add(load_script(parsed.faults))
        port = checked_port("--port", parsed.port)
        return port, partial(_serve, service, port)

    return process.run(kind.name, prepare, (ClockError, FaultError, OptionError))


async def _serve(service: Service, port: int, stop: asyncio.Event) -> None:
    server = Server(service.handle)
    bound = await server.listen(port)
    # whoever waits for the simulator reads this line
    print(f"{service.kind.name} listening on http://127.0.0.1:{bound}", flush=True)
    await stop.wait()
    await server.close()
