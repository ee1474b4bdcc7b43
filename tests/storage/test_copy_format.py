"""The bytes of binary COPY, against a slow and obvious reading of them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chrono.batch import KIND_QUOTE, KIND_TRADE
from chrono.feeds import LEGS
from core.columns import TICK_DTYPE, TickColumns
from core.storage.copy_format import copy_bytes

LEG_IDS = np.arange(len(LEGS), dtype=np.int16)[::-1].copy()
POSTGRES_EPOCH_MS = 946_684_800_000

mantissas = st.integers(0, 2**63 - 1)
times_ms = st.integers(1, 4_102_444_800_000)
decimals = st.integers(0, 18)
ticks = st.tuples(
    st.integers(0, len(LEGS) - 1),
    st.sampled_from([KIND_QUOTE, KIND_TRADE]),
    decimals,
    decimals,
    times_ms,
    st.one_of(st.just(0), times_ms),
    mantissas,
    mantissas,
    mantissas,
    st.one_of(st.just(-1), mantissas),
)
Tick = tuple[int, ...]


def columns(rows: Sequence[Tick]) -> TickColumns:
    table = np.zeros(len(rows), TICK_DTYPE)
    for index, (_, kind, price, volume, received, event, *values) in enumerate(rows):
        table[index] = (0, kind, price, volume, (0, 0, 0), received, event, *values)
    return TickColumns(np.array([row[0] for row in rows], np.int32), table)


def read_copy(raw: bytes) -> list[list[int | None]]:
    """Every row's fields as numbers, one after the other."""
    assert raw[:19] == b"PGCOPY\n\xff\r\n\0" + bytes(8)
    rows: list[list[int | None]] = []
    at = 19
    while (count := struct.unpack_from(">h", raw, at)[0]) != -1:
        at += 2
        row: list[int | None] = []
        for _ in range(count):
            (length,) = struct.unpack_from(">i", raw, at)
            at += 4
            row.append(None if length == -1 else int.from_bytes(raw[at : at + length], "big", signed=True))
            at += max(length, 0)
        rows.append(row)
    assert at + 2 == len(raw)
    return rows


def expected(tick: Tick) -> list[int | None]:
    leg, kind, price_decimals, volume_decimals, received, event, bid, ask, last, volume = tick
    return [
        (received - POSTGRES_EPOCH_MS) * 1000,
        (event - POSTGRES_EPOCH_MS) * 1000 if event else None,
        int(LEG_IDS[leg]),
        kind,
        price_decimals,
        volume_decimals,
        bid or None,
        ask or None,
        last or None,
        None if volume < 0 else volume,
    ]


@given(st.lists(st.lists(ticks, max_size=8), max_size=3))
def test_every_tick_is_written_as_its_row(parts: list[list[Tick]]) -> None:
    raw = copy_bytes([columns(part) for part in parts], LEG_IDS)
    assert read_copy(raw) == [expected(tick) for part in parts for tick in part]
