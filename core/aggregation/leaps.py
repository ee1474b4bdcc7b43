"""Who is believed when a feed with one or two venues leaps: the past, for a while.

With three venues two decide against the third. With two nobody does, and with one there is nobody else: a
venue that shows a price in another unit, or one of a broken market, would be the estimate. So a leg that is
further than `leap_max` from the feed's last live price is left out, unless the legs of two venues agree on
the new level. If nothing is left the feed is stale. After `leap_hold_s` without a live price the new level is
believed: then it is no leap any more but what the market shows. Pure.
"""

from __future__ import annotations

import numpy as np

from core.aggregation.estimates import Floats, LegReason
from core.aggregation.kernel import Pass
from core.aggregation.markets import Bools, Markets
from core.aggregation.rules import Rules

VENUES_MAX = 2


def leaps(markets: Markets, new: Pass, *, before: Floats, since_s: Floats, rules: Rules) -> Bools:
    """The legs [F, K] that are not to be believed. `before` [F] is the last live price, `since_s` ago."""
    there = (new.reason == LegReason.USED.value) | (new.reason == LegReason.OUTLIER.value)
    far = there & (np.abs(new.usd - before[:, None]) > rules.leap_max * before[:, None])
    far[~(since_s <= rules.leap_hold_s)] = False
    for row in np.flatnonzero(far.any(axis=1)):
        here = there[row]
        venues = np.unique(markets.venue[row, here])
        prices = new.usd[row, here]
        agree = len(venues) > 1 and np.ptp(prices) <= rules.dex_agreement * prices.max()
        if agree or len(venues) > VENUES_MAX:
            far[row] = False
    return np.asarray(far)
