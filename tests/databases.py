"""Embedded servers and databases of their own for tests."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from core.storage.embedded import EmbeddedPostgres
from core.storage.migrate import migrate
from core.storage.pool import connector

T = TypeVar("T")

SHARED = {"shared_buffers": "64MB", "fsync": "off", "full_page_writes": "off"}
"""For servers that no test kills: quick to make databases in. The fault tests use the defaults."""
TEMPLATE = "chrono_template"
_numbers = itertools.count(1)


def run_apart(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine for a fixture that is not asynchronous, whatever loop is there already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


@contextmanager
def open_folder() -> Iterator[Path]:
    """A short temporary folder that PostgreSQL's own user may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="chrono-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def serving(bin_dir: Path | None) -> Iterator[EmbeddedPostgres]:
    """A running server with a migrated template database."""
    with open_folder() as folder:
        server = EmbeddedPostgres(folder / "postgres", bin_dir=bin_dir, settings=SHARED)
        run_apart(server.start())
        try:
            run_apart(_make_template(server))
            yield server
        finally:
            run_apart(server.stop())


@asynccontextmanager
async def fresh_database(server: EmbeddedPostgres, template: str | None = TEMPLATE) -> AsyncIterator[str]:
    """The DSN of a database of its own, migrated unless `template` is None; dropped at the end."""
    name = f"test_{next(_numbers)}"
    await _on_server(server, f"create database {name} template {template or 'template1'}")
    try:
        yield at_database(server.dsn, name)
    finally:
        await _on_server(server, f"drop database {name} with (force)")


def at_database(dsn: str, name: str) -> str:
    """The same server, another database."""
    return f"{dsn.rpartition('/')[0]}/{name}"


async def _make_template(server: EmbeddedPostgres) -> None:
    await _on_server(server, f"create database {TEMPLATE}")
    connection = await connector(at_database(server.dsn, TEMPLATE))()
    try:
        await migrate(connection)
    finally:
        await connection.close()
    # Nobody may be connected to a template while it is copied: TimescaleDB's workers would be.
    await _on_server(server, f"alter database {TEMPLATE} with allow_connections false")
    await _on_server(
        server, "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", TEMPLATE
    )


async def _on_server(server: EmbeddedPostgres, statement: str, *values: str) -> None:
    connection = await asyncpg.connect(at_database(server.dsn, "postgres"))
    try:
        await connection.execute(statement, *values)
    finally:
        await connection.close()
