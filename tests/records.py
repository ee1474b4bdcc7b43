"""Batches and estimates made up for tests of stores."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from chrono.batch import KIND_QUOTE
from chrono.feeds import FEEDS, LEGS
from core.aggregation.estimates import Estimates, FeedState, LegColumns
from core.columns import TICK_DTYPE, TickColumns
from core.ports import BatchRecord

KEY = bytes(range(8))
AT = 1_771_200_000.0  # 2026-02-16 00:00 UTC


def tick_columns(marks: Sequence[int], at: float = AT) -> TickColumns:
    """One quote a mark; the mark is its `last`, so that a test finds every tick again."""
    rows = np.zeros(len(marks), TICK_DTYPE)
    rows["kind"] = KIND_QUOTE
    rows["price_decimals"], rows["volume_decimals"] = 2, 8
    rows["received_ms"] = int(at * 1000)
    rows["event_ms"] = int(at * 1000) - 250
    rows["last"] = marks
    rows["volume"] = -1
    return TickColumns(np.arange(len(marks), dtype=np.int32) % len(LEGS), rows)


def batch_record(
    sequence: int,
    *,
    count: int = 3,
    key_id: bytes = KEY,
    at: float = AT,
    content: str = "",
    refused: Mapping[str, int] | None = None,
) -> BatchRecord:
    """A batch of `count` ticks whose marks follow from its sequence; `content` alters its digest."""
    marks = range(sequence * 1000 + 1, sequence * 1000 + 1 + count)
    digest = hashlib.sha256(f"{key_id!r} {sequence} {content}".encode()).digest()
    return BatchRecord(key_id, sequence, digest, at, tick_columns(marks, at), refused or {})


def estimates(at: float, prices: Mapping[str, float], *, volume: float = 0.0, sequence: int = 1) -> Estimates:
    """A pass with LIVE values for the given feeds only; each traded `volume` at its price."""
    price = np.array([prices.get(feed.name, np.nan) for feed in FEEDS])
    live = ~np.isnan(price)
    nothing = np.full(len(FEEDS), np.nan)
    traded = np.where(live, volume, 0.0)
    legs = np.full(len(LEGS), np.nan)
    return Estimates(
        sequence=sequence,
        at=at,
        price=price,
        band_low=price * 0.999,
        band_high=price * 1.001,
        median=price,
        vwap=price if volume else nothing,
        twap=nothing,
        volume=traded,
        notional=np.where(live, traded * price, 0.0),
        age_s=np.where(live, 0.5, np.nan),
        estimated_at=np.where(live, at, np.nan),
        venues_used=np.where(live, 3, 0).astype(np.int16),
        state=np.where(live, FeedState.LIVE, FeedState.NONE).astype(np.int8),
        legs=LegColumns(legs, np.zeros(len(LEGS)), legs, np.ones(len(LEGS), np.int8)),
        conversion={"USD": 1.0},
    )
