"""Who is too far from the others: a cross-venue Hampel filter with a floor.

Knows distances between legs of one feed at one instant. Does not know history: a price that everybody shows
is right, however far it jumped.

The centre is the weighted median, under the venue cap, so that no single venue can move it past the others.
The scale is the weighted median distance from it (MAD). A leg is out when it is farther than

    the largest of  mad_factor x MAD
                    the floor: floor_bands secondary bands of the feed, at least floor_min of the price
                    its own half spread: the middle of a wide book is no better known than that

The floor is there for thin markets: three venues that happen to agree to a tenth of a basis point must not
throw out a fourth at one. A leg in doubt (an old told time, see `freshness`) gets no benefit of the MAD, only
floor and spread, as long as the feed has a leg that is not in doubt: a quiet market still agrees with the
others, a forgotten one does not. It is then STALE rather than an OUTLIER.

Where there is no majority nothing is thrown out: one leg has nothing to be compared with, and of two venues
that disagree both stay, each with half the weight; the estimate is then between them and its band, which
spans both, says so. At least half of a feed's weight always stays, so a feed never goes silent by this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from core.aggregation.estimates import Floats
from core.aggregation.markets import Bools, Markets
from core.aggregation.median import Sorted, sort_rows, weighted_quantiles
from core.aggregation.rules import Rules

_HALF: Final = (0.5,)
_ROUNDING: Final = 1 + 1e-9  # a leg on the very border stays, whatever the last bit says


@dataclass(frozen=True, slots=True)
class Candidates:
    """The legs to judge, [F, K]: prices in dollars, also sorted with the others at inf, and their weights."""

    price: Sorted
    usd: Floats
    weight: Floats
    half_spread: Floats
    in_doubt: Bools


@dataclass(frozen=True, slots=True)
class Verdict:
    """[F, K]: who is within, and who is out for being in doubt rather than for the MAD."""

    within: Bools
    doubted: Bools


def hampel(markets: Markets, legs: Candidates, rules: Rules) -> Verdict:
    """Judge the legs that have a weight."""
    price, usd, weight = legs.price, legs.usd, legs.weight
    centre = weighted_quantiles(price.values, price.of(weight), _HALF)[0][:, None]
    candidate = weight > 0
    distance = np.where(candidate, np.abs(usd - centre), np.inf)
    by_distance = sort_rows(distance)
    mad = weighted_quantiles(by_distance.values, by_distance.of(weight), _HALF)[0][:, None]
    floor = np.maximum(rules.floor_bands * markets.band, rules.floor_min)[:, None] * centre
    near = np.maximum(floor, legs.half_spread * usd)
    fair = distance <= np.maximum(near, rules.mad_factor * mad) * _ROUNDING
    doubtful = candidate & legs.in_doubt
    vouched = (candidate & fair & ~legs.in_doubt).any(axis=1, keepdims=True)
    doubted = doubtful & vouched & (distance > near * _ROUNDING)
    return Verdict(fair & ~doubted, doubted)
