"""What was traded in the last hour, by leg, in buckets of time.

Pure. Knows trades and their times. Does not know dollars until it is asked: sums are kept in each leg's own
quote currency and converted at the rates of the asking.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from chrono.feeds import FEEDS, LEGS, VENUES
from core.columns import TickColumns

BUCKET_S: Final = 5
SPAN_S: Final = 3_600
_BUCKETS: Final = SPAN_S // BUCKET_S + 1


class VolumeBook:
    """Notional traded by leg. Trades older than SPAN_S are left out; memory is fixed."""

    def __init__(self) -> None:
        self._notional = np.zeros((_BUCKETS, len(LEGS)))
        self._newest = 0

    def apply(self, ticks: TickColumns, at: float) -> None:
        """Count the trades of a batch. `at` is now; a trade from later than now counts as now."""
        self._roll(at)
        trade = ticks.is_trade
        if not trade.any():
            return
        bucket = np.minimum(ticks.event_at[trade] // BUCKET_S, self._newest).astype(np.int64)
        recent = bucket > self._newest - _BUCKETS
        notional = ticks.last[trade] * ticks.volume[trade]
        leg = ticks.leg[trade]
        np.add.at(self._notional, (bucket[recent] % _BUCKETS, leg[recent]), notional[recent])

    def traded(self, feed: str, window_s: int, at: float, rates: Mapping[str, float]) -> dict[str, float]:
        """US dollars traded by venue in the last `window_s` seconds (at most SPAN_S), to whole buckets.

        `rates` are dollars per quote currency; a leg without a rate is left out. Empty for an unknown feed.
        """
        self._roll(at)
        wanted = min(-(-window_s // BUCKET_S), _BUCKETS)
        rows = (self._newest - np.arange(wanted)) % _BUCKETS
        totals: dict[str, float] = {}
        for index in _LEGS_OF_FEED.get(feed, ()):
            leg = LEGS[index]
            rate = rates.get(leg.quote)
            if rate is not None:
                notional = float(self._notional[rows, index].sum()) * rate
                totals[leg.venue] = totals.get(leg.venue, 0.0) + notional
        return {venue: totals[venue] for venue in VENUES if venue in totals}

    def _roll(self, at: float) -> None:
        newest = max(int(at // BUCKET_S), self._newest)
        begun = min(newest - self._newest, _BUCKETS)
        self._notional[np.arange(newest - begun + 1, newest + 1) % _BUCKETS] = 0.0
        self._newest = newest


_LEGS_OF_FEED: Final = {
    feed.name: tuple(index for index, leg in enumerate(LEGS) if leg in feed.legs) for feed in FEEDS
}
