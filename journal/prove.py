"""Proofs that a record stands in a log: its line, a signed checkpoint after it, and the Merkle path between the two.

Whoever has the proof and the public key can check it without seeing any other record. The form is described, byte by
byte, in docs/journals.md, so that others can write their own checker.
"""

from hashlib import sha256
from pathlib import Path

import msgspec

from domain.errors import Halt, Refuse, Retry
from journal.checkpoints import Checkpoint, parse_checkpoint, read_checkpoints, signed_part
from journal.keys import BadSignature, Keyring
from journal.mark import head
from journal.merkle import Tree, inclusion_path, leaf_hash, root_from_path
from journal.public_keys import PublicKey
from journal.reader import read
from journal.record import BadLine, parse_line

VERSION = 1
# A power of two: the tree over the roots of such runs is the tree over their leaves, and a run fits in memory.
_RUN = 4096


class Proof(msgspec.Struct, frozen=True):
    """That record ``seq`` of ``log`` is ``line``.

    Attributes:
        line, checkpoint: the two lines as written, without their newlines.
        path: the RFC 6962 audit path from the record's leaf to the checkpoint's root, in hex, lowest first.
    """

    v: int
    log: str
    seq: int
    line: str
    checkpoint: str
    path: list[str]


class BadProof(Exception):
    """A proof that does not hold; the message says why."""


def prove(directory: Path, seq: int) -> Proof:
    """Make the proof for record ``seq`` of the log in ``directory``.

    Raises:
        Refuse: the log holds no such record.
        Retry: no checkpoint covers it yet.
        Halt: the log and its checkpoints do not belong together.
    """
    end = head(directory)
    if end is None or not 1 <= seq <= end.seq:
        last = end.seq if end else 0
        raise Refuse(
            "a seq that the log holds", str(seq), f"give one from 1 to {last}" if last else "nothing is written"
        )
    line, checkpoint = _covering(directory, seq)
    raw, path = _path(directory, seq, checkpoint)
    proof = Proof(VERSION, checkpoint.log, seq, raw.decode(), line.decode(), [node.hex() for node in path])
    try:
        check(proof, None)
    except BadProof as error:
        raise Halt(
            f"record {seq} to stand under its checkpoint", str(error), "run `audit verify` on the log"
        ) from error
    return proof


def read_proof(data: bytes) -> Proof:
    """Read a proof as `prove` makes it.

    Raises:
        Refuse: it is none.
    """
    try:
        return msgspec.json.decode(data, type=Proof)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refuse("a proof as `audit prove` writes it", str(error), "ask for it again") from error


def read_keys(path: Path) -> Keyring:
    """Read public keys from a file of the form of `public.json`, such as the answer of `GET /api/keys`.

    Raises:
        Refuse: it can't be read as one.
    """
    try:
        return Keyring(msgspec.json.decode(path.read_bytes(), type=dict[str, list[PublicKey]])["keys"])
    except (OSError, KeyError, msgspec.DecodeError) as error:
        raise Refuse(f"public keys in {path}", str(error), "fetch them from GET /api/keys of the feed") from error


def check(proof: Proof, keyring: Keyring | None) -> Checkpoint:
    """Return the checkpoint under which the record stands, if the proof holds.

    Args:
        keyring: the keys that count; None checks everything but the signatures.

    Raises:
        BadProof: it does not.
    """
    if proof.v != VERSION:
        raise BadProof(f"version {proof.v} instead of {VERSION}")
    try:
        record = parse_line(proof.line.encode() + b"\n")
        checkpoint = parse_checkpoint(proof.checkpoint.encode())
    except BadLine as error:
        raise BadProof(str(error)) from error
    if not record.hash_ok:
        raise BadProof('the line was changed: its bytes do not match "h"')
    if (record.log, record.seq) != (proof.log, proof.seq) or checkpoint.log != proof.log:
        raise BadProof(f"line and checkpoint are not of seq {proof.seq} of {proof.log}")
    _check_path(proof, record.h, checkpoint)
    if keyring is not None:
        _check_signatures(proof, record.h, record.sig, record.ts, checkpoint, keyring)
    return checkpoint


def _covering(directory: Path, seq: int) -> tuple[bytes, Checkpoint]:
    last = 0
    for _, line in read_checkpoints(directory):
        try:
            found = parse_checkpoint(line)
        except BadLine as error:
            todo = "run `audit verify` on the log"
            raise Halt(f"checkpoints in {directory / 'checkpoints.jsonl'}", str(error), todo) from error
        if found.seq >= seq:
            return line[:-1], found
        last = found.seq
    raise Retry(
        f"a checkpoint that covers seq {seq}",
        f"the last one ends with seq {last}",
        "wait: the writer adds one after 1,000 records, a minute after news, and when it ends (if none runs, start it)",
    )


def _path(directory: Path, seq: int, checkpoint: Checkpoint) -> tuple[bytes, list[bytes]]:
    """Return the line of ``seq`` and its audit path, reading the log once and keeping one run of it in memory."""
    index, raw = seq - 1, b""
    runs: list[bytes] = []
    own: list[bytes] = []
    run: list[str] = []
    for entry in read(directory):
        run.append(entry.position.h)
        if entry.seq == seq:
            raw = entry.raw
        is_last = entry.seq == checkpoint.seq
        if len(run) == _RUN or is_last:
            if len(runs) == index // _RUN:
                own = [leaf_hash(h) for h in run]
            runs.append(_root(run))
            run = []
        if is_last:
            break
    return raw, inclusion_path(own, index % _RUN) + inclusion_path(runs, index // _RUN)


def _root(hashes: list[str]) -> bytes:
    tree = Tree()
    tree.extend(hashes)
    return tree.root()


def _check_path(proof: Proof, h: str, checkpoint: Checkpoint) -> None:
    try:
        path = [bytes.fromhex(node) for node in proof.path]
        root = root_from_path(leaf_hash(h), proof.seq - 1, checkpoint.seq, path)
    except ValueError as error:
        raise BadProof(str(error)) from error
    if root.hex() != checkpoint.root or any(len(node) != sha256().digest_size for node in path):
        raise BadProof("the path does not lead from the line to the root of the checkpoint")


def _check_signatures(proof: Proof, h: str, sig: str | None, ts: str, checkpoint: Checkpoint, keyring: Keyring) -> None:
    surface = proof.log.partition("/")[0]
    if checkpoint.sig is None:
        raise BadProof("the checkpoint is not signed")
    try:
        keyring.verify_checkpoint(signed_part(proof.checkpoint.encode()), checkpoint.sig, checkpoint.ts, surface)
        if sig is not None:
            keyring.verify_line(h, sig, ts, surface)
    except BadSignature as error:
        raise BadProof(str(error)) from error
