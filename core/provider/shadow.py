"""Chrono's values beside those of another value provider: one comparison, and the tally of many.

Pure. A difference is theirs less ours, in parts per million of ours. `in_our_band` asks whether their value
lies within the band of our estimate, borders included; `in_secondary` whether it lies within the feed's
secondary band around ours, borders excluded as in flare-specs FTSO/Rewarding. Without both values nothing is
said. Neither of the two is taken for the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from chrono.feeds import FEEDS
from core.ftso.identities import VotingRoundId

PPM: Final = 1_000_000
SMALLEST: Final = 1e-15
LARGEST: Final = 1e15
"""No price in US dollars lies beyond these."""
_BANDS_PPM: Final = {feed.name: feed.secondary_band_ppm for feed in FEEDS}

Band = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Pair:
    """One feed of one comparison, in US dollars; None is a missing value. `band` is that of our estimate."""

    feed: str
    ours: float | None
    theirs: float | None
    band: Band | None = None

    @property
    def ppm(self) -> float | None:
        """Theirs less ours, of ours."""
        if self.ours is None or self.theirs is None:
            return None
        return (self.theirs - self.ours) / self.ours * PPM

    @property
    def in_our_band(self) -> bool | None:
        """None without both values, or without a band."""
        if self.ours is None or self.theirs is None or self.band is None:
            return None
        return self.band[0] <= self.theirs <= self.band[1]

    @property
    def in_secondary(self) -> bool | None:
        """None without both values."""
        ppm = self.ppm
        return None if ppm is None else abs(ppm) < _BANDS_PPM.get(self.feed, 0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All feeds at one time. `voting_round` is None when present values were asked for.

    With a `failure` one side did not answer, and there are no pairs.
    """

    at: float
    voting_round: VotingRoundId | None
    pairs: tuple[Pair, ...] = ()
    failure: str | None = None


def compare(
    at: float,
    voting_round: VotingRoundId | None,
    ours: Mapping[str, float],
    theirs: Mapping[str, float],
    bands: Mapping[str, Band],
) -> Comparison:
    """Every feed of the table, in its order; a value that is no possible price is missing."""
    pairs = (
        Pair(feed.name, _usable(ours.get(feed.name)), _usable(theirs.get(feed.name)), bands.get(feed.name))
        for feed in FEEDS
    )
    return Comparison(at, voting_round, tuple(pairs))


def _usable(value: float | None) -> float | None:
    return value if value is not None and SMALLEST < value < LARGEST else None


@dataclass(frozen=True, slots=True)
class FeedTally:
    """One feed over many comparisons; `last` is the newest pair.

    `banded` are the compared ones for which our band was known. Sums are of the difference in ppm.
    """

    feed: str
    last: Pair
    compared: int = 0
    missing_ours: int = 0
    missing_theirs: int = 0
    banded: int = 0
    in_our_band: int = 0
    in_secondary: int = 0
    ppm_sum: float = 0.0
    ppm_abs_sum: float = 0.0
    ppm_abs_max: float = 0.0

    def plus(self, pair: Pair) -> FeedTally:
        """The tally with one more pair, which becomes the last."""
        ppm = pair.ppm
        counted = replace(
            self,
            last=pair,
            missing_ours=self.missing_ours + (pair.ours is None),
            missing_theirs=self.missing_theirs + (pair.theirs is None),
        )
        if ppm is None:
            return counted
        return replace(
            counted,
            compared=self.compared + 1,
            banded=self.banded + (pair.in_our_band is not None),
            in_our_band=self.in_our_band + bool(pair.in_our_band),
            in_secondary=self.in_secondary + bool(pair.in_secondary),
            ppm_sum=self.ppm_sum + ppm,
            ppm_abs_sum=self.ppm_abs_sum + abs(ppm),
            ppm_abs_max=max(self.ppm_abs_max, abs(ppm)),
        )

    @property
    def ppm_mean(self) -> float | None:
        """The lasting difference, with its sign."""
        return self.ppm_sum / self.compared if self.compared else None

    @property
    def ppm_abs_mean(self) -> float | None:
        return self.ppm_abs_sum / self.compared if self.compared else None


@dataclass(frozen=True, slots=True)
class Tally:
    """Many comparisons with one endpoint, oldest first."""

    comparisons: int = 0
    failures: int = 0
    first_at: float | None = None
    last: Comparison | None = None
    feeds: tuple[FeedTally, ...] = ()

    def plus(self, comparison: Comparison) -> Tally:
        """The tally with one more comparison, which becomes the last."""
        known = {feed.feed: feed for feed in self.feeds}
        for pair in comparison.pairs:
            known[pair.feed] = known.get(pair.feed, FeedTally(pair.feed, pair)).plus(pair)
        return Tally(
            self.comparisons + 1,
            self.failures + (comparison.failure is not None),
            comparison.at if self.first_at is None else self.first_at,
            comparison,
            tuple(known.values()),
        )

    @property
    def share_in_secondary(self) -> float | None:
        """Of all pairs of two values."""
        compared = sum(feed.compared for feed in self.feeds)
        return sum(feed.in_secondary for feed in self.feeds) / compared if compared else None


def tally(comparisons: Iterable[Comparison]) -> Tally:
    """The tally of comparisons, which are given oldest first."""
    counted = Tally()
    for comparison in comparisons:
        counted = counted.plus(comparison)
    return counted


def farthest_first(feeds: Sequence[FeedTally]) -> list[FeedTally]:
    """For a reader: the largest mean difference first, feeds never compared last."""
    return sorted(
        feeds, key=lambda feed: -1.0 if feed.ppm_abs_mean is None else feed.ppm_abs_mean, reverse=True
    )
