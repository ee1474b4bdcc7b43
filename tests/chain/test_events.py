"""Registrations are read as the registries before and after 2026 tell them, in the order in which they do."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import encode

from chrono.feeds import FEEDS
from core.chain.events import InflationOffered, PolicyInitialized, VoterInformed, VoterRegistered, event_of
from core.chain.history import History, Placed
from core.ftso.feed_order import Feed
from core.ftso.hashing import keccak
from core.ftso.identities import Address, RewardEpochId, VotingRoundId
from core.ftso.signing_policy import Signer, SigningPolicy

EPOCH = RewardEpochId(417)
VOTER, SIGNER, SUBMIT, SIGNATURES = (Address(bytes([n]) * 20) for n in (1, 2, 3, 4))


def log_of(signature: str, topics: list[bytes], types: list[str], values: list[Any]) -> dict[str, Any]:
    placed = [keccak(signature.encode()), *(topic.rjust(32, b"\0") for topic in topics)]
    return {"topics": ["0x" + topic.hex() for topic in placed], "data": "0x" + encode(types, values).hex()}


ADDRESSES, TOPICS = ["address", "address"], [VOTER, EPOCH.to_bytes(4, "big"), SIGNER]
OLD = log_of(
    "VoterRegistered(address,uint24,address,address,address,bytes32,bytes32,uint256)",
    TOPICS,
    [*ADDRESSES, "bytes32", "bytes32", "uint256"],
    [SUBMIT.text, SIGNATURES.text, bytes(32), bytes(32), 9],
)
NEW = log_of(
    "VoterRegistered(address,uint32,address,address,address,(bytes32,bytes32),uint256,(uint8,bytes32,bytes32))",
    TOPICS,
    [*ADDRESSES, "(bytes32,bytes32)", "uint256", "(uint8,bytes32,bytes32)"],
    [SUBMIT.text, SIGNATURES.text, (bytes(32), bytes(32)), 9, (27, bytes(32), bytes(32))],
)
REGISTERED = VoterRegistered(EPOCH, VOTER, SIGNER, SUBMIT, SIGNATURES)


@pytest.mark.parametrize("log", [OLD, NEW], ids=["before 2026", "since"])
def test_a_registration_is_read_from_either_registry(log: dict[str, Any]) -> None:
    assert event_of("VoterRegistry", log) == REGISTERED
    assert event_of("VoterPreRegistry", log) is None


@pytest.mark.parametrize("width", [24, 32])
def test_a_voters_weight_is_read_from_either_calculator(width: int) -> None:
    log = log_of(
        f"VoterRegistrationInfo(address,uint{width},address,uint16,uint256,uint256,bytes20[],uint256[])",
        [VOTER, EPOCH.to_bytes(4, "big")],
        ["address", "uint16", "uint256", "uint256", "bytes20[]", "uint256[]"],
        [VOTER.text, 2_000, 50, 40, [], []],
    )
    assert event_of("FlareSystemsCalculator", log) == VoterInformed(EPOCH, VOTER, 40)


@pytest.mark.parametrize("informed_at", [1, 3], ids=["as deployed", "afterwards"])
def test_a_voters_weight_is_kept_whether_it_stands_before_or_after_the_registration(informed_at: int) -> None:
    policy = SigningPolicy(EPOCH, VotingRoundId(0), 1, bytes(32), (Signer(SIGNER, 5),))
    history = History()
    history.add(
        [
            Placed(0, 0, InflationOffered(EPOCH, (Feed(FEEDS[0].id, 2),))),
            Placed(1, informed_at, VoterInformed(EPOCH, VOTER, 40)),
            Placed(1, 2, REGISTERED),
            Placed(2, 0, PolicyInitialized(policy)),
        ]
    )
    epoch = history.reward_epoch_of(VotingRoundId(1))
    assert epoch is not None
    assert [each.capped_weight for each in epoch.registrations] == [40]
