"""The result of one pass over all feeds, as columns.

F feeds in the order of `chrono.feeds.FEEDS`, L legs in the order of `chrono.feeds.LEGS`. Prices are float64
US dollars, NaN for none. Times are Unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class LegReason(IntEnum):
    """What became of a leg in an estimate: used, or the reason it was left out."""

    USED = 0
    NO_DATA = 1  # nothing was ever received
    STALE = 2  # the venue's own time, or our receipt, is too old though the venue answers
    DEAD_VENUE = 3  # the whole venue stopped answering
    NO_PRICE = 4  # an observation without a usable price
    NO_CONVERSION = 5  # its quote currency has no rate to US dollars now
    OUTLIER = 6  # too far from the other venues
    UNCONFIRMED = 7  # at an aggregator of decentralized exchanges, and no other venue shows the like


class FeedState(IntEnum):
    """Whether an estimate may be used: LIVE is fresh, STALE is the last known one, NONE is no value."""

    NONE = 0
    LIVE = 1
    STALE = 2


@dataclass(frozen=True, slots=True)
class LegColumns:
    """What each leg gave, length L. `weight` sums to 1 over the used legs of a feed and is 0 elsewhere."""

    price: Floats
    weight: Floats
    age_s: Floats
    reason: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Estimates:
    """One value a feed, length F, with what it rests on. `sequence` rises by one a pass.

    `band_low` and `band_high` are the estimate's spread; `volume` (base units) and `notional` (US dollars)
    were traded since the pass before; `age_s` is the age of the newest observation used; `estimated_at` is
    when the price was last LIVE (NaN for never).
    """

    sequence: int
    at: float
    price: Floats
    band_low: Floats
    band_high: Floats
    median: Floats
    vwap: Floats
    twap: Floats
    volume: Floats
    notional: Floats
    age_s: Floats
    estimated_at: Floats
    venues_used: NDArray[np.int16]
    state: NDArray[np.int8]
    legs: LegColumns
    conversion: dict[str, float]
