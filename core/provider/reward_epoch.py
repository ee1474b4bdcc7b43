"""A reward epoch as the provider needs it: signing policy, registered voters, feeds in canonical order.

Knows how they belong together. Does not know the events they come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.ftso.epochs import Network
from core.ftso.feed_order import Feed
from core.ftso.identities import Address, RewardEpochId
from core.ftso.results import Voter
from core.ftso.signing_policy import SigningPolicy


@dataclass(frozen=True, slots=True)
class Registration:
    """A voter's addresses in a reward epoch, and its capped delegation weight in wei."""

    voter: Address
    signing_policy: Address
    submit: Address
    submit_signatures: Address
    capped_weight: int


@dataclass(frozen=True, slots=True)
class RewardEpoch:
    """`registrations` in the order of the signing policy's signers, one for each."""

    policy: SigningPolicy
    registrations: tuple[Registration, ...]
    feeds: tuple[Feed, ...]

    @property
    def id(self) -> RewardEpochId:
        return self.policy.reward_epoch

    def voters(self, network: Network) -> tuple[Voter, ...]:
        """Who votes in the median, with which weight."""
        by_signing = network.median_by_signing_weight(self.id)
        pairs = zip(self.registrations, self.policy.signers, strict=True)
        return tuple(
            Voter(registered.submit, signer.weight if by_signing else registered.capped_weight)
            for registered, signer in pairs
        )

    def votes(self, submit_address: Address) -> bool:
        """Whether the provider takes part in this reward epoch."""
        return any(registered.submit == submit_address for registered in self.registrations)


def in_policy_order(
    policy: SigningPolicy, registered: Mapping[Address, Registration], feeds: Sequence[Feed]
) -> RewardEpoch | None:
    """The reward epoch, or None while a signer's registration is unknown.

    `registered` is by signing policy address.
    """
    if any(signer.address not in registered for signer in policy.signers):
        return None
    return RewardEpoch(policy, tuple(registered[s.address] for s in policy.signers), tuple(feeds))
