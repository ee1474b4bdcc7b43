"""The events that a provider reads, decoded: policies, registrations, offers, votes, relayed results.

Knows their signatures as the contracts emit them, also as they were before the registries were replaced in
2026. A log that cannot be decoded is no event of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from chrono.feeds import FeedId
from core.ftso.duties import Duty
from core.ftso.errors import FtsoError
from core.ftso.feed_order import Feed
from core.ftso.hashing import keccak
from core.ftso.identities import Address, RewardEpochId, VotingRoundId
from core.ftso.protocol_message import ProtocolMessage
from core.ftso.signing_policy import SigningPolicy

FEED_ID_SIZE: Final = 21


@dataclass(frozen=True, slots=True)
class PolicyInitialized:
    policy: SigningPolicy


@dataclass(frozen=True, slots=True)
class ResultRelayed:
    message: ProtocolMessage


@dataclass(frozen=True, slots=True)
class VoterRegistered:
    reward_epoch: RewardEpochId
    voter: Address
    signing_policy: Address
    submit: Address
    submit_signatures: Address


@dataclass(frozen=True, slots=True)
class VoterInformed:
    reward_epoch: RewardEpochId
    voter: Address
    capped_weight: int


@dataclass(frozen=True, slots=True)
class InflationOffered:
    reward_epoch: RewardEpochId
    feeds: tuple[Feed, ...]


@dataclass(frozen=True, slots=True)
class CommunityOffered:
    reward_epoch: RewardEpochId
    feed: Feed
    amount: int


@dataclass(frozen=True, slots=True)
class OffersClosed:
    reward_epoch: RewardEpochId


@dataclass(frozen=True, slots=True)
class RegistrationOpened:
    reward_epoch: RewardEpochId


@dataclass(frozen=True, slots=True)
class EpochStarted:
    reward_epoch: RewardEpochId


@dataclass(frozen=True, slots=True)
class VoterPreRegistered:
    reward_epoch: RewardEpochId
    voter: Address


@dataclass(frozen=True, slots=True)
class UptimeVoteOpened:
    reward_epoch: RewardEpochId


@dataclass(frozen=True, slots=True)
class VoteCast:
    """A voter's signature of the policy, the uptime vote or the rewards; `settled`: weight enough now."""

    reward_epoch: RewardEpochId
    duty: Duty
    signer: Address
    settled: bool
    content: bytes = b""


Event: TypeAlias = (
    PolicyInitialized
    | ResultRelayed
    | VoterRegistered
    | VoterInformed
    | InflationOffered
    | CommunityOffered
    | OffersClosed
    | RegistrationOpened
    | EpochStarted
    | VoterPreRegistered
    | UptimeVoteOpened
    | VoteCast
)


def _policy(_: Sequence[bytes], data: bytes) -> Event:
    types = ("uint32", "uint16", "uint256", "address[]", "uint16[]", "bytes", "uint64")
    return PolicyInitialized(SigningPolicy.decode(decode(types, data)[5]))


def _relayed(topics: Sequence[bytes], data: bytes) -> Event:
    secure, root = decode(("bool", "bytes32"), data)
    return ResultRelayed(ProtocolMessage(_number(topics[1]), VotingRoundId(_number(topics[2])), secure, root))


def _registered(topics: Sequence[bytes], data: bytes) -> Event:
    submit, submit_signatures = decode(("address", "address"), data)  # what follows differs by release
    return VoterRegistered(
        RewardEpochId(_number(topics[2])),
        _address(topics[1]),
        _address(topics[3]),
        Address.of(submit),
        Address.of(submit_signatures),
    )


def _informed(topics: Sequence[bytes], data: bytes) -> Event:
    capped = decode(("address", "uint16", "uint256", "uint256", "bytes20[]", "uint256[]"), data)[3]
    return VoterInformed(RewardEpochId(_number(topics[2])), _address(topics[1]), capped)


def _inflation(topics: Sequence[bytes], data: bytes) -> Event:
    ids, decimals, *_ = decode(("bytes", "bytes", "uint256", "uint16", "uint24", "bytes", "uint16"), data)
    starts = range(0, len(ids), FEED_ID_SIZE)
    feeds = [
        Feed(FeedId(ids[start : start + FEED_ID_SIZE]), int.from_bytes(decimals[i : i + 1], signed=True))
        for i, start in enumerate(starts)
    ]
    return InflationOffered(RewardEpochId(_number(topics[1])), tuple(feeds))


def _community(topics: Sequence[bytes], data: bytes) -> Event:
    types = ("bytes21", "int8", "uint256", "uint16", "uint24", "uint24", "address")
    feed_id, decimals, amount, *_ = decode(types, data)
    return CommunityOffered(RewardEpochId(_number(topics[1])), Feed(FeedId(feed_id), decimals), amount)


def _closed(topics: Sequence[bytes], _: bytes) -> Event:
    return OffersClosed(RewardEpochId(_number(topics[1])))


def _opened(topics: Sequence[bytes], _: bytes) -> Event:
    return RegistrationOpened(RewardEpochId(_number(topics[1])))


def _started(topics: Sequence[bytes], _: bytes) -> Event:
    return EpochStarted(RewardEpochId(_number(topics[1])))


def _preregistered(topics: Sequence[bytes], _: bytes) -> Event:
    return VoterPreRegistered(RewardEpochId(_number(topics[2])), _address(topics[1]))


def _uptime_opened(topics: Sequence[bytes], _: bytes) -> Event:
    return UptimeVoteOpened(RewardEpochId(_number(topics[1])))


def _policy_signed(topics: Sequence[bytes], data: bytes) -> Event:
    _, settled = decode(("uint64", "bool"), data)
    return VoteCast(RewardEpochId(_number(topics[1])), Duty.SIGN_POLICY, _address(topics[2]), settled)


def _uptime_signed(topics: Sequence[bytes], data: bytes) -> Event:
    voted, _, settled = decode(("bytes32", "uint64", "bool"), data)
    return VoteCast(RewardEpochId(_number(topics[1])), Duty.SIGN_UPTIME, _address(topics[2]), settled, voted)


def _rewards_signed(topics: Sequence[bytes], data: bytes) -> Event:
    voted, _, _, settled = decode(("bytes32", "(uint256,uint256)[]", "uint64", "bool"), data)
    return VoteCast(RewardEpochId(_number(topics[1])), Duty.SIGN_REWARDS, _address(topics[2]), settled, voted)


def _number(topic: bytes) -> int:
    return int.from_bytes(topic, "big")


def _address(topic: bytes) -> Address:
    return Address(topic[12:])


_Decoder = Callable[[Sequence[bytes], bytes], Event]
_DECODERS: Final[Mapping[bytes, tuple[str, _Decoder]]] = {
    keccak(signature.encode()): (contract, decoder)
    for contract, signature, decoder in (
        (
            "Relay",
            "SigningPolicyInitialized(uint24,uint32,uint16,uint256,address[],uint16[],bytes,uint64)",
            _policy,
        ),
        ("Relay", "ProtocolMessageRelayed(uint8,uint32,bool,bytes32)", _relayed),
        (
            "VoterRegistry",
            "VoterRegistered(address,uint24,address,address,address,bytes32,bytes32,uint256)",
            _registered,
        ),
        (
            "VoterRegistry",
            "VoterRegistered(address,uint32,address,address,address,(bytes32,bytes32),uint256,"
            "(uint8,bytes32,bytes32))",
            _registered,
        ),
        (
            "FlareSystemsCalculator",
            "VoterRegistrationInfo(address,uint24,address,uint16,uint256,uint256,bytes20[],uint256[])",
            _informed,
        ),
        (
            "FlareSystemsCalculator",
            "VoterRegistrationInfo(address,uint32,address,uint16,uint256,uint256,bytes20[],uint256[])",
            _informed,
        ),
        ("VoterPreRegistry", "VoterPreRegistered(address,uint32)", _preregistered),
        ("VoterPreRegistry", "VoterPreRegistered(address,uint256)", _preregistered),
        (
            "FtsoRewardOffersManager",
            "InflationRewardsOffered(uint24,bytes,bytes,uint256,uint16,uint24,bytes,uint16)",
            _inflation,
        ),
        (
            "FtsoRewardOffersManager",
            "RewardsOffered(uint24,bytes21,int8,uint256,uint16,uint24,uint24,address)",
            _community,
        ),
        ("FlareSystemsManager", "RandomAcquisitionStarted(uint24,uint64)", _closed),
        ("FlareSystemsManager", "RewardEpochStarted(uint24,uint32,uint64)", _started),
        ("FlareSystemsManager", "VotePowerBlockSelected(uint24,uint64,uint64)", _opened),
        (
            "FlareSystemsManager",
            "SigningPolicySigned(uint24,address,address,uint64,bool)",
            _policy_signed,
        ),
        ("FlareSystemsManager", "SignUptimeVoteEnabled(uint24,uint64)", _uptime_opened),
        (
            "FlareSystemsManager",
            "UptimeVoteSigned(uint24,address,address,bytes32,uint64,bool)",
            _uptime_signed,
        ),
        (
            "FlareSystemsManager",
            "RewardsSigned(uint24,address,address,bytes32,(uint256,uint256)[],uint64,bool)",
            _rewards_signed,
        ),
    )
}
CONTRACTS: Final = tuple(sorted({contract for contract, _ in _DECODERS.values()}))
"""The contracts whose events are read, by their names in FlareContractRegistry."""


def event_of(contract: str, log: Mapping[str, Any]) -> Event | None:
    """The event in a JSON-RPC log of that contract, or None if it is none of ours."""
    topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
    known = _DECODERS.get(topics[0]) if topics else None
    if known is None or known[0] != contract:
        return None
    try:
        return known[1](topics, bytes.fromhex(log["data"][2:]))
    except (DecodingError, FtsoError, IndexError, ValueError):
        return None
