"""The store of comparisons with other value providers: appended by the shadow, read by the API."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import orjson

from core.ftso.identities import VotingRoundId
from core.provider.shadow import Comparison, Pair
from core.storage.pool import unavailable_when_down
from core.storage.queries import load_queries

KEPT_S: Final = 14 * 86_400.0
"""Older comparisons with the same endpoint go when a new one comes."""
ENDPOINTS_MAX: Final = 4


class PostgresShadowStore:
    """Comparisons over a pool. Every call raises StoreUnavailable while the database is away."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def append(self, endpoint: str, comparison: Comparison) -> None:
        """Keep a comparison, committed on return; the same endpoint and time again changes nothing."""
        feeds = [
            [pair.feed, pair.ours, pair.theirs, *(pair.band or (None, None))] for pair in comparison.pairs
        ]
        told = orjson.dumps(feeds).decode()
        with unavailable_when_down():
            await self._pool.execute(
                load_queries("shadow")["append"],
                endpoint,
                comparison.at,
                comparison.voting_round,
                told,
                comparison.failure,
            )
            await self._pool.execute(load_queries("shadow")["forget"], endpoint, comparison.at - KEPT_S)

    async def endpoints(self) -> Sequence[str]:
        """With whom we were compared, the newest first; ENDPOINTS_MAX at most."""
        with unavailable_when_down():
            rows = await self._pool.fetch(load_queries("shadow")["endpoints"], ENDPOINTS_MAX)
        return [row["endpoint"] for row in rows]

    async def newest(self, endpoint: str, limit: int) -> Sequence[Comparison]:
        """The newest comparisons with an endpoint, oldest first."""
        with unavailable_when_down():
            rows = await self._pool.fetch(load_queries("shadow")["newest"], endpoint, limit)
        return await asyncio.to_thread(lambda: [_comparison(row) for row in reversed(rows)])


def _comparison(row: Any) -> Comparison:
    number = row["voting_round"]
    return Comparison(
        row["at"],
        None if number is None else VotingRoundId(number),
        tuple(_pair(*told) for told in orjson.loads(row["feeds"])),
        row["failure"],
    )


def _pair(feed: str, ours: float | None, theirs: float | None, low: float | None, high: float | None) -> Pair:
    band = None if low is None or high is None else (low, high)
    return Pair(feed, ours, theirs, band)
