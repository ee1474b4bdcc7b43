"""An embedded server of its own for a benchmark, with the settings that production has."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from core.storage.embedded import EmbeddedPostgres
from core.storage.migrate import migrate


@asynccontextmanager
async def migrated_server(bin_dir: Path | None = None) -> AsyncIterator[str]:
    """The DSN of a migrated database in a temporary folder; `bin_dir` as for EmbeddedPostgres."""
    with tempfile.TemporaryDirectory(prefix="chrono-bench-", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o755)  # noqa: S103  # the server's own user must get in when we are root
        async with EmbeddedPostgres(Path(name) / "postgres", bin_dir=bin_dir).running() as dsn:
            connection = await asyncpg.connect(dsn)
            await migrate(connection)
            await connection.close()
            yield dsn
