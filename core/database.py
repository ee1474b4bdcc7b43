"""The database of an installation for commands that are not the core: the one named, or the embedded one.

Uses an embedded server that runs; one that does not is started for as long as it is needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg

from core.settings import Settings
from core.storage.embedded import EmbeddedPostgres
from core.storage.migrate import migrate
from core.storage.pool import connect_pool, unavailable_when_down
from core.storage.server_folder import running_dsn


@asynccontextmanager
async def open_pool(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    """A pool on the migrated database. Raises StoreUnavailable, MigrationError or EmbeddedPostgresError."""
    async with AsyncExitStack() as stack:
        if settings.database_url is not None:
            dsn = settings.database_url.get_secret_value()
        else:
            server = EmbeddedPostgres(settings.postgres_dir)
            running = running_dsn(settings.postgres_dir)
            dsn = await stack.enter_async_context(server.running()) if running is None else running
        pool = await connect_pool(dsn, size=1)
        stack.callback(pool.terminate)
        with unavailable_when_down():
            async with pool.acquire() as connection:
                await migrate(connection)
        yield pool
