"""Batches of one group on their way to the core: in memory, then in storage, then in the queue; in order.

    put ──▶ memory ──core answers──▶ delivered
              │ core is away
              ▼
            storage (stored_max) ──▶ queue (queued_max) ──refill──▶ storage again

Knows places, bounds and the order. A batch touches storage only after the core failed to take it, or while
others wait before it, so that a healthy day writes nothing. A batch is kept encoded and is stamped and signed
anew each time it is sent. When storage and queue are full, the oldest stored batch is dropped and counted.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Final

from chrono.batch import Batch, encode, key_id_of, restamp
from chrono.collector import Draft
from chrono.errors import BatchError
from chrono.http import Answer, Failure
from chrono.spool import Delivery, judge
from station.config import SLOTS, Config
from station.ports import Clock, Keys, Overflow, OverflowRefused, Post, Storage

RETRY_S_MAX: Final = 10.0
RETRY_AFTER_S_MAX: Final = 60.0
REFILL_MAX: Final = 30
QUEUE_PATIENCE_S: Final = 90.0  # then younger batches no longer wait for those in the queue
QUEUE_KEEP_S: Final = 86_400.0  # Cloudflare's free plan keeps a message for a day
_STORED: Final = "stored/"
_QUEUED: Final = "queued/"
_TOTALS: Final = "totals"


class Place(Enum):
    """Where a batch is."""

    MEMORY = "memory"
    STORED = "stored"
    QUEUED = "queued"


@dataclass(slots=True, order=True)
class _Parcel:
    sequence: int
    ticks: int = field(compare=False)
    place: Place = field(compare=False, default=Place.MEMORY)
    encoded: bytes = field(compare=False, default=b"")  # empty where it is not in memory

    def key(self, prefix: str) -> str:
        return f"{prefix}{self.sequence:019d}/{self.ticks}"


@dataclass(slots=True)
class Totals:
    """What became of batches and ticks; written to storage when something is lost.

    Losses are counted since the group's first start, the rest since this one or the last loss before it.
    """

    ticks_collected: int = 0
    batches_delivered: int = 0
    ticks_delivered: int = 0
    batches_dropped: int = 0
    ticks_dropped: int = 0
    batches_refused: int = 0
    ticks_refused: int = 0


@dataclass(frozen=True, slots=True)
class LastBatch:
    """The newest batch that the core has taken."""

    sequence: int
    ticks: int
    at: float


class Backlog:
    """The batches of one group. Call `load` once before anything else."""

    def __init__(
        self,
        *,
        slot: int,
        config: Config,
        storage: Storage,
        overflow: Overflow,
        keys: Keys,
        post: Post,
        clock: Clock,
    ) -> None:
        self._slot, self._config = slot, config
        self._storage, self._overflow, self._keys, self._post = storage, overflow, keys, post
        self._clock = clock
        self._parcels: list[_Parcel] = []
        self._last_sequence = 0
        self._retry_at = 0.0
        self._failures = 0
        self._is_delivering = False
        self._waiting_since: float | None = None
        self.ticks_lost_before = 0
        """By the collector, for want of room, before they came here."""
        self.totals = Totals()
        self.last_batch: LastBatch | None = None

    async def load(self) -> None:
        """Find what an earlier process has left."""
        for prefix, place in ((_STORED, Place.STORED), (_QUEUED, Place.QUEUED)):
            for key in await self._storage.keys(prefix):
                sequence, _, ticks = key.removeprefix(prefix).partition("/")
                self._parcels.append(_Parcel(int(sequence), int(ticks), place))
        self._parcels.sort()
        self._last_sequence = self._parcels[-1].sequence if self._parcels else 0
        totals = await self._storage.read(_TOTALS)
        if totals is not None:
            self.totals = Totals(**json.loads(totals))

    def count(self, place: Place) -> int:
        return sum(parcel.place is place for parcel in self._parcels)

    @property
    def ticks(self) -> int:
        return sum(parcel.ticks for parcel in self._parcels)

    @property
    def retry_at(self) -> float | None:
        """When the core is tried again; None while it answers."""
        return self._retry_at if self._failures else None

    async def put(self, draft: Draft, at: float) -> None:
        """Take a draft as the next batch. A waiting batch without ticks before it makes way for it."""
        self.ticks_lost_before = draft.ticks_dropped
        dropped = self.ticks_lost_before + self.totals.ticks_dropped + self.totals.ticks_refused
        sequence = self._next_sequence(at)
        self.totals.ticks_collected += len(draft.ticks)
        try:
            encoded = encode(Batch(self._keys.present, sequence, at, draft.ticks, draft.reports, dropped))
        except BatchError:  # a tick that the layout cannot hold must not stop the others for ever
            self.totals.ticks_dropped += len(draft.ticks)
            return
        last = self._parcels[-1] if self._parcels else None
        if last is not None and not last.ticks and last.place is not Place.QUEUED and not self._is_delivering:
            await self._forget(last)
        self._parcels.append(_Parcel(sequence, len(draft.ticks), Place.MEMORY, encoded))

    async def deliver(self, limit: int) -> tuple[int, int]:
        """Send waiting batches in order, at most `limit`, until the core fails to take one.

        Nothing is sent while another call is at it, nor before the wait after a failure is over. Returns the
        number of posts and their bytes.
        """
        if self._is_delivering:
            return 0, 0
        self._is_delivering = True
        sent = size = 0
        try:
            while sent < limit and self._clock() >= self._retry_at:
                parcel = self._head(self._clock())
                if parcel is None:
                    break
                sent += 1
                size += await self._deliver_one(parcel)
        finally:
            self._is_delivering = False
        return sent, size

    def hurry(self) -> None:
        """Try the core at the next delivery, whatever wait stands."""
        self._retry_at = 0.0

    async def save(self) -> None:
        """Bring what is still in memory to storage or into the queue."""
        for parcel in [parcel for parcel in self._parcels if parcel.place is Place.MEMORY]:
            if self.count(Place.STORED) < self._config.stored_max:
                await self._store(parcel)
            elif self.count(Place.QUEUED) >= self._config.queued_max or not await self._enqueue(parcel):
                await self._drop_oldest()
                await self._store(parcel)

    async def refill(self, sequence: int, encoded: bytes) -> bool:
        """A batch comes back from the queue; false if there is no room for it yet.

        There is always room for the one that all others wait for, even while the core is away: it is what the
        core is tried with. While the core answers, REFILL_MAX may stand over the bound, since what was
        collected meanwhile may have filled the storage. One that is not expected was here before, and is
        taken to be delivered.
        """
        parcel = next((each for each in self._parcels if each.sequence == sequence), None)
        if parcel is None or parcel.place is not Place.QUEUED:
            return True
        room = self._config.stored_max + (0 if self._failures else REFILL_MAX)
        if self.count(Place.STORED) >= room and parcel is not self._parcels[0]:
            return False
        parcel.encoded = encoded
        await self._store(parcel)
        await self._storage.delete([parcel.key(_QUEUED)])
        return True

    async def expire(self, at: float) -> None:
        """Give up on batches that the queue has not brought back in a day; they are counted as dropped."""
        oldest = (at - QUEUE_KEEP_S) * 1000 * SLOTS
        for parcel in [
            each for each in self._parcels if each.place is Place.QUEUED and each.sequence < oldest
        ]:
            await self._drop(parcel)

    def _next_sequence(self, at: float) -> int:
        """Rises across restarts without storage: a group makes fewer than a thousand batches a second."""
        self._last_sequence = max(self._last_sequence + SLOTS, int(at * 1000) * SLOTS + self._slot)
        return self._last_sequence

    def _head(self, at: float) -> _Parcel | None:
        """The batch to send next: the oldest, or after QUEUE_PATIENCE_S the oldest that is here."""
        if not self._parcels or self._parcels[0].place is not Place.QUEUED:
            self._waiting_since = None
            return self._parcels[0] if self._parcels else None
        if self._waiting_since is None:
            self._waiting_since = at
        if at - self._waiting_since < QUEUE_PATIENCE_S:
            return None
        return next((parcel for parcel in self._parcels if parcel.place is not Place.QUEUED), None)

    async def _deliver_one(self, parcel: _Parcel) -> int:
        """Send one batch and settle what came of it; the bytes that were sent."""
        encoded = parcel.encoded or await self._storage.read(parcel.key(_STORED))
        if encoded is None:
            await self._drop(parcel)
            return 0
        sealed = await self._seal(encoded)
        answer = await self._post(sealed)
        at = self._clock()
        delivery = judge(answer)
        if delivery is Delivery.RETRY:
            self._failures += 1
            self._retry_at = at + self._wait_s(answer)
            return len(sealed)
        self._failures = 0
        await self._forget(parcel)
        if delivery is Delivery.ACCEPTED:
            self.totals.batches_delivered += 1
            self.totals.ticks_delivered += parcel.ticks
            self.last_batch = LastBatch(parcel.sequence, parcel.ticks, at)
        else:
            self.totals.batches_refused += 1
            self.totals.ticks_refused += parcel.ticks
            await self._save_totals()
        return len(sealed)

    async def _seal(self, encoded: bytes) -> bytes:
        """Stamped and signed now, by the key it names or, if that is gone, by the present one."""
        key_id = key_id_of(encoded)
        if not self._keys.holds(key_id):
            key_id = self._keys.present
        stamped = restamp(encoded, self._clock(), key_id)
        return stamped + await self._keys.sign(key_id, stamped)

    def _wait_s(self, answer: Answer | Failure) -> float:
        asked = answer.retry_after_s if isinstance(answer, Answer) else None
        if asked:
            return min(asked, RETRY_AFTER_S_MAX)
        # The first failure is tried again with the next collection; then less and less often.
        return min(self._config.interval_s * (2.0 ** min(self._failures - 1, 10)) / 2, RETRY_S_MAX)

    async def _store(self, parcel: _Parcel) -> None:
        await self._storage.write(parcel.key(_STORED), parcel.encoded)
        parcel.place, parcel.encoded = Place.STORED, b""

    async def _enqueue(self, parcel: _Parcel) -> bool:
        """Marked in storage first, so that what comes back is known whatever happens between."""
        await self._storage.write(parcel.key(_QUEUED), b"")
        try:
            await self._overflow.send(parcel.sequence, parcel.encoded)
        except OverflowRefused:
            await self._storage.delete([parcel.key(_QUEUED)])
            return False
        parcel.place, parcel.encoded = Place.QUEUED, b""
        return True

    async def _drop_oldest(self) -> None:
        oldest = next((parcel for parcel in self._parcels if parcel.place is Place.STORED), None)
        if oldest is not None:
            await self._drop(oldest)

    async def _drop(self, parcel: _Parcel) -> None:
        await self._forget(parcel)
        self.totals.batches_dropped += 1
        self.totals.ticks_dropped += parcel.ticks
        await self._save_totals()

    async def _forget(self, parcel: _Parcel) -> None:
        if parcel in self._parcels:
            self._parcels.remove(parcel)
        if parcel.place is not Place.MEMORY:
            await self._storage.delete([parcel.key(_STORED if parcel.place is Place.STORED else _QUEUED)])

    async def _save_totals(self) -> None:
        await self._storage.write(_TOTALS, json.dumps(asdict(self.totals)).encode())
