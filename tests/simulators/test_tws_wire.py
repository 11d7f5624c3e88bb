"""The wire of the TWS simulator: frames, handshake, limits, and bytes no client should send."""

import socket
import struct
import time
from decimal import Decimal

import pytest
import tws_sim

from simulators.ibkr.contracts import BY_SYMBOL
from simulators.ibkr.orders import Order, Terms
from simulators.tws.framing import UNSET, Fields, Malformed, encode, plain, split
from simulators.tws.names import NAMES, name_of
from simulators.tws.order_messages import completed_order, open_order, order_status


@pytest.fixture(scope="module")
def sim():
    running = tws_sim.start()
    yield running
    running.stop()


class Raw:
    """A socket that speaks the protocol byte by byte."""

    def __init__(self, sim, version=b"v157..176", greeting=b"API\0"):
        self.socket = socket.create_connection((sim.host, sim.port), timeout=5)
        self.socket.sendall(greeting + struct.pack(">I", len(version)) + version)
        self._rest = b""

    def send(self, *fields):
        self.socket.sendall(encode(fields))

    def read(self):
        """Return the fields of the next message; None when the gateway has closed."""
        while len(self._rest) < 4 or len(self._rest) < 4 + int.from_bytes(self._rest[:4], "big"):
            try:
                got = self.socket.recv(65536)
            except ConnectionError:
                return None
            if not got:
                return None
            self._rest += got
        end = 4 + int.from_bytes(self._rest[:4], "big")
        payload, self._rest = self._rest[4:end], self._rest[end:]
        return split(payload)

    def read_until(self, number):
        """Return the next message of a number."""
        while (fields := self.read()) is not None:
            if fields[0] == str(number):
                return fields
        raise AssertionError(f"closed before a message {number}")

    def start(self, client):
        self.send(71, 2, client, "")
        return self

    def close(self):
        self.socket.close()


@pytest.fixture
def raw(sim):
    opened = []

    def connect(**options):
        opened.append(Raw(sim, **options))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


def test_the_greeting_has_two_fields_and_the_start_two_messages(raw):
    one = raw(version=b"v157..178 +PACEAPI")
    version, moment = one.read()
    one.start(1)

    assert version == "176"
    assert moment.endswith(" US/Eastern")
    assert one.read_until(15) == ["15", "1", tws_sim.ACCOUNT]
    assert one.read_until(9)[:2] == ["9", "1"]
    assert one.read_until(4)[3] == "2104"


@pytest.mark.parametrize(
    "options",
    [
        {"greeting": b"GET "},
        {"version": b"v100..150"},
        {"version": b"v177..200"},
        {"version": b"nonsense"},
        {"version": b"\xff\xfe"},
    ],
)
def test_a_greeting_it_does_not_speak_ends_the_connection(raw, options):
    assert raw(**options).read() is None


@pytest.mark.parametrize(
    "bytes_",
    [
        b"\x7f\xff\xff\xff",
        b"\0\0\0\0",
        struct.pack(">I", 2 * 1024 * 1024) + b"x",
    ],
)
def test_a_length_no_client_sends_ends_only_that_connection(raw, sim, bytes_):
    wrong, other = raw(), raw().start(2)
    wrong.read()
    wrong.socket.sendall(bytes_)

    assert wrong.read() is None
    assert other.read_until(9)
    other.send(49, 1)
    assert other.read_until(49)
    assert sim.process.poll() is None


@pytest.mark.parametrize(
    "fields",
    [
        ("hello",),
        ("9999", "1"),
        ("",),
        ("3", "5"),
        ("3", "x", *[""] * 120),
        ("1", "11", "seven", *[""] * 20),
        ("20", "5"),
        ("7",),
        ("97", "6", *["nan"] * 15),
        ("\xff\xfe",),
        ("3", "5", "0", "SPY", "BAG", *["0"] * 110),
    ],
)
def test_a_message_that_cannot_be_read_is_answered_and_the_connection_lives(raw, fields):
    one = raw().start(3)
    one.read_until(9)
    one.send(*fields)
    one.send(49, 1)

    told = one.read_until(4)
    while told[3].startswith("21"):
        told = one.read_until(4)

    assert told[3] in ("320", "321")
    assert one.read_until(49)


def test_what_is_said_before_the_start_is_not_heard(raw):
    one = raw()
    one.read()
    one.send(49, 1)
    one.start(4)

    assert one.read()[0] == "15"


def test_half_a_frame_waits_for_the_other_half(raw):
    one = raw().start(5)
    one.read_until(9)
    frame = encode((49, 1))
    one.socket.sendall(frame[:3])
    one.socket.sendall(frame[3:7])
    one.socket.sendall(frame[7:])

    assert one.read_until(49)


def test_fifty_messages_a_second_are_the_most(raw):
    one = raw().start(6)
    one.read_until(9)
    one.socket.sendall(encode((49, 1)) * 60)
    codes = []
    while (fields := one.read()) is not None:
        if fields[0] == "4":
            codes.append(fields[3])

    assert codes[-3:] == ["100", "100", "100"]


def test_a_client_number_is_free_again_at_once(raw):
    first = raw().start(7)
    first.read_until(9)
    first.close()
    deadline = time.monotonic() + 30
    while True:
        told = raw().start(7)
        told.read()
        if told.read()[0] == "15":
            break
        assert time.monotonic() < deadline


def test_fields_are_read_as_the_library_writes_them():
    fields = Fields(["", "7", UNSET, "1.5", "1", "", "2147483647", "x"])

    assert fields.whole(3) == 3
    assert fields.whole() == 7
    assert fields.decimal() is None
    assert fields.decimal() == Decimal("1.5")
    assert fields.flag()
    assert not fields.flag()
    assert fields.whole() == 0
    with pytest.raises(Malformed):
        fields.flag()
    assert list(fields.rest()) == []
    with pytest.raises(Malformed):
        fields.text()


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999999999x", "--1", "1e309", "1E-5000"])
def test_a_number_that_is_none_is_malformed(text):
    with pytest.raises(Malformed):
        Fields([text]).decimal()


def test_numbers_are_written_without_exponents():
    assert [plain(Decimal(text)) for text in ("1E+3", "0.00010", "-2.50", "0")] == ["1000", "0.0001", "-2.5", "0"]
    assert split(encode((True, None, "a\0b", Decimal("1.10")))[4:]) == ["1", "", "ab", "1.1"]


def test_requests_have_names():
    assert name_of(3) == "placeOrder"
    assert name_of(4711) == "4711"
    assert len(set(NAMES.values())) == len(NAMES)


def test_messages_about_orders_have_the_fields_of_server_version_176(sim):
    clock = tws_sim.START
    from datetime import datetime

    terms = Terms(conid=756733, account="DU1", side="BUY", quantity=Decimal(1), kind="MKT")
    order = Order(perm_id=1, terms=terms, owner=[1, 1], placed_at=datetime.fromisoformat(clock))

    assert len(open_order(order, BY_SYMBOL["SPY"], (1, 1), 0)) == 128
    assert len(order_status(order, (1, 1), 0)) == 12
    assert completed_order(order, BY_SYMBOL["SPY"])[0] == 101
