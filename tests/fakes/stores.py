"""The store ports in memory. They pass the same contract suites as PostgreSQL."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from chrono.feeds import FEEDS
from chrono.venue_state import VenueReport
from core.aggregation.estimates import Estimates, FeedState
from core.ports import BatchRecord, Candle, Point, Receipt, SequenceConflict, StoreUnavailable


class FakeTickStore:
    """A TickStore. `committed` holds the batches in order; set `down` to have it refuse."""

    def __init__(self) -> None:
        self.committed: list[BatchRecord] = []
        self.down = False
        self._first: dict[tuple[bytes, int], BatchRecord] = {}

    async def append(self, record: BatchRecord) -> Receipt:
        if self.down:
            raise StoreUnavailable("the fake is down", 1.0)
        first = self._first.setdefault((record.key_id, record.sequence), record)
        if first.digest != record.digest:
            raise SequenceConflict(record.key_id.hex(), record.sequence)
        if first is record:
            self.committed.append(record)
        return Receipt(len(first.ticks), first.refused, duplicate=first is not record)


class FakeEstimateStore:
    """An EstimateStore: a dictionary by (feed, at), and candles by walking over it."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, float], _Row] = {}
        self.down = False

    async def append(self, estimates: Estimates) -> None:
        self._check()
        for index, feed in enumerate(FEEDS):
            if estimates.state[index] == FeedState.LIVE:
                point = Point(
                    estimates.at,
                    float(estimates.price[index]),
                    float(estimates.band_low[index]),
                    float(estimates.band_high[index]),
                    _or_none(estimates.vwap[index]),
                    _or_none(estimates.twap[index]),
                    int(estimates.venues_used[index]),
                )
                row = _Row(point, float(estimates.volume[index]), float(estimates.notional[index]))
                self._rows.setdefault((feed.name, estimates.at), row)

    async def points(self, feed: str, start: float, end: float, limit: int) -> Sequence[Point]:
        self._check()
        points = [row.point for row in self._of(feed) if start <= row.point.at < end]
        return points[:limit]

    async def candles(
        self, feed: str, interval_s: int, start: float, end: float, limit: int
    ) -> Sequence[Candle]:
        self._check()
        if interval_s not in (60, 300, 3600, 86400):
            raise ValueError(f"no candles of {interval_s} s")
        grouped = groupby(self._of(feed), key=lambda row: row.point.at // interval_s * interval_s)
        candles = [_candle(begin, list(rows)) for begin, rows in grouped]
        return [candle for candle in candles if start <= candle.start < end][:limit]

    async def prices_near(self, at: float) -> Mapping[str, tuple[float, float]]:
        self._check()
        near: dict[str, tuple[float, float]] = {}
        for (feed, when), row in sorted(self._rows.items()):
            if when >= at:
                near.setdefault(feed, (when, row.point.price))
        return near

    def _of(self, feed: str) -> list[_Row]:
        return [row for (name, _), row in sorted(self._rows.items()) if name == feed]

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailable("the fake is down", 1.0)


class FakeVenueStore:
    """A VenueStore. `changes` holds what was stored: (key id, at, report)."""

    def __init__(self) -> None:
        self.changes: list[tuple[bytes, float, VenueReport]] = []

    async def append(self, key_id: bytes, reports: Sequence[VenueReport], at: float) -> None:
        latest = {(key, report.venue): report.state for key, _, report in self.changes}
        for report in reports:
            if latest.get((key_id, report.venue)) != report.state:
                self.changes.append((key_id, at, report))


class FakeRoundStore:
    """A RoundStore: a dictionary."""

    def __init__(self) -> None:
        self._rounds: dict[int, dict[str, float]] = {}

    async def freeze(self, voting_round: int, at: float, values: Mapping[str, float]) -> Mapping[str, float]:
        if not all(map(math.isfinite, values.values())):
            raise ValueError("only finite values can be frozen")
        return dict(self._rounds.setdefault(voting_round, dict(values)))

    async def find(self, voting_round: int) -> Mapping[str, float] | None:
        found = self._rounds.get(voting_round)
        return None if found is None else dict(found)


@dataclass(frozen=True)
class _Row:
    point: Point
    volume: float
    notional: float


def _candle(start: float, rows: Sequence[_Row]) -> Candle:
    prices = [row.point.price for row in rows]
    volume = sum(row.volume for row in rows)
    notional = sum(row.notional for row in rows)
    vwap = notional / volume if volume > 0 else None
    return Candle(start, prices[0], max(prices), min(prices), prices[-1], vwap, volume)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
