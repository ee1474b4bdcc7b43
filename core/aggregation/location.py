"""Where the centre of a feed's legs lies: a mean that no far leg pulls, out of one venue's reach.

Knows prices, weights and which venue they are of. Does not know who is an outlier (`outliers` has spoken).

The weighted median throws away most of what the legs say: of nine markets that each err by a basis point it
shows one. The mean of all of them errs by a third of that, but follows whoever shouts. So:

    pull = the weighted mean of each leg's distance from the median, no distance counted as more than
           `pull_bands` secondary bands or `pull_mads` normal deviations of the legs, whichever is larger
    price = median x (1 + pull), kept between the two weighted quantiles that the loudest venue cannot reach

With three venues or more the loudest has at most `venue_share_max`, so the last line keeps the price within
what the others show, wherever one venue stands. An aggregator of decentralized exchanges pulls nothing as
long as an exchange speaks.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from core.aggregation.estimates import Floats
from core.aggregation.markets import Markets
from core.aggregation.median import Sorted, sort_rows, weighted_quantiles
from core.aggregation.rules import Rules

_HALF: Final = (0.5,)
_SLACK: Final = 1e-6


def pulled(
    markets: Markets, price: Sorted, usd: Floats, weight: Floats, middle: Floats, *, rules: Rules
) -> Floats:
    """The centre [F] of used legs whose weighted median is `middle`; NaN for a feed without any."""
    used = weight > 0
    distance = np.where(used, usd / middle[:, None] - 1, 0.0)
    by_size = sort_rows(np.where(used, np.abs(distance), np.inf))
    mad = weighted_quantiles(by_size.values, by_size.of(weight), _HALF)[0]
    reach = np.fmax(rules.pull_bands * markets.band, rules.pull_mads * mad)[:, None]
    if len(markets.mixed_rows):
        rows = markets.mixed_rows
        exchange = (used[rows] & ~markets.dex[rows]).any(axis=1, keepdims=True)
        distance[rows] *= ~(exchange & markets.dex[rows])
    pull = np.einsum("fk,fk->f", weight, np.minimum(np.maximum(distance, -reach), reach))
    return _kept(price, weight, loudest_venue(markets, weight), middle, middle * (1 + pull))


def loudest_venue(markets: Markets, weight: Floats) -> Floats:
    """The largest share [F] of a feed's weight that one venue has."""
    feeds = weight.shape[0]
    totals = np.bincount(markets.cell.ravel(), weight.ravel(), feeds * markets.cells)
    return np.asarray(totals.reshape(feeds, -1).max(axis=1))


def _kept(price: Sorted, weight: Floats, loudest: Floats, middle: Floats, wanted: Floats) -> Floats:
    """`wanted`, but between the quantiles that the loudest venue cannot reach."""
    beyond = np.minimum(loudest + _SLACK, 1.0)
    one, other = weighted_quantiles(price.values, price.of(weight), np.stack((beyond, 1 - beyond)))
    low = np.minimum(np.minimum(one, other), middle)
    high = np.maximum(np.maximum(one, other), middle)
    return np.asarray(np.minimum(np.maximum(wanted, low), high))
