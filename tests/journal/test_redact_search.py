"""The quick look for secrets against the slow one: what the slow one cuts out, the quick one must not pass over."""

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain import known_secrets
from domain.settings import Secret
from journal import NewRecord, redact
from journal.codec import clean_text, encode_fields, to_ascii_json
from journal.record import prepare, prepare_many

HEX, DIGITS = "0123456789abcdef", "0123456789"
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# Made of what the patterns look for: their own letters may have to stand for something else while it is looked for.
PATTERNS = "-BEGINskAKIAtbs_ "
OANDA = f"{'0badc0de' * 4}-{'5ca1ab1e' * 4}"
LOOKS_SECRET = [
    OANDA,
    "-----BEGIN PRIVATE KEY-----\nMHcCAQEE\n-----END PRIVATE KEY-----",
    f"tbs_{'Ab3' * 2}xy_{'Cd4e' * 8}_012345",
    "sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWx",
    "AKIAIOSFODNN7EXAMPLE",
    "Bearer abcdefghijklmnop",
    "basic c2VzYW1lOm9wZW4=",
]
secrets = st.lists(
    st.sampled_from([HEX, DIGITS, BASE64, PATTERNS, "e\"\\/+ %'\u00e9"]).flatmap(
        lambda letters: st.text(letters, min_size=8, max_size=40)
    )
    | st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=20),
    max_size=4,
)


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    known_secrets.forget_all()
    yield
    known_secrets.forget_all()


def know(values: list[str]) -> None:
    known_secrets.forget_all()
    for value in values:
        Secret(value)


def forms(secret: str) -> list[str]:
    """Return ``secret`` as it is, escaped, percent-encoded, and in base64 at three alignments, of both alphabets."""
    raw = [before + secret.encode() + b"!" for before in (b"", b"u", b"u:")]
    encoded = [encode(text).decode() for encode in (base64.b64encode, base64.urlsafe_b64encode) for text in raw]
    return [secret, json.dumps(secret), json.dumps(secret, ensure_ascii=False), quote(secret, safe=""), *encoded]


def slowly(members: bytes) -> bytes:
    return to_ascii_json(redact.value(msgspec.json.decode(b"{%b}" % members)))[1:-1]


@pytest.mark.proves("J13")
@settings(max_examples=400, deadline=None)
@given(data=st.data(), known=secrets, around=st.text(max_size=12), number=st.integers(-(2**60), 2**60))
def test_the_quick_look_finds_whatever_the_slow_one_cuts_out(
    data: st.DataObject, known: list[str], around: str, number: int
) -> None:
    know(known)
    found = [form for secret in known for form in forms(secret)] + LOOKS_SECRET
    planted = data.draw(st.lists(st.sampled_from(found), max_size=3))
    fields = {"market": "EUR_USD", "n": number, "at": "2014-05-02T12:31:00.123456Z", "texts": []}
    fields["texts"] = [clean_text(around + text + around[::-1]) for text in planted]
    fields |= dict.fromkeys(planted[:1], "sig_01HQ3V5X7Y9Z1A2B3C4D5E6F7G")
    members = to_ascii_json(encode_fields(fields))[1:-1]

    assert redact.record(members, "")[0] == slowly(members)


@pytest.mark.proves("J13")
@settings(max_examples=100, deadline=None)
@given(known=secrets)
@example(known=["-BEGINsk", "AKIAKIAA", "sk-sk-sk"])
@example(known=["00000000", "eeeeeeee", "________"])
def test_every_form_of_every_known_value_and_every_pattern_is_met_by_the_quick_look(known: list[str]) -> None:
    know(known)
    # Of a short value base64 shows too few characters to tell it from chance.
    shown = [form for secret in known for form in forms(secret)[: 10 if len(secret) >= 12 else 4]] + LOOKS_SECRET

    for text in shown:
        assert redact.may_hold_secrets(b'"a":' + to_ascii_json(text)), text
        assert redact.may_hold_secrets(json.dumps({"a": text}, ensure_ascii=False).encode()), text


@pytest.mark.parametrize("known", [[], [OANDA], [BASE64[n : n + 40] for n in range(0, 24, 4)]])
def test_an_ordinary_record_needs_no_slow_look(known: list[str]) -> None:
    know(known)
    fields = {"market": "EUR_USD", "price": "1.08505", "at": "2014-05-02T12:31:00.123456Z", "h": HEX * 4}
    members = to_ascii_json(fields | {"reason": "the bid is below the risk-free mean", "JPY-K": "-3"})[1:-1]

    assert not redact.may_hold_secrets(members)


@pytest.mark.proves("J13")
@pytest.mark.parametrize("place", [0, 1, 2])
def test_records_prepared_together_are_those_prepared_one_by_one(place: int) -> None:
    secret = Secret("sesame-7f3a9c-\u00e9").reveal()
    ids = ["sig_1", None, 'quo"ted\u00e9']
    records = [NewRecord(kind="n", surface="fx", mode="paper", id=id_, fields={"a": "plain"}) for id_ in ids]
    hidden = NewRecord(kind="n", surface="fx", mode="paper", id=f"{secret}-1", fields={"a": f"it is {secret}."})

    for batch in (records, [*records[:place], hidden, *records[place:]]):
        assert prepare_many("fx/n", batch) == [
            prepare("fx/n", new.kind, new.surface, new.mode, new.id, new.fields) for new in batch
        ]
    assert b"it is [redacted]." in prepare_many("fx/n", [hidden])[0].body
