"""Rules for every test of the project and of the client: no network but this machine, no home but its own."""

import ipaddress
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
SENDS = ("socket.connect", "socket.sendto", "socket.sendmsg")  # connect_ex raises the event of connect
HOME_VARIABLES = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")

DEMO = "tests/fleet/demo/"


class OutsideNetworkError(RuntimeError):
    """A test reached for a host other than this one. Not an OSError, so that no retry swallows it."""


def guard_network(event: str, args: tuple[Any, ...]) -> None:
    """Refuse, as an audit hook, look-ups of and traffic to anything but loopback and unix sockets.

    A hook sees what patching ``socket.socket`` misses (``_socket``, code that kept a reference). It does not see
    uvloop, which connects below Python, nor child processes: tests hand those loopback addresses only.
    """
    if event in SENDS:
        handle, address = args[0], args[1]
        if handle.family in (socket.AF_INET, socket.AF_INET6) and address and not is_loopback(address[0]):
            refuse(event, address[0])
    elif event in LOOKUPS and not (is_loopback(args[0]) or is_numeric(args[0])):
        refuse(event, args[0])


def refuse(event: str, host: object) -> None:
    shown = host.decode(errors="replace") if isinstance(host, bytes) else host
    raise OutsideNetworkError(
        f"{event} to {shown!r}: tests may use only loopback addresses and unix sockets; start a simulator on 127.0.0.1"
    )


def is_loopback(host: object) -> bool:
    """Tell whether a host means this machine; None, '' and 0.0.0.0 are what a server binds to."""
    text = host.decode(errors="replace") if isinstance(host, bytes) else host
    if text in (None, "", "localhost", "ip6-localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(text).partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or address.is_unspecified or (mapped is not None and mapped.is_loopback)


def is_numeric(host: object) -> bool:
    """Tell whether a look-up asks nobody, because the name is an address already."""
    text = host.decode(errors="replace") if isinstance(host, bytes) else str(host)
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full-dose", action="store_true", help="fault tests at their full dose, as `make soak` runs them"
    )


def pytest_configure(config: pytest.Config) -> None:
    sys.addaudithook(guard_network)
    # A deadline per example measures how busy the machine is. The rest stays as it is, CI's own profile included.
    settings.register_profile("house", settings.default, deadline=None)
    settings.load_profile("house")


@pytest.hookimpl(optionalhook=True)  # the client's tests run without xdist too
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a file in one worker, for they share servers, and all those of the running demo in another."""
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415  see above

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return DEMO if nodeid.startswith(DEMO) else super()._split_scope(nodeid)

    return Scheduling(config, log)


@pytest.fixture
def dose(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """How often a fault test repeats: ``dose(200, 2_000)`` is 200 in ``make test`` and 2,000 in ``make soak``."""
    is_full = bool(request.config.getoption("--full-dose"))
    return lambda fast, full: full if is_full else fast


@pytest.fixture
def tbot_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test an empty house of its own: HOME and TBOT_HOME with env/, logs/, run/ and state/ inside."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    for folder in ("env", "logs", "run", "state"):
        (home / folder).mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TBOT_HOME", str(home))
    for name in HOME_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return home
