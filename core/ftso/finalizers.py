"""Who finalizes first: voters drawn by weight from a seed that everybody knows beforehand.

flare-specs FSP/Finalization (finalizer selection). The seed is keccak256(abi.encode(policy's seed, protocol,
round)); a draw takes x = seed mod W and the first voter whose cumulative weight exceeds x; the seed is hashed
for the next draw, until the voters drawn hold the share (5 %) of W. In the finalization grace only they are
rewarded; after it, the first to finalize is.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.ftso.epochs import BIPS
from core.ftso.errors import OutOfRange
from core.ftso.hashing import abi_hash, keccak
from core.ftso.identities import Address, VotingRoundId
from core.ftso.signing_policy import SigningPolicy
from core.ftso.wire import checked, exactly


def selected_finalizers(
    policy: SigningPolicy, protocol: int, voting_round: VotingRoundId, share_bips: int = 500
) -> tuple[Address, ...]:
    """The signing policy addresses drawn for a round, in the order drawn."""
    drawn = draw(policy.weights, initial_seed(policy.seed, protocol, voting_round), share_bips)
    return tuple(policy.signers[index].address for index in drawn)


def initial_seed(policy_seed: bytes, protocol: int, voting_round: VotingRoundId) -> bytes:
    """The 32 bytes the first draw is made with."""
    checked("protocol", protocol, 0, 2**8 - 1)
    checked("voting round", voting_round, 0, 2**32 - 1)
    values = (exactly("seed", policy_seed), protocol, voting_round)
    return abi_hash(("bytes32", "uint256", "uint256"), values)


def draw(weights: Sequence[int], seed: bytes, share_bips: int) -> tuple[int, ...]:
    """The indices drawn, each once; none if the share comes to less than one unit of weight.

    The share is at most half (OutOfRange), which bounds the draws: each has an even chance of a new voter.
    """
    if not 0 < share_bips <= BIPS // 2:
        raise OutOfRange("share", share_bips, 1, BIPS // 2)
    total = sum(weights)
    before = [sum(weights[:index]) for index in range(len(weights))]
    wanted = total * share_bips // BIPS
    drawn: list[int] = []
    held = 0
    while held < wanted:
        index = _place(before, int.from_bytes(seed, "big") % total)
        if index not in drawn:
            drawn.append(index)
            held += weights[index]
        seed = keccak(seed)
    return tuple(drawn)


def _place(before: Sequence[int], x: int) -> int:
    """The voter that x falls on, where `before` is the weight that stands before each.

    A plain bisection, with the deployed code's midpoints: they matter where x is exactly where voters of
    weight zero stand, which the code may draw though the specification cannot.
    """
    low, high = 0, len(before) - 1
    if before[high] <= x:
        return high
    while low < high:
        middle = (low + high) // 2
        if before[middle] == x:
            return middle
        if before[middle] < x:
            low = middle + 1
        else:
            high = middle
    return low - 1
