"""What lets a subscriber check the history it is shown: signatures of the heads, keys, checkpoints."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from domain.vocabulary import Surface
from feed.lines import signature
from feed.proofs import last_line
from feed.tokens import Scope
from journal import Journal
from journal.key_files import create_key
from journal.keys import Keyring, Signer

SIG = "0123456789abcdef:" + "A" * 86 + "=="


def key(surface: str, name: str = "00112233445566aa", **changes: Any) -> dict[str, Any]:
    return {
        "key": name, "surface": surface, "public": "QUFB", "from": "2026-03-01T00:00:00.000000Z", "until": None,
        "by": None, "endorsement": None, **changes,
    }  # fmt: skip


def write_keys(stage: Any, *keys: dict[str, Any]) -> None:
    path = stage.house.keys / "public.json"
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"keys": keys}))
    os.replace(fresh, path)


@pytest.mark.parametrize(
    ("end", "found"),
    [
        (f'"h":"{"a" * 64}","sig":"{SIG}"}}', SIG),
        (f'"prev":"{"b" * 64}","h":"{"a" * 64}"}}', None),
        (f'"sig":"{SIG}","prev":"{"b" * 64}","h":"{"a" * 64}"}}', None),
        ("}", None),
    ],
)
def test_a_signature_is_what_stands_after_the_hash(end: str, found: str | None) -> None:
    assert signature(b'{"ts":"2026",' + end.encode()) == found


def test_every_answer_that_names_heads_gives_their_signatures(stage: Any) -> None:
    stage.publisher().open()
    running = stage.feed()
    client = stage.client(running, stage.token())
    running.call(lambda: setattr(running.service.logs.sources["fx/signals"], "head_sig", SIG))

    answers = [
        client.get(path).json()["logs"]
        for path in ("/api/signals/feed?start=head&wait=0", "/api/signals/open", "/api/head")
    ]

    for logs in answers:
        assert (logs["fx/signals"]["sig"], logs["fx/resolutions"]["sig"]) == (SIG, None)


def test_the_heads_of_a_signed_log_are_signed_and_its_checkpoint_too(stage: Any) -> None:
    create_key(stage.house.keys, "fx", stage.clock.now())
    signer = Signer.load(stage.house.keys, "fx", stage.clock.now())
    ring = Keyring.load(stage.house.keys)
    folder = stage.house.log("fx", "signals")
    with Journal.open(folder, clock=stage.clock, signer=signer, sign_lines=True) as journal:
        journal.append("order_event", surface="fx", mode="paper", fields={})
    client = stage.client(stage.feed(), stage.token())

    head = client.get("/api/head").json()["logs"]["fx/signals"]
    checkpoint = client.get("/api/checkpoint?log=fx/signals")
    keys = client.get("/api/keys").json()["keys"]

    ring.verify_line(head["h"], head["sig"], head["ts"], "fx")
    unsigned = checkpoint.text.partition(',"sig":"')[0]
    found = checkpoint.json()
    ring.verify_checkpoint(unsigned.encode(), found["sig"], found["ts"], "fx")
    assert found["seq"] == head["seq"]
    assert [one["key"] for one in keys] == [head["sig"].partition(":")[0]]


def test_a_token_is_given_the_keys_of_its_surfaces_as_they_stand_in_the_file(stage: Any) -> None:
    fx, st = key("fx"), key("st")
    write_keys(stage, fx, st)
    running = stage.feed()

    one = stage.client(running, stage.token())
    both = stage.client(running, stage.token(Surface.FX, Surface.ST, scopes=(Scope.CALLBACK_WRITE,)))

    assert one.get("/api/keys").json() == {"keys": [fx]}
    assert both.get("/api/keys").json() == {"keys": [fx, st]}
    assert stage.client(running, None).get("/api/keys").status_code == 401


def test_keys_are_read_again_when_they_change_and_otherwise_not_sent_again(stage: Any) -> None:
    running = stage.feed()
    client = stage.client(running, stage.token())
    none = client.get("/api/keys")
    write_keys(stage, key("fx"))

    first = client.get("/api/keys")
    again = client.get("/api/keys", headers={"if-none-match": first.headers["etag"]})

    assert none.json() == {"keys": []}
    assert first.json() == {"keys": [key("fx")]}
    assert (again.status_code, again.content) == (304, b"")


def test_a_spoilt_file_of_keys_is_said_and_stops_nothing_else(stage: Any) -> None:
    running = stage.feed()
    client = stage.client(running, stage.token())
    stage.house.keys.mkdir()
    (stage.house.keys / "public.json").write_text("[1")

    shut = client.get("/api/keys")

    assert (shut.status_code, shut.json()["code"]) == (503, "keys")
    assert client.get("/api/signals/open").status_code == 200
    assert client.get("/healthz").json()["problems"] == ["the publishers' keys cannot be read"]


def test_the_newest_whole_checkpoint_is_served_as_it_was_written(stage: Any) -> None:
    stage.publisher().open()
    client = stage.client(stage.feed(), stage.token())
    line = '{"ts":"…","v":1,"log":"fx/signals","seq":2}'.replace("…", "x" * 30)
    (stage.house.log("fx", "signals") / "checkpoints.jsonl").write_text('{"seq":1}\n' + line + '\n{"seq":3,"cut of')

    answer = client.get("/api/checkpoint?log=fx/signals")
    again = client.get("/api/checkpoint?log=fx/signals", headers={"if-none-match": answer.headers["etag"]})

    assert (answer.status_code, answer.text) == (200, line)
    assert again.status_code == 304


@pytest.mark.proves("F8")
@pytest.mark.parametrize(
    "name", ["st/signals", "fx/decisions", "fx/resolutions", "feed/callbacks", "../fx/signals", "", "fx/signals/"]
)
def test_a_checkpoint_of_what_the_token_does_not_see_is_404(stage: Any, name: str) -> None:
    for surface in (Surface.FX, Surface.ST):
        stage.publisher(surface).open()
        (stage.house.log(surface, "signals") / "checkpoints.jsonl").write_text('{"seq":1}\n')
    client = stage.client(stage.feed(), stage.token())

    answers = [client.get("/api/checkpoint", params={"log": log}) for log in (name, "nothing/here")]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content


def test_the_log_must_be_named_once(stage: Any) -> None:
    client = stage.client(stage.feed(), stage.token())

    for query in ("", "?log=fx/signals&log=fx/signals", "?name=fx/signals"):
        assert client.get("/api/checkpoint" + query).status_code == 400


def test_an_empty_file_has_no_last_line(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    assert last_line(path) is None
    path.write_bytes(b"")
    assert last_line(path) is None
    path.write_bytes(b"unfinished")
    assert last_line(path) is None
    path.write_bytes(b"a\nb\n")
    assert last_line(path) == b"b"
