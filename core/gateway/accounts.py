"""The durable side of the gateway in its users' words: accounts, keys, usage, blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from chrono.errors import ChronoError
from core.gateway.keys import ApiKey, NewKey
from core.gateway.meter import MeterBatch
from core.gateway.tiers import Tier
from core.gateway.watch import Block


class NoSuch(ChronoError):
    """There is no account, key or block of that name."""

    def __init__(self, what: str, name: str) -> None:
        self.what, self.name = what, name
        super().__init__(f"there is no {what} {name}")


@dataclass(frozen=True, slots=True)
class Order:
    """A key that is to be made. The account is made with it, or gets the tier if it is another."""

    account: str
    tier: Tier
    name: str
    scopes: frozenset[str]
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """One row of a bill."""

    account: str
    prefix: str
    endpoint: str
    day: date
    requests: int


@dataclass(frozen=True, slots=True)
class Mark:
    """How far somebody has read the keys: the last change, and how often keys were removed before."""

    last: int
    removed: int


@dataclass(frozen=True, slots=True)
class Changes:
    """Keys that changed since a mark, or the `whole`: all that there are. `mark` is where to go on."""

    keys: Sequence[ApiKey]
    mark: Mark
    whole: bool


class Accounts(Protocol):
    """Keeps accounts, keys, usage and blocks. Every call raises core.ports.StoreUnavailable."""

    async def issue(self, order: Order, key: NewKey, at: float) -> ApiKey:
        """Keep a new key."""
        ...

    async def rotate(self, prefix: str, key: NewKey, at: float, overlap_s: float) -> ApiKey:
        """Keep a new key in the place of another, which ends after the overlap. Raises NoSuch."""
        ...

    async def revoke(self, prefix: str, at: float) -> ApiKey:
        """End a key now. The first revocation stands. Raises NoSuch."""
        ...

    async def keys(self, account: str | None = None) -> Sequence[ApiKey]:
        """All keys, or those of one account, oldest first."""
        ...

    async def changes(self, since: Mark | None = None) -> Changes:
        """What is new of the keys since a mark; the whole without one, or where it cannot be told."""
        ...

    async def meter(self, batch: MeterBatch, at: float) -> bool:
        """Add the counts up, once an id; false if they were there already."""
        ...

    async def usage(self, first: date, last: date, prefix: str | None = None) -> Sequence[Usage]:
        """What was counted from `first` to `last`, both included, of all keys or one."""
        ...

    async def block(self, block: Block) -> None:
        """Keep a block for all replicas; it replaces one of the same address."""
        ...

    async def unblock(self, address: str) -> None:
        """Lift a block. Raises NoSuch."""
        ...

    async def blocks(self, at: float) -> Sequence[Block]:
        """The blocks that stand."""
        ...
