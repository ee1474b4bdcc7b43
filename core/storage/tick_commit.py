"""One transaction of batches: which of them are new, their ticks copied, and what each caller is told.

The ledger `batches` decides: whoever inserts a (key, sequence) first also copies its ticks, in the same
transaction. A batch at or below its key's floor was committed longer ago than the ledger remembers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from core.ports import BatchRecord, Receipt, SequenceConflict
from core.storage.copy_format import COLUMNS, copy_bytes
from core.storage.queries import load_queries

if TYPE_CHECKING:
    from core.storage.pool import Connection

BatchKey = tuple[bytes, int]
Outcome = Receipt | SequenceConflict


class SequenceForgotten(SequenceConflict):
    """A sequence at or below those that were committed and pruned: whether it was one of them is unknown.

    Accepting it could store its ticks twice, so it is refused for good; a collector gives it up.
    """

    def __init__(self, key_id: str, sequence: int, floor: int) -> None:
        super().__init__(key_id, sequence)
        self.floor = floor
        self.args = (
            f"sequence {sequence} of key {key_id} is too old to tell whether it was committed;"
            f" those up to {floor} are forgotten",
        )


@dataclass(frozen=True, slots=True)
class Stored:
    """What the ledger holds of a batch."""

    digest: bytes
    accepted: int
    refused: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Committed:
    """The outcomes of a group, in its order, and the number of ticks that were written."""

    outcomes: Sequence[Outcome]
    rows: int


async def commit(
    connection: Connection, group: Sequence[BatchRecord], leg_ids: NDArray[np.int16]
) -> Committed:
    """Commit the new batches of a group together; on return they are on disk."""
    firsts = first_of_each(group)
    queries: Final = load_queries("ticks")
    async with connection.transaction():
        rows = await connection.fetch(queries["insert_batches"], *_ledger_columns(firsts.values()))
        inserted = {(row["key_id"], row["sequence"]) for row in rows}
        floors = await _floors(connection, firsts)
        forgotten = {key for key in inserted if key[1] <= floors.get(key[0], -1)}
        if forgotten:
            await connection.execute(queries["take_back"], *_key_columns(forgotten))
        fresh = [record.ticks for key, record in firsts.items() if key in inserted - forgotten]
        count = sum(map(len, fresh))
        if count:
            # Of a view asyncpg writes the bytes at once; a file it would read in a thread, bytes are a path.
            source = memoryview(copy_bytes(fresh, leg_ids))
            await connection.copy_to_table("ticks", source=source, columns=COLUMNS, format="binary")
        known = await _stored(connection, set(firsts) - inserted)
    return Committed(judge(group, inserted - forgotten, known, floors), count)


def first_of_each(group: Iterable[BatchRecord]) -> dict[BatchKey, BatchRecord]:
    """The first record of every (key, sequence), sorted, so that two writers lock in one order."""
    firsts: dict[BatchKey, BatchRecord] = {}
    for record in group:
        firsts.setdefault((record.key_id, record.sequence), record)
    return dict(sorted(firsts.items()))


def judge(
    group: Sequence[BatchRecord],
    fresh: set[BatchKey],
    stored: Mapping[BatchKey, Stored],
    floors: Mapping[bytes, int],
) -> list[Outcome]:
    """What each record's caller is told: its own commit, the first receipt, or why it is refused."""
    seen = dict(stored)
    outcomes: list[Outcome] = []
    for record in group:
        key = (record.key_id, record.sequence)
        first = seen.get(key)
        if first is None and key in fresh:
            seen[key] = Stored(record.digest, len(record.ticks), record.refused)
            outcomes.append(Receipt(len(record.ticks), record.refused, duplicate=False))
        elif first is None:
            floor = floors.get(record.key_id, record.sequence)
            outcomes.append(SequenceForgotten(record.key_id.hex(), record.sequence, floor))
        elif first.digest == record.digest:
            outcomes.append(Receipt(first.accepted, first.refused, duplicate=True))
        else:
            outcomes.append(SequenceConflict(record.key_id.hex(), record.sequence))
    return outcomes


def _ledger_columns(records: Iterable[BatchRecord]) -> tuple[list[object], ...]:
    columns: tuple[list[object], ...] = ([], [], [], [], [], [])
    for record in records:
        refused = orjson.dumps(dict(record.refused)).decode()
        row = (record.key_id, record.sequence, record.digest, len(record.ticks), refused, record.received_at)
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return columns


def _key_columns(keys: Iterable[BatchKey]) -> tuple[list[bytes], list[int]]:
    ordered = sorted(keys)
    return [key_id for key_id, _ in ordered], [sequence for _, sequence in ordered]


async def _floors(connection: Connection, keys: Iterable[BatchKey]) -> dict[bytes, int]:
    key_ids = sorted({key_id for key_id, _ in keys})
    rows = await connection.fetch(load_queries("ticks")["floors"], key_ids)
    return {row["key_id"]: row["sequence"] for row in rows}


async def _stored(connection: Connection, keys: set[BatchKey]) -> dict[BatchKey, Stored]:
    if not keys:
        return {}
    rows = await connection.fetch(load_queries("ticks")["stored_batches"], *_key_columns(keys))
    return {
        (row["key_id"], row["sequence"]): Stored(row["digest"], row["accepted"], orjson.loads(row["refused"]))
        for row in rows
    }
