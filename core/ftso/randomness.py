"""The random number of a round, whether it is secure, and who is benched from it.

flare-specs FTSO/Anchor (round random number). The number is the sum of the revealed ones modulo 2^256,
without those of the benched. Who commits and withholds his reveal could choose between two sums, so he is
benched for the next 20 rounds, and the round he did it in is insecure unless he was benched already.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from core.ftso.epochs import Network
from core.ftso.hashing import abi_hash
from core.ftso.identities import Address, RewardEpochId, VotingRoundId
from core.ftso.reveal import Reveal
from core.ftso.wire import checked

CONTRIBUTIONS_MIN: Final = 2


@dataclass(frozen=True, slots=True)
class RandomResult:
    """The round's random number, one leaf of its Merkle tree."""

    voting_round: VotingRoundId
    value: int
    secure: bool

    def __post_init__(self) -> None:
        checked("voting round", self.voting_round, 0, 2**32 - 1)
        checked("random", self.value, 0, 2**256 - 1)

    @property
    def hash(self) -> bytes:
        """keccak256(abi.encode(uint32 votingRoundId, uint256 value, bool isSecure))."""
        return abi_hash(("uint32", "uint256", "bool"), (self.voting_round, self.value, self.secure))


def benching_window(
    voting_round: VotingRoundId,
    reward_epoch: RewardEpochId,
    first_round: VotingRoundId,
    network: Network,
) -> range:
    """The earlier rounds whose offenders are benched from `voting_round`, offences by non-voters included.

    `reward_epoch` and its `first_round` are those of the round's signing policy: in a network's first reward
    epoch nothing before it is remembered.
    """
    first = voting_round - network.benching_rounds
    if reward_epoch == network.initial_reward_epoch + 1:
        first = max(first, first_round)
    return range(first, voting_round)


def round_random(
    voting_round: VotingRoundId,
    reveals: Mapping[Address, Reveal],
    offended: Collection[Address],
    benched: Collection[Address],
) -> RandomResult:
    """The random number from the voters' kept reveals, the offenders among voters, and the benched."""
    counted = [int.from_bytes(reveal.random, "big") for who, reveal in reveals.items() if who not in benched]
    newly_benched = any(who not in benched for who in offended)
    secure = not newly_benched and len(counted) >= CONTRIBUTIONS_MIN
    return RandomResult(voting_round, sum(counted) % 2**256, secure)
