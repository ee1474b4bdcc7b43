"""What a voter signs and sends once a reward epoch: registration, policy, uptime vote, rewards, claims.

Knows the hash that is signed for each and the call that carries it. Does not know when any of it is due.
flare-specs FSP/SigningPolicyDefinition, FSP/UptimeVoting, FSP/Rewarding. Hashes are of ABI-encoded values:

    registration     (uint256 chainId, uint32 rewardEpoch, address voter); older ones without the chain id
    signing policy   the policy's own hash
    uptime vote      (uint24 rewardEpoch, bytes32 uptimeHash)
    rewards          (uint24 rewardEpoch, bytes32 countsHash, bytes32 rewardsHash)

A count's first word is the reward manager's id, which is the chain id on every network. Pre-registration and
registration are signed alike, so one signature does for both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from eth_abi.abi import encode

from core.ftso.claims import ProvenClaim
from core.ftso.epochs import Network
from core.ftso.hashing import abi_hash, keccak
from core.ftso.identities import Address, RewardEpochId
from core.ftso.payload import selector
from core.ftso.signatures import Signature
from core.ftso.wire import checked, exactly

NO_UPTIME: Final = keccak(bytes(32))
"""What voters sign as the uptime vote while node uptimes are not voted on: the hash of the zero hash."""

_SIGNATURE: Final = "(uint8,bytes32,bytes32)"
_COUNTS: Final = "(uint256,uint256)[]"
_PROOFS: Final = "(bytes32[],(uint24,bytes20,uint120,uint8))[]"


def registration_hash(network: Network, reward_epoch: RewardEpochId, voter: Address) -> bytes:
    """What the signing policy key signs to register, or pre-register, the voter for the reward epoch."""
    checked("reward epoch", reward_epoch, 0, 2**24 - 1)
    if reward_epoch >= network.registration_names_chain_from:
        types = ("uint256", "uint32", "address")
        return abi_hash(types, (network.chain_id, reward_epoch, voter.text))
    return abi_hash(("uint32", "address"), (reward_epoch, voter.text))


def uptime_vote_hash(reward_epoch: RewardEpochId, uptime: bytes = NO_UPTIME) -> bytes:
    """What is signed for the uptime vote of a reward epoch that is over."""
    checked("reward epoch", reward_epoch, 0, 2**24 - 1)
    return abi_hash(("uint24", "bytes32"), (reward_epoch, exactly("uptime hash", uptime)))


def rewards_vote_hash(
    reward_epoch: RewardEpochId, manager_id: int, weight_based: int, rewards: bytes
) -> bytes:
    """What is signed for the rewards of a reward epoch: their root, and how many claims go by weight."""
    checked("reward epoch", reward_epoch, 0, 2**24 - 1)
    counts = abi_hash((_COUNTS,), ([(manager_id, weight_based)],))
    types = ("uint24", "bytes32", "bytes32")
    return abi_hash(types, (reward_epoch, counts, exactly("rewards hash", rewards)))


def register_voter(voter: Address, signature: Signature) -> bytes:
    """VoterRegistry.registerVoter."""
    return _call("registerVoter", ("address", _SIGNATURE), voter.text, _parts(signature))


def preregister_voter(voter: Address, signature: Signature) -> bytes:
    """VoterPreRegistry.preRegisterVoter."""
    return _call("preRegisterVoter", ("address", _SIGNATURE), voter.text, _parts(signature))


def sign_new_signing_policy(reward_epoch: RewardEpochId, policy_hash: bytes, signature: Signature) -> bytes:
    """FlareSystemsManager.signNewSigningPolicy."""
    types = ("uint24", "bytes32", _SIGNATURE)
    return _call("signNewSigningPolicy", types, reward_epoch, policy_hash, _parts(signature))


def sign_uptime_vote(reward_epoch: RewardEpochId, signature: Signature, uptime: bytes = NO_UPTIME) -> bytes:
    """FlareSystemsManager.signUptimeVote."""
    types = ("uint24", "bytes32", _SIGNATURE)
    return _call("signUptimeVote", types, reward_epoch, uptime, _parts(signature))


def sign_rewards(
    reward_epoch: RewardEpochId, manager_id: int, weight_based: int, rewards: bytes, signature: Signature
) -> bytes:
    """FlareSystemsManager.signRewards."""
    types = ("uint24", _COUNTS, "bytes32", _SIGNATURE)
    counts = [(manager_id, weight_based)]
    return _call("signRewards", types, reward_epoch, counts, rewards, _parts(signature))


def claim_rewards(
    owner: Address, recipient: Address, reward_epoch: RewardEpochId, claims: Iterable[ProvenClaim]
) -> bytes:
    """RewardManager.claim, paid out unwrapped."""
    types = ("address", "address", "uint24", "bool", _PROOFS)
    proofs = [(list(each.proof), each.claim.fields) for each in claims]
    return _call("claim", types, owner.text, recipient.text, reward_epoch, False, proofs)


def _parts(signature: Signature) -> tuple[int, bytes, bytes]:
    return signature.v, signature.r, signature.s


def _call(name: str, types: tuple[str, ...], *values: object) -> bytes:
    return selector(f"{name}({','.join(types)})") + encode(types, values)
