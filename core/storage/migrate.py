"""Brings a database to the layout that this release needs. Forward only.

A migration is a file `NNNN_name.sql`, or a pair `NNNN_name.timescale.sql` and `NNNN_name.plain.sql` of which
a database gets one. Which one is decided by its first pair and stays: a plain database does not turn into
hypertables because the extension has appeared. An applied file is never edited; its checksum is held.
Migrations of a newer release that this one does not know are left alone, so that two releases can run
beside each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final, Literal

import structlog

from chrono.errors import ChronoError
from core.storage.names import sync_names
from core.storage.pool import capabilities
from core.storage.queries import load_queries

if TYPE_CHECKING:
    from core.storage.pool import Connection

log = structlog.get_logger()

Layout = Literal["plain", "timescale"]
LOCK_ID: Final = 0x4348524F4E4F  # "CHRONO"
STATEMENT_S: Final = 600.0


class MigrationError(ChronoError):
    """The migrations do not fit the database."""


class MigrationChanged(MigrationError):
    """A file was edited after it had been applied."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"migration {name} was edited after it was applied: restore it and add a new one")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `layout` is None when it suits both."""

    name: str
    layout: Layout | None
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_migrations() -> tuple[Migration, ...]:
    """All files of `migrations/`, in order."""
    found = []
    for file in (files("core.storage") / "migrations").iterdir():
        name, _, variant = file.name.removesuffix(".sql").partition(".")
        if file.name.endswith(".sql"):
            found.append(Migration(name, _layout_named(variant), file.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda migration: (migration.name, migration.layout or "")))


async def migrate(connection: Connection, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Apply what is missing, one transaction a file, and return the names applied.

    Feeds and legs that are new get their ids. Whoever comes second waits for the first and then finds
    nothing to do. Raises MigrationChanged.
    """
    queries = load_queries("migrations")
    await connection.execute("select pg_advisory_lock($1)", LOCK_ID, timeout=STATEMENT_S)
    try:
        await connection.execute(queries["create_ledger"])
        if await _layout_to_use(connection) == "timescale":
            await connection.execute("create extension if not exists timescaledb", timeout=STATEMENT_S)
        todo = await pending(connection, migrations)
        for migration in todo:
            async with connection.transaction():
                await connection.execute(migration.text, timeout=STATEMENT_S)
                await connection.execute(
                    queries["record"], migration.name, migration.checksum, migration.layout
                )
            log.info("migration_applied", name=migration.name, layout=migration.layout)
        await sync_names(connection)
        return [migration.name for migration in todo]
    finally:
        await connection.execute("select pg_advisory_unlock($1)", LOCK_ID)


async def pending(connection: Connection, migrations: Sequence[Migration] | None = None) -> list[Migration]:
    """What `migrate` would apply now, in order; changes nothing. Raises MigrationChanged."""
    wanted = await _layout_to_use(connection)
    applied = await _applied(connection)
    todo = []
    for migration in read_migrations() if migrations is None else migrations:
        if migration.layout not in (None, wanted):
            continue
        checksum = applied.get(migration.name)
        if checksum is None:
            todo.append(migration)
        elif checksum != migration.checksum:
            raise MigrationChanged(migration.name)
    return todo


async def layout(connection: Connection) -> Layout | None:
    """How a database was laid out, None before its first migration."""
    if not await _has_ledger(connection):
        return None
    found = await connection.fetchval(load_queries("migrations")["layout"])
    return None if found is None else _layout_named(found)


async def _layout_to_use(connection: Connection) -> Layout:
    settled = await layout(connection)
    if settled is not None:
        return settled
    return "timescale" if (await capabilities(connection)).timescale_available else "plain"


async def _applied(connection: Connection) -> dict[str, str]:
    if not await _has_ledger(connection):
        return {}
    rows = await connection.fetch(load_queries("migrations")["applied"])
    return {row["name"]: row["checksum"] for row in rows}


async def _has_ledger(connection: Connection) -> bool:
    return bool(await connection.fetchval("select to_regclass('schema_migrations') is not null"))


def _layout_named(name: str) -> Layout | None:
    match name:
        case "":
            return None
        case "plain" | "timescale":
            return name
        case _:
            raise MigrationError(f"a migration is for plain or timescale, not for {name!r}")
