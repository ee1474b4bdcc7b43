"""A day of one feed's 1-minute candles out of a full database, beside grouping the raw estimates.

10 million ticks and a day of 1-second estimates of every feed are made inside the server. Set
CHRONO_TEST_TIMESCALE_BIN to measure TimescaleDB too; without it that row is missing and said to be.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
from prometheus_client import CollectorRegistry

from benchmarks.servers import migrated_server
from chrono.feeds import FEEDS
from core.storage.estimates import PostgresEstimateStore
from core.storage.maintenance import maintain
from core.storage.metrics import StorageMetrics
from core.storage.migrate import layout
from core.storage.pool import connect_pool

TICKS = 10_000_000
SECONDS = 86_400
QUERIES = 50
TARGET_MS = 50.0
LOAD_S = 900.0
FILLS = 13  # a call fills two hours
DAY_AT = datetime(2026, 2, 16, tzinfo=UTC).timestamp()

Row = dict[str, Any]

LOAD_TICKS = """
insert into ticks (received_at, event_at, leg, kind, price_decimals, volume_decimals, bid, ask, last, volume)
select at, at, 1 + n % (select count(*) from legs), 1, 2, 8, 9700000 + n % 1000, 9700002 + n % 1000,
       9700001 + n % 1000, 1000000000000
from (select n, to_timestamp($1) + n * ($3 / $2) * interval '1 second' as at
      from generate_series(0, $2::bigint - 1) as n) as ticks
"""
LOAD_ESTIMATES = """
insert into estimates
    (feed, at, price, band_low, band_high, median, vwap, twap, volume, notional, venues_used)
select feeds.id, to_timestamp($1 + second), price, price * 0.999, price * 1.001, price, price, price,
       1, price, 5
from feeds cross join lateral (
    select second, 100 + feeds.id + 5 * sin(second / 300.0) as price
    from generate_series(0, $2::int - 1) as second
) as walk
"""
RAW = """
select date_bin('1 minute', at, '2000-01-01+00') as start, (array_agg(price order by at))[1] as open,
       max(price) as high, min(price) as low, (array_agg(price order by at))[count(*)] as close,
       sum(notional) / nullif(sum(volume), 0) as vwap, sum(volume) as volume
from estimates
where feed = (select id from feeds where name = $1) and at >= to_timestamp($2) and at < to_timestamp($3)
group by 1 order by 1
"""


def run(quick: bool = False) -> list[Row]:
    """Rows of the table, one a layout. `quick` is a hundredth of the data, to see that it works."""
    return asyncio.run(_run(100 if quick else 1))


async def _run(divisor: int) -> list[Row]:
    rows = [await _measure("plain PostgreSQL", None, divisor)]
    timescale = os.environ.get("CHRONO_TEST_TIMESCALE_BIN")
    if timescale:
        rows.append(await _measure("TimescaleDB", Path(timescale), divisor))
    return rows


async def _measure(title: str, bin_dir: Path | None, divisor: int) -> Row:
    async with migrated_server(bin_dir) as dsn:
        pool = await connect_pool(dsn, size=2, command_s=LOAD_S)
        await _load(pool, TICKS // divisor, SECONDS // divisor)
        store = PostgresEstimateStore(pool, StorageMetrics(CollectorRegistry()))
        end = DAY_AT + SECONDS

        async def candles(feed: str) -> int:
            return len(await store.candles(feed, 60, DAY_AT, end, 2_000))

        async def raw(feed: str) -> int:
            return len(await pool.fetch(RAW, feed, DAY_AT, end))

        ours, bare = await _timed(candles), await _timed(raw)
        await pool.close()
    p50, p95 = np.percentile(ours, [50, 95])
    baseline = float(np.percentile(bare, 50))
    return {
        "name": f"24 h of 1-minute history, {TICKS // divisor:,} ticks, {title}, p50 (p95 {p95:.1f} ms)",
        "figure": float(p50),
        "unit": "ms",
        "baseline": baseline,
        "baseline_name": "GROUP BY over the raw estimates",
        "ratio": baseline / float(p50),
        "target": f"under {TARGET_MS:.0f} ms",
    }


async def _load(pool: asyncpg.Pool, ticks: int, seconds: int) -> None:
    async with pool.acquire() as connection:
        await maintain(connection, DAY_AT)
        await connection.execute(LOAD_TICKS, DAY_AT, float(ticks), float(SECONDS))
        await connection.execute(LOAD_ESTIMATES, DAY_AT, seconds)
        await connection.execute("vacuum analyze")
        if await layout(connection) == "timescale":
            await connection.execute("call refresh_continuous_aggregate('candles_1m', null, null)")
        for _ in range(FILLS):
            await maintain(connection, DAY_AT + SECONDS + 600)


async def _timed(query: Callable[[str], Awaitable[int]]) -> list[float]:
    """Milliseconds of QUERIES queries, of one feed after the other; the first few are not counted."""
    times = []
    for index in range(-3, QUERIES):
        began = time.perf_counter()
        assert await query(FEEDS[index % len(FEEDS)].name) > 0
        if index >= 0:
            times.append((time.perf_counter() - began) * 1000)
    return times


def main() -> None:
    for row in run(quick="--quick" in sys.argv):
        print(
            f"{row['name']}: {row['figure']:.2f} {row['unit']}; {row['baseline_name']}:"
            f" {row['baseline']:.2f} {row['unit']}; {row['ratio']:.1f}x; target {row['target']}"
        )
    if "CHRONO_TEST_TIMESCALE_BIN" not in os.environ:
        print("TimescaleDB: not measured, CHRONO_TEST_TIMESCALE_BIN is not set")


if __name__ == "__main__":
    main()
