"""The baseline of everything that stores ticks: asyncpg's own COPY of the same rows, and nothing else.

No ledger, no signatures, no queue: what a careful engineer would write first. The rows go into a table like
`ticks` beside it, with its index, which is dropped afterwards.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from chrono.feeds import LEGS
from core.storage.copy_format import COLUMNS

Row = tuple[Any, ...]
TABLE = "bare_ticks"
BATCH_ROWS = 500
CHUNK_ROWS = 5_000
_BEGIN = datetime(2026, 2, 16, tzinfo=UTC)


def tick_rows(count: int) -> list[Row]:
    """Quotes of all legs in turn, as records of the columns of `ticks`."""
    rows = []
    for index in range(count):
        received_at = _BEGIN + timedelta(milliseconds=index)
        price = 9_700_000 + index % 1_000
        rows.append(
            (received_at, received_at, index % len(LEGS) + 1, 1, 2, 8, price, price + 2, price + 1, 10**12)
        )
    return rows


async def bare_copy(dsn: str, rows: Sequence[Row], chunk_rows: int = BATCH_ROWS) -> float:
    """Rows a second of COPY on one connection, one transaction for every `chunk_rows` rows."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"create table {TABLE} (like ticks)")
        await connection.execute(f"create index on {TABLE} (leg, received_at)")
        began = time.perf_counter()
        for first in range(0, len(rows), chunk_rows):
            async with connection.transaction():
                await connection.copy_records_to_table(
                    TABLE, records=rows[first : first + chunk_rows], columns=COLUMNS
                )
        return len(rows) / (time.perf_counter() - began)
    finally:
        await connection.execute(f"drop table if exists {TABLE}")
        await connection.close()


async def _measure(rows: Sequence[Row]) -> None:
    from benchmarks.servers import migrated_server  # noqa: PLC0415

    async with migrated_server() as dsn:
        for chunk_rows in (BATCH_ROWS, CHUNK_ROWS):
            rate = await bare_copy(dsn, rows, chunk_rows)
            print(f"COPY, {chunk_rows:>5} rows a transaction: {rate:>9,.0f} rows/s")


if __name__ == "__main__":
    asyncio.run(_measure(tick_rows(100_000)))
