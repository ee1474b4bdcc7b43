"""Counting what is billed: requests by key, endpoint and UTC day, in batches that are stored once.

A batch has an id and never changes once it is made; it is offered again and again until it is known to be
stored, and what is counted meanwhile goes into the next. The store keeps the ids, so a batch that is stored
twice counts once. What a process had not handed over when it was killed is not billed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

ROWS_MAX: Final = 50_000
"""Distinct rows that wait while the store is away; requests beyond are served, told apart and not billed."""

BATCH_ROWS_MAX: Final = 2_000


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One row of a bill."""

    prefix: str
    endpoint: str
    day: date


@dataclass(frozen=True, slots=True)
class MeterBatch:
    """Counts to be added to the store once; `id` says which once."""

    id: bytes
    counts: Mapping[UsageRow, int]


class Meter:
    """What was counted and is not stored yet. `new_id` gives 16 random bytes."""

    def __init__(self, new_id: Callable[[], bytes], rows_max: int = ROWS_MAX) -> None:
        self.unbilled = 0
        self._new_id, self._rows_max = new_id, rows_max
        self._counts: Counter[tuple[str, str, int]] = Counter()
        self._offered: MeterBatch | None = None

    def count(self, prefix: str, endpoint: str, at: float) -> None:
        """One request more."""
        row = (prefix, endpoint, int(at // 86_400))
        if row not in self._counts and len(self._counts) >= self._rows_max:
            self.unbilled += 1
            return
        self._counts[row] += 1

    def offered(self) -> MeterBatch | None:
        """What to store next: the same batch until `stored` is called for it; None when nothing waits."""
        if self._offered is None and self._counts:
            taken = list(self._counts.items())[:BATCH_ROWS_MAX]
            for row, _ in taken:
                del self._counts[row]
            self._offered = MeterBatch(self._new_id(), {_row(row): count for row, count in taken})
        return self._offered

    def stored(self, batch: MeterBatch) -> None:
        """The batch is on disk."""
        if batch is self._offered:
            self._offered = None


def _row(row: tuple[str, str, int]) -> UsageRow:
    prefix, endpoint, day = row
    return UsageRow(prefix, endpoint, datetime.fromtimestamp(day * 86_400, UTC).date())
