"""What a finished round says of one provider: in which bands each value was, its rank, its distance.

Pure: from a round's results to figures. flare-specs FTSO/Rewarding (median rewards): the primary band is the
weighted interquartile range, on whose border the parity of a hash decides; the secondary band is a share of
the median, borders excluded; the minimal conditions' band includes them, as the reward calculation has it.
Rank 1 is the smallest distance to the median; equal distances share a rank. Bands are our feed table's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from chrono.feeds import FEEDS
from core.ftso.bands import PPM, in_primary, in_secondary
from core.ftso.identities import Address, VotingRoundId
from core.ftso.results import FeedOutcome, RoundResults

MINIMAL_BAND_PPM: Final = 5_000
"""0.5 %: the minimal conditions' band."""

_NAMES: Final = {feed.id: feed.name for feed in FEEDS}
_BANDS_PPM: Final = {feed.id: feed.secondary_band_ppm for feed in FEEDS}


@dataclass(frozen=True, slots=True)
class FeedScore:
    """One feed of one round. Ours is None where we revealed no value; then nothing follows from it.

    `value` and `ours` are integers with `decimals`; `distance_ppm` is signed.
    """

    feed: str
    value: int
    decimals: int
    turnout_bips: int
    providers: int
    ours: int | None = None
    primary: bool = False
    secondary: bool = False
    minimal: bool = False
    rank: int | None = None
    distance_ppm: float | None = None


@dataclass(frozen=True, slots=True)
class RoundScore:
    """A finished round: its result, and our score in it."""

    voting_round: VotingRoundId
    merkle_root: bytes
    random: int
    secure_random: bool
    revealed: bool
    feeds: tuple[FeedScore, ...]


def score(results: RoundResults, voters: tuple[Address, ...], own: Address) -> RoundScore:
    """Our score. `voters` are the submit addresses in the order of the results' values."""
    index = voters.index(own) if own in voters else None
    feeds = tuple(_feed_score(results.voting_round, outcome, index, own) for outcome in results.feeds)
    return RoundScore(
        results.voting_round,
        results.tree.root,
        results.random.value,
        results.random.secure,
        any(feed.ours is not None for feed in feeds),
        feeds,
    )


def _feed_score(
    voting_round: VotingRoundId, outcome: FeedOutcome, index: int | None, own: Address
) -> FeedScore:
    result = outcome.result
    ours = None if index is None else outcome.values[index]
    given = [value for value in outcome.values if value is not None]
    unscored = FeedScore(
        feed=_NAMES.get(result.feed, result.feed.hex()),
        value=result.value,
        decimals=result.decimals,
        turnout_bips=result.turnout_bips,
        providers=len(given),
    )
    if ours is None or outcome.median.median is None:
        return unscored
    distance = abs(ours - result.value)
    band_ppm = _BANDS_PPM.get(result.feed, 0)
    return replace(
        unscored,
        ours=ours,
        primary=in_primary(voting_round, result.feed, outcome.median, ours, own),
        secondary=in_secondary(result.value, ours, band_ppm),
        minimal=distance <= abs(result.value) * MINIMAL_BAND_PPM // PPM,
        rank=1 + sum(abs(value - result.value) < distance for value in given),
        distance_ppm=(ours - result.value) / abs(result.value) * PPM if result.value else None,
    )
