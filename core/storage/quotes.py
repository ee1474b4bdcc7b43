"""Recorded quotes, exported for replay. Knows the table of ticks; reads, and never writes to the database."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from core.storage.pool import connector, unavailable_when_down
from core.storage.queries import load_queries

EXPORT_S: Final = 600.0


async def export_quotes(dsn: str, since: float, until: float, file: Path) -> int:
    """Write the quotes received in [since, until) to a CSV file with a header; returns how many.

    Prices and volumes are plain numbers, times Unix seconds. Takes at most EXPORT_S. Raises StoreUnavailable.
    """
    with unavailable_when_down():
        connection = await connector(dsn, command_s=EXPORT_S)()
        try:
            query = load_queries("ticks")["quotes_between"]
            done = await connection.copy_from_query(
                query, since, until, output=str(file), format="csv", header=True
            )
        finally:
            await connection.close()
    return int(done.split()[-1])
