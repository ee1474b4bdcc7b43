"""How loud each leg may be: freshness x liquidity x conversion, and no venue above its share.

Knows the weights that are stated in `rules`. Does not know who agrees with whom (`outliers`).

    weight = freshness x liquidity x (converted_factor for a leg that is not quoted in dollars)

`freshness` is told in its module. `liquidity` is the square root of the leg's 24 h volume in dollars as a
share of the feed's largest, within [liquidity_min, 1]: volume is partly made up, so it may tell a market of
weight from a thin one and no more. An unknown volume counts the least.

Then the cap: a venue with more than `venue_share_max` of a feed's weight is cut to that share, all its legs
alike, so that with three venues or more none holds a majority, whatever it claims of volume. Where all
cannot be under it, with two venues, both get half; a single venue has all.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.aggregation.estimates import Floats
from core.aggregation.markets import Bools, Markets
from core.aggregation.rules import Rules

_TINY: Final = 1e-300


def leg_weights(
    markets: Markets, candidate: Bools, freshness: Floats, volume_usd: Floats, rules: Rules
) -> Floats:
    """The stated weight [F, K] of every candidate, uncapped and not normalised; 0 for the others."""
    known = np.where(candidate, volume_usd, 0.0)
    largest = np.fmax.reduce(known, axis=1, keepdims=True)
    share = np.sqrt(known / np.maximum(largest, _TINY))
    liquidity = np.fmax(share, rules.liquidity_min)
    conversion = np.where(markets.converted, rules.converted_factor, 1.0)
    return np.asarray(freshness * liquidity * conversion * candidate)


def cap_venues(markets: Markets, weight: Floats, rules: Rules) -> Floats:
    """The weights [F, K] with every venue within its share, summing to 1 a feed (to 0 for one without any).

    Exact, not iterated: under a cap above 1/3 at most two venues can be over it. With the largest alone over,
    the cap is c / (1 - c) of the rest; with two over, c / (1 - 2 c) of the rest.
    """
    feeds = weight.shape[0]
    totals = np.bincount(markets.cell.ravel(), weight.ravel(), feeds * markets.cells).reshape(feeds, -1)
    limit = _venue_limit(totals, rules.venue_share_max)
    factor = np.minimum(1.0, limit[:, None] / np.maximum(totals, _TINY))
    capped = weight * factor.ravel().take(markets.cell)
    return np.asarray(capped / np.maximum(capped.sum(axis=1, keepdims=True), _TINY))


def _venue_limit(totals: NDArray[Any], share: float) -> Floats:
    """The most weight [F] that a venue may have, inf where none is over its share."""
    ordered = np.sort(totals, axis=1)
    third, second, largest = ordered[:, -3], ordered[:, -2], ordered[:, -1]
    whole = ordered.sum(axis=1)
    cap = np.where(third > 0, share, 0.5)
    one_over = cap / (1 - cap) * (whole - largest)
    two_over = share / (1 - 2 * share) * (whole - largest - second)
    # Two equal venues: what the last bit of a sum says must not put the second one over.
    limit = np.where(second <= one_over * (1 + 1e-9), one_over, two_over)
    limit[(largest <= cap * whole) | (second <= 0)] = np.inf
    return np.asarray(limit)
