"""What a database needs every now and then: days made ahead, old days dropped, candles filled.

On TimescaleDB its own policies do all of it but the pruning of batches; the layout's migration states them
with the same periods as `Retention`. One process at a time does the work; the others find nothing to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog

from core.storage.migrate import layout
from core.storage.pool import unavailable_when_down
from core.storage.queries import load_queries

if TYPE_CHECKING:
    from core.storage.pool import Connection

log = structlog.get_logger()

DAYS_AHEAD: Final = 2
FILL_LAG_S: Final = 120.0
"""Candles are filled this long after their end, when no append that began before is still under way."""
LOCK_TIMEOUT: Final = "2s"
STEP_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Retention:
    """How long records are kept, in days. Candles, venue states and rounds are kept for good."""

    ticks_days: int = 7
    estimates_days: int = 30
    batches_days: int = 7


@dataclass(frozen=True, slots=True)
class Maintained:
    """What one call did. `failed_jobs` are TimescaleDB's jobs whose last run failed."""

    batches_pruned: int = 0
    days_made: int = 0
    days_dropped: int = 0
    minutes_repaired: int = 0
    failed_jobs: int = 0


async def maintain(connection: Connection, at: float, retention: Retention | None = None) -> Maintained:
    """Do what is due; call it every 10 to 60 s, and once before the first append.

    A step takes its locks within 2 s or gives up. Raises StoreUnavailable; calling again is safe.
    """
    queries = load_queries("maintenance")
    with unavailable_when_down():
        if not await connection.fetchval(queries["try_lock"]):
            return Maintained()
        try:
            done = await _maintain(connection, at, retention or Retention())
        finally:
            if not connection.is_closed():
                await connection.execute(queries["unlock"])
    if done.days_made or done.days_dropped or done.failed_jobs:
        log.info("store_maintained", made=done.days_made, dropped=done.days_dropped, failed=done.failed_jobs)
    return done


async def _maintain(connection: Connection, at: float, retention: Retention) -> Maintained:
    queries = load_queries("maintenance")
    pruned = await connection.fetchval(queries["prune_batches"], at - retention.batches_days * 86400.0)
    if await layout(connection) == "timescale":
        for series, days in (("ticks", retention.ticks_days), ("estimates", retention.estimates_days)):
            await connection.fetchval(queries["timescale_retention"], series, days)
        return Maintained(pruned, failed_jobs=await connection.fetchval(queries["failed_jobs"]))
    today = datetime.fromtimestamp(at, UTC).date()
    kept = {
        "ticks": today - timedelta(days=retention.ticks_days),
        "estimates": today - timedelta(days=retention.estimates_days),
    }
    made = dropped = 0
    for series, first_kept in kept.items():
        dropped += await _drop_days(connection, series, first_kept)
        made += await _make_days(connection, series, today)
    await connection.execute(queries["forget_repairs"], kept["estimates"])
    repaired = await _step(connection, queries["repair_candles"])
    await _step(connection, queries["fill_candles"], at - FILL_LAG_S)
    return Maintained(pruned, made, dropped, repaired)


async def _drop_days(connection: Connection, series: str, first_kept: date) -> int:
    queries = load_queries("maintenance")
    await connection.execute(queries[f"drop_stray_{series}"], first_kept, timeout=STEP_S)
    return int(await _step(connection, queries["drop_days"], series, first_kept))


async def _make_days(connection: Connection, series: str, today: date) -> int:
    """The days around today, and one day of rows that came before their day was made."""
    queries = load_queries("maintenance")
    days = [today + timedelta(days=offset) for offset in range(-1, DAYS_AHEAD + 1)]
    stray = await connection.fetchval(queries["stray_day"], series, timeout=STEP_S)
    if stray is not None:
        days.append(stray)
    return sum([await _step(connection, queries["ensure_day"], series, day) for day in days])


async def _step(connection: Connection, query: str, *values: object) -> Any:
    async with connection.transaction():
        await connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
        return await connection.fetchval(query, *values, timeout=STEP_S)
