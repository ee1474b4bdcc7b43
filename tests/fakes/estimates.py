"""Estimates for tests: all feeds at one price, or some absent."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from chrono.feeds import FEEDS, LEGS
from core.aggregation.estimates import Estimates, FeedState, LegColumns, LegReason

FEED_ROW = {feed.name: row for row, feed in enumerate(FEEDS)}


def flat_estimates(
    at: float,
    price: float = 100.0,
    *,
    sequence: int = 1,
    absent: Collection[str] = (),
    stale: Collection[str] = (),
    volume: float = 2.0,
) -> Estimates:
    """Every feed LIVE at `price`, but for the `absent` (no price) and the `stale` ones."""
    prices = np.full(len(FEEDS), float(price))
    state = np.full(len(FEEDS), FeedState.LIVE, np.int8)
    for name in absent:
        prices[FEED_ROW[name]], state[FEED_ROW[name]] = np.nan, FeedState.NONE
    for name in stale:
        state[FEED_ROW[name]] = FeedState.STALE
    legs = LegColumns(
        price=np.full(len(LEGS), price),
        weight=np.full(len(LEGS), 0.2),
        age_s=np.full(len(LEGS), 0.5),
        reason=np.full(len(LEGS), LegReason.USED, np.int8),
    )
    return Estimates(
        sequence=sequence,
        at=at,
        price=prices,
        band_low=prices * 0.999,
        band_high=prices * 1.001,
        median=prices,
        vwap=prices,
        twap=prices,
        volume=np.full(len(FEEDS), volume),
        notional=np.full(len(FEEDS), volume) * prices,
        age_s=np.full(len(FEEDS), 0.5),
        estimated_at=np.full(len(FEEDS), at),
        venues_used=np.full(len(FEEDS), 5, np.int16),
        state=state,
        legs=legs,
        conversion={"USD": 1.0},
    )
