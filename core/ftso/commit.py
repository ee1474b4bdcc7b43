"""The commit: one hash that binds a provider to its values and its random number before anyone sees them.

flare-specs FTSO/Encoding (Commit), FTSO/Anchor (commit phase):

    keccak256(abi.encode(address submitAddress, uint32 round, uint256 random, bytes feedValues))

The hash binds the address too, so nobody can commit with another's hash and reveal after him.
"""

from __future__ import annotations

from core.ftso.errors import MalformedMessage
from core.ftso.hashing import abi_hash
from core.ftso.identities import Address, VotingRoundId
from core.ftso.reveal import Reveal
from core.ftso.wire import HASH_SIZE, checked

_TYPES = ("address", "uint32", "uint256", "bytes")


def commit_hash(submit_address: Address, voting_round: VotingRoundId, reveal: Reveal) -> bytes:
    """The 32 bytes to commit to `reveal` with; raises OutOfRange for a round beyond 32 bits."""
    checked("voting round", voting_round, 0, 2**32 - 1)
    random = int.from_bytes(reveal.random, "big")
    return abi_hash(_TYPES, (submit_address.text, voting_round, random, reveal.values))


def decode_commit(raw: bytes) -> bytes:
    """The commit hash of a submit1 payload; raise MalformedMessage unless it is 32 bytes."""
    if len(raw) != HASH_SIZE:
        raise MalformedMessage("commit", f"{len(raw)} bytes instead of {HASH_SIZE}")
    return bytes(raw)
