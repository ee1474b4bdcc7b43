"""Connections to PostgreSQL, and what its failures mean to the core.

Every wait has a bound. What may pass by itself becomes `StoreUnavailable`; a query that is wrong does not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import asyncpg

from core.ports import StoreUnavailable
from core.storage.queries import load_queries

Connection: TypeAlias = asyncpg.Connection
Connect = Callable[[], Awaitable[Connection]]

CONNECT_S: Final = 5.0
COMMAND_S: Final = 10.0
RETRY_AFTER_S: Final = 1.0
POOL_MAX: Final = 8

_PASSING: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutting down, starting up, statement cancelled
    asyncpg.InsufficientResourcesError,  # disk full, too many connections
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby, just before it takes over
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InterfaceError,  # the connection or the pool is closed
    asyncpg.InternalClientError,  # the connection broke while it was being set up
    asyncpg.InvalidPasswordError,
    asyncpg.InvalidCatalogNameError,
    OSError,
    TimeoutError,
)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server can do. `timescale_available` is the version that migrations would use, if any."""

    server_version: str
    timescale_available: str | None
    timescale_installed: str | None


async def connect_pool(
    dsn: str, *, size: int = POOL_MAX, connect_s: float = CONNECT_S, command_s: float = COMMAND_S
) -> asyncpg.Pool:
    """A pool for short queries, which connects when it is first used. The caller closes it."""
    return await asyncpg.create_pool(
        dsn,
        min_size=0,  # a pool that keeps a floor complains to the log all the while the database is down
        max_size=size,
        timeout=connect_s,
        command_timeout=command_s,
        server_settings={"application_name": "chrono"},
    )


def connector(dsn: str, *, connect_s: float = CONNECT_S, command_s: float = COMMAND_S) -> Connect:
    """Opens single connections, for a writer that owns one."""

    async def connect() -> Connection:
        return await asyncpg.connect(
            dsn,
            timeout=connect_s,
            command_timeout=command_s,
            server_settings={"application_name": "chrono-writer"},
        )

    return connect


@contextmanager
def unavailable_when_down(retry_after_s: float = RETRY_AFTER_S) -> Iterator[None]:
    """Turn what may pass by itself into StoreUnavailable. Wrong queries and values go through as they are."""
    try:
        yield
    except asyncpg.DataError:
        raise
    except _PASSING as error:
        detail = f"the database cannot be used ({type(error).__name__})"
        raise StoreUnavailable(detail, retry_after_s) from error


async def capabilities(connection: Any) -> Capabilities:
    """What the server of a connection, or of a pool, can do.

    TimescaleDB counts as available when the server has loaded it: being on the disk is not enough.
    """
    row = await connection.fetchrow(load_queries("capabilities")["capabilities"])
    usable = row["installed"] or (row["found"] if row["loaded"] else None)
    return Capabilities(row["version"], usable, row["installed"])
