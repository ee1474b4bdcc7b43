"""The stores over a pool while their database is down, and after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from chrono.venue_state import VenueReport, VenueState
from core.ports import StoreUnavailable
from core.storage.embedded import EmbeddedPostgres
from core.storage.estimates import PostgresEstimateStore
from core.storage.maintenance import maintain
from core.storage.metrics import StorageMetrics
from core.storage.migrate import migrate
from core.storage.pool import connect_pool
from core.storage.rounds import PostgresRoundStore
from core.storage.venues import PostgresVenueStore
from tests.records import AT, KEY, estimates

Call = Callable[[asyncpg.Pool], Awaitable[object]]


def store(pool: asyncpg.Pool) -> PostgresEstimateStore:
    return PostgresEstimateStore(pool, StorageMetrics(CollectorRegistry()))


async def keep_house(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await maintain(connection, AT)


CALLS: dict[str, Call] = {
    "append": lambda pool: store(pool).append(estimates(AT, {"BTC/USD": 1.0})),
    "points": lambda pool: store(pool).points("BTC/USD", AT, AT + 1, 1),
    "candles": lambda pool: store(pool).candles("BTC/USD", 60, AT, AT + 1, 1),
    "prices_near": lambda pool: store(pool).prices_near(AT),
    "freeze": lambda pool: PostgresRoundStore(pool).freeze(1, AT, {"BTC/USD": 1.0}),
    "find": lambda pool: PostgresRoundStore(pool).find(1),
    "venues": lambda pool: PostgresVenueStore(pool, StorageMetrics(CollectorRegistry())).append(
        KEY, [VenueReport("okx", VenueState.HEALTHY, AT)], AT
    ),
}


async def test_every_call_says_that_the_store_is_down_and_works_again_after(server_folder: Path) -> None:
    server = EmbeddedPostgres(server_folder / "postgres")
    pool = await connect_pool(await server.start(), size=2, connect_s=2)
    async with pool.acquire() as connection:
        await migrate(connection)
    await server.stop()
    for call in CALLS.values():
        with pytest.raises(StoreUnavailable):
            await call(pool)
    async with server.running():
        for call in (*CALLS.values(), keep_house):
            await call(pool)
        await pool.close()


async def test_a_pool_to_nowhere_is_made_and_refuses(server_folder: Path) -> None:
    pool = await connect_pool("postgresql://chrono@127.0.0.1:1/chrono", connect_s=1)
    with pytest.raises(StoreUnavailable):
        await store(pool).prices_near(AT)
    await pool.close()
