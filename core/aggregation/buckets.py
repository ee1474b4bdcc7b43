"""A ring of time buckets per leg: what was traded, and the integral of the price, for VWAP and TWAP.

Knows sums over time. Does not know which ticks deserve to be summed (`window`).

There are `rules.buckets` buckets of `rules.bucket_s`, the newest being the one that holds now. When time
enters the next one, the oldest leaves whole: the span is between window_s - bucket_s and window_s.
"""

from __future__ import annotations

import numpy as np

from core.aggregation.estimates import Floats
from core.aggregation.markets import INTEGRAL, NOTIONAL, SECONDS, VOLUME, Ints
from core.aggregation.rules import Rules


class Buckets:
    """The ring of `places` legs, and `sums` over it, [4, places]. Slots may repeat within a call.

    The sums are kept up with every addition and made anew from the ring when a bucket leaves, so that nothing
    is ever subtracted and no rounding adds up.
    """

    def __init__(self, places: int, rules: Rules) -> None:
        self._places = places
        self._bucket_s, self._count = rules.bucket_s, rules.buckets
        self._ring = np.zeros((rules.buckets, 4, places))
        self.sums = np.zeros((4, places))
        self._newest = 0

    @property
    def since(self) -> float:
        """Where the oldest bucket begins."""
        return (self._newest - self._count + 1) * self._bucket_s

    def roll(self, at: float) -> None:
        """Clear the buckets whose turn has come again. A step back of time changes nothing."""
        newest = int(at // self._bucket_s)
        begun = min(newest - self._newest, self._count)
        if begun > 0:
            self._ring[np.arange(newest - begun + 1, newest + 1) % self._count] = 0.0
            self._ring.sum(axis=0, out=self.sums)
            self._newest = newest

    def add_trades(self, slot: Ints, told: Floats, price: Floats, size: Floats) -> None:
        """Count trades that are not older than `since`; one that is dated ahead counts as now."""
        number = np.minimum(told // self._bucket_s, self._newest).astype(np.intp)
        self._add(number, VOLUME, slot, size)
        self._add(number, NOTIONAL, slot, size * price)

    def add_prices(self, slot: Ints, begin: Floats, until: Floats, price: Floats) -> None:
        """Integrate prices over the times that they stood, cut to the ring; NaN counts no time."""
        some = (until > begin) & ~np.isnan(price)
        slot, begin, until, price = slot[some], begin[some, None], until[some, None], price[some]
        numbers = np.arange(self._newest - self._count + 1, self._newest + 1)
        starts = numbers * self._bucket_s
        under = np.minimum(until, starts + self._bucket_s) - np.maximum(begin, starts)
        tick, column = np.nonzero(under > 0)
        seconds = under[tick, column]
        self._add(numbers[column], INTEGRAL, slot[tick], seconds * price[tick])
        self._add(numbers[column], SECONDS, slot[tick], seconds)

    def _add(self, number: Ints, row: int, slot: Ints, amount: Floats) -> None:
        flat = ((number % self._count) * 4 + row) * self._places + slot
        np.add.at(self._ring.reshape(-1), flat, amount)
        np.add.at(self.sums[row], slot, amount)
