"""Merkle trees and their proofs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ftso.errors import NoResult, OutOfRange, UnknownLeaf
from core.ftso.merkle import MerkleTree, pair_hash, verifies

hashes = st.binary(min_size=32, max_size=32)
sets = st.lists(hashes, min_size=1, max_size=40)


def twin(leaves: list[bytes]) -> bytes:
    """The root by the specification's recursion: the node at cell i of 2n - 1, leaves at the end."""
    ordered = sorted(set(leaves))

    def node(cell: int) -> bytes:
        if cell >= len(ordered) - 1:
            return ordered[cell - (len(ordered) - 1)]
        return pair_hash(node(2 * cell + 1), node(2 * cell + 2))

    return node(0)


@given(sets)
def test_the_root_is_that_of_the_recursive_tree_and_of_no_particular_order(leaves: list[bytes]) -> None:
    assert MerkleTree(leaves).root == MerkleTree([*reversed(leaves), leaves[0]]).root == twin(leaves)


@given(sets)
def test_every_leaf_has_a_proof_that_verifies(leaves: list[bytes]) -> None:
    tree = MerkleTree(leaves)
    assert all(verifies(leaf, tree.proof(leaf), tree.root) for leaf in leaves)


@given(sets, st.data())
def test_a_tampered_proof_does_not_verify(leaves: list[bytes], data: st.DataObject) -> None:
    tree = MerkleTree(leaves)
    leaf = data.draw(st.sampled_from(leaves))
    chain = [leaf, *tree.proof(leaf), tree.root]
    which = data.draw(st.integers(0, len(chain) - 1))
    bit = 1 << data.draw(st.integers(0, 255))
    chain[which] = (int.from_bytes(chain[which], "big") ^ bit).to_bytes(32, "big")
    assert not verifies(chain[0], chain[1:-1], chain[-1])


@given(sets)
def test_a_shortened_proof_does_not_verify(leaves: list[bytes]) -> None:
    tree = MerkleTree(leaves)
    proof = tree.proof(leaves[0])
    assert not proof or not verifies(leaves[0], proof[:-1], tree.root)


@given(sets, st.binary(max_size=40))
def test_what_is_no_leaf_has_no_proof(leaves: list[bytes], other: bytes) -> None:
    if other not in leaves:
        with pytest.raises(UnknownLeaf):
            MerkleTree(leaves).proof(other)


def test_a_tree_needs_leaves_of_32_bytes() -> None:
    with pytest.raises(NoResult):
        MerkleTree([])
    with pytest.raises(OutOfRange):
        MerkleTree([b"short"])
