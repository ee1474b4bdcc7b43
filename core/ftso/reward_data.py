"""The published claims of a reward epoch: `reward-distribution-data.json`, read and checked.

Who gets how much is computed and published centrally for now (flare-foundation/fsp-rewards); voters check the
file and sign its root. Here the root and the number of claims by weight are computed anew from the claims, so
a file that was altered is refused, and a proof never rests on the file's own. Whether the amounts are right
is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from core.ftso.claims import ClaimType, ProvenClaim, RewardClaim, claims_tree, weight_based_count
from core.ftso.errors import FtsoError, MalformedMessage
from core.ftso.identities import RewardEpochId
from core.ftso.merkle import MerkleTree

_KIND = "reward data"


@dataclass(frozen=True, slots=True)
class RewardData:
    """All claims of a reward epoch, and their tree."""

    reward_epoch: RewardEpochId
    network: str
    claims: tuple[RewardClaim, ...]
    tree: MerkleTree

    @classmethod
    def of(cls, reward_epoch: RewardEpochId, network: str, claims: Iterable[RewardClaim]) -> RewardData:
        """The data of these claims; raises NoResult for none."""
        kept = tuple(claims)
        return cls(reward_epoch, network, kept, claims_tree(kept))

    @property
    def root(self) -> bytes:
        """The rewards hash that voters sign."""
        return self.tree.root

    @property
    def weight_based(self) -> int:
        """How many of the claims are shared out by weight."""
        return weight_based_count(self.claims)

    def claims_for(self, owner: bytes, shared_by: Collection[bytes] = ()) -> tuple[ProvenClaim, ...]:
        """What an owner claims with: its own claims, and those by weight of itself and `shared_by`."""
        return tuple(
            ProvenClaim(claim, self.tree.proof(claim.hash))
            for claim in self.claims
            if claim.beneficiary == owner or (claim.kind.weight_based and claim.beneficiary in shared_by)
        )

    def encode(self) -> bytes:
        """The file as it is published."""
        claims = [
            {
                "merkleProof": ["0x" + sibling.hex() for sibling in self.tree.proof(claim.hash)],
                "body": {
                    "beneficiary": "0x" + claim.beneficiary.hex(),
                    "claimType": int(claim.kind),
                    "amount": str(claim.amount),
                    "rewardEpochId": claim.reward_epoch,
                },
            }
            for claim in self.claims
        ]
        told = {
            "rewardEpochId": self.reward_epoch,
            "network": self.network,
            "rewardClaims": claims,
            "noOfWeightBasedClaims": self.weight_based,
            "merkleRoot": "0x" + self.root.hex(),
        }
        return json.dumps(told).encode()

    @classmethod
    def decode(cls, raw: bytes) -> RewardData:
        """Read a published file; raise MalformedMessage unless it is whole and agrees with itself."""
        try:
            told = json.loads(raw)
            reward_epoch = RewardEpochId(_whole(told["rewardEpochId"]))
            claims = [_claim(each["body"], reward_epoch) for each in told["rewardClaims"]]
            data = cls.of(reward_epoch, str(told["network"]), claims)
            root, count = bytes.fromhex(told["merkleRoot"].removeprefix("0x")), told["noOfWeightBasedClaims"]
        except MalformedMessage:
            raise
        except (FtsoError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise MalformedMessage(_KIND, f"{type(error).__name__}: {error}"[:200]) from None
        if data.root != root:
            raise MalformedMessage(_KIND, f"its claims have the root {data.root.hex()}, not {root.hex()}")
        if data.weight_based != count:
            raise MalformedMessage(_KIND, f"{data.weight_based} claims go by weight, not {count}")
        return data


def _claim(body: Any, reward_epoch: RewardEpochId) -> RewardClaim:
    if _whole(body.get("rewardEpochId", reward_epoch)) != reward_epoch:
        raise MalformedMessage(_KIND, f"a claim is of reward epoch {body['rewardEpochId']}")
    beneficiary = bytes.fromhex(body["beneficiary"].removeprefix("0x"))
    amount = body["amount"]
    if not isinstance(amount, str) or not amount.isascii() or not amount.isdigit():
        raise MalformedMessage(_KIND, f"{amount!r} is no amount"[:100])
    return RewardClaim(reward_epoch, beneficiary, int(amount), ClaimType(_whole(body["claimType"])))


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise MalformedMessage(_KIND, f"{value!r} is no whole number"[:100])
    return value
