"""What an estimator has learned, made up: every leg with traits of its own, some anomalies, some rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from chrono.feeds import FEEDS
from core.forge.anomaly.watch import Anomaly
from core.forge.report import FeedSkill, LegReport

NOW = 1_790_000_000.0


class FakeLearning:
    """Fixed by its seed. `found` is what `anomalies` gives; tests put others there."""

    def __init__(self, now: float = NOW, seed: int = 3) -> None:
        self.now, self._rng = now, np.random.default_rng(seed)
        self.found = [
            Anomaly("BTC/USD", "okx:BTC/USD", "okx", now - 40, None, 14.2, 31.5, ("jump",)),
            Anomaly("XRP/USD", "kraken:XRP/USD", "kraken", now - 90, None, 7.1, -12.0, ("stuck",)),
            Anomaly(
                "ETH/USD", "bybit:ETH/USDC", "bybit", now - 900, now - 700, 22.0, 18.0, ("together", "volume")
            ),
        ]
        self.covered = {feed.name: (76, 0.84 + 0.015 * (row % 9)) for row, feed in enumerate(FEEDS)}
        self._legs = [
            LegReport(
                feed=feed.name,
                leg=str(leg),
                venue=leg.venue,
                reliability=float(self._rng.beta(30, 1)),
                trust=float(self._rng.uniform(1 / 16, 1)),
                bias_bps=float(self._rng.normal(0, 0.8)),
                venue_offset_bps=float(self._rng.normal(0, 0.5)),
                noise_bps=float(self._rng.lognormal(0.2, 0.7)),
                lag_share=float(self._rng.beta(1, 8)),
                hidden_quote="USDT" if leg.venue == "okx" and leg.quote == "USD" else None,
                taught_s=1_800.0,
            )
            for feed in FEEDS
            for leg in feed.legs
        ]

    def state(self) -> Mapping[str, object]:
        return {
            "version": "3f0c1a5be7d92a44",
            "began_at": self.now - 7_200,
            "restored_from": self.now - 7_260,
            "saved_at": self.now - 130,
            "rounds_learned": 76,
            "newest_round_at": self.now - 95,
            "feeds": len(FEEDS),
            "legs": len(self._legs),
            "legs_taught": len(self._legs) - 4,
            "hidden_quotes": {"okx": "USDT"},
            "anomalies_lasting": sum(each.ended_at is None for each in self.found),
        }

    def legs(self) -> Sequence[LegReport]:
        return self._legs

    def anomalies(self) -> Sequence[Anomaly]:
        return self.found

    def skills(self) -> Sequence[FeedSkill]:
        errors = {"none": 61.0, "weights": 52.0, "lateness": 60.0, "both": 51.5}
        return [
            FeedSkill(feed.name, 76 if feed.legs else 0, "both", errors if feed.legs else None, 1.1)
            for feed in FEEDS
        ]

    def coverage(self) -> Mapping[str, tuple[int, float]]:
        return self.covered
