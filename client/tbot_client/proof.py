"""Whether a line stands in a log, shown by a proof of `audit prove` and without the log's other lines.

A checkpoint signs the root of a Merkle tree (RFC 6962) over the hashes of all lines so far; the proof names the hashes
beside the way from the line to that root.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

import msgspec

from tbot_client.errors import HistoryChanged, Misconfigured
from tbot_client.keys import BadSignature, Keyring, OlderKey, checkpoint_text, line_text

_SIG = re.compile(rb',"sig":"([0-9a-f]{16}:[A-Za-z0-9+/]{86}==)"\}\Z')
_H = re.compile(rb',"h":"([0-9a-f]{64})"(?:,"sig":"([0-9a-f]{16}:[A-Za-z0-9+/]{86}==)")?\}\Z')
Form = TypeVar("Form")
_TODO = "keep the file, and ask the publisher"


class Proof(msgspec.Struct, frozen=True):
    """What `audit prove` writes; ``line`` and ``checkpoint`` are the publisher's own lines."""

    v: int
    log: str
    seq: int
    line: str
    checkpoint: str
    path: list[str]


class _Line(msgspec.Struct):
    log: str
    seq: int
    ts: str


class _Checkpoint(msgspec.Struct):
    log: str
    seq: int
    ts: str
    root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What a good proof shows."""

    log: str
    seq: int
    h: str
    sig: str
    size: int
    root: str


def parse(body: bytes) -> Proof:
    """Read the file of a proof.

    Raises:
        Misconfigured: it is none.
    """
    try:
        proof = msgspec.json.decode(body, type=Proof)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Misconfigured("a proof of `audit prove`", str(error), "name the file it wrote") from error
    if proof.v != 1:
        raise Misconfigured("a proof of version 1", str(proof.v), "use a newer client")
    return proof


def check(proof: Proof, ring: Keyring) -> Proven:
    """Follow a proof from the line to the signed root.

    Raises:
        HistoryChanged: it does not hold; the message says which step.
    """
    where = f"{proof.log} line {proof.seq}"
    raw = proof.line.encode()
    found, line = _H.search(raw), _decoded(proof.line, _Line, where)
    if found is None or sha256(raw[: found.start()]).hexdigest() != found[1].decode():
        raise HistoryChanged(f"{where} to match its hash", "other bytes", _TODO)
    if (line.log, line.seq) != (proof.log, proof.seq):
        raise HistoryChanged(f"a proof of {where}", f"{line.log} line {line.seq}", _TODO)
    h, sig = found[1].decode(), (found[2] or b"").decode()
    surface = proof.log.partition("/")[0]
    if sig:
        _signed(ring, surface, line_text(h), sig, line.ts, where)
    checkpoint = _checkpoint(proof, ring, surface)
    if _root(proof, h, checkpoint.seq) != checkpoint.root:
        raise HistoryChanged(f"{where} to lead to the root {checkpoint.root[:12]}…", "another root", _TODO)
    return Proven(log=proof.log, seq=proof.seq, h=h, sig=sig, size=checkpoint.seq, root=checkpoint.root)


def _checkpoint(proof: Proof, ring: Keyring, surface: str) -> _Checkpoint:
    where = f"the checkpoint of {proof.log}"
    raw, checkpoint = proof.checkpoint.encode(), _decoded(proof.checkpoint, _Checkpoint, where)
    found = _SIG.search(raw)
    if found is None:
        raise HistoryChanged(f"{where} signed by the publisher", "no signature", _TODO)
    if checkpoint.log != proof.log:
        raise HistoryChanged(where, f"one of {checkpoint.log}", _TODO)
    _signed(ring, surface, checkpoint_text(raw[: found.start()]), found[1].decode(), checkpoint.ts, where)
    return checkpoint


def _signed(ring: Keyring, surface: str, text: bytes, sig: str, ts: str, where: str) -> None:
    try:
        ring.check(surface, text, sig, ts)
    except (BadSignature, OlderKey) as error:
        raise HistoryChanged(f"{where} signed by the publisher", str(error), _TODO) from error


def _decoded(text: str, kind: type[Form], where: str) -> Form:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise HistoryChanged(f"{where} to be one", str(error), _TODO) from error


def _root(proof: Proof, h: str, size: int) -> str:
    """Return the root the path leads to, or an empty string if the path does not fit a tree of that size."""
    if not 1 <= proof.seq <= size or not all(re.fullmatch(r"[0-9a-f]{64}", step) for step in proof.path):
        return ""
    at, last = proof.seq - 1, size - 1
    node = sha256(b"\x00" + bytes.fromhex(h)).digest()
    for step in map(bytes.fromhex, proof.path):
        if last == 0:
            return ""
        if at & 1 or at == last:
            node = sha256(b"\x01" + step + node).digest()
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            node = sha256(b"\x01" + node + step).digest()
        at, last = at >> 1, last >> 1
    return node.hex() if last == 0 else ""
