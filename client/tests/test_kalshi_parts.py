"""Kalshi without a network: signatures, prices that can be ordered at, and the ledger over restarts."""

import errno
import threading
import time
from base64 import b64decode
from datetime import UTC, datetime
from decimal import Decimal as D
from email.utils import format_datetime, formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from tbot_client.brokers import kalshi_parse as parse
from tbot_client.brokers.kalshi_ledger import Ledger
from tbot_client.brokers.kalshi_parse import Fill, Market, OwnOrder, Settlement
from tbot_client.brokers.kalshi_sign import Signer, private_key
from tbot_client.brokers.kalshi_wire import KalshiWire
from tbot_client.brokers.port import NotFilled, Opened, Reduced
from tbot_client.errors import Misconfigured, Retry

AT = datetime(2014, 5, 6, 12, tzinfo=UTC)
STEM = "tc-01ARZ3NDEKTSV4RRFFQ69G0001"


def pem_of(key, encryption=None):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()).decode()


def test_a_signature_is_of_time_method_and_path():
    key = rsa.generate_private_key(65537, 2048)
    headers = Signer("key-id", pem_of(key), lambda: AT).headers("GET", "/trade-api/v2/portfolio/orders")

    stamp = headers["KALSHI-ACCESS-TIMESTAMP"]
    assert (headers["KALSHI-ACCESS-KEY"], stamp) == ("key-id", "1399377600000")
    key.public_key().verify(
        b64decode(headers["KALSHI-ACCESS-SIGNATURE"]),
        f"{stamp}GET/trade-api/v2/portfolio/orders".encode(),
        padding.PSS(padding.MGF1(hashes.SHA256()), 32),
        hashes.SHA256(),
    )


class Strict(BaseHTTPRequestHandler):
    """A venue that is an hour ahead of this machine, and refuses what was not signed by its own time."""

    refused = 0

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        ahead = time.time() + 3600
        is_good = abs(int(self.headers["KALSHI-ACCESS-TIMESTAMP"]) / 1000 - ahead) < 5
        Strict.refused += not is_good
        body = b'{"order_id":"o"}' if is_good else b'{"error":{"code":"header_timestamp_expired"}}'
        self.send_response_only(201 if is_good else 401)
        self.send_header("Date", formatdate(ahead, usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


def test_a_machine_whose_clock_is_off_signs_by_the_venues():
    server = HTTPServer(("127.0.0.1", 0), Strict)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    signer = Signer("key-id", pem_of(rsa.generate_private_key(65537, 2048)))
    wire = KalshiWire(f"http://127.0.0.1:{server.server_address[1]}/trade-api/v2", signer)

    answers = [wire.post("/portfolio/events/orders", {}) for _ in range(2)]
    wire.close()
    server.shutdown()
    server.server_close()

    assert answers == [{"order_id": "o"}] * 2
    assert Strict.refused == 1


def test_a_date_that_is_none_or_the_same_is_not_heeded():
    signer = Signer("key-id", pem_of(rsa.generate_private_key(65537, 2048)), lambda: AT)
    assert [signer.heed(date) for date in ("", "soon", format_datetime(AT, usegmt=True))] == [False] * 3


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("no key at all", "something else"),
        (pem_of(ec.generate_private_key(ec.SECP256R1())), "of another kind"),
        (pem_of(rsa.generate_private_key(65537, 2048), BestAvailableEncryption(b"pw")), "with a password"),
    ],
)
def test_what_is_no_key_is_named_without_being_repeated(text, found):
    with pytest.raises(Misconfigured, match=found) as caught:
        private_key(text)
    assert text[30:60] not in str(caught.value) or len(text) < 30


def market(*steps):
    pairs = tuple((D(start), D(step)) for start, step in steps)
    return Market(
        ticker="T", status="active", is_binary=True, bid=D("0.39"), ask=D("0.40"), payout=D(1), steps=pairs, value=None
    )


@pytest.mark.parametrize(
    ("side", "worst", "expected"),
    [
        ("buy", "0.405", "0.40"),
        ("sell", "0.405", "0.41"),
        ("buy", "1.20", "0.99"),
        ("sell", "-0.10", "0.01"),
        ("buy", "0.999", "0.99"),
        ("sell", "0", "0.01"),
    ],
)
def test_a_limit_is_on_the_step_and_never_worse_than_allowed(side, worst, expected):
    assert market(("0", "0.01")).limit(side, D(worst)) == D(expected)


@given(st.sampled_from(["buy", "sell"]), st.decimals(D("-0.5"), D("1.5"), places=4))
def test_any_limit_can_be_ordered_at(side, worst):
    tapered = market(("0", "0.001"), ("0.1", "0.01"), ("0.9", "0.001"))
    limit = tapered.limit(side, worst)
    assert 0 < limit < 1
    assert limit % tapered.step(limit) == 0
    if D("0.001") <= worst <= D("0.999"):
        assert limit <= worst if side == "buy" else limit >= worst


def test_finer_steps_at_the_ends_are_used_there_only():
    tapered = market(("0", "0.001"), ("0.1", "0.01"), ("0.9", "0.001"))
    assert tapered.limit("buy", D("0.0337")) == D("0.033")
    assert tapered.limit("buy", D("0.337")) == D("0.33")
    assert tapered.limit("sell", D("0.9001")) == D("0.901")
    assert tapered.limit("buy", D(1)) == D("0.999")


@pytest.mark.parametrize(
    ("result", "value", "expected"),
    [("yes", 100, D(1)), ("no", 0, D(0)), ("no", None, D(0)), ("scalar", 37, D("0.37")), ("void", None, None)],
)
def test_a_settlement_pays_what_its_result_says(result, value, expected):
    entry = {"ticker": "T", "market_result": result, "yes_count_fp": "0.00", "no_count_fp": "7.00", "value": value}
    found = parse.settlement(entry | {"settled_time": "2014-05-07T06:00:00Z"})
    assert (found.value, found.held) == (expected, D(-7))


@pytest.mark.parametrize("broken", [{}, {"ticker": 7}, {"ticker": "T", "position_fp": "NaN"}, {"ticker": "T"}])
def test_an_entry_of_another_form_is_asked_for_again(broken):
    with pytest.raises(Retry, match="a position of the documented form"):
        parse.read("a position", parse.position, broken)


def order(name="entry-1", side="buy", filled="10", at=AT):
    return OwnOrder(
        order_id=f"o-{name}",
        client_id=f"{STEM}-{name}",
        ticker="T",
        side=side,
        status="executed",
        filled=D(filled),
        at=at,
    )


def fill(units, price, fee, name="f", side="buy", at=AT):
    return Fill(
        fill_id=f"{name}-{units}-{price}",
        order_id="o",
        ticker="T",
        side=side,
        units=D(units),
        price=D(price),
        fee=D(fee),
        at=at,
    )


def ledger(tmp_path):
    return Ledger(tmp_path / "kalshi.jsonl", lambda: AT)


def test_a_position_left_in_parts_brings_exactly_what_the_account_gained(tmp_path):
    book = ledger(tmp_path)
    book.opened(order(filled="7"), [fill(3, "0.40", "0.06"), fill(4, "0.41", "0.07")])
    (held,) = book.held.values()
    book.exited(held, order("exit-1", "sell"), [fill(2, "0.45", "0.04", "x", "sell")])
    book.exited(held, order("exit-2", "sell", "0"), [])
    book.settled(held, Settlement(ticker="T", held=D(5), value=D(1), at=AT), D(1))

    opened, left, settled = book.after("")
    assert (opened.units, opened.price) == (D(7), D("0.405714"))
    assert (left.reason, left.price, settled.reason, settled.price) == ("broker", D("0.45"), "settled", D(1))
    # 3 x 0.40 + 4 x 0.41 + 0.13 were paid, 2 x 0.45 - 0.04 and 5 came back
    assert left.realised + settled.realised == D("5.86") - D("2.97")
    assert (book.held, held.exits) == ({}, 2)


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 99), st.integers(0, 60)), min_size=1, max_size=6), st.data()
)
def test_however_a_position_is_left_its_results_add_up_to_what_the_account_gained(exits, data):
    side = data.draw(st.sampled_from(["buy", "sell"]))
    units = sum(count for count, _, _ in exits) + data.draw(st.integers(0, 3))
    price, fee = D(data.draw(st.integers(1, 99))) / 100, D(data.draw(st.integers(0, 200))) / 100
    sign = 1 if side == "buy" else -1
    with TemporaryDirectory() as folder:
        book = Ledger(Path(folder) / "kalshi.jsonl", lambda: AT)
        book.opened(order(side=side), [fill(units, price, fee, side=side)])
        (held,) = book.held.values()
        gained = -sign * units * price - fee
        for number, (count, cents, exit_fee) in enumerate(exits):
            part = fill(count, D(cents) / 100, D(exit_fee) / 100, f"x{number}")
            book.exited(held, order(f"exit-{number + 1}"), [part])
            gained += sign * part.units * part.price - part.fee
        if held.left:
            gained += sign * held.left
            book.settled(held, Settlement(ticker="T", held=D(0), value=D(1), at=AT), D(1))
        events = [event for event in book.after("") if isinstance(event, Reduced)]
        book.close()

    assert sum(event.realised for event in events) == gained
    assert book.held == {}


def test_selling_yes_wins_when_it_pays_nothing(tmp_path):
    book = ledger(tmp_path)
    book.opened(order(side="sell"), [fill(10, "0.40", "0.17", side="sell")])
    (held,) = book.held.values()
    book.settled(held, Settlement(ticker="T", held=D(-10), value=D(0), at=AT), D(0))
    assert book.after("")[-1].realised == D("3.83")


def test_a_place_means_the_same_after_a_restart_and_only_in_its_own_file(tmp_path):
    book = ledger(tmp_path)
    start = book.last_id
    book.opened(order(), [fill(10, "0.40", "0.17")])
    middle = book.last_id
    book.unfilled(order("entry-1", filled="0"))
    end = book.last_id
    book.close()

    again = ledger(tmp_path)
    assert [type(event) for event in again.after(middle)] == [NotFilled]
    assert (again.after(end), again.last_id) == ([], end)
    for unknown in (start, "", "9-0000000000000000", "2-0123456789abcdef", "bla"):
        assert [type(event) for event in again.after(unknown)] == [Opened, NotFilled]
    assert again.held["o-entry-1"].cost == D("4.00")


def test_looking_leaves_no_file(tmp_path):
    book = ledger(tmp_path / "home")
    assert (book.after(book.last_id), book.last_id) == ([], "0-0000000000000000")
    book.close()
    assert not (tmp_path / "home").exists()


def test_a_full_disk_forgets_nothing_while_running_and_tells_it_again_after(tmp_path, capsys):
    book = ledger(tmp_path)
    book.opened(order(), [fill(10, "0.40", "0.17")])
    (held,) = book.held.values()
    middle, write = book.last_id, book._journal._write

    def full(data):
        raise OSError(errno.ENOSPC, "no space")

    book._journal._write = full
    book.exited(held, order("exit-1", "sell"), [fill(10, "0.45", "0.17", "x", "sell")])
    assert [type(event) for event in book.after(middle)] == [Reduced]
    assert (book.held, book.last_id) == ({}, middle)
    assert "to be written later" in capsys.readouterr().err

    book._journal._write = write
    book.known(order("exit-2"))
    book.close()
    assert ledger(tmp_path).held == {}
