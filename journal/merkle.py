"""The Merkle tree over a log's records, as RFC 6962 (section 2.1) builds it.

A leaf is a record's ``h`` as 32 raw bytes. The roots of the perfect subtrees, largest first, are called peaks: with the
number of leaves they are all that is needed to go on, and one peak belongs to each set bit of that number.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

EMPTY = sha256(b"").digest()


def leaf_hash(h: str) -> bytes:
    """Return the tree's hash of the record whose ``h`` is given in hex."""
    return sha256(b"\0" + bytes.fromhex(h)).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\1" + left + right).digest()


def root_of(peaks: Sequence[bytes]) -> bytes:
    """Return the tree head over all leaves below ``peaks``."""
    if not peaks:
        return EMPTY
    *left, root = peaks
    for peak in reversed(left):
        root = node_hash(peak, root)
    return root


class Tree:
    """A tree that grows at its right end and remembers its peaks only."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if len(peaks) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} peaks, not {len(peaks)}")
        self.size = size
        self.peaks = list(peaks)

    def extend(self, hashes: Iterable[str]) -> None:
        """Add records by their ``h`` in hex."""
        size, peaks, fromhex = self.size, self.peaks, bytes.fromhex
        for h in hashes:
            node = sha256(b"\0" + fromhex(h)).digest()
            merges = size
            # As when one is added to a binary number: each trailing 1 is carried.
            while merges & 1:
                node = sha256(b"\1" + peaks.pop() + node).digest()
                merges >>= 1
            peaks.append(node)
            size += 1
        self.size = size

    def root(self) -> bytes:
        """Return the tree head over everything added so far."""
        return root_of(self.peaks)


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the audit path (RFC 6962 2.1.1) of leaf ``index``, from the leaf upwards.

    Args:
        leaves: the leaf hashes of the whole tree.
        index: from 0; a record's is its ``seq`` minus 1.
    """
    if not 0 <= index < len(leaves):
        raise ValueError(f"index {index} is not in a tree of {len(leaves)} leaves")
    path: list[bytes] = []
    level = list(leaves)
    # A node without a right neighbour rises unchanged, which builds the same tree as splitting from the top does.
    while len(level) > 1:
        neighbour = index ^ 1
        if neighbour < len(level):
            path.append(level[neighbour])
        level = _next_level(level)
        index >>= 1
    return path


def _next_level(level: list[bytes]) -> list[bytes]:
    pairs = [node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
    return pairs + level[-1:] if len(level) % 2 else pairs


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the tree head that an audit path leads to; equal to the tree's own if the leaf is in it.

    Raises:
        ValueError: the path has not the length that a leaf at this place has.
    """
    if not 0 <= index < size:
        raise ValueError(f"index {index} is not in a tree of {size} leaves")
    node, last, left = leaf, size - 1, list(path)
    while last:
        if index % 2 or index != last:
            if not left:
                raise ValueError("the audit path is too short")
            other = left.pop(0)
            node = node_hash(other, node) if index % 2 else node_hash(node, other)
        index >>= 1
        last >>= 1
    if left:
        raise ValueError("the audit path is too long")
    return node
