"""What is owed in a reward epoch, window by window."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.ftso.duties import Duty, EpochFacts, Owed, Standing, Vote, duties
from core.ftso.identities import Address, RewardEpochId, VotingRoundId
from core.ftso.signing_policy import Signer, SigningPolicy

US, SIGNER, OTHER = Address(b"\x01" * 20), Address(b"\x02" * 20), Address(b"\x03" * 20)
SIGNED = Vote(frozenset({OTHER}), settled=True)
BY_US = Vote(frozenset({SIGNER}))


def policy(number: int, weight: int = 10) -> SigningPolicy:
    signers = (Signer(OTHER, 20), Signer(SIGNER, weight))
    return SigningPolicy(RewardEpochId(number), VotingRoundId(number * 10), 15, bytes(32), signers)


LIVED = EpochFacts(
    started=True,
    registration_opened=True,
    registered=frozenset({US, OTHER}),
    policy=policy(0),
    policy_vote=SIGNED,
)
OVER = replace(LIVED, uptime_opened=True, uptime_vote=SIGNED, rewards_vote=SIGNED, rewards=b"\x05" * 32)


def standing(**changes: Any) -> Standing:
    """Reward epoch 7 runs, all before it is paid, and nothing has begun for the next."""
    facts = {n: replace(OVER, policy=policy(n)) for n in (4, 5, 6)} | {7: replace(LIVED, policy=policy(7))}
    facts |= {int(name[1:]): value for name, value in changes.items() if name[0] == "e"}
    rest = {name: value for name, value in changes.items() if name[0] != "e"}
    claimed = frozenset(map(RewardEpochId, (4, 5, 6)))
    made = Standing(US, SIGNER, RewardEpochId(7), {RewardEpochId(n): f for n, f in facts.items()}, claimed)
    return replace(made, **rest)


def due(where: Standing, at: float = 0.0) -> list[tuple[str, int]]:
    return [(str(owed.duty), owed.reward_epoch) for owed in duties(where, at).due]


def test_whoever_is_registered_preregisters_once_for_the_next_reward_epoch() -> None:
    assert due(standing()) == [("preregister", 8)]
    assert due(standing(e8=EpochFacts(preregistered=frozenset({US})))) == []


@pytest.mark.parametrize(
    "present",
    [
        replace(LIVED, policy=policy(7), registered=frozenset({OTHER})),
        replace(LIVED, policy=policy(7), started=False),
    ],
)
def test_nobody_preregisters_who_is_not_registered_or_before_the_reward_epoch_began(
    present: EpochFacts,
) -> None:
    assert due(standing(e7=present)) == []


def test_registration_is_due_while_it_is_open_and_not_when_the_chain_did_it_for_us() -> None:
    opened = EpochFacts(registration_opened=True)
    assert due(standing(e8=opened)) == [("register", 8)]
    assert due(standing(e8=replace(opened, registered=frozenset({US})))) == []


def test_a_registration_that_was_not_made_is_missed_once_the_policy_stands() -> None:
    closed = EpochFacts(registration_opened=True, policy=policy(8), policy_vote=SIGNED)
    assert duties(standing(e8=closed), 0.0).missed == (Owed(Duty.REGISTER, RewardEpochId(8)),)
    assert due(standing(e8=closed)) == []


def test_the_next_policy_is_signed_by_who_has_weight_at_present_until_weight_enough_has() -> None:
    made = EpochFacts(registration_opened=True, registered=frozenset({US}), policy=policy(8))
    assert due(standing(e8=made)) == [("sign_policy", 8)]
    assert due(standing(e8=replace(made, policy_vote=BY_US))) == []
    assert due(standing(e8=replace(made, policy_vote=SIGNED))) == []
    weightless = replace(LIVED, policy=policy(7, weight=0))
    assert due(standing(e7=weightless, e8=made)) == []


def test_a_policy_that_came_into_force_unsigned_is_still_signed() -> None:
    unsigned = replace(LIVED, policy=policy(7), policy_vote=Vote())
    assert ("sign_policy", 7) in due(standing(e7=unsigned))


def test_uptime_comes_before_rewards() -> None:
    opened = replace(LIVED, policy=policy(6), uptime_opened=True)
    owed = standing(e6=opened, e8=EpochFacts(preregistered=frozenset({US})))
    assert due(owed) == [("sign_uptime", 6)]
    voted = replace(opened, uptime_vote=SIGNED)
    assert due(standing(e6=voted, e8=owed.of(8))) == [("sign_rewards", 6)]


def test_rewards_are_not_signed_before_the_following_policy_is() -> None:
    voted = replace(LIVED, policy=policy(6), uptime_opened=True, uptime_vote=SIGNED)
    unsigned = replace(LIVED, policy=policy(7), policy_vote=Vote(frozenset({SIGNER})))
    assert ("sign_rewards", 6) not in due(standing(e6=voted, e7=unsigned))


def test_claims_are_due_once_the_rewards_are_signed_and_until_nothing_is_left() -> None:
    assert ("claim", 6) in due(standing(claimed=frozenset({RewardEpochId(4), RewardEpochId(5)})))
    assert not any(duty == "claim" for duty, _ in due(standing()))


def test_a_duty_rests_and_a_duty_that_is_not_ours_is_left() -> None:
    owed = Owed(Duty.PREREGISTER, RewardEpochId(8))
    assert due(standing(rests={owed: 10.0}), at=9.9) == []
    assert due(standing(rests={owed: 10.0}), at=10.0) == [("preregister", 8)]
    assert due(standing(does=frozenset({Duty.REGISTER}))) == []
