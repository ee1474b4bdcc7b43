"""What every TickStore promises, held by the fake and by PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from core.ports import Receipt, SequenceConflict, TickStore
from core.storage.metrics import StorageMetrics
from core.storage.pool import connector
from core.storage.ticks import PostgresTickStore
from tests.databases import fresh_database
from tests.fakes.stores import FakeTickStore
from tests.records import batch_record


@pytest.fixture(params=["fake", "plain", "timescale"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[TickStore]:
    if request.param == "fake":
        yield FakeTickStore()
        return
    metrics = StorageMetrics(CollectorRegistry())
    async with (
        fresh_database(request.getfixturevalue(f"{request.param}_server")) as dsn,
        PostgresTickStore(connector(dsn), metrics).running() as store,
    ):
        yield store


async def test_a_batch_is_answered_with_what_was_accepted_and_refused(store: TickStore) -> None:
    receipt = await store.append(batch_record(1, count=5, refused={"malformed": 2}))
    assert receipt == Receipt(5, {"malformed": 2}, duplicate=False)


async def test_a_batch_redelivered_is_answered_with_its_first_receipt(store: TickStore) -> None:
    await store.append(batch_record(1, count=5, refused={"malformed": 2}))
    again = await store.append(batch_record(1, count=5, refused={"malformed": 2}))
    assert again == Receipt(5, {"malformed": 2}, duplicate=True)


async def test_a_sequence_with_other_content_is_a_conflict(store: TickStore) -> None:
    await store.append(batch_record(1))
    with pytest.raises(SequenceConflict):
        await store.append(batch_record(1, content="forged"))


async def test_the_same_sequence_under_another_key_is_another_batch(store: TickStore) -> None:
    await store.append(batch_record(1))
    receipt = await store.append(batch_record(1, key_id=b"another!", content="other"))
    assert not receipt.duplicate


async def test_an_empty_batch_is_committed_too(store: TickStore) -> None:
    assert (await store.append(batch_record(1, count=0))).accepted == 0
    assert (await store.append(batch_record(1, count=0))).duplicate


async def test_of_simultaneous_deliveries_one_is_the_first(store: TickStore) -> None:
    receipts = await asyncio.gather(*(store.append(batch_record(7)) for _ in range(5)))
    assert [receipt.duplicate for receipt in receipts].count(False) == 1
    assert {receipt.accepted for receipt in receipts} == {3}


async def test_batches_may_arrive_out_of_order(store: TickStore) -> None:
    receipts = [await store.append(batch_record(sequence)) for sequence in (3, 1, 2)]
    assert not any(receipt.duplicate for receipt in receipts)
