"""One leg's candles as the way its price took, and what the leg shows at a point of that way. Pure.

A candle's price goes from open over one extreme to the other and to the close, which it reaches at three
quarters of the minute; of a rising minute the low comes first, of a falling one the high. A trade is made at
each of the four, and their sizes sum to the candle's volume.

    0        1/4        1/2        3/4        1
    open ->  low ->     high ->    close      close      of a rising minute
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.simulator.candles import Candles
from core.simulator.source import Floats, Ints

PRINTS: Final = 4
DECIMALS_MAX: Final = 8
_DAY_MINUTES: Final = 1_440
_SPREAD: Final = 5e-5
FIGURES: Final = (
    "bid",
    "ask",
    "bid_size",
    "ask_size",
    "last",
    "last_size",
    "open_24h",
    "high_24h",
    "low_24h",
    "volume_24h",
    "event_at",
)


@dataclass(frozen=True, slots=True)
class Track:
    """One leg's candles by position: minutes since the first of all, gaps left out.

    `way` holds the four prices of each candle in the order they are passed, `sizes` what trades at each;
    `volume_before` sums all earlier candles and is one longer.
    """

    leg: int
    decimals: int
    position: Ints
    way: Floats
    sizes: Floats
    volume_before: Floats


@dataclass(frozen=True, slots=True)
class Showing:
    """What a leg shows at an instant: `candle` is the last one begun, `passed` how many of its prices were.

    `moved` is the position at which the price last moved.
    """

    candle: int
    passed: int
    price: float
    moved: float


def track_of(candles: Candles, position: Ints, rows: slice) -> Track:
    """A leg's candles; those without a trade that repeat the close before them are silence, and left out."""
    open_, high, low, close = (
        column[rows] for column in (candles.open, candles.high, candles.low, candles.close)
    )
    volume = candles.volume[rows]
    told = (volume > 0) | (high != low) | (open_ != np.concatenate([[np.nan], close[:-1]]))
    rising = close >= open_
    way = np.stack([open_, np.where(rising, low, high), np.where(rising, high, low), close], axis=1)[told]
    volume = volume[told]
    quarter = np.floor(volume * 10.0**DECIMALS_MAX / PRINTS) / 10.0**DECIMALS_MAX
    rest = np.round(volume - 3 * quarter, DECIMALS_MAX)
    return Track(
        leg=int(candles.leg[rows][0]),
        decimals=_decimals(way),
        position=position[rows][told],
        way=way,
        sizes=np.stack([quarter, quarter, quarter, rest], axis=1),
        volume_before=np.concatenate([[0.0], np.cumsum(volume)]),
    )


def _decimals(prices: Floats) -> int:
    """The fewest decimals that write all prices as they are, at most DECIMALS_MAX."""
    for decimals in range(DECIMALS_MAX):
        if np.allclose(np.round(prices, decimals), prices, rtol=0, atol=1e-10):
            return decimals
    return DECIMALS_MAX


def showing_at(track: Track, now: float) -> Showing | None:
    """What a leg shows at a position; None before its first candle."""
    candle = int(np.searchsorted(track.position, math.floor(now), side="right")) - 1
    if candle < 0:
        return None
    begun = float(track.position[candle])
    quarters = (now - begun) * PRINTS
    way = track.way[candle]
    reached = int(quarters)
    if reached >= PRINTS - 1:
        return Showing(candle, PRINTS, float(way[-1]), begun + (PRINTS - 1) / PRINTS)
    between = way[reached] + (way[reached + 1] - way[reached]) * (quarters - reached)
    return Showing(candle, reached + 1, round(float(between), track.decimals), now)


def oldest_of_day(track: Track, now: float) -> int:
    """The first candle of the day before a position; one past the last where none is that young."""
    return int(np.searchsorted(track.position, now - _DAY_MINUTES, side="right"))


def figures_of(track: Track, showing: Showing, oldest: int) -> tuple[float, ...]:
    """The values of FIGURES but the last; `oldest` is the first candle of the past day."""
    candle, price, decimals = showing.candle, showing.price, track.decimals
    tick = 10.0**-decimals
    half = max(round(price * _SPREAD, decimals), tick)
    way = track.way[candle, : showing.passed]
    past = track.way[oldest:candle]
    traded = float(track.sizes[candle, : showing.passed].sum())
    volume = track.volume_before[candle] + traded - track.volume_before[oldest]
    depth = float(max(track.sizes[candle].sum(), 1e-4))
    return (
        max(round(price - half, decimals), tick),
        round(price + half, decimals),
        depth,
        depth,
        price,
        float(track.sizes[candle, showing.passed - 1]),
        float(track.way[oldest, 0]) if oldest <= candle else price,
        float(max(past.max(initial=price), way.max())),
        float(min(past.min(initial=price), way.min())),
        max(float(volume), 0.0),
    )
