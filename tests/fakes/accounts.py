"""Accounts in memory, true to the port."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from core.gateway.accounts import Changes, Mark, NoSuch, Order, Usage
from core.gateway.keys import ApiKey, NewKey
from core.gateway.meter import MeterBatch, UsageRow
from core.gateway.tiers import Tier
from core.gateway.watch import Block
from core.ports import StoreUnavailable


class FakeAccounts:
    """An Accounts that forgets everything with the test."""

    def __init__(self) -> None:
        self.fails_with: StoreUnavailable | None = None
        self.stored: dict[str, ApiKey] = {}
        self.tiers: dict[str, Tier] = {}
        self.batches: set[bytes] = set()
        self.counts: Counter[UsageRow] = Counter()
        self.blocked: dict[str, Block] = {}
        self.last = 0
        self.numbers: dict[str, int] = {}

    async def issue(self, order: Order, key: NewKey, at: float) -> ApiKey:
        self._check()
        self.tiers[order.account] = order.tier
        self.stored[key.prefix] = ApiKey(
            key.prefix, key.digest, order.account, order.tier, order.name, order.scopes, at, order.expires_at
        )
        self._number(*(each.prefix for each in self.stored.values() if each.account == order.account))
        return self.stored[key.prefix]

    async def rotate(self, prefix: str, key: NewKey, at: float, overlap_s: float) -> ApiKey:
        old = self._find(prefix)
        ends = at + overlap_s if old.expires_at is None else min(old.expires_at, at + overlap_s)
        self.stored[key.prefix] = replace(
            old, prefix=key.prefix, digest=key.digest, created_at=at, revoked_at=None
        )
        self.stored[prefix] = replace(old, expires_at=ends)
        self._number(key.prefix, prefix)
        return self.stored[key.prefix]

    async def revoke(self, prefix: str, at: float) -> ApiKey:
        old = self._find(prefix)
        self.stored[prefix] = replace(old, revoked_at=at if old.revoked_at is None else old.revoked_at)
        self._number(prefix)
        return self.stored[prefix]

    async def keys(self, account: str | None = None) -> Sequence[ApiKey]:
        self._check()
        found = [replace(key, tier=self.tiers[key.account]) for key in self.stored.values()]
        return [key for key in found if account is None or key.account == account]

    async def changes(self, since: Mark | None = None) -> Changes:
        self._check()
        mark, told = Mark(self.last, 0), await self.keys()
        if since is None or since.last > mark.last:
            return Changes(told, mark, whole=True)
        return Changes([key for key in told if self.numbers[key.prefix] > since.last], mark, whole=False)

    async def meter(self, batch: MeterBatch, at: float) -> bool:
        self._check()
        if batch.id in self.batches:
            return False
        self.batches.add(batch.id)
        self.counts.update(batch.counts)
        return True

    async def usage(self, first: date, last: date, prefix: str | None = None) -> Sequence[Usage]:
        self._check()
        rows = [
            Usage(self.stored[row.prefix].account, row.prefix, row.endpoint, row.day, count)
            for row, count in self.counts.items()
            if first <= row.day <= last and prefix in (None, row.prefix)
        ]
        return sorted(rows, key=lambda row: (row.day, row.account, row.prefix, row.endpoint))

    async def block(self, block: Block) -> None:
        self._check()
        self.blocked[block.address] = block

    async def unblock(self, address: str) -> None:
        self._check()
        if self.blocked.pop(address, None) is None:
            raise NoSuch("block of", address)

    async def blocks(self, at: float) -> Sequence[Block]:
        self._check()
        return [block for block in self.blocked.values() if block.until > at]

    def _number(self, *prefixes: str) -> None:
        self.last += 1
        self.numbers.update(dict.fromkeys(prefixes, self.last))

    def _find(self, prefix: str) -> ApiKey:
        self._check()
        if prefix not in self.stored:
            raise NoSuch("key", prefix)
        return self.stored[prefix]

    def _check(self) -> None:
        if self.fails_with:
            raise self.fails_with
