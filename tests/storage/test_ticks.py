"""The tick store's queue and its writer: bounds, failures, shutdown."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from chrono.feeds import LEGS
from core.ports import StoreUnavailable
from core.storage.metrics import StorageMetrics
from core.storage.pool import Connection, connector
from core.storage.ticks import PostgresTickStore
from tests.records import AT, batch_record, tick_columns


class Gate:
    """A table lock that holds every commit back until it is opened."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: Connection | None = None

    async def close(self) -> None:
        self._connection = await asyncpg.connect(self._dsn)
        await self._connection.execute("begin; lock table batches in exclusive mode")

    async def open(self) -> None:
        assert self._connection is not None
        await self._connection.execute("rollback")
        await self._connection.close()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def failures(registry: CollectorRegistry, kind: str) -> float:
    return registry.get_sample_value("chrono_store_failures_total", {"kind": kind}) or 0.0


async def until_waiting(dsn: str) -> None:
    """Return when a transaction waits for the gate. PostgreSQL tells nobody of it, so we ask."""
    connection = await asyncpg.connect(dsn)
    async with asyncio.timeout(10):
        while not await connection.fetchval(
            "select exists (select from pg_locks where not granted and database = "
            "(select oid from pg_database where datname = current_database()))"
        ):
            await asyncio.sleep(0.01)
    await connection.close()


async def test_a_stored_tick_has_every_field_as_it_came(
    any_database: str, registry: CollectorRegistry
) -> None:
    ticks = tick_columns([9_712_345, 9_712_346], at=AT)
    ticks.rows["bid"][1], ticks.rows["ask"][1], ticks.rows["volume"][1] = 9_712_340, 9_712_350, 5
    ticks.rows["event_ms"][0] = 0
    record = replace(batch_record(1), ticks=ticks)
    async with PostgresTickStore(connector(any_database), StorageMetrics(registry)).running() as store:
        await store.append(record)
    connection = await asyncpg.connect(any_database)
    rows = await connection.fetch(STORED)
    await connection.close()
    assert [tuple(row) for row in rows] == [
        (str(LEGS[0]), 1, AT, None, 2, 8, None, None, 9_712_345, None),
        (str(LEGS[1]), 1, AT, AT - 0.25, 2, 8, 9_712_340, 9_712_350, 9_712_346, 5),
    ]


STORED = """
select legs.name, kind, extract(epoch from received_at)::float8, extract(epoch from event_at)::float8,
       price_decimals, volume_decimals, bid, ask, last, volume
from ticks join legs on legs.id = leg
order by last
"""


async def test_a_full_queue_refuses_at_once(database: str, registry: CollectorRegistry) -> None:
    gate = Gate(database)
    store = PostgresTickStore(connector(database), StorageMetrics(registry), queue_batches_max=2)
    async with store.running():
        await gate.close()
        held = asyncio.create_task(store.append(batch_record(1)))
        await until_waiting(database)
        queued = [asyncio.create_task(store.append(batch_record(n))) for n in (2, 3)]
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="2 batches wait already"):
            await store.append(batch_record(4))
        await gate.open()
        receipts = await asyncio.gather(held, *queued)
    assert not any(receipt.duplicate for receipt in receipts)
    assert failures(registry, "queue_full") == 1


async def test_what_waits_is_committed_together(database: str, registry: CollectorRegistry) -> None:
    gate = Gate(database)
    async with PostgresTickStore(connector(database), StorageMetrics(registry)).running() as store:
        await gate.close()
        held = asyncio.create_task(store.append(batch_record(1)))
        await until_waiting(database)
        queued = [asyncio.create_task(store.append(batch_record(n))) for n in range(2, 42)]
        await asyncio.sleep(0)
        await gate.open()
        await asyncio.gather(held, *queued)
    assert registry.get_sample_value("chrono_store_commit_seconds_count") == 2
    assert registry.get_sample_value("chrono_store_rows_total", {"table": "ticks"}) == 41 * 3


async def test_an_append_that_takes_too_long_ends_in_an_error(
    database: str, registry: CollectorRegistry
) -> None:
    gate = Gate(database)
    store = PostgresTickStore(connector(database), StorageMetrics(registry), append_s=0.2)
    async with store.running():
        await gate.close()
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="too slow"):
            await store.append(batch_record(1))
        assert time.monotonic() - began < 2
        await gate.open()
    assert failures(registry, "timeout") == 1


async def test_a_batch_whose_caller_gave_up_in_the_queue_is_not_committed(
    database: str, registry: CollectorRegistry
) -> None:
    gate = Gate(database)
    async with PostgresTickStore(connector(database), StorageMetrics(registry)).running() as store:
        await gate.close()
        held = asyncio.create_task(store.append(batch_record(1)))
        await until_waiting(database)
        impatient = asyncio.create_task(store.append(batch_record(2)))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
        await gate.open()
        await held
        assert not (await store.append(batch_record(2))).duplicate


async def test_closing_writes_what_is_queued(database: str, registry: CollectorRegistry) -> None:
    async with PostgresTickStore(connector(database), StorageMetrics(registry)).running() as store:
        appends = [asyncio.create_task(store.append(batch_record(n))) for n in range(20)]
        await asyncio.sleep(0)
    receipts = await asyncio.gather(*appends)
    assert sum(receipt.accepted for receipt in receipts) == 60


async def test_a_closed_store_refuses(database: str, registry: CollectorRegistry) -> None:
    async with PostgresTickStore(connector(database), StorageMetrics(registry)).running() as store:
        pass
    with pytest.raises(StoreUnavailable, match="not running"):
        await store.append(batch_record(1))


async def test_without_a_database_the_store_starts_and_refuses(registry: CollectorRegistry) -> None:
    nowhere = connector("postgresql://chrono@127.0.0.1:1/chrono", connect_s=1)
    async with PostgresTickStore(nowhere, StorageMetrics(registry)).running() as store:
        with pytest.raises(StoreUnavailable) as refused:
            await store.append(batch_record(1))
    assert 0 < refused.value.retry_after_s <= 5


async def test_a_connection_that_breaks_while_idle_is_replaced(
    database: str, registry: CollectorRegistry
) -> None:
    async with PostgresTickStore(connector(database), StorageMetrics(registry)).running() as store:
        await store.append(batch_record(1))
        other = await asyncpg.connect(database)
        await other.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'chrono-writer' and datname = current_database()"
        )
        await other.close()
        assert (await _append_until_taken(store, 2)).accepted == 3


async def _append_until_taken(store: PostgresTickStore, sequence: int):
    async with asyncio.timeout(10):
        while True:
            try:
                return await store.append(batch_record(sequence))
            except StoreUnavailable as refused:
                await asyncio.sleep(min(refused.retry_after_s, 0.05))


async def test_a_batch_that_cannot_be_stored_does_not_take_others_along(
    database: str, registry: CollectorRegistry
) -> None:
    """Such a batch never passes the rim; were one made, only its own sender would hear of it."""
    gate = Gate(database)
    async with PostgresTickStore(connector(database), StorageMetrics(registry)).running() as store:
        await gate.close()
        held = asyncio.create_task(store.append(batch_record(1)))
        await until_waiting(database)
        poisoned = batch_record(2)
        poisoned.ticks.leg[0] = 30_000
        appends = [asyncio.create_task(store.append(r)) for r in (poisoned, batch_record(3))]
        await asyncio.sleep(0)
        await gate.open()
        await held
        refused, taken = await asyncio.gather(*appends, return_exceptions=True)
    assert isinstance(refused, StoreUnavailable)
    assert not isinstance(taken, BaseException)
    assert failures(registry, "error") == 1
