"""Accounts, keys, usage and blocks in PostgreSQL. Of a key is kept what `core.gateway.keys` makes of it.

Usage is added up once a batch: the batch's id is claimed in the same transaction. Ids are kept for KEEP_S,
far longer than a process offers one batch again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import asyncpg

from core.gateway.accounts import Changes, Mark, NoSuch, Order, Usage
from core.gateway.keys import ApiKey, NewKey
from core.gateway.meter import MeterBatch
from core.gateway.tiers import Tier
from core.gateway.watch import Block
from core.storage.pool import unavailable_when_down
from core.storage.queries import load_queries

KEYS_MAX: Final = 100_000
BLOCKS_MAX: Final = 10_000
KEEP_S: Final = 7 * 86_400.0


class PostgresAccounts:
    """An Accounts over a pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._queries = load_queries("gateway")

    async def issue(self, order: Order, key: NewKey, at: float) -> ApiKey:
        """See Accounts."""
        with unavailable_when_down():
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(self._queries["begin_change"])
                await connection.execute(self._queries["put_account"], order.account, order.tier.value, at)
                await self._put_key(connection, key, order, at, replaces=None)
                return await self._one(connection, key.prefix)

    async def rotate(self, prefix: str, key: NewKey, at: float, overlap_s: float) -> ApiKey:
        """See Accounts. A key that ends sooner than the overlap keeps its end."""
        with unavailable_when_down():
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(self._queries["begin_change"])
                old = await connection.fetchrow(self._queries["lock_key"], prefix)
                if old is None:
                    raise NoSuch("key", prefix)
                order = Order(
                    old["account"], Tier.FREE, old["name"], frozenset(old["scopes"]), old["expires_at"]
                )
                await self._put_key(connection, key, order, at, replaces=prefix)
                await connection.execute(self._queries["end_key"], prefix, at + overlap_s)
                return await self._one(connection, key.prefix)

    async def revoke(self, prefix: str, at: float) -> ApiKey:
        """See Accounts."""
        with unavailable_when_down():
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(self._queries["begin_change"])
                if await connection.fetchval(self._queries["revoke"], prefix, at) is None:
                    raise NoSuch("key", prefix)
                return await self._one(connection, prefix)

    async def keys(self, account: str | None = None) -> Sequence[ApiKey]:
        """See Accounts; at most KEYS_MAX."""
        with unavailable_when_down():
            rows = await self._pool.fetch(self._queries["keys"], account, None, KEYS_MAX)
        return [_key(row) for row in rows]

    async def changes(self, since: Mark | None = None) -> Changes:
        """See Accounts. The mark is read first: what is changed in between comes again, and is not missed."""
        with unavailable_when_down():
            async with self._pool.acquire() as connection:
                mark = Mark(*await connection.fetchrow(self._queries["key_changes"]))
                whole = since is None or since.removed != mark.removed or since.last > mark.last
                if since == mark:
                    rows: list[Any] = []
                elif whole or since is None:
                    rows = await connection.fetch(self._queries["keys"], None, None, KEYS_MAX)
                else:
                    rows = await connection.fetch(self._queries["keys_since"], since.last, KEYS_MAX)
        return Changes([_key(row) for row in rows], mark, whole)

    async def meter(self, batch: MeterBatch, at: float) -> bool:
        """See Accounts."""
        rows = [(row.prefix, row.endpoint, row.day, count) for row, count in batch.counts.items()]
        columns = [list(column) for column in zip(*sorted(rows), strict=True)]
        with unavailable_when_down():
            async with self._pool.acquire() as connection, connection.transaction():
                if await connection.fetchval(self._queries["claim_batch"], batch.id, at) is None:
                    return False
                await connection.execute(self._queries["add_usage"], *columns)
                await connection.execute(self._queries["forget_batches"], at - KEEP_S)
        return True

    async def usage(self, first: date, last: date, prefix: str | None = None) -> Sequence[Usage]:
        """See Accounts."""
        with unavailable_when_down():
            rows = await self._pool.fetch(self._queries["usage"], first, last, prefix)
        return [Usage(**row) for row in rows]

    async def block(self, block: Block) -> None:
        """See Accounts."""
        with unavailable_when_down():
            await self._pool.execute(
                self._queries["block"], block.address, block.reason, block.since, block.until, block.strikes
            )
            await self._pool.execute(self._queries["forget_blocks"], block.since)

    async def unblock(self, address: str) -> None:
        """See Accounts."""
        with unavailable_when_down():
            if await self._pool.fetchval(self._queries["unblock"], address) is None:
                raise NoSuch("block of", address)

    async def blocks(self, at: float) -> Sequence[Block]:
        """See Accounts; at most BLOCKS_MAX."""
        with unavailable_when_down():
            rows = await self._pool.fetch(self._queries["blocks"], at, BLOCKS_MAX)
        return [Block(**row) for row in rows]

    async def _put_key(
        self, connection: Any, key: NewKey, order: Order, at: float, replaces: str | None
    ) -> None:
        await connection.execute(
            self._queries["put_key"],
            key.prefix,
            key.digest,
            order.account,
            order.name,
            sorted(order.scopes),
            at,
            order.expires_at,
            replaces,
        )

    async def _one(self, connection: Any, prefix: str) -> ApiKey:
        return _key(await connection.fetchrow(self._queries["keys"], None, prefix, 1))


def _key(row: Any) -> ApiKey:
    return ApiKey(
        row["prefix"],
        bytes(row["digest"]),
        row["account"],
        Tier(row["tier"]),
        row["name"],
        frozenset(row["scopes"]),
        row["created_at"],
        row["expires_at"],
        row["revoked_at"],
    )
