"""The store of venue states: a row when a venue begins to treat a collector otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import asyncpg
import orjson

from chrono.venue_state import VenueReport
from core.storage.pool import unavailable_when_down
from core.storage.queries import load_queries

if TYPE_CHECKING:
    from core.storage.metrics import StorageMetrics


class PostgresVenueStore:
    """A VenueStore over a pool."""

    def __init__(self, pool: asyncpg.Pool, metrics: StorageMetrics) -> None:
        self._pool, self._metrics = pool, metrics

    async def append(self, key_id: bytes, reports: Sequence[VenueReport], at: float) -> None:
        """Store the reports whose state is new; see VenueStore."""
        columns: tuple[list[object], ...] = ([], [], [], [], [], [], [], [])
        for report in reports:
            for column, value in zip(columns, _row(report), strict=True):
                column.append(value)
        with unavailable_when_down():
            done = await self._pool.execute(load_queries("venues")["insert_changes"], key_id, at, *columns)
        self._metrics.rows.labels("venue_states").inc(int(done.split()[-1]))


def _row(report: VenueReport) -> tuple[object, ...]:
    refused = orjson.dumps({reason.value: count for reason, count in report.refused.items()}).decode()
    return (
        report.venue,
        int(report.state),
        report.since,
        report.retry_at,
        report.code,
        report.requests,
        report.failures,
        refused,
    )
