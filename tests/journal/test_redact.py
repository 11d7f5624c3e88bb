"""Secrets cut out of what is written, and everything else left as it is."""

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain import known_secrets
from domain.clock import FakeClock
from domain.settings import Secret
from journal import Journal, NewRecord, read, redact, verify
from journal.codec import encode_fields, to_ascii_json
from journal.record import prepare

OANDA = f"{hashlib.md5(b'1').hexdigest()}-{hashlib.md5(b'2').hexdigest()}"  # noqa: S324  only the form matters
PEM = """-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aY/Pu
-----END EC PRIVATE KEY-----"""
LOOKS_SECRET = [
    OANDA,
    PEM,
    "tbs_uEC5JBJs_6oNfy91gtioCQiUYQxWG2IpKWSbIcsTk_0AHeHZ",
    "sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWx",
    "sk-proj_AbCdEfGhIjKlMnOpQrStUvWx0123",
    "AKIAIOSFODNN7EXAMPLE",
]
# What ordinary records are made of: ids, hashes, times, prices, prose.
ORDINARY = [
    hashlib.sha256(b"h").hexdigest(),
    f"{hashlib.sha256(b'a').hexdigest()}-{hashlib.sha256(b'b').hexdigest()}",
    "79342eae-1c1d-4f5e-9a0b-0123456789ab",
    "sig_01HQ3V5X7Y9Z1A2B3C4D5E6F7G",
    "fx-e-01HQ3V5X7Y9Z1A2B3C4D5E6F7G-1",
    "2014-05-02T12:31:00.123456Z",
    "101-001-1234567-001",
    "EUR_USD",
    "1.08505",
    "a Bearer authorization header",
    "Basic authentication is not offered here",
    "the risk-of-ruin-estimate-of-a-strategy",
    "desk-of-the-operator-in-the-first-room",
    "0" * 64,
]


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    known_secrets.forget_all()
    yield
    known_secrets.forget_all()


def body(**fields: object) -> bytes:
    return prepare("fx/signals", "note", "fx", "paper", None, fields).body


@pytest.mark.proves("J13")
@pytest.mark.parametrize("secret", LOOKS_SECRET)
def test_what_looks_like_a_secret_is_cut_out_wherever_it_stands(secret: str) -> None:
    written = body(found=f"the reply was {secret}.", **{secret: [secret, {"deep": {"er": secret}}]}).decode()

    assert secret not in written
    assert json.dumps(secret)[1:-1] not in written
    assert written.count("[redacted]") == 4


@pytest.mark.proves("J13")
@pytest.mark.parametrize("header", ["Bearer", "bearer", "Basic", "basic"])
def test_a_header_keeps_its_word_and_loses_its_value(header: str) -> None:
    assert (
        redact.text(f"Authorization: {header} c2VzYW1lOm9wZW5zZXNhbWU= end")
        == f"Authorization: {header} [redacted] end"
    )


@pytest.mark.parametrize("content", ORDINARY)
def test_ordinary_texts_stay_as_they_are(content: str) -> None:
    Secret("a-secret-of-this-process")

    assert redact.text(content) == content
    assert (
        body(a=content, **{content: 1})
        == b'"kind":"note","surface":"fx","mode":"paper",' + to_ascii_json({"a": content, content: 1})[1:-1]
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40) | st.sampled_from(ORDINARY),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.proves("J13")
@given(value=values)
def test_records_without_secrets_are_written_unchanged(value: object) -> None:
    Secret("a-secret-of-this-process")
    try:
        plain = encode_fields({"value": value})
    except Exception:  # noqa: BLE001  what the codec refuses is not this test's question
        assume(False)

    assert body(value=value) == b'"kind":"note","surface":"fx","mode":"paper",' + to_ascii_json(plain)[1:-1]


@given(digest=st.binary(min_size=1, max_size=8).map(lambda seed: hashlib.sha256(seed).hexdigest()))
def test_no_hash_is_taken_for_a_secret(digest: str) -> None:
    assert redact.text(f'"prev":"{digest}","h":"{digest}"') == f'"prev":"{digest}","h":"{digest}"'


@pytest.mark.proves("J13")
@given(
    secret=st.text(min_size=8, max_size=40).filter(lambda text: not set(text) & set("[redacted]'")),
    before=st.text(max_size=10), after=st.text(max_size=10),
)  # fmt: skip
def test_a_known_value_is_cut_out_of_any_text_and_leaves_strict_json(secret: str, before: str, after: str) -> None:
    known_secrets.forget_all()
    Secret(secret)
    shown = encode_fields({"a": secret})["a"]
    record = json.loads(b"{%b}" % body(text=before + secret + after, json=json.dumps({"token": secret})))

    assert "[redacted]" in record["text"]
    assert "[redacted]" in record["json"]
    for form in {shown, json.dumps(shown)[1:-1]}:
        assert form not in record["text"] + record["json"]


@pytest.mark.proves("J13")
@given(
    secret=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=12, max_size=70),
    user=st.text(st.characters(min_codepoint=0x61, max_codepoint=0x7A), max_size=9),
)
def test_a_known_value_is_cut_out_of_base64_and_of_urls(secret: str, user: str) -> None:
    known_secrets.forget_all()
    Secret(secret)
    whole = base64.b64encode(f"{user}:{secret}".encode()).decode()
    url = f"https://127.0.0.1/?token={quote(secret, safe='')}"
    record = json.loads(b"{%b}" % body(basic=f"Authorization={whole}", url=url))

    assert len(record["basic"].replace("Authorization=", "").replace("[redacted]", "")) < len(user) * 8 / 6 + 8
    assert quote(secret, safe="") not in record["url"]


def test_a_secret_that_looks_like_the_inside_of_an_escape_never_breaks_the_json() -> None:
    Secret("e9bcdefghi")
    Secret("nabcdefgh")

    assert json.loads(b"{%b}" % body(a="\u00e9bcdefghi", b="\nabcdefgh")) == {
        "kind": "note", "surface": "fx", "mode": "paper", "a": "\u00e9bcdefghi", "b": "\nabcdefgh",
    }  # fmt: skip


def test_a_short_value_is_not_looked_for() -> None:
    Secret("sesame7")

    assert b"sesame7" in body(a="sesame7")


@pytest.mark.proves("J13")
def test_no_file_of_a_log_holds_a_known_secret(tmp_path: Path, clock: FakeClock) -> None:
    secret = Secret("sesame-7f3a9c-\u00e9").reveal()
    directory = tmp_path / "fx" / "signals"
    with Journal.open(directory, clock=clock, segment_bytes=2000) as journal:
        for number in range(20):
            journal.append(
                "n", surface="fx", mode="paper", id=f"{secret}-{number}", fields={"a": secret, secret: [secret]}
            )
        journal.append_many([NewRecord(kind="n", surface="fx", mode="paper", fields={"a": secret})] * 2)
        journal.submit("n", surface="fx", mode="paper", fields={"a": secret}).result()

    content = b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
    assert content.count(b"[redacted]") >= 63
    assert not any(form in content for form in (b"sesame", secret.encode()))
    assert verify(directory).ok
    assert [entry.id for entry in read(directory) if entry.kind == "n"][3] == "[redacted]-3"


LOGGER = """
import logging, sys, threading
import structlog
from domain.clock import RealClock
from domain.settings import Secret
from journal import process_log
secret = Secret(sys.argv[1]).reveal()
process_log.configure("test", RealClock())
structlog.get_logger().warning("asked with " + secret, token=secret, nested={"a": [secret]}, odd=Exception(secret))
try:
    raise ValueError(secret)
except ValueError:
    structlog.get_logger().exception("failed")
    logging.getLogger("sdk").exception("failed with %s", secret)
def fail():
    raise RuntimeError("in a thread: " + secret)
thread = threading.Thread(target=fail)
thread.start()
thread.join()
raise RuntimeError("at the end: " + secret)
"""


@pytest.mark.proves("J13", "row 35")
@pytest.mark.parametrize("secret", ["sesame-7f3a9c0d", 'quo"ted\\back-7f3a', "caf\u00e9-cr\u00e8me-7f3a"])
def test_the_process_log_and_every_traceback_are_cleaned(secret: str) -> None:
    done = subprocess.run([sys.executable, "-c", LOGGER, secret], capture_output=True, text=True, timeout=60)
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]

    assert (done.returncode, done.stdout) == (1, "")
    assert [line["event"] for line in lines] == ["asked with [redacted]", "failed"]
    assert "ValueError: [redacted]" in lines[1]["exception"]
    for words in ("in a thread: [redacted]", "at the end: [redacted]", "failed with [redacted]"):
        assert words in done.stderr
    assert secret not in done.stderr
    assert json.dumps(secret)[1:-1] not in done.stderr


def test_ordinary_log_lines_are_not_touched() -> None:
    Secret("a-secret-of-this-process")
    content = json.dumps({"event": "caf\u00e9", "h": "0" * 64})

    assert redact.line(content) is content
