"""The store ports in memory. They pass the same contract suites as PostgreSQL."""

from __future__ import annotations

from core.ports import BatchRecord, Receipt, SequenceConflict, StoreUnavailable


class FakeTickStore:
    """A TickStore. `committed` holds the batches in order; set `down` to have it refuse."""

    def __init__(self) -> None:
        self.committed: list[BatchRecord] = []
        self.down = False
        self._first: dict[tuple[bytes, int], BatchRecord] = {}

    async def append(self, record: BatchRecord) -> Receipt:
        if self.down:
            raise StoreUnavailable("the fake is down", 1.0)
        first = self._first.setdefault((record.key_id, record.sequence), record)
        if first.digest != record.digest:
            raise SequenceConflict(record.key_id.hex(), record.sequence)
        if first is record:
            self.committed.append(record)
        return Receipt(len(first.ticks), first.refused, duplicate=first is not record)
