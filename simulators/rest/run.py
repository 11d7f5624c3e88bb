"""Command line, start and stop of a read-only simulator."""

import argparse
import asyncio
import os
from functools import partial
from pathlib import Path

from simulators.oanda.clock import ClockError, parse_clock
from simulators.oanda.transport import Server
from simulators.rest import process
from simulators.rest.faults import FaultError, load_script
from simulators.rest.service import Kind, Service


def run(kind: Kind, description: str, arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""

    def prepare() -> tuple[int, process.Serve]:
        parsed = _parser(kind.name, description).parse_args(arguments)
        if not 0 <= parsed.port <= 65535:
            raise ValueError(f"--port: expected 0 to 65535; found {parsed.port}")
        service = Service(kind, parse_clock(parsed.clock or os.environ.get("TBOT_CLOCK") or "real"))
        if parsed.faults is not None:
            service.faults.add(load_script(parsed.faults))
        return parsed.port, partial(_serve, service, parsed.port)

    return process.run(kind.name, prepare, (ClockError, FaultError, ValueError))


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {name}",
        description=description,
        epilog="Endpoints, fault actions and data: simulators/README.md.",
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one (default)")
    parser.add_argument("--clock", help="'real' or 'sim:<ISO start>@<speed>[,anchor=<unix seconds>]', else TBOT_CLOCK")
    parser.add_argument("--faults", type=Path, help="fault script, a JSON list")
    return parser


async def _serve(service: Service, port: int, stop: asyncio.Event) -> None:
    server = Server(service.handle)
    bound = await server.listen(port)
    # whoever waits for the simulator reads this line
    print(f"{service.kind.name} listening on http://127.0.0.1:{bound}", flush=True)
    await stop.wait()
    await server.close()
