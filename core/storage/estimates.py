"""The store of estimates: what a pass found, and the past as points and candles.

Candles of a minute and an hour are relations of the same name in both layouts; longer ones are made of them
here, so that both layouts answer from the same queries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import asyncpg
import numpy as np

from chrono.feeds import FEEDS
from core.aggregation.estimates import Estimates, FeedState
from core.ports import Candle, Point
from core.storage.pool import unavailable_when_down
from core.storage.queries import load_queries

if TYPE_CHECKING:
    from core.aggregation.estimates import Floats
    from core.storage.metrics import StorageMetrics

CANDLE_SOURCES: Final[Mapping[int, str]] = {
    60: "candles_from_1m",
    300: "candles_from_1m",
    3600: "candles_from_1h",
    86400: "candles_from_1h",
}


class PostgresEstimateStore:
    """An EstimateStore over a pool."""

    def __init__(self, pool: asyncpg.Pool, metrics: StorageMetrics) -> None:
        self._pool, self._metrics = pool, metrics
        self._queries = load_queries("estimates")

    async def append(self, estimates: Estimates) -> None:
        """Store the LIVE values of one pass once; see EstimateStore."""
        live = np.flatnonzero(estimates.state == FeedState.LIVE)
        if not len(live):
            return
        columns = (
            [FEEDS[index].name for index in live],
            estimates.price[live].tolist(),
            estimates.band_low[live].tolist(),
            estimates.band_high[live].tolist(),
            _nullable(estimates.median[live]),
            _nullable(estimates.vwap[live]),
            _nullable(estimates.twap[live]),
            estimates.volume[live].tolist(),
            estimates.notional[live].tolist(),
            estimates.venues_used[live].tolist(),
        )
        with unavailable_when_down():
            done = await self._pool.execute(self._queries["insert_estimates"], estimates.at, *columns)
        self._metrics.rows.labels("estimates").inc(int(done.split()[-1]))

    async def points(self, feed: str, start: float, end: float, limit: int) -> Sequence[Point]:
        """Stored estimates; see EstimateStore."""
        with unavailable_when_down():
            rows = await self._pool.fetch(self._queries["points"], feed, start, end, limit)
        return [Point(*row) for row in rows]

    async def candles(
        self, feed: str, interval_s: int, start: float, end: float, limit: int
    ) -> Sequence[Candle]:
        """Candles of a stored interval; see EstimateStore. Raises ValueError for another interval."""
        source = CANDLE_SOURCES.get(interval_s)
        if source is None:
            raise ValueError(f"candles are of {', '.join(map(str, CANDLE_SOURCES))} s, not {interval_s}")
        first, end_of_last = _round_up(start, interval_s), _round_up(end, interval_s)
        with unavailable_when_down():
            rows = await self._pool.fetch(
                self._queries[source], feed, float(interval_s), first, end_of_last, limit
            )
        return [Candle(*row) for row in rows]

    async def prices_near(self, at: float) -> Mapping[str, tuple[float, float]]:
        """By feed, the first (time, price) from `at` on; see EstimateStore."""
        with unavailable_when_down():
            rows = await self._pool.fetch(self._queries["prices_near"], at)
        return {row["name"]: (row["at"], row["price"]) for row in rows}


def _round_up(at: float, interval_s: int) -> float:
    """The first start of an interval from `at` on: a candle belongs to a span that holds its start."""
    return float(math.ceil(at / interval_s) * interval_s)


def _nullable(values: Floats) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]
