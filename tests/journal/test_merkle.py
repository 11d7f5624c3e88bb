"""The Merkle tree against the definition of RFC 6962, written down a second time as recursively as the RFC does."""

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.merkle import Tree, inclusion_path, leaf_hash, root_from_path, root_of

# The leaves that Certificate Transparency's implementations share as test vectors; ours are 32 bytes, these are not.
CT_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
HASHES = [sha256(b"%d" % number).hexdigest() for number in range(300)]


def plain_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 2.1, over leaf data."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = largest_power_below(len(leaves))
    return sha256(b"\x01" + plain_root(leaves[:split]) + plain_root(leaves[split:])).digest()


def plain_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 2.1.1."""
    if len(leaves) == 1:
        return []
    split = largest_power_below(len(leaves))
    if index < split:
        return [*plain_path(index, leaves[:split]), plain_root(leaves[split:])]
    return [*plain_path(index - split, leaves[split:]), plain_root(leaves[:split])]


def largest_power_below(size: int) -> int:
    power = 1
    while power * 2 < size:
        power *= 2
    return power


def raw(hashes: list[str]) -> list[bytes]:
    return [bytes.fromhex(h) for h in hashes]


def test_the_definition_used_here_is_the_one_with_the_known_roots() -> None:
    assert plain_root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert plain_root(CT_LEAVES[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert plain_root(CT_LEAVES).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 255, 256, 300])
def test_a_root_is_that_of_the_rfc(size: int) -> None:
    tree = Tree()
    tree.extend(HASHES[:size])

    assert tree.root() == plain_root(raw(HASHES[:size]))
    assert len(tree.peaks) == size.bit_count()


@given(sizes=st.lists(st.integers(0, 60), max_size=5))
def test_a_tree_may_be_put_down_and_taken_up_again_from_its_peaks(sizes: list[int]) -> None:
    tree = Tree()
    for size in sizes:
        tree = Tree(tree.size, tree.peaks)
        tree.extend(HASHES[tree.size : tree.size + size])

    assert tree.root() == plain_root(raw(HASHES[: sum(sizes)]))


@given(place=st.integers(1, 70).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))))
def test_an_inclusion_path_is_that_of_the_rfc_and_leads_to_the_root(place: tuple[int, int]) -> None:
    size, index = place
    leaves = [leaf_hash(h) for h in HASHES[:size]]
    path = inclusion_path(leaves, index)

    assert path == plain_path(index, raw(HASHES[:size]))
    assert root_from_path(leaves[index], index, size, path) == plain_root(raw(HASHES[:size]))


def test_a_path_leads_elsewhere_with_another_leaf_place_or_size() -> None:
    leaves = [leaf_hash(h) for h in HASHES[:11]]
    root = plain_root(raw(HASHES[:11]))
    path = inclusion_path(leaves, 5)

    assert root_from_path(leaves[6], 5, 11, path) != root
    assert root_from_path(leaves[5], 4, 11, path) != root
    assert root_from_path(leaves[5], 5, 11, [path[0][::-1], *path[1:]]) != root


@pytest.mark.parametrize(
    ("index", "size", "change"),
    [(5, 11, slice(0, -1)), (5, 5, slice(None)), (-1, 11, slice(None)), (5, 8, slice(None))],
)
def test_a_path_that_can_belong_to_no_such_leaf_is_refused(index: int, size: int, change: Any) -> None:
    path = inclusion_path([leaf_hash(h) for h in HASHES[:11]], 5)

    with pytest.raises(ValueError, match=r"audit path|not in a tree"):
        root_from_path(leaf_hash(HASHES[5]), index, size, path[change])


def test_peaks_that_do_not_fit_the_size_are_refused() -> None:
    with pytest.raises(ValueError, match="3 leaves has 2 peaks"):
        Tree(3, [b"\0" * 32])
    assert root_of([]) == sha256(b"").digest()
