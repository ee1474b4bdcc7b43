"""Networks and their clocks: voting epochs, reward epochs, deadlines.

Knows the figures of Flare, Songbird, Coston and Coston2 and computes with them; `local` makes a network of
one's own with short epochs. Does not know contracts, nor when a reward epoch really began: that stands in its
signing policy, and only the expected start follows from the clock.

flare-specs FSP/Epochs. Times are Unix seconds. Voting round r takes its id from the voting epoch it begins in
and reaches into the next one, where it is revealed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.ftso.errors import BadTimings, BeforeFirstEpoch
from core.ftso.identities import RewardEpochId, VotingRoundId

BIPS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Network:
    """One chain's protocol figures; a contradiction among them raises BadTimings.

    `reveal_deadline_s` counts from the start of the voting epoch after the round's own. The graces count from
    that deadline: in the signature grace a signature is rewarded though the round is finalized already; in
    the finalization grace only selected voters finalize for reward. `initial_reward_epoch` is the last one
    before the protocol ran (no offender is remembered from before its end). `median_by_signing_weight_from`
    is the reward epoch from which FIP-16 weighs the median by signing weight instead of capped delegation;
    None while the network has not set it. From `registration_names_chain_from` on a voter's registration is
    signed with the chain's id in it.
    """

    name: str
    chain_id: int
    first_round_at: int
    voting_epoch_s: int
    reveal_deadline_s: int
    first_reward_epoch_round: VotingRoundId
    reward_epoch_rounds: int
    initial_reward_epoch: RewardEpochId
    benching_rounds: int = 20
    signature_grace_s: float = 15
    finalization_grace_s: float = 20
    finalizer_share_bips: int = 500
    raised_threshold_bips: int = 12_000
    median_by_signing_weight_from: RewardEpochId | None = None
    registration_names_chain_from: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.reveal_deadline_s < self.voting_epoch_s:
            raise BadTimings(f"{self.name}: the reveal deadline must lie inside a voting epoch")
        if self.reward_epoch_rounds < 1 or self.first_reward_epoch_round < 0 or self.benching_rounds < 0:
            raise BadTimings(f"{self.name}: a reward epoch has rounds, and ids are not negative")
        if not 0 < self.finalizer_share_bips <= BIPS // 2:
            raise BadTimings(f"{self.name}: the finalizers' share is above 0 and at most half")

    def round_at(self, at: float) -> VotingRoundId:
        """The voting round whose voting epoch holds `at`; negative before the network's first."""
        return VotingRoundId(int((at - self.first_round_at) // self.voting_epoch_s))

    def start_of(self, voting_round: VotingRoundId) -> int:
        """When the round, and the voting epoch of its id, begins."""
        return self.first_round_at + voting_round * self.voting_epoch_s

    def commits_close_at(self, voting_round: VotingRoundId) -> int:
        """The first instant that is too late for a commit, and the first that is right for a reveal."""
        return self.start_of(VotingRoundId(voting_round + 1))

    def reveals_close_at(self, voting_round: VotingRoundId) -> int:
        """The first instant that is too late for a reveal."""
        return self.commits_close_at(voting_round) + self.reveal_deadline_s

    def expected_reward_epoch_of(self, voting_round: VotingRoundId) -> RewardEpochId:
        """The reward epoch that should hold the round; raise BeforeFirstEpoch if none does.

        The real one may lag behind when a signing policy came late: ask the policies.
        """
        if voting_round < self.first_reward_epoch_round:
            raise BeforeFirstEpoch(voting_round, self.first_reward_epoch_round)
        return RewardEpochId((voting_round - self.first_reward_epoch_round) // self.reward_epoch_rounds)

    def expected_first_round_of(self, reward_epoch: RewardEpochId) -> VotingRoundId:
        """The round a reward epoch should begin with; it never begins earlier."""
        return VotingRoundId(self.first_reward_epoch_round + reward_epoch * self.reward_epoch_rounds)

    def median_by_signing_weight(self, reward_epoch: RewardEpochId) -> bool:
        """Whether FIP-16 is in force: the median is weighed by signing weight."""
        start = self.median_by_signing_weight_from
        return start is not None and reward_epoch >= start


def _public(
    name: str,
    chain_id: int,
    first_round_at: int,
    reward_epoch_rounds: int,
    *,
    initial: int,
    names_chain_from: int,
) -> Network:
    """A public network: 90 s voting epochs, 45 s to reveal, reward epochs counted from voting round 0."""
    return Network(
        name=name,
        chain_id=chain_id,
        first_round_at=first_round_at,
        voting_epoch_s=90,
        reveal_deadline_s=45,
        first_reward_epoch_round=VotingRoundId(0),
        reward_epoch_rounds=reward_epoch_rounds,
        initial_reward_epoch=RewardEpochId(initial),
        registration_names_chain_from=names_chain_from,
    )


FLARE: Final = _public("flare", 14, 1_658_430_000, 3_360, initial=223, names_chain_from=417)
SONGBIRD: Final = _public("songbird", 19, 1_658_429_955, 3_360, initial=183, names_chain_from=417)
COSTON: Final = _public("coston", 16, 1_658_429_955, 240, initial=2_466, names_chain_from=5_451)
COSTON2: Final = _public("coston2", 114, 1_658_430_000, 240, initial=3_110, names_chain_from=0)

NETWORKS: Final = {network.name: network for network in (FLARE, SONGBIRD, COSTON, COSTON2)}


def local(
    first_round_at: int,
    *,
    voting_epoch_s: int = 10,
    reveal_deadline_s: int | None = None,
    reward_epoch_rounds: int = 12,
    first_reward_epoch_round: int = 0,
    initial_reward_epoch: int = 0,
    chain_id: int = 31_337,
) -> Network:
    """A network of one's own; graces and, if not given, the reveal deadline keep mainnet's proportions."""
    return Network(
        name="local",
        chain_id=chain_id,
        first_round_at=first_round_at,
        voting_epoch_s=voting_epoch_s,
        reveal_deadline_s=voting_epoch_s // 2 if reveal_deadline_s is None else reveal_deadline_s,
        first_reward_epoch_round=VotingRoundId(first_reward_epoch_round),
        reward_epoch_rounds=reward_epoch_rounds,
        initial_reward_epoch=RewardEpochId(initial_reward_epoch),
        signature_grace_s=voting_epoch_s / 6,
        finalization_grace_s=voting_epoch_s * 2 / 9,
    )
