"""Ticks as the bytes that PostgreSQL's binary COPY reads, made by numpy for all rows at once.

A field is its length (int32, -1 for null) and its bytes, big-endian; a row is the number of its fields
(int16) and its fields. Every row is first laid out as if nothing were null, then the bytes of the nulls are
masked away:

    offset  size  column                offset  size  column
    0       2     number of fields, 10  44      4+2   volume_decimals
    2       4+8   received_at           50      4+8   bid
    14      4+8   event_at              62      4+8   ask
    26      4+2   leg                   74      4+8   last
    32      4+2   kind                  86      4+8   volume
    38      4+2   price_decimals        98
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.columns import TICK_DTYPE, TickColumns

COLUMNS: Final = (
    "received_at",
    "event_at",
    "leg",
    "kind",
    "price_decimals",
    "volume_decimals",
    "bid",
    "ask",
    "last",
    "volume",
)
_WIDE: Final = ("received_at", "event_at", "bid", "ask", "last", "volume")
_NULLABLE: Final = ("event_at", "bid", "ask", "last", "volume")
_ROW: Final = np.dtype(
    [("fields", ">i2")]
    + [
        pair
        for name in COLUMNS
        for pair in ((f"{name}_length", ">i4"), (name, ">i8" if name in _WIDE else ">i2"))
    ]
)
_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_EPOCH_2000_MS: Final = 946_684_800_000


def copy_bytes(parts: Sequence[TickColumns], leg_ids: NDArray[np.int16]) -> bytes:
    """The whole COPY of all parts. `leg_ids` gives the database's id of each leg of `chrono.feeds.LEGS`."""
    rows = np.concatenate([np.empty(0, TICK_DTYPE), *(part.rows for part in parts)])
    legs = np.concatenate([np.empty(0, np.int32), *(part.leg for part in parts)])
    table = np.zeros(len(rows), _ROW)
    table["fields"] = len(COLUMNS)
    for name in COLUMNS:
        table[f"{name}_length"] = _ROW[name].itemsize
    table["received_at"] = _microseconds(rows["received_ms"])
    table["event_at"] = _microseconds(rows["event_ms"])
    table["leg"] = leg_ids[legs]
    for name in ("kind", "price_decimals", "volume_decimals", "bid", "ask", "last", "volume"):
        table[name] = rows[name]
    return _HEADER + _without_nulls(table, rows) + _TRAILER


def _without_nulls(table: NDArray[np.void], rows: NDArray[np.void]) -> bytes:
    absent = {name: rows[name] == 0 for name in ("bid", "ask", "last")}
    absent["event_at"] = rows["event_ms"] == 0
    absent["volume"] = rows["volume"] < 0
    kept = np.ones((len(table), _ROW.itemsize), np.bool_)
    for name in _NULLABLE:
        table[f"{name}_length"][absent[name]] = -1
        offset = _offset(name)
        kept[absent[name], offset : offset + 8] = False
    return table.view(np.uint8).reshape(kept.shape)[kept].tobytes()


def _offset(name: str) -> int:
    fields = _ROW.fields
    assert fields is not None  # noqa: S101
    return int(fields[name][1])


def _microseconds(ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Unix milliseconds as PostgreSQL's microseconds since 2000."""
    return np.asarray((ms - _EPOCH_2000_MS) * 1000)
