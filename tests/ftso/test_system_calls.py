"""What is signed once a reward epoch, held against words laid out by hand and against public figures."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_abi.abi import decode
from hypothesis import given
from hypothesis import strategies as st

from core.ftso.claims import ClaimType, ProvenClaim, RewardClaim
from core.ftso.epochs import COSTON2, FLARE, NETWORKS, SONGBIRD, Network
from core.ftso.errors import OutOfRange
from core.ftso.hashing import keccak
from core.ftso.identities import Address, RewardEpochId
from core.ftso.signatures import Signature
from core.ftso.system_calls import (
    NO_UPTIME,
    claim_rewards,
    registration_hash,
    rewards_vote_hash,
    sign_rewards,
    uptime_vote_hash,
)

VOTER = Address(b"\x11" * 20)
SIGNATURE = Signature(28, b"\x07" * 32, b"\x09" * 32)
ROOT = bytes.fromhex("9d91c7d9595969e7d21783b904f8707316d6267c656b60fad0e070e9c698a672")
EPOCHS = st.integers(0, 2**24 - 1).map(RewardEpochId)


def words(*values: int | bytes) -> bytes:
    """Values as Solidity's abi.encode lays them: a word of 32 bytes each, on the right."""
    return b"".join(
        value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0") for value in values
    )


@given(st.sampled_from(list(NETWORKS.values())), EPOCHS)
def test_a_registration_names_the_chain_from_the_networks_reward_epoch_on(
    network: Network, epoch: RewardEpochId
) -> None:
    named = [network.chain_id] if epoch >= network.registration_names_chain_from else []
    assert registration_hash(network, epoch, VOTER) == keccak(words(*named, epoch, VOTER))


def test_registration_changes_with_reward_epoch_417_on_flare_and_songbird() -> None:
    for network in (FLARE, SONGBIRD):
        before = registration_hash(network, RewardEpochId(416), VOTER)
        assert before == keccak(words(416, VOTER))
        after = registration_hash(network, RewardEpochId(417), VOTER)
        assert after == keccak(words(network.chain_id, 417, VOTER))
    assert registration_hash(COSTON2, RewardEpochId(1), VOTER) == keccak(words(114, 1, VOTER))


@given(EPOCHS)
def test_an_uptime_vote_signs_the_hash_of_nothing(epoch: RewardEpochId) -> None:
    assert keccak(words(0)) == NO_UPTIME
    assert uptime_vote_hash(epoch) == keccak(words(epoch, NO_UPTIME))


def test_rewards_are_signed_as_the_reference_client_signs_them() -> None:
    # Reward epoch 3, chain 31337, 56 claims by weight: the figure of flare-system-client's own test.
    found = rewards_vote_hash(RewardEpochId(3), 31_337, 56, ROOT)
    assert found.hex() == "ac5a8c3adc6d9a499eb3bc1440a5e07b041d77b0a508bebe7429d189a41acc6a"
    counts = keccak(words(32, 1, 31_337, 56))
    assert found == keccak(words(3, counts, ROOT))


@pytest.mark.parametrize("epoch", [-1, 2**24])
def test_a_reward_epoch_that_the_chain_has_no_room_for_is_refused(epoch: int) -> None:
    number = RewardEpochId(epoch)
    for refused in (
        lambda: registration_hash(FLARE, number, VOTER),
        lambda: uptime_vote_hash(number),
        lambda: rewards_vote_hash(number, 14, 1, ROOT),
    ):
        with pytest.raises(OutOfRange):
            refused()


def test_a_vote_for_rewards_carries_counts_root_and_signature() -> None:
    call = sign_rewards(RewardEpochId(5), 14, 220, ROOT, SIGNATURE)
    types = ("uint24", "(uint256,uint256)[]", "bytes32", "(uint8,bytes32,bytes32)")
    signature = (SIGNATURE.v, SIGNATURE.r, SIGNATURE.s)
    assert decode(types, call[4:]) == (5, ((14, 220),), ROOT, signature)


def test_a_claim_carries_its_proofs_and_is_paid_unwrapped() -> None:
    claim = RewardClaim(RewardEpochId(5), bytes(VOTER), 77, ClaimType.FEE)
    other = replace(claim, kind=ClaimType.WNAT)
    proven = [ProvenClaim(claim, (ROOT,)), ProvenClaim(other, ())]
    call = claim_rewards(VOTER, VOTER, RewardEpochId(5), proven)
    types = ("address", "address", "uint24", "bool", "(bytes32[],(uint24,bytes20,uint120,uint8))[]")
    body = (5, bytes(VOTER), 77)
    told = decode(types, call[4:])
    assert told == (VOTER.text, VOTER.text, 5, False, (((ROOT,), (*body, 1)), ((), (*body, 2))))
