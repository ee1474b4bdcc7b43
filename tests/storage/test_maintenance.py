"""Housekeeping: days ahead, days dropped, batches pruned, candles filled."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from core.storage.embedded import EmbeddedPostgres
from core.storage.estimates import PostgresEstimateStore
from core.storage.maintenance import Maintained, Retention, maintain
from core.storage.metrics import StorageMetrics
from core.storage.pool import connect_pool, connector
from core.storage.tick_commit import SequenceForgotten
from core.storage.ticks import PostgresTickStore
from tests.databases import fresh_database
from tests.records import AT, batch_record, estimates

DAY = 86_400.0


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await connect_pool(database, size=3)
    yield pool
    await pool.close()


def ticks_of(dsn: str) -> PostgresTickStore:
    return PostgresTickStore(connector(dsn), StorageMetrics(CollectorRegistry()))


async def run(pool: asyncpg.Pool, at: float, retention: Retention | None = None) -> Maintained:
    async with pool.acquire() as connection:
        return await maintain(connection, at, retention)


async def partitions(pool: asyncpg.Pool, series: str) -> list[str]:
    rows = await pool.fetch(
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = $1::regclass order by 1",
        series,
    )
    return [row["name"] for row in rows]


async def test_the_days_around_today_are_made_once(pool: asyncpg.Pool) -> None:
    assert (await run(pool, AT)).days_made == 8
    assert (await run(pool, AT)).days_made == 0
    assert await partitions(pool, "ticks") == [
        "ticks_20260215",
        "ticks_20260216",
        "ticks_20260217",
        "ticks_20260218",
        "ticks_default",
    ]


async def test_rows_that_came_before_their_day_move_into_it(database: str, pool: asyncpg.Pool) -> None:
    async with ticks_of(database).running() as store:
        await store.append(batch_record(1, at=AT + 5))
        await store.append(batch_record(2, at=AT - 3 * DAY))
    await run(pool, AT + 10)
    assert await pool.fetchval("select count(*) from ticks_default") == 0
    assert await pool.fetchval("select count(*) from ticks_20260216") == 3
    assert await pool.fetchval("select count(*) from ticks_20260213") == 3


async def test_old_days_are_dropped_and_late_rows_of_them_too(database: str, pool: asyncpg.Pool) -> None:
    await run(pool, AT)
    async with ticks_of(database).running() as store:
        await store.append(batch_record(1, at=AT))
        await store.append(batch_record(2, at=AT - 30 * DAY))
        done = await run(pool, AT + 8 * DAY)
        assert done.days_dropped == 2
        assert await pool.fetchval("select count(*) from ticks") == 0
        assert not (await store.append(batch_record(3, at=AT + 8 * DAY))).duplicate


async def test_candles_outlive_their_estimates(pool: asyncpg.Pool) -> None:
    store = PostgresEstimateStore(pool, StorageMetrics(CollectorRegistry()))
    await run(pool, AT)
    await store.append(estimates(AT + 1, {"BTC/USD": 10.0}))
    await run(pool, AT + 2 * DAY)
    await run(pool, AT + 60 * DAY)
    assert await store.points("BTC/USD", AT, AT + DAY, 10) == []
    assert [candle.close for candle in await store.candles("BTC/USD", 60, AT, AT + DAY, 10)] == [10.0]


async def test_a_late_row_of_a_dropped_day_does_not_rewrite_its_candle(pool: asyncpg.Pool) -> None:
    store = PostgresEstimateStore(pool, StorageMetrics(CollectorRegistry()))
    await store.append(estimates(AT + 1, {"BTC/USD": 10.0}))
    await run(pool, AT + 2 * DAY)
    await run(pool, AT + 60 * DAY)
    await store.append(estimates(AT + 2, {"BTC/USD": 99.0}))
    await run(pool, AT + 60 * DAY)
    assert [candle.high for candle in await store.candles("BTC/USD", 60, AT, AT + DAY, 10)] == [10.0]


async def test_a_batch_that_was_pruned_is_never_accepted_again(database: str, pool: asyncpg.Pool) -> None:
    async with ticks_of(database).running() as store:
        for sequence in (1, 2):
            await store.append(batch_record(sequence, at=AT))
        await store.append(batch_record(3, at=AT + 8 * DAY))
        assert (await run(pool, AT + 8 * DAY)).batches_pruned == 2
        with pytest.raises(SequenceForgotten, match="those up to 2 are forgotten"):
            await store.append(batch_record(1, at=AT + 8 * DAY))
        assert (await store.append(batch_record(3, at=AT + 8 * DAY))).duplicate
        assert not (await store.append(batch_record(4, at=AT + 8 * DAY))).duplicate
        assert not (await store.append(batch_record(1, key_id=b"another!"))).duplicate


async def test_one_process_at_a_time_keeps_house(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as busy:
        await busy.execute("select pg_advisory_lock(hashtext('chrono.maintenance'))")
        assert await run(pool, AT) == Maintained()
    assert (await run(pool, AT)).days_made == 8


@pytest.fixture
async def timescale(timescale_server: EmbeddedPostgres) -> AsyncIterator[asyncpg.Pool]:
    async with fresh_database(timescale_server) as dsn:
        pool = await connect_pool(dsn, size=3)
        yield pool
        await pool.close()


async def dropped_after(pool: asyncpg.Pool) -> dict[str, int]:
    rows = await pool.fetch(
        "select hypertable_name, extract(day from (config ->> 'drop_after')::interval)::int as days"
        " from timescaledb_information.jobs where proc_name = 'policy_retention'"
    )
    return {row["hypertable_name"]: row["days"] for row in rows}


async def test_timescale_states_the_same_periods_as_retention(timescale: asyncpg.Pool) -> None:
    stated = Retention()
    assert await dropped_after(timescale) == {"ticks": stated.ticks_days, "estimates": stated.estimates_days}


async def test_timescale_follows_the_operators_retention(timescale: asyncpg.Pool) -> None:
    await run(timescale, AT, Retention(ticks_days=3, estimates_days=90))
    assert await dropped_after(timescale) == {"ticks": 3, "estimates": 90}


async def test_every_timescale_policy_runs(timescale: asyncpg.Pool) -> None:
    store = PostgresEstimateStore(timescale, StorageMetrics(CollectorRegistry()))
    now = await timescale.fetchval("select extract(epoch from now())::float8")
    for days in (0, 1, 4, 40):
        await store.append(estimates(now - days * DAY, {"BTC/USD": 10.0 + days}, volume=1.0))
    jobs = await timescale.fetch(
        "select job_id from timescaledb_information.jobs where proc_name like 'policy_%' and job_id >= 1000"
    )
    assert len(jobs) == 6
    for job in jobs:
        await timescale.execute(f"call run_job({job['job_id']})")
    compressed = await timescale.fetchval(
        "select count(*) from timescaledb_information.chunks where is_compressed"
    )
    assert compressed == 1
    assert [point.price for point in await store.points("BTC/USD", 0, now + 1, 10)] == [14.0, 11.0, 10.0]
    candles = await store.candles("BTC/USD", 60, now - 10 * DAY, now + 60, 10)
    assert [candle.close for candle in candles] == [14.0, 11.0, 10.0]


async def test_a_late_estimate_goes_into_a_compressed_day_once(timescale: asyncpg.Pool) -> None:
    store = PostgresEstimateStore(timescale, StorageMetrics(CollectorRegistry()))
    await store.append(estimates(AT, {"BTC/USD": 10.0}))
    await timescale.execute("select compress_chunk(chunk) from show_chunks('estimates') as chunk")
    await store.append(estimates(AT, {"BTC/USD": 11.0}))
    await store.append(estimates(AT + 1, {"BTC/USD": 12.0}))
    assert [point.price for point in await store.points("BTC/USD", AT, AT + 9, 10)] == [10.0, 12.0]


async def test_on_timescale_batches_are_pruned_and_failed_jobs_counted(timescale: asyncpg.Pool) -> None:
    assert await run(timescale, AT) == Maintained(batches_pruned=0, failed_jobs=0)
