"""Reward claims: what each hashes to, and the tree whose root the providers sign.

flare-specs FSP/Rewarding (computing epoch reward hash):

    keccak256(abi.encode(uint24 rewardEpochId, bytes20 beneficiary, uint120 amount, uint8 claimType))

The leaves of a reward epoch make one Merkle tree; RewardManager takes a claim with its proof. How much each
gets is not computed here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from core.ftso.hashing import abi_hash
from core.ftso.identities import RewardEpochId
from core.ftso.merkle import MerkleTree
from core.ftso.wire import checked, exactly


class ClaimType(IntEnum):
    """Whose the money is: DIRECT any address, FEE a voter's identity, WNAT the delegators of an address,
    MIRROR the stakers of a node, CCHAIN those of a C-chain stake."""

    DIRECT = 0
    FEE = 1
    WNAT = 2
    MIRROR = 3
    CCHAIN = 4

    @property
    def weight_based(self) -> bool:
        """Whether the amount is shared out by weight, after RewardManager initialised the claim."""
        return self > ClaimType.FEE


@dataclass(frozen=True, slots=True)
class RewardClaim:
    """One beneficiary's claim; `beneficiary` is an address or a 20-byte node id, `amount` is in wei."""

    reward_epoch: RewardEpochId
    beneficiary: bytes
    amount: int
    kind: ClaimType

    def __post_init__(self) -> None:
        checked("reward epoch", self.reward_epoch, 0, 2**24 - 1)
        exactly("beneficiary", self.beneficiary, 20)
        checked("amount", self.amount, 0, 2**120 - 1)

    @property
    def hash(self) -> bytes:
        """The claim's leaf."""
        return abi_hash(("uint24", "bytes20", "uint120", "uint8"), self.fields)

    @property
    def fields(self) -> tuple[int, bytes, int, int]:
        """The claim as RewardManager's structure has it."""
        return self.reward_epoch, self.beneficiary, self.amount, int(self.kind)


@dataclass(frozen=True, slots=True)
class ProvenClaim:
    """A claim with the proof that RewardManager asks for."""

    claim: RewardClaim
    proof: tuple[bytes, ...]


def claims_tree(claims: Iterable[RewardClaim]) -> MerkleTree:
    """The reward epoch's tree, its root the rewards hash; raises NoResult for no claims."""
    return MerkleTree(claim.hash for claim in claims)


def weight_based_count(claims: Iterable[RewardClaim]) -> int:
    """How many claims are shared out by weight: signRewards signs this number with the root."""
    return sum(claim.kind.weight_based for claim in claims)
