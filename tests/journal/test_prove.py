"""Proofs that a record stands in a log, made and checked, the check also with nothing of ours."""

import json
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from domain.clock import FakeClock
from domain.errors import Halt, Refuse, Retry
from journal import Journal
from journal.key_files import create_key
from journal.keys import Keyring, Signer
from journal.prove import BadProof, Proof, check, prove, read_keys, read_proof


@pytest.fixture
def keys(tmp_path: Path, clock: FakeClock) -> Path:
    create_key(tmp_path / "keys", "fx", clock.now())
    return tmp_path / "keys"


@pytest.fixture
def log(directory: Path, clock: FakeClock, keys: Path) -> Path:
    with Journal.open(
        directory, clock=clock, durable=False, segment_bytes=9000, checkpoint_records=7,
        signer=Signer.load(keys, "fx", clock.now()),
    ) as journal:  # fmt: skip
        for number in range(40):
            clock.advance(1)
            journal.append("n", surface="fx", mode="paper", fields={"n": number})
    return directory


def changed(proof: Proof, **changes: object) -> Proof:
    return read_proof(json.dumps({**json.loads(dump(proof)), **changes}).encode())


def dump(proof: Proof) -> str:
    fields = ("v", "log", "seq", "line", "checkpoint", "path")
    return json.dumps({name: getattr(proof, name) for name in fields})


def holds_for_a_stranger(proof: dict[str, object], public: bytes) -> bool:
    """The check of docs/journals.md, word for word, with nothing of this project."""
    line, checkpoint = str(proof["line"]).encode(), str(proof["checkpoint"]).encode()
    h = sha256(line[: line.rindex(b',"h":"')]).digest()
    if json.loads(line)["h"] != h.hex() or json.loads(line)["seq"] != proof["seq"]:
        return False
    sealed = json.loads(checkpoint)
    node, index, last = sha256(b"\x00" + h).digest(), int(str(proof["seq"])) - 1, sealed["seq"] - 1
    path = [bytes.fromhex(text) for text in proof["path"]]
    while last > 0:
        if index % 2 == 1:
            node = sha256(b"\x01" + path.pop(0) + node).digest()
        elif index < last:
            node = sha256(b"\x01" + node + path.pop(0)).digest()
        index, last = index // 2, last // 2
    covered = checkpoint[: checkpoint.rindex(b',"sig":"')]
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(
            b64decode(sealed["sig"].partition(":")[2]), b"tbot-checkpoint:1:" + covered
        )
    except InvalidSignature:
        return False
    return not path and node.hex() == sealed["root"] and sealed["log"] == proof["log"]


@pytest.mark.proves("J11")
def test_every_record_of_a_log_can_be_proven_to_us_and_to_a_stranger(log: Path, keys: Path) -> None:
    ring = Keyring.load(keys)
    public = b64decode(ring.keys("fx")[0].public)
    lines = [line for path in sorted(log.glob("0*.jsonl")) for line in path.read_text().splitlines()]
    for seq, line in enumerate(lines, start=1):
        proof = prove(log, seq)

        assert (proof.log, proof.seq, proof.line) == ("fx/signals", seq, line)
        assert check(proof, ring).seq >= seq
        assert holds_for_a_stranger(json.loads(dump(proof)), public)
        assert read_proof(dump(proof).encode()) == proof


def test_the_nearest_checkpoint_is_taken(log: Path) -> None:
    sealed = [json.loads(line)["seq"] for line in (log / "checkpoints.jsonl").read_text().splitlines()]

    assert json.loads(prove(log, sealed[1]).checkpoint)["seq"] == sealed[1]
    assert json.loads(prove(log, sealed[1] + 1).checkpoint)["seq"] == sealed[2]


@pytest.mark.proves("J11")
@pytest.mark.parametrize("what", ["line", "checkpoint", "seq", "path", "short", "long", "other line", "version", "log"])
def test_a_changed_proof_does_not_hold(log: Path, keys: Path, what: str) -> None:
    proof = prove(log, 10)
    changes = {
        "line": {"line": proof.line.replace('"n":8', '"n":9')},
        "checkpoint": {"checkpoint": proof.checkpoint.replace('"offset":', '"offset":1')},
        "seq": {"seq": 11},
        "path": {"path": [*proof.path[:-1], "00" * 32]},
        "short": {"path": proof.path[:-1]},
        "long": {"path": [*proof.path, "00" * 32]},
        "other line": {"line": prove(log, 11).line},
        "version": {"v": 2},
        "log": {"log": "fx/resolutions"},
    }[what]

    assert changed(proof, **changes) != proof
    with pytest.raises(BadProof):
        check(changed(proof, **changes), Keyring.load(keys))


def test_a_proof_does_not_hold_under_the_key_of_somebody_else(log: Path, tmp_path: Path, clock: FakeClock) -> None:
    create_key(tmp_path / "others", "fx", clock.now())

    with pytest.raises(BadProof, match="which is not known"):
        check(prove(log, 10), read_keys(tmp_path / "others" / "public.json"))


def test_an_unsigned_checkpoint_proves_nothing(directory: Path, clock: FakeClock, keys: Path) -> None:
    with Journal.open(directory, clock=clock, durable=False) as journal:
        journal.append("n", surface="fx", mode="paper", fields={})

    with pytest.raises(BadProof, match="the checkpoint is not signed"):
        check(prove(directory, 2), Keyring.load(keys))


def test_a_record_that_no_checkpoint_covers_yet_has_to_wait(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, durable=False) as journal:
        journal.append("n", surface="fx", mode="paper", fields={})

        with pytest.raises(Retry, match="the last one ends with seq 0; wait: the writer adds one after 1,000 records"):
            prove(directory, 2)


@pytest.mark.parametrize("seq", [0, 1000])
def test_a_record_that_the_log_does_not_hold_is_refused(log: Path, seq: int) -> None:
    with pytest.raises(Refuse, match=r"give one from 1 to \d+"):
        prove(log, seq)


def test_no_proof_is_made_where_log_and_checkpoint_differ(log: Path) -> None:
    path = log / "checkpoints.jsonl"
    first, second, *rest = path.read_bytes().splitlines(keepends=True)
    root = json.loads(second)
    single = {**root, "seq": 8, "peaks": [root["root"]]}  # a tree of eight leaves with the root of another
    path.write_bytes(b"".join([first, json.dumps(single).encode() + b"\n", *rest]))

    with pytest.raises(Halt, match="audit verify"):
        prove(log, 8)


def test_what_is_no_proof_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"{}", b'{"v":1}', b"[" * 2000):
        with pytest.raises(Refuse, match="a proof"):
            read_proof(data)
    with pytest.raises(Refuse, match="public keys"):
        read_keys(tmp_path / "missing.json")
