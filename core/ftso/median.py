"""The weighted median of a feed, its quartiles, and the turnout. Integers only.

flare-specs FTSO/Anchor (anchor feed values), FTSO/Rewarding (primary band). With values sorted and W the
weight of those who gave one:

    median    the first value at which the cumulative weight reaches ceil(W / 2); if it is exactly W / 2 of an
              even W, the floor of the mean of that value and the next one. (The specification says odd; the
              deployed code, and so the protocol, says even.)
    quartile  from below, the first value whose cumulative weight exceeds floor(W / 4); from above, likewise

A vote of weight zero has no part in a sum, but it is a value: it can be the next one that a mean is made
with. So the order among equal values matters: it is that of the voters, as the deployed code sorts stably.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.ftso.epochs import BIPS
from core.ftso.errors import NoResult
from core.ftso.wire import checked

Vote = tuple[int, int]
"""A value and its weight."""


@dataclass(frozen=True, slots=True)
class WeightedMedian:
    """The three values, all None if nobody gave one, and the weight of those who did.

    Where all who gave a value weigh nothing there is a median but there are no quartiles.
    """

    median: int | None
    quartile1: int | None
    quartile3: int | None
    weight: int


NO_MEDIAN = WeightedMedian(None, None, None, 0)


def weighted_median(values: Sequence[int | None], weights: Sequence[int]) -> WeightedMedian:
    """The median of one value (or None) a voter and the voters' weights, in the same order.

    Raises NoResult where the reference cannot compute either: a single vote that weighs nothing. Raises
    ValueError if the lengths differ.
    """
    pairs = zip(values, weights, strict=True)
    votes = sorted(
        ((value, weight) for value, weight in pairs if value is not None), key=lambda vote: vote[0]
    )
    if not votes:
        return NO_MEDIAN
    total = sum(weight for _, weight in votes)
    return WeightedMedian(
        median=_median(votes, total),
        quartile1=_first_above(votes, total // 4),
        quartile3=_first_above(reversed(votes), total // 4),
        weight=total,
    )


def _median(votes: Sequence[Vote], total: int) -> int:
    half = (total + 1) // 2
    reached = 0
    for index, (value, weight) in enumerate(votes):
        reached += weight
        if reached == half and total % 2 == 0:
            if index + 1 == len(votes):
                raise NoResult("the only vote for a feed weighs nothing")
            return (value + votes[index + 1][0]) // 2
        if reached >= half:
            return value
    raise AssertionError("the votes add up to their total")


def _first_above(votes: Iterable[Vote], limit: int) -> int | None:
    reached = 0
    for value, weight in votes:
        reached += weight
        if reached > limit:
            return value
    return None


def turnout_bips(weight: int, total: int) -> int:
    """The share of all voters' weight that took part, in hundredths of a percent, rounded down.

    Raises NoResult if no voter of the reward epoch weighs anything, and OutOfRange for more than all of them.
    """
    if total <= 0:
        raise NoResult("no voter of the reward epoch has weight")
    return checked("turnout", weight * BIPS // total, 0, BIPS)
