"""A small steady market, look by look, for detectors and the watch: five venues, two feeds, a seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from core.aggregation.estimates import Estimates
from core.aggregation.markets import Observations
from tests.aggregation.markets import NOW, Bench, feed
from tests.aggregation.plain import PlainTick

VENUES = ("binance", "bybit", "coinbase", "kraken", "okx")
Shift = Callable[[str, float], float]


def calm(leg: str, since_s: float) -> float:
    """Nothing happens: every leg shows what its feed is worth."""
    return 1.0


class Scene:
    """Shows every leg each second; `shift(leg, seconds)` is what a leg multiplies its price by."""

    def __init__(self, seed: int = 1) -> None:
        legs = {base: [f"{venue}:{base}/USD" for venue in VENUES] for base in ("BTC", "ETH")}
        self.bench = Bench(*(feed(place, base, *names) for place, (base, names) in enumerate(legs.items())))
        self.rng, self.at = np.random.default_rng(seed), NOW
        self.markets = self.bench.window.markets
        self.noise = dict.fromkeys(self.bench.legs, 5e-5)

    def second(self, shift: Shift = calm) -> tuple[Estimates, Observations]:
        self.at += 1.0
        ticks = []
        for number, leg in enumerate(self.bench.legs):
            mid = 100.0 * shift(leg, self.at - NOW) * (1 + self.noise[leg] * self.rng.standard_normal())
            book = (mid * 0.99995, mid * 1.00005, mid)
            ticks.append(PlainTick(number, False, self.at, self.at, *book, 100.0))
        self.bench.apply(*ticks, at=self.at)
        return self.bench.estimate(self.at), self.bench.window.observed(self.at)
