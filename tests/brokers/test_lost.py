"""What a request that got no answer is called: words and a host, never a class name or a whole address."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import httpx
import pytest

from brokers.addresses import require_address
from brokers.lost import said, translated, unreadable
from brokers.rest import RestReader
from domain.errors import Ask, Retry


def reader(port: int) -> RestReader:
    return RestReader("the service", f"http://127.0.0.1:{port}", {}, connect_s=2.0, read_s=0.3, attempts=1)


@contextmanager
def listening(treat: Callable[[socket.socket], object]) -> Iterator[int]:
    """Take one connection, read its request and do with it what the test wants."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                treat(connection)

        thread = threading.Thread(target=take)
        thread.start()
        yield server.getsockname()[1]
        thread.join(timeout=10)


def test_nobody_at_the_address_is_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with closing(reader(port)) as gone, pytest.raises(Retry) as caught:
        gone.json("a page", "/secret?key=sesame")

    assert caught.value.found == f"no connection to 127.0.0.1:{port}"
    assert "sesame" not in str(caught.value)


def test_a_connection_that_ends_without_an_answer_is_a_dropped_one() -> None:
    with listening(lambda connection: None) as port, closing(reader(port)) as cut, pytest.raises(Retry) as caught:
        cut.json("a page", "/")

    assert caught.value.found == f"a dropped connection to 127.0.0.1:{port}"


def test_silence_is_no_answer_in_time() -> None:
    over = threading.Event()
    with listening(lambda connection: over.wait(10)) as port, closing(reader(port)) as silent:
        with pytest.raises(Retry) as caught:
            silent.json("a page", "/")
        over.set()

    assert caught.value.found == f"no answer in time from 127.0.0.1:{port}"


def test_a_page_that_is_no_json_is_called_so() -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnope"
    answer = listening(lambda connection: connection.sendall(page))
    with answer as port, closing(reader(port)) as odd, pytest.raises(Retry) as caught:
        odd.json("a page", "/")

    assert caught.value.found == "an answer that is no JSON"


def test_an_order_without_an_answer_is_asked_about_in_the_same_words() -> None:
    request = httpx.Request("POST", "https://demo-api.kalshi.co/trade-api/v2/orders?x=1")
    with pytest.raises(Ask) as caught, translated("order 1", repeatable=False):
        raise httpx.ReadError("cut", request=request)

    assert caught.value.found == "a dropped connection to demo-api.kalshi.co"


def test_an_error_without_a_request_names_no_host() -> None:
    assert said(httpx.ConnectError("x")) == "no connection to the service"
    assert said(httpx.TooManyRedirects("x")) == "a failed exchange with the service"


def test_what_could_not_be_read_is_said_without_a_class_name() -> None:
    assert unreadable(KeyError("price")) == "no field 'price'"
    assert unreadable(ValueError("no number: 'x'")) == "no number: 'x'"
    assert unreadable(ValueError()) == "nothing that fits"


@pytest.mark.parametrize(
    "url", ["https://api.weather.gov", "http://127.0.0.1:81", "http://localhost", "http://[::1]:8"]
)
def test_https_and_this_machine_may_be_asked(url: str) -> None:
    require_address("X_URL", url)


@pytest.mark.parametrize(
    "url", ["http://evil.example", "http://127.0.0.1.evil.example", "https://a@b", "https://b?c", "b"]
)
def test_plain_http_elsewhere_and_what_is_no_plain_address_may_not(url: str) -> None:
    with pytest.raises(ValueError, match="X_URL must be"):
        require_address("X_URL", url)
