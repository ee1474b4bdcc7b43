"""Reads what is replayed: candles from a file, as a grid of minutes by legs.

The only module of the arena that opens market data. Knows files; what a grid means for an estimator is told
by `candle_tape`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from chrono.feeds import FEEDS, LEGS, Feed
from core.aggregation.estimates import Floats
from core.aggregation.markets import Ints
from core.simulator.candles import open_candles


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """Candles of M minutes by L legs; NaN where a minute had no trade. `minute` is Unix time / 60, rising.

    `feeds` are those with a leg in the recording, with just these legs: L in feed order.
    """

    feeds: tuple[Feed, ...]
    minute: Ints
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


def read_recording(path: Path) -> Recording:
    """The candles of a Parquet or CSV file; raises CandleError where there are none."""
    candles = open_candles(path)
    minute = np.unique(candles.minute)
    present = [int(leg) for leg in np.unique(candles.leg)]
    known = {LEGS[leg] for leg in present}
    feeds = tuple(
        replace(feed, legs=tuple(leg for leg in feed.legs if leg in known))
        for feed in FEEDS
        if known.intersection(feed.legs)
    )
    row, column = np.searchsorted(minute, candles.minute), np.searchsorted(present, candles.leg)
    grids = []
    for values in (candles.high, candles.low, candles.close, candles.volume):
        grid = np.full((len(minute), len(present)), np.nan)
        grid[row, column] = values
        grids.append(grid)
    return Recording(feeds, minute.astype(np.intp), *grids)
