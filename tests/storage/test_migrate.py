"""Migrations: applied once, in order, under a lock, and never edited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from chrono.feeds import FEEDS, LEGS
from core.storage.embedded import EmbeddedPostgres
from core.storage.migrate import (
    Migration,
    MigrationChanged,
    layout,
    migrate,
    pending,
    read_migrations,
)
from core.storage.names import name_ids, sync_names
from core.storage.pool import capabilities, connector
from tests.databases import fresh_database

NAMES = [
    "0001_records",
    "0002_series",
    "0003_market",
    "0004_provider",
    "0005_duties",
    "0006_shadow",
    "0007_gateway",
    "0008_key_changes",
]


@pytest.fixture
async def empty(plain_server: EmbeddedPostgres) -> AsyncIterator[str]:
    async with fresh_database(plain_server, template=None) as dsn:
        yield dsn


async def test_an_empty_database_gets_every_migration_once(empty: str) -> None:
    connection = await connector(empty)()
    assert [migration.name for migration in await pending(connection)] == NAMES
    assert await migrate(connection) == NAMES
    assert await migrate(connection) == []
    assert await pending(connection) == []
    await connection.close()


async def test_of_two_that_migrate_at_once_one_does_the_work(empty: str) -> None:
    connections = [await connector(empty)() for _ in range(2)]
    applied = await asyncio.gather(*map(migrate, connections))
    assert sorted(applied) == [[], NAMES]
    for connection in connections:
        await connection.close()


async def test_an_applied_file_that_was_edited_is_an_error(database: str) -> None:
    connection = await connector(database)()
    edited = [replace(migration, text=migration.text + " ") for migration in read_migrations()]
    with pytest.raises(MigrationChanged, match="0001_records"):
        await migrate(connection, edited)
    await connection.close()


async def test_a_migration_that_fails_leaves_nothing_behind(database: str) -> None:
    connection = await connector(database)()
    broken = Migration("0003_broken", None, "create table half (); select no_such_function();")
    with pytest.raises(asyncpg.UndefinedFunctionError):
        await migrate(connection, [*read_migrations(), broken])
    assert not await connection.fetchval("select to_regclass('half') is not null")
    assert await migrate(connection) == []
    await connection.close()


async def test_migrations_of_a_newer_release_are_left_alone(database: str) -> None:
    connection = await connector(database)()
    newer = Migration("0003_newer", None, "create table newer ()")
    assert await migrate(connection, [*read_migrations(), newer]) == ["0003_newer"]
    assert await migrate(connection) == []
    await connection.close()


async def test_a_database_is_laid_out_for_what_its_server_has(any_database: str) -> None:
    connection = await connector(any_database)()
    able = await capabilities(connection)
    assert await layout(connection) == ("timescale" if able.timescale_available else "plain")
    assert able.timescale_installed == able.timescale_available
    assert able.server_version.startswith("18.")
    await connection.close()


async def test_a_database_without_migrations_has_no_layout(empty: str) -> None:
    connection = await connector(empty)()
    assert await layout(connection) is None
    await connection.close()


async def test_every_feed_and_leg_has_an_id_of_its_own(database: str) -> None:
    connection = await connector(database)()
    names = await sync_names(connection)
    assert len(set(names.feed_ids.tolist())) == len(FEEDS)
    assert len(set(names.leg_ids.tolist())) == len(LEGS)
    await connection.close()


async def test_a_reordered_table_keeps_every_id(database: str) -> None:
    connection = await connector(database)()
    forward = await name_ids(connection, "feeds", ["BTC/USD", "ETH/USD"])
    backward = await name_ids(connection, "feeds", ["NEW/USD", "ETH/USD", "BTC/USD"])
    assert backward[1:].tolist() == forward[::-1].tolist()
    assert backward[0] == len(FEEDS) + 1
    await connection.close()
