"""Registrations as the contracts emit them: weight first, then the voter, in events of two kinds."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode

from chrono.feeds import FEEDS
from core.chain.events import InflationOffered, PolicyInitialized, event_of
from core.chain.history import History, Placed
from core.ftso.feed_order import Feed
from core.ftso.hashing import keccak
from core.ftso.identities import Address, RewardEpochId, VotingRoundId
from core.ftso.signing_policy import Signer, SigningPolicy
from core.provider.reward_epoch import Registration

EPOCH, WEIGHT = RewardEpochId(417), 28 * 10**24
VOTER, POLICY, SUBMIT, SIGNATURES = (Address(bytes([number]) * 20) for number in (1, 2, 3, 4))
_INFORMED = "VoterRegistrationInfo(address,{},address,uint16,uint256,uint256,bytes20[],uint256[])"
_WEIGHTS = ("address", "uint16", "uint256", "uint256", "bytes20[]", "uint256[]")
BEFORE = ("uint24", "VoterRegistered(address,uint24,address,address,address,bytes32,bytes32,uint256)", 3)
SINCE = (
    "uint32",
    "VoterRegistered(address,uint32,address,address,address,(bytes32,bytes32),uint256,(uint8,bytes32,bytes32))",
    6,
)


def log(signature: str, topics: list[bytes], data: bytes) -> dict[str, object]:
    words = [keccak(signature.encode()), *(topic.rjust(32, b"\0") for topic in topics)]
    return {"topics": ["0x" + word.hex() for word in words], "data": "0x" + data.hex()}


@pytest.mark.parametrize("kind", [BEFORE, SINCE], ids=["before", "since"])
def test_a_weight_told_before_its_voter_is_registered_counts(kind: tuple[str, str, int]) -> None:
    number, registered, words_after = kind
    epoch = EPOCH.to_bytes(4, "big")
    weights = encode(_WEIGHTS, (VOTER.text, 2_000, 2 * WEIGHT, WEIGHT, [], []))
    addresses = encode(("address", "address"), (SUBMIT.text, SIGNATURES.text)) + bytes(32 * words_after)
    informed = log(_INFORMED.format(number), [VOTER, epoch], weights)
    policy = SigningPolicy(EPOCH, VotingRoundId(100), 50, bytes(32), (Signer(POLICY, 100),))
    events = [
        InflationOffered(EPOCH, (Feed(FEEDS[0].id, FEEDS[0].decimals),)),
        event_of("FlareSystemsCalculator", informed),
        event_of("VoterRegistry", log(registered, [VOTER, epoch, POLICY], addresses)),
        PolicyInitialized(policy),
    ]
    history = History()
    history.add(Placed(1, index, event) for index, event in enumerate(events) if event is not None)
    found = history.reward_epoch_of(VotingRoundId(100))
    assert found is not None
    assert found.registrations == (Registration(VOTER, POLICY, SUBMIT, SIGNATURES, WEIGHT),)
