"""The newest snapshot that may be relied on, for one who is away from the core.

Knows how often to ask the store and how old a snapshot may be. A snapshot that was verified is kept; it is
told with its age, until the bound, even while the store is away. An older one never replaces it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from chrono.errors import ChronoError
from core.snapshot.objects import Objects, StoreFailed
from core.snapshot.snapshot import Snapshot, SnapshotRefused, decode_snapshot
from core.snapshot.threads import in_thread

ASK_EVERY_S: Final = 2.0
ASK_S_MAX: Final = 5.0
NO_BOUND_S: Final = 10.0**10

log = structlog.get_logger(__name__)


class NoSnapshot(ChronoError):
    """There is none, or none that may be relied on; the text says why."""


class SnapshotTooOld(ChronoError):
    """The newest snapshot is older than what may be told."""

    def __init__(self, age_s: float, limit_s: float) -> None:
        self.age_s, self.limit_s = age_s, limit_s
        super().__init__(
            f"the last signed prices are {age_s:.0f} s old; beyond {limit_s:.0f} s none are told"
        )


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose snapshots are relied on, and until which age."""

    signer: str
    chain_id: int
    age_s_max: float


class SnapshotReader:
    """`objects` makes the store when it is first needed: its client is slow to load."""

    def __init__(self, objects: Callable[[], Objects], name: str, trust: Trust) -> None:
        self._make, self._name, self._trust = objects, name, trust
        self._objects: Objects | None = None
        self._kept: Snapshot | None = None
        self._asked_at = -NO_BOUND_S
        self._why = ""

    async def newest(self, at: float) -> Snapshot:
        """The newest known at `at`; raises NoSnapshot or SnapshotTooOld. Takes ASK_S_MAX at most."""
        if at - self._asked_at >= ASK_EVERY_S:
            self._asked_at = at
            await self._ask(at)
        if self._kept is None:
            raise NoSnapshot(self._why)
        age_s = self._kept.age_s(at)
        if age_s > self._trust.age_s_max:
            raise SnapshotTooOld(age_s, self._trust.age_s_max)
        return self._kept

    async def _ask(self, at: float) -> None:
        try:
            async with asyncio.timeout(ASK_S_MAX):
                found = await in_thread(lambda: self._read(at))
        except (StoreFailed, SnapshotRefused, TimeoutError) as error:
            self._why = str(error) or f"the store did not answer within {ASK_S_MAX:.0f} s"
            log.warning("snapshot_not_read", detail=self._why)
            return
        if found is None:
            self._why = "the store has no snapshot"
        elif self._kept is None or found.order > self._kept.order:
            self._kept = found

    def _read(self, at: float) -> Snapshot | None:
        if self._objects is None:
            self._objects = self._make()
        body = self._objects.get(self._name)
        if body is None:
            return None
        trust = self._trust  # age is judged at each question, so that the refusal can tell it
        return decode_snapshot(
            body, signer=trust.signer, chain_id=trust.chain_id, at=at, age_s_max=NO_BOUND_S
        )
