"""The supervisor: its configuration, and asking it over its own XML-RPC socket."""

import configparser
import http.client
import io
import os
import shlex
import socket
import sys
import xmlrpc.client
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from domain.errors import Refuse, Retry
from fleet.demo_mark import DEMO_KEY
from fleet.programs import Program, program

TEMPLATE = "feed"
SHIPPED = Path(__file__).resolve().parent.parent / "supervisord.conf"
# sun_path holds 108 bytes, and supervisor appends the process id while it binds.
LONGEST_SOCKET = 95


def write_config(home: Path, extra: Mapping[str, Sequence[str]], *, clock: str) -> Path:
    """Write the shipped configuration for a demo in another home, and return its path.

    Args:
        extra: programs to add, name -> further arguments for its command.

    Raises:
        Refuse: the home's path is too long for a unix socket, or holds a character supervisor can't take.
    """
    socket_path = home / "run" / "supervisor.sock"
    if len(os.fsencode(socket_path)) > LONGEST_SOCKET:
        raise Refuse(f"a home whose socket path has at most {LONGEST_SOCKET} bytes", str(home), "choose a shorter one")
    if odd := set(str(home)) & set('%";\n'):
        # supervisor expands paths twice and takes the rest for its own syntax.
        raise Refuse('a home without any of % " ; in its path', repr("".join(sorted(odd))), "choose another one")
    parser = configparser.RawConfigParser()
    parser.read(SHIPPED)
    for name in extra:
        _add_program(parser, program(name))
    for section in parser.sections():
        if section.startswith("program:"):
            name = section.removeprefix("program:")
            command = [sys.executable, "-m", "fleet.launch", name, *extra.get(name, ())]
            parser[section]["command"] = shlex.join(command)
    parser["supervisord"]["environment"] = f'TBOT_HOME="%(here)s",TBOT_CLOCK="{clock}",{DEMO_KEY}="1"'
    path = home / "run" / "supervisord.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    # supervisor expands %(here)s to the folder of the file, which is not the home here.
    text = io.StringIO()
    parser.write(text)
    path.write_text(text.getvalue().replace("%(here)s", str(home).replace("%", "%%")))
    return path


def _add_program(parser: configparser.RawConfigParser, item: Program) -> None:
    section = f"program:{item.name}"
    parser[section] = dict(parser[f"program:{TEMPLATE}"])
    parser[section]["stdout_logfile"] = f"%(here)s/logs/{item.name}.log"
    parser[section]["priority"] = "10" if item.module.startswith("simulators") else "50"


class _UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to a unix socket, with a deadline: a stalled supervisor must not stall who asks."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__()
        self._path = path
        self._timeout_s = timeout_s

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path, self._timeout_s)
        self._connection = host, connection  # what close() closes
        return connection


def _fault(error: xmlrpc.client.Fault) -> tuple[str, str]:
    """Return in words what the supervisor refused, and what to do."""
    if error.faultString == "SHUTDOWN_STATE":
        return "it is stopping the fleet and itself", "wait until it has ended, then start the fleet"
    return f"its fault {error.faultCode} ({error.faultString})", "start the fleet"


class Supervisor:
    """Questions and orders to one supervisord."""

    def __init__(self, home: Path, *, timeout_s: float = 5.0) -> None:
        self._socket = home / "run" / "supervisor.sock"
        self._transport = _UnixTransport(self._socket, timeout_s)
        self._server = xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=self._transport)

    def processes(self) -> list[dict[str, Any]]:
        """Return supervisor's facts about every process (name, statename, pid, start, now, exitstatus).

        Raises:
            Retry: the supervisor does not answer.
        """
        return cast("list[dict[str, Any]]", self._call("getAllProcessInfo"))

    def shutdown(self) -> None:
        """Ask the supervisor to stop everything and itself."""
        self._call("shutdown")

    def _call(self, method: str) -> object:
        try:
            return getattr(self._server.supervisor, method)()
        except xmlrpc.client.Fault as error:
            raise Retry(f"the supervisor at {self._socket} to answer", *_fault(error)) from error
        except (OSError, xmlrpc.client.Error, http.client.HTTPException) as error:
            raise Retry(f"the supervisor at {self._socket} to answer", str(error), "start the fleet") from error
        finally:
            self._transport.close()
