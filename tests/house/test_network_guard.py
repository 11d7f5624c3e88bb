"""Tests reach loopback and unix sockets, and nothing else."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

OUTSIDE = "192.0.2.1"  # TEST-NET-1, RFC 5737: routed nowhere
REFUSAL = "only loopback"


def connect() -> None:
    with socket.socket() as plug:
        plug.connect((OUTSIDE, 80))


def connect_ex() -> None:
    with socket.socket() as plug:
        plug.connect_ex((OUTSIDE, 80))


def connect_over_ipv6() -> None:
    with socket.socket(socket.AF_INET6) as plug:
        plug.connect(("2001:db8::1", 80))


def sendto() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as plug:
        plug.sendto(b"x", (OUTSIDE, 53))


def sendmsg() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as plug:
        plug.sendmsg([b"x"], [], 0, (OUTSIDE, 53))


def look_up() -> None:
    socket.getaddrinfo("broker.invalid", 443)


def look_up_the_old_way() -> None:
    socket.gethostbyname("broker.invalid")


def connect_by_name() -> None:
    socket.create_connection(("broker.invalid", 443), timeout=1)


def connect_with_asyncio() -> None:
    asyncio.run(asyncio.wait_for(asyncio.open_connection(OUTSIDE, 80), timeout=1))


def connect_with_httpx() -> None:
    httpx.get("http://broker.invalid/", timeout=1, trust_env=False)


@pytest.mark.parametrize(
    "reach",
    [
        connect,
        connect_ex,
        connect_over_ipv6,
        sendto,
        sendmsg,
        look_up,
        look_up_the_old_way,
        connect_by_name,
        connect_with_asyncio,
        connect_with_httpx,
    ],
)
def test_reaching_outside_is_refused(reach: Callable[[], None]) -> None:
    with pytest.raises(RuntimeError, match=REFUSAL):
        reach()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_open(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        with socket.create_connection((host, port), timeout=2) as plug:
            assert plug.getpeername() == ("127.0.0.1", port)


def test_unix_sockets_are_open(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as plug:
        server.bind(path)
        server.listen()

        plug.connect(path)

        assert plug.getpeername() == path


def test_tbot_home_is_an_empty_house(tbot_home: Path) -> None:
    assert Path.home() == tbot_home
    assert {path.name: list(path.iterdir()) for path in tbot_home.iterdir()} == {
        name: [] for name in ("env", "logs", "run", "state")
    }
