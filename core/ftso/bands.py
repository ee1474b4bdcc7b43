"""The bands around a feed's median that accuracy is paid for, and how a round's reward is split among voters.

flare-specs FTSO/Rewarding (median rewards). The primary band is the weighted interquartile range, on whose
border the parity of a hash decides; the secondary band is a share of the median, borders excluded. A voter's
share of a band's reward is its weight among those within; a band that holds nobody pays nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chrono.feeds import FeedId
from core.ftso.hashing import abi_hash
from core.ftso.identities import Address, VotingRoundId
from core.ftso.median import WeightedMedian

PPM: Final = 1_000_000
PRIMARY_SHARE: Final = 0.4
SECONDARY_SHARE: Final = 0.6


def in_primary(
    voting_round: VotingRoundId, feed: FeedId, median: WeightedMedian, value: int, who: Address
) -> bool:
    """Whether a value is inside the quartiles, or on one and lucky."""
    low, high = median.quartile1, median.quartile3
    if low is None or high is None:
        return False
    if low < value < high:
        return True
    return value in (low, high) and lucky_on_border(voting_round, feed, who)


def lucky_on_border(voting_round: VotingRoundId, feed: FeedId, who: Address) -> bool:
    """The parity of keccak256(abi.encode(bytes feed, uint256 round, address)): odd is inside."""
    return abi_hash(("bytes", "uint256", "address"), (bytes(feed), voting_round, who.text))[-1] % 2 == 1


def in_secondary(median: int, value: int, band_ppm: int) -> bool:
    """Whether a value is nearer to the median than the band's width."""
    return abs(value - median) < abs(median) * band_ppm // PPM


def reward_shares(
    weights: Sequence[int], primary: Sequence[bool], secondary: Sequence[bool]
) -> tuple[float, ...]:
    """Each voter's share of a feed's accuracy reward in a round, 1 in all where both bands hold weight."""
    inside = [sum(w for w, hit in zip(weights, hits, strict=True) if hit) for hits in (primary, secondary)]
    pay = [
        share / whole if whole else 0.0
        for share, whole in zip((PRIMARY_SHARE, SECONDARY_SHARE), inside, strict=True)
    ]
    return tuple(
        weight * (first * pay[0] + second * pay[1])
        for weight, first, second in zip(weights, primary, secondary, strict=True)
    )
