"""The database stopped, killed and started again under load: every tick that was acknowledged is there once.

A sender behaves as a collector does: it keeps a batch until it has a receipt, and sends it again.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from core.ports import Receipt, StoreUnavailable
from core.storage.embedded import EmbeddedPostgres
from core.storage.metrics import StorageMetrics
from core.storage.migrate import migrate
from core.storage.pool import connector
from core.storage.ticks import PostgresTickStore
from tests.records import KEY, batch_record

SENDERS = 8
BATCHES = 150
TICKS = 20

Fault = Callable[[EmbeddedPostgres], Awaitable[None]]


async def stop(server: EmbeddedPostgres) -> None:
    await server.stop()


async def kill(server: EmbeddedPostgres) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.stop()


class Load:
    """Senders that push their batches until each has a receipt; counts what was refused on the way."""

    def __init__(self, store: PostgresTickStore) -> None:
        self._store = store
        self.receipts: dict[tuple[bytes, int], Receipt] = {}
        self.refusals = 0
        self.progress = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for sender in range(SENDERS):
                group.create_task(self._send(KEY[:7] + bytes([sender]), sender))

    async def _send(self, key_id: bytes, sender: int) -> None:
        for sequence in range(sender * BATCHES, (sender + 1) * BATCHES):
            record = batch_record(sequence, count=TICKS, key_id=key_id)
            self.receipts[(key_id, sequence)] = await self._deliver(record)
            self.progress.set()

    async def _deliver(self, record) -> Receipt:
        while True:
            try:
                return await self._store.append(record)
            except StoreUnavailable as refused:
                self.refusals += 1
                await asyncio.sleep(min(refused.retry_after_s, 0.1))

    async def receipts_reach(self, count: int) -> None:
        while len(self.receipts) < count:
            self.progress.clear()
            await self.progress.wait()


@pytest.fixture(params=["plain", "timescale"])
def server(request: pytest.FixtureRequest, server_folder: Path) -> EmbeddedPostgres:
    bin_dir = None if request.param == "plain" else request.getfixturevalue("timescale_bin")
    return EmbeddedPostgres(server_folder / "postgres", bin_dir=bin_dir)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [stop, kill])
async def test_no_acknowledged_tick_is_lost_or_stored_twice(server: EmbeddedPostgres, fault: Fault) -> None:
    async with server.running() as dsn:
        await _migrate(dsn)
        async with PostgresTickStore(
            connector(dsn, connect_s=2), StorageMetrics(CollectorRegistry())
        ).running() as store:
            load = Load(store)
            sending = asyncio.create_task(load.run())
            for share in (1, 2):
                await load.receipts_reach(share * SENDERS * BATCHES // 3)
                await fault(server)
                await server.start()
            async with asyncio.timeout(60):
                await sending
        marks = await _marks(dsn)
    wanted = [n * 1000 + 1 + tick for n in range(SENDERS * BATCHES) for tick in range(TICKS)]
    assert load.refusals > 0
    assert sum(receipt.accepted for receipt in load.receipts.values()) == len(wanted)
    assert marks == Counter(wanted)


async def _migrate(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await migrate(connection)
    await connection.close()


async def _marks(dsn: str) -> Counter[int]:
    connection = await asyncpg.connect(dsn)
    try:
        return Counter(row["last"] for row in await connection.fetch("select last from ticks"))
    finally:
        await connection.close()
