"""Batches on their way to the core, in order, and what the core's answers do to them.

Pure: knows bytes, sequences and waits; signs nothing and sends nothing. A batch is kept encoded and is
stamped and signed anew each time it is sent, so that it may wait for hours while the core's freshness window
is narrow. One batch is in flight at a time: the core sees sequences rise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from chrono.batch import Batch, encode, restamp
from chrono.collector import Draft
from chrono.errors import BatchError
from chrono.http import Answer, Failure

BATCHES_MAX: Final = 20_000
TICKS_MAX: Final = 1_000_000  # 56 bytes each
RETRY_S_FIRST: Final = 0.2
RETRY_S_MAX: Final = 5.0
RETRY_AFTER_S_MAX: Final = 60.0
_DOUBLINGS_MAX: Final = 10
_TRY_AGAIN_STATUSES: Final = frozenset({408, 429})


class Delivery(Enum):
    """What became of a sending."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # for good: the batch is dropped, the others go on
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class _Parcel:
    sequence: int
    ticks: int
    encoded: bytes


class Spool:
    """A bounded queue of encoded batches. `random` gives a float in [0, 1).

    Sequences begin with the Unix milliseconds of the start, so that they rise across restarts without
    storage; a collector makes far fewer than a thousand batches a second. When BATCHES_MAX batches or
    TICKS_MAX ticks wait, the oldest that is not in flight is dropped and its ticks are counted.
    """

    def __init__(
        self,
        key_id: bytes,
        *,
        at: float,
        random: Callable[[], float],
        batches_max: int = BATCHES_MAX,
        ticks_max: int = TICKS_MAX,
    ) -> None:
        self._key_id, self._random = key_id, random
        self._batches_max, self._ticks_max = max(batches_max, 1), ticks_max
        self._next_sequence = int(at * 1000)
        self._parcels: deque[_Parcel] = deque()
        self._in_flight: int | None = None
        self._retry_at = at
        self._retries = 0
        self._dropped_before = 0
        self._dropped_here = 0
        self.ticks = 0
        self.batches_refused = 0

    def __len__(self) -> int:
        return len(self._parcels)

    @property
    def ticks_dropped(self) -> int:
        """Ticks lost since the start: overflowed, refused by the core, or lost before they came here."""
        return self._dropped_before + self._dropped_here

    def put(self, draft: Draft, at: float) -> None:
        """Queue a draft as a batch with the next sequence. An older batch without ticks makes way for it."""
        self._dropped_before = draft.ticks_dropped
        # Counted now and not at sending: a batch sent twice must be the same but for its time.
        batch = Batch(self._key_id, self._next_sequence, at, draft.ticks, draft.reports, self.ticks_dropped)
        try:
            encoded = encode(batch)
        except BatchError:  # a tick that the layout cannot hold must not stop the others for ever
            self._dropped_here += len(draft.ticks)
            return
        self._next_sequence += 1
        if self._parcels and not self._parcels[-1].ticks and self._in_flight != self._parcels[-1].sequence:
            self._parcels.pop()
        self._parcels.append(_Parcel(batch.sequence, len(draft.ticks), encoded))
        self.ticks += len(draft.ticks)
        while len(self._parcels) > self._batches_max or self.ticks > self._ticks_max:
            if not self._drop_oldest():
                break

    def due(self, at: float) -> bytes | None:
        """The oldest batch, stamped, to be signed and sent now; None while one is in flight or must wait.

        The caller gives what came of it to `settle`.
        """
        if self._in_flight is not None or not self._parcels or at < self._retry_at:
            return None
        parcel = self._parcels[0]
        self._in_flight = parcel.sequence
        return restamp(parcel.encoded, at)

    def settle(self, answer: Answer | Failure, at: float) -> Delivery:
        """What came of the batch that `due` gave: it is done with, or stays first and waits.

        Any 4xx but 408 and 429 refuses it for good. All else that is not a 2xx is tried again after
        Retry-After (at most RETRY_AFTER_S_MAX), or after 0.2 s doubled to at most 5 s, with jitter.
        """
        self._in_flight = None
        delivery = judge(answer)
        if delivery is Delivery.RETRY:
            self._retry_at = at + self._wait_s(answer)
            self._retries += 1
            return delivery
        self._retries = 0
        parcel = self._parcels.popleft()
        self.ticks -= parcel.ticks
        if delivery is Delivery.REFUSED:
            self.batches_refused += 1
            self._dropped_here += parcel.ticks
        return delivery

    def next_due(self) -> float:
        """When `due` gives a batch; infinity while one is in flight or none waits."""
        waits = self._in_flight is None and self._parcels
        return self._retry_at if waits else float("inf")

    def _wait_s(self, answer: Answer | Failure) -> float:
        asked = answer.retry_after_s if isinstance(answer, Answer) else None
        if asked:
            return min(asked, RETRY_AFTER_S_MAX) * (1 + 0.1 * self._random())
        longest = min(RETRY_S_FIRST * 2.0 ** min(self._retries + 1, _DOUBLINGS_MAX), RETRY_S_MAX)
        return RETRY_S_FIRST + (longest - RETRY_S_FIRST) * self._random()

    def _drop_oldest(self) -> bool:
        """Drop the oldest batch but the one in flight; false if there is none."""
        index = 1 if self._in_flight is not None else 0
        if index >= len(self._parcels):
            return False
        parcel = self._parcels[index]
        del self._parcels[index]
        self.ticks -= parcel.ticks
        self._dropped_here += parcel.ticks
        return True


def judge(answer: Answer | Failure) -> Delivery:
    """What an answer of the core means for the batch that was posted."""
    if isinstance(answer, Failure):
        return Delivery.RETRY
    if 200 <= answer.status < 300:
        return Delivery.ACCEPTED
    if 400 <= answer.status < 500 and answer.status not in _TRY_AGAIN_STATUSES:
        return Delivery.REFUSED
    return Delivery.RETRY
