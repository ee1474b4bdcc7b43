"""Published rewards are read whole or refused, and prove what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ftso.claims import ClaimType, RewardClaim
from core.ftso.errors import MalformedMessage
from core.ftso.identities import RewardEpochId
from core.ftso.merkle import verifies
from core.ftso.reward_data import RewardData

EPOCH = RewardEpochId(392)
US, DELEGATION, OTHER = b"\x01" * 20, b"\x02" * 20, b"\x03" * 20
DATA = RewardData.of(
    EPOCH,
    "songbird",
    [
        RewardClaim(EPOCH, US, 100, ClaimType.FEE),
        RewardClaim(EPOCH, US, 7, ClaimType.DIRECT),
        RewardClaim(EPOCH, DELEGATION, 400, ClaimType.WNAT),
        RewardClaim(EPOCH, OTHER, 2**119, ClaimType.FEE),
        RewardClaim(EPOCH, OTHER, 0, ClaimType.MIRROR),
    ],
)
# Reward epoch 392 of Songbird as it was published: a provider's fee, its proof, the signed root.
PUBLISHED = RewardClaim(
    EPOCH,
    bytes.fromhex("00620f4659bc546284dab2720373c606727f073a"),
    22_518_505_043_179_465_728_529,
    ClaimType.FEE,
)
PUBLISHED_PROOF = (
    "101944ca647c0dbe1377d7faee654e09cf4d8a7a68023023085e46fe07abe9f5",
    "0f69ed99231f8e474e645ec837ae9b243b18faa508336be8cd3b47bbd621add3",
    "37045eea9550d6700f470cd6bf83dc823c8239aa52f46df22a69b470f13b1ebf",
    "ac102881d03d8ff1a980f31b15229f3487d6c4032daaabce7783c2d5d308cc57",
    "46d4ebcb95c508e2ad73ab2d854a24f0e93440cd24ea1a2771bf7e6776c55712",
    "23f8d68a6746ce83627c4d6685c4dc688ef37683b7e9a031c845da2ec5263d43",
)
PUBLISHED_ROOT = "4b4a61052898eea2947898cfff1a25ac298cced697a99f5a8713ec53633655bc"


def altered(**fields: Any) -> bytes:
    return json.dumps({**json.loads(DATA.encode()), **fields}).encode()


def test_a_published_claim_leads_to_the_root_that_voters_signed() -> None:
    proof = [bytes.fromhex(sibling) for sibling in PUBLISHED_PROOF]
    assert verifies(PUBLISHED.hash, proof, bytes.fromhex(PUBLISHED_ROOT))


def test_rewards_are_read_as_they_were_written() -> None:
    read = RewardData.decode(DATA.encode())
    assert (read.reward_epoch, read.network, read.claims) == (EPOCH, "songbird", DATA.claims)
    assert (read.root, read.weight_based) == (DATA.root, 2)


def test_an_owner_claims_its_own_and_what_comes_through_its_delegation_address() -> None:
    found = DATA.claims_for(US, {DELEGATION, OTHER})
    kinds = [(each.claim.beneficiary, each.claim.kind) for each in found]
    assert kinds == [
        (US, ClaimType.FEE),
        (US, ClaimType.DIRECT),
        (DELEGATION, ClaimType.WNAT),
        (OTHER, ClaimType.MIRROR),
    ]
    assert all(verifies(each.claim.hash, each.proof, DATA.root) for each in found)


def test_an_altered_amount_no_longer_fits_the_root() -> None:
    told = json.loads(DATA.encode())
    told["rewardClaims"][0]["body"]["amount"] = "101"
    with pytest.raises(MalformedMessage, match="have the root"):
        RewardData.decode(json.dumps(told).encode())


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"noOfWeightBasedClaims": 1}, "go by weight"),
        ({"merkleRoot": "0x00"}, "have the root"),
        ({"rewardEpochId": 391}, "is of reward epoch 392"),
        ({"rewardEpochId": True}, "no whole number"),
        ({"rewardClaims": []}, "needs a leaf"),
        ({"rewardClaims": [{"body": {"beneficiary": "0x00", "amount": "1", "claimType": 0}}]}, "beneficiary"),
        (
            {"rewardClaims": [{"body": {"beneficiary": "0x" + "01" * 20, "amount": 1.5, "claimType": 0}}]},
            "no amount",
        ),
        (
            {"rewardClaims": [{"body": {"beneficiary": "0x" + "01" * 20, "amount": "1", "claimType": 9}}]},
            "ClaimType",
        ),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(MalformedMessage, match=why):
        RewardData.decode(altered(**fields))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=60) | _JSON.map(lambda told: json.dumps(told).encode()))
def test_garbage_is_refused_cleanly(raw: bytes) -> None:
    with pytest.raises(MalformedMessage):
        RewardData.decode(raw)


@given(st.dictionaries(st.sampled_from(sorted(json.loads(DATA.encode()))), _JSON, min_size=1))
def test_a_file_with_other_fields_is_refused_or_the_same(fields: dict[str, Any]) -> None:
    try:
        read = RewardData.decode(altered(**fields))
    except MalformedMessage:
        return
    assert (read.reward_epoch, read.claims) == (DATA.reward_epoch, DATA.claims)
