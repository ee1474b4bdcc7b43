"""What a voter owes once a reward epoch: which of it is due now, which is done, and what was missed.

Knows what the chain shows of reward epochs and what was tried before; says what is to be done. Does nothing
itself. While reward epoch c runs:

    duty          for      opens with                        closes with
    preregister   c + 1    the start of c, if registered     VotePowerBlockSelected(c + 1)
    register      c + 1    VotePowerBlockSelected(c + 1)      SigningPolicyInitialized(c + 1)
    sign_policy   c + 1    SigningPolicyInitialized(c + 1)    weight enough has signed; late costs the fee
    sign_uptime   c - 1    SignUptimeVoteEnabled(c - 1)       weight enough has signed
    sign_rewards  c - 1    uptime and policy of c are signed  weight enough has signed
    claim         c - 1    the rewards are signed            90 days later

A policy of c that was not signed in time is still signed, and so are the votes of one reward epoch more:
until then nobody is paid. Only registration can be missed; whoever pre-registered is registered by the chain
itself.

flare-specs FSP/SigningPolicyDefinition, FSP/UptimeVoting, FSP/Rewarding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from core.ftso.identities import Address, RewardEpochId
from core.ftso.signing_policy import SigningPolicy

CLAIMS_BACK: Final = 3
"""Reward epochs whose claims are looked for by themselves; older ones are claimed by hand."""
VOTES_BACK: Final = 2


class Duty(StrEnum):
    """What is owed, in the order of a reward epoch's life."""

    PREREGISTER = "preregister"
    REGISTER = "register"
    SIGN_POLICY = "sign_policy"
    SIGN_UPTIME = "sign_uptime"
    SIGN_REWARDS = "sign_rewards"
    CLAIM = "claim"


@dataclass(frozen=True, slots=True)
class Owed:
    """A duty and the reward epoch that it is for."""

    duty: Duty
    reward_epoch: RewardEpochId


@dataclass(frozen=True, slots=True)
class Vote:
    """What voters say to one question: who has, and whether that was weight enough. Signers' addresses."""

    signers: frozenset[Address] = frozenset()
    settled: bool = False


@dataclass(frozen=True, slots=True)
class EpochFacts:
    """What the chain shows of one reward epoch, apart from its rounds.

    `preregistered` and `registered` are voters. `rewards` is the rewards hash, once weight enough signed it.
    """

    started: bool = False
    preregistered: frozenset[Address] = frozenset()
    registration_opened: bool = False
    registered: frozenset[Address] = frozenset()
    policy: SigningPolicy | None = None
    policy_vote: Vote = Vote()
    uptime_opened: bool = False
    uptime_vote: Vote = Vote()
    rewards_vote: Vote = Vote()
    rewards: bytes | None = None


_NOTHING: Final = EpochFacts()


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a voter stands: who it is, the present reward epoch, what the chain shows, what it did itself.

    `does` are the duties that it takes on. `claimed` are reward epochs with nothing left to claim. A duty in
    `rests` is not tried before that time.
    """

    voter: Address
    signer: Address
    present: RewardEpochId
    facts: Mapping[RewardEpochId, EpochFacts]
    claimed: frozenset[RewardEpochId] = frozenset()
    rests: Mapping[Owed, float] = field(default_factory=lambda: MappingProxyType({}))
    does: frozenset[Duty] = frozenset(Duty)

    def of(self, reward_epoch: int) -> EpochFacts:
        """What is known of a reward epoch; nothing is as good as unknown."""
        return self.facts.get(RewardEpochId(reward_epoch), _NOTHING)

    def votes_in(self, reward_epoch: int) -> bool:
        """Whether our signature counts among that reward epoch's voters."""
        policy = self.of(reward_epoch).policy
        index = None if policy is None else policy.index_of(self.signer)
        return policy is not None and index is not None and policy.signers[index].weight > 0


@dataclass(frozen=True, slots=True)
class DutyAgenda:
    """The answer: what to do now, what the chain shows as done by us, what can no longer be done."""

    due: tuple[Owed, ...]
    done: tuple[Owed, ...]
    missed: tuple[Owed, ...]


def duties(standing: Standing, at: float) -> DutyAgenda:
    """What is due at `at`, in the order in which it is urgent."""
    open_now = [owed for owed in _open(standing) if not _done(owed, standing)]
    return DutyAgenda(
        due=tuple(owed for owed in open_now if standing.rests.get(owed, at) <= at),
        done=tuple(owed for owed in _all(standing) if _done(owed, standing)),
        missed=tuple(_missed(standing)),
    )


def _all(standing: Standing) -> Iterator[Owed]:
    present = standing.present
    for duty, first, last in (
        (Duty.REGISTER, present, present + 1),
        (Duty.SIGN_POLICY, present, present + 1),
        (Duty.PREREGISTER, present + 1, present + 1),
        (Duty.SIGN_UPTIME, present - VOTES_BACK, present - 1),
        (Duty.SIGN_REWARDS, present - VOTES_BACK, present - 1),
        (Duty.CLAIM, present - CLAIMS_BACK, present - 1),
    ):
        for number in range(max(0, first), last + 1):
            yield Owed(duty, RewardEpochId(number))


def _open(standing: Standing) -> Iterator[Owed]:
    """What the chain would take from us, done or not."""
    for owed in _all(standing):
        number, facts = owed.reward_epoch, standing.of(owed.reward_epoch)
        following = standing.of(number + 1)
        is_open = {
            Duty.REGISTER: facts.registration_opened and facts.policy is None,
            Duty.SIGN_POLICY: (
                facts.policy is not None and not facts.policy_vote.settled and standing.votes_in(number - 1)
            ),
            Duty.PREREGISTER: (
                standing.of(standing.present).started
                and not facts.registration_opened
                and facts.policy is None
                and standing.voter in standing.of(standing.present).registered
            ),
            Duty.SIGN_UPTIME: (
                facts.uptime_opened and not facts.uptime_vote.settled and standing.votes_in(number)
            ),
            Duty.SIGN_REWARDS: (
                facts.uptime_vote.settled
                and following.policy_vote.settled
                and facts.rewards is None
                and standing.votes_in(number)
            ),
            Duty.CLAIM: facts.rewards is not None,
        }[owed.duty]
        if is_open and owed.duty in standing.does:
            yield owed


def _done(owed: Owed, standing: Standing) -> bool:
    """Whether the chain shows that we did it."""
    facts = standing.of(owed.reward_epoch)
    return {
        Duty.REGISTER: standing.voter in facts.registered,
        Duty.SIGN_POLICY: standing.signer in facts.policy_vote.signers,
        Duty.PREREGISTER: standing.voter in facts.preregistered,
        Duty.SIGN_UPTIME: standing.signer in facts.uptime_vote.signers,
        Duty.SIGN_REWARDS: standing.signer in facts.rewards_vote.signers,
        Duty.CLAIM: owed.reward_epoch in standing.claimed,
    }[owed.duty]


def _missed(standing: Standing) -> Iterator[Owed]:
    for number in (standing.present, standing.present + 1):
        facts = standing.of(number)
        if facts.policy is not None and facts.registration_opened and standing.voter not in facts.registered:
            yield Owed(Duty.REGISTER, RewardEpochId(number))
