"""What a station needs of the runtime, in the station's words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from chrono.http import Answer, Failure
from chrono.venues.adapter import Request


class Storage(Protocol):
    """Durable bytes by key, of one group. What `write` returned from survives the process."""

    async def read(self, key: str) -> bytes | None: ...

    async def write(self, key: str, value: bytes) -> None: ...

    async def delete(self, keys: Sequence[str]) -> None: ...

    async def keys(self, prefix: str) -> list[str]:
        """The keys that begin so, ascending."""
        ...


class Overflow(Protocol):
    """Where batches go that storage has no room for. They come back through `Backlog.refill`."""

    async def send(self, sequence: int, encoded: bytes) -> None:
        """Raises OverflowRefused."""
        ...


class OverflowRefused(Exception):
    """The queue did not take a batch; the text says why."""


class Keys(Protocol):
    """The private keys that the Worker holds: the present one, and one that is being replaced."""

    @property
    def present(self) -> bytes:
        """The key id of the present one."""
        ...

    def holds(self, key_id: bytes) -> bool: ...

    async def sign(self, key_id: bytes, message: bytes) -> bytes: ...


Ask = Callable[[str, Request], Awaitable[Answer | Failure]]
"""(base URL, request) -> what came of it; bounded in time and bytes, never raises."""

Post = Callable[[bytes], Awaitable[Answer | Failure]]
"""A sealed batch to the core; bounded in time and bytes, never raises."""

Clock = Callable[[], float]
