"""What a round pays: values as the chain holds them, the protocol's medians, and both bands for all voters.

Knows arrays of rounds [R], feeds [F] and voters [V]; the medians, the luck on a border and the shares are
`core.ftso`'s. `score_all` is the fast twin of `core.ftso.bands` applied voter by voter, and a test holds them
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chrono.feeds import Feed, FeedId
from core.aggregation.estimates import Floats
from core.aggregation.markets import Bools
from core.ftso.bands import PPM, PRIMARY_SHARE, SECONDARY_SHARE, lucky_on_border
from core.ftso.feed_values import HIGHEST, LOWEST
from core.ftso.identities import Address, VotingRoundId
from core.ftso.median import WeightedMedian, weighted_median

Votes = NDArray[np.int64]
NO_VOTE: Final = np.int64(LOWEST - 1)
HALF_PERCENT_PPM: Final = 5_000


@dataclass(frozen=True, slots=True)
class Voters:
    """Who takes part, in the order of the last axis of votes."""

    addresses: tuple[Address, ...]
    weights: tuple[int, ...]

    def joined_by(self, address: Address, weight: int) -> Voters:
        """These and one more, the last."""
        return Voters((*self.addresses, address), (*self.weights, weight))


@dataclass(frozen=True, slots=True, eq=False)
class Medians:
    """The decisions of rounds, [R, F] integers; NO_VOTE where nobody voted."""

    median: Votes
    quartile1: Votes
    quartile3: Votes


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """[R, F, V]: hits of the bands, the 0.5 % band, the reward for each unit of weight (1 on average where
    all weight earns), and the signed distance in ppm, NaN without a vote."""

    primary: Bools
    secondary: Bools
    half_percent: Bools
    reward: Floats
    distance_ppm: Floats


def votes_of(values: Floats, feeds: Sequence[Feed]) -> Votes:
    """Prices with feeds on axis 1 (or 0 of a vector) as the chain's integers, as `feed_values.scaled` does.

    NaN, and what the chain's 32 bits cannot hold, are no vote.
    """
    decimals = np.array([feed.decimals for feed in feeds])
    shape = (-1,) if values.ndim == 1 else (1, -1, *[1] * (values.ndim - 2))
    with np.errstate(over="ignore", invalid="ignore"):
        product = values * (10.0**decimals).reshape(shape)
        whole = np.floor(product)
        whole += (product - whole) >= 0.5
    fits = np.isfinite(product) & (whole >= LOWEST) & (whole <= HIGHEST)
    return np.where(fits, np.where(fits, whole, 0.0).astype(np.int64), NO_VOTE)


def median_of(votes: Votes, weights: Sequence[int]) -> WeightedMedian:
    """The protocol's weighted median of one feed's votes [V]."""
    return weighted_median([None if vote == NO_VOTE else vote for vote in votes.tolist()], weights)


def medians_of(votes: Votes, weights: Sequence[int]) -> Medians:
    """The decisions on votes [R, F, V]."""
    out = np.full((3, *votes.shape[:2]), NO_VOTE)
    for place in np.ndindex(votes.shape[:2]):
        found = median_of(votes[place], weights)
        if found.median is not None and found.quartile1 is not None and found.quartile3 is not None:
            out[(slice(None), *place)] = found.median, found.quartile1, found.quartile3
    return Medians(*out)


def score_all(
    rounds: Sequence[int], feeds: Sequence[Feed], votes: Votes, decided: Medians, voters: Voters
) -> Scores:
    """Who was in which band, and what that pays."""
    median, low, high = (each[:, :, None] for each in (decided.median, decided.quartile1, decided.quartile3))
    voted = (votes != NO_VOTE) & (median != NO_VOTE)
    primary = voted & (votes > low) & (votes < high)
    ids = [feed.id for feed in feeds]
    for place in zip(*np.nonzero(voted & ((votes == low) | (votes == high))), strict=True):
        which, feed, voter = map(int, place)
        primary[place] = _lucky(rounds[which], ids[feed], voters.addresses[voter])
    off = np.abs(votes - median)
    band = np.array([feed.secondary_band_ppm for feed in feeds])[:, None]
    secondary = voted & (off < np.abs(median) * band // PPM)
    half_percent = voted & (off <= np.abs(median) * HALF_PERCENT_PPM // PPM)
    weight = np.array(voters.weights, np.float64)
    pay = (
        _pay(primary, weight, PRIMARY_SHARE) * primary + _pay(secondary, weight, SECONDARY_SHARE) * secondary
    )
    distance = np.where(voted, (votes - median) / np.maximum(np.abs(median), 1) * PPM, np.nan)
    return Scores(primary, secondary, half_percent, pay, distance)


def _pay(inside: Bools, weight: Floats, share: float) -> Floats:
    """What a unit of weight inside earns, [R, F, 1], in shares of the mean; 0 where nobody is inside."""
    held = (inside * weight).sum(axis=2, keepdims=True)
    return np.where(held > 0, share * weight.sum() / np.where(held > 0, held, 1.0), 0.0)


@lru_cache(maxsize=1 << 20)
def _lucky(voting_round: int, feed: FeedId, who: Address) -> bool:
    return lucky_on_border(VotingRoundId(voting_round), feed, who)
