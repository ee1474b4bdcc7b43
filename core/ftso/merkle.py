"""Merkle trees as the Flare Systems Protocol builds them, and their proofs.

flare-specs Utilities/MerkleTree: the hashes, sorted and each only once, are the last n cells of an array of
2n - 1; cell i is the hash of its children, cells 2i + 1 and 2i + 2, the smaller one first; cell 0 is the
root. A proof holds the siblings on the way from the leaf to the root. Because pairs are sorted a proof needs
no directions, and OpenZeppelin's MerkleProof verifies it on chain.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from core.ftso.errors import NoResult, UnknownLeaf
from core.ftso.hashing import keccak
from core.ftso.wire import exactly


class MerkleTree:
    """A tree over 32-byte hashes. Raises OutOfRange for other lengths, NoResult for no hash at all."""

    __slots__ = ("_cells", "_size")

    def __init__(self, hashes: Iterable[bytes]) -> None:
        leaves = sorted({bytes(exactly("leaf", leaf)) for leaf in hashes})
        if not leaves:
            raise NoResult("a Merkle tree needs a leaf")
        self._size = len(leaves)
        inner = [b""] * (self._size - 1)
        self._cells = inner + leaves
        for cell in reversed(range(self._size - 1)):
            self._cells[cell] = pair_hash(self._cells[2 * cell + 1], self._cells[2 * cell + 2])

    @property
    def root(self) -> bytes:
        return self._cells[0]

    @property
    def leaves(self) -> tuple[bytes, ...]:
        """The hashes in the tree's order: ascending, without repetitions."""
        return tuple(self._cells[self._size - 1 :])

    def proof(self, leaf: bytes) -> tuple[bytes, ...]:
        """The siblings from the leaf's up to the root's children; raise UnknownLeaf if it is no leaf."""
        cell = bisect_left(self._cells, leaf, lo=self._size - 1)
        if cell == len(self._cells) or self._cells[cell] != leaf:
            raise UnknownLeaf(leaf)
        siblings = []
        while cell:
            siblings.append(self._cells[cell + 1 if cell % 2 else cell - 1])
            cell = (cell - 1) // 2
        return tuple(siblings)


def pair_hash(one: bytes, other: bytes) -> bytes:
    """The hash of two hashes, the smaller first."""
    return keccak(one + other if one <= other else other + one)


def verifies(leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof leads from the leaf to the root."""
    reached = leaf
    for sibling in proof:
        reached = pair_hash(reached, sibling)
    return reached == root
