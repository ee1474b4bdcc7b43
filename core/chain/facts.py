"""What events say of reward epochs, apart from rounds: registrations, votes, what has opened.

Pure: events in the chain's order come in, facts by reward epoch come out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from core.chain.events import (
    EpochStarted,
    Event,
    PolicyInitialized,
    RegistrationOpened,
    UptimeVoteOpened,
    VoteCast,
    VoterPreRegistered,
    VoterRegistered,
)
from core.ftso.duties import Duty, EpochFacts, Vote
from core.ftso.identities import RewardEpochId

Told = EpochStarted | RegistrationOpened | UptimeVoteOpened | VoteCast | VoterPreRegistered | VoterRegistered


def facts_of(events: Iterable[Event]) -> dict[RewardEpochId, EpochFacts]:
    """The facts that the events amount to."""
    found: dict[RewardEpochId, EpochFacts] = {}
    for event in events:
        if isinstance(event, PolicyInitialized):
            number = event.policy.reward_epoch
            found[number] = replace(found.get(number, EpochFacts()), policy=event.policy)
        elif isinstance(event, Told):
            number = event.reward_epoch
            found[number] = _with(found.get(number, EpochFacts()), event)
    return found


def _with(facts: EpochFacts, event: Told) -> EpochFacts:
    match event:
        case EpochStarted():
            return replace(facts, started=True)
        case RegistrationOpened():
            return replace(facts, registration_opened=True)
        case UptimeVoteOpened():
            return replace(facts, uptime_opened=True)
        case VoterPreRegistered():
            return replace(facts, preregistered=facts.preregistered | {event.voter})
        case VoterRegistered():
            return replace(facts, registered=facts.registered | {event.voter})
        case VoteCast():
            return _after_vote(facts, event)


def _after_vote(facts: EpochFacts, cast: VoteCast) -> EpochFacts:
    if cast.duty is Duty.SIGN_POLICY:
        return replace(facts, policy_vote=_joined(facts.policy_vote, cast))
    if cast.duty is Duty.SIGN_UPTIME:
        return replace(facts, uptime_vote=_joined(facts.uptime_vote, cast))
    rewards = cast.content if cast.settled else facts.rewards
    return replace(facts, rewards_vote=_joined(facts.rewards_vote, cast), rewards=rewards)


def _joined(vote: Vote, cast: VoteCast) -> Vote:
    return Vote(vote.signers | {cast.signer}, vote.settled or cast.settled)
